# Sourced after lib.sh: signed Debian packages of any release, without touching the system's state.

keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# debian_unpack DIR "SUITE…" PACKAGE[=VERSION]…: unpacks the packages into DIR, from the mirror in
# the machine's own apt configuration, or fails without a word.
debian_unpack() {
    local dir=$1 suites=$2 mirror deb
    shift 2
    type -P apt-get dpkg >/dev/null || return
    [[ -r $keyring ]] || fail "\`$keyring\` is missing: install the package debian-archive-keyring"
    mkdir -p "$dir"
    # What apt would download shows the mirrors, even if it has never run.
    for mirror in $(apt-get --print-uris update | sed -n "s|^'\(.*\)/dists/.*|\1|p" | sort -u); do
        if fetch_from "$mirror" "$suites" "$@"; then
            for deb in "$scratch"/apt/packages/*.deb; do dpkg -x "$deb" "$dir" || return; done
            rm -rf "$scratch/apt"
            return
        fi
    done
    return 1
}

fetch_from() {
    local mirror=$1 suites=$2 suite
    shift 2
    rm -rf "$scratch/apt"
    mkdir -p "$scratch"/apt/{state/lists,cache,packages}
    for suite in $suites; do
        echo "deb [signed-by=$keyring] $mirror $suite main"
    done >"$scratch/apt/sources.list"
    local private=(
        -o Dir::Etc::sourcelist="$scratch/apt/sources.list" -o Dir::Etc::sourceparts=-
        -o Dir::State="$scratch/apt/state" -o Dir::State::status=/var/lib/dpkg/status
        -o Dir::Cache="$scratch/apt/cache" -o APT::Update::Error-Mode=any
        # apt's own unprivileged user cannot enter a folder under another user's home.
        -o APT::Sandbox::User="$(id -un)"
    )
    # Most mirrors tried here are not Debian's main one; only the caller knows whether that matters.
    apt-get -qq "${private[@]}" update &>"$scratch/apt/log" &&
        (cd "$scratch/apt/packages" && apt-get -qq "${private[@]}" download "$@") &>>"$scratch/apt/log"
}
