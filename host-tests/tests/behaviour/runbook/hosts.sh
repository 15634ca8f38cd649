# Hosts of their own: each has a network, a file system and a name of its own, and one
# bridge joins them. Runs as root of namespaces that end with it.
set -eu
cd "$WORLD"
export HOME=$WORLD
unset XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME
mount --make-rprivate /
mount -t tmpfs tmpfs /run
ip link set lo up
ip link add bridge type bridge
ip link set bridge up

die() {
    echo "$*" >&2
    tail -n 15 -- */etcd.log >&2
    exit 1
}

# host NAME NUMBER: a host at 10.0.0.NUMBER and fd00::NUMBER, with a /var/lib, an /etc
# and a /usr/local/bin of its own.
host() {
    mkdir "$1" "$1/lib" "$1/bin"
    cp -a /etc "$1/etc"
    printf '127.0.0.1 localhost\n%s\n' "$NAMES" > "$1/etc/hosts"
    ip netns add "$1"
    ip link add "v$2" type veth peer name eth0 netns "$1"
    ip link set "v$2" master bridge up
    ip -n "$1" link set lo up
    ip -n "$1" addr add "10.0.0.$2/24" dev eth0
    ip -n "$1" addr add "fd00::$2/64" dev eth0 nodad
    ip -n "$1" link set eth0 up
    mkfifo "$1/up"
    ip netns exec "$1" unshare --uts --mount sh -c '
        hostname "$1" && mount --bind "$1/lib" /var/lib && mount --bind "$1/etc" /etc &&
            mount --bind "$1/bin" /usr/local/bin && echo up > "$1/up" && exec sleep 600' sh "$1" &
    echo $! > "$1/holder"
    read -r _ < "$1/up"
}

# enter HOST SCRIPT: becomes a shell there.
enter() {
    exec ${AS:-} nsenter -t "$(cat "$1/holder")" --uts --mount --net sh -c "cd '$WORLD'
$2"
}

# on HOST SCRIPT: what a person types there.
on() ( enter "$@" )

# start HOST SCRIPT: the same, and it goes on, as the leader of a group.
start() {
    AS=setsid enter "$1" "exec > $1/etcd.log 2>&1
$2" &
    echo $! > "$1/pid"
}

# stop HOST: what was started there; its data is free afterwards.
stop() {
    kill -- "-$(cat "$1/pid")"
    on "$1" 'flock "${DATA_DIR:-/var/lib/etcd}/member/snap/db" true'
}

# refused WORDS COMMAND…: fails unless the command fails and says so.
refused() {
    words=$1
    shift
    if "$@" > refusal 2>&1; then cat refusal >&2; die "not refused with '$words': $*"; fi
    grep -qF -- "$words" refusal || { cat refusal >&2; die "refused without '$words'"; }
}

# eventually COMMAND…: tries it until it succeeds; each try of etcdctl waits by itself.
eventually() {
    for _ in $(seq 60); do
        if "$@" > eventually 2>&1; then return; fi
        sleep 0.1
    done
    cat eventually >&2
    die "never: $*"
}

# block N [HEADING [WHICH]]: a block of section N of the guide, as printed: the first one
# or another, right below the section or below one of its headings.
block() {
    awk -v number="## $1. " -v heading="${2:+### $2}" -v which="${3:-1}" '
        /^```sh$/ { inside = here; count += here; next }
        /^```$/ { inside = 0; next }
        inside && count == which { print; found = 1 }
        inside { next }
        /^## / { section = index($0, number) == 1; here = section && heading == "" }
        /^### / { here = section && $0 == heading }
        END { exit !found }
    ' "$GUIDE" > block || die "the guide has no block $*"
    sha256sum < block >> ran
    cat block
}

# step HOST SECTION [HEADING [WHICH]]: says which member the host is, and runs a block.
step() {
    machine=$1
    shift
    on "$machine" "$(block 1)
$(block "$@")"
}

# all_ran BUT…: fails if a block of the guide was not run, but for those with these words.
all_ran() {
    awk '/^```sh$/ { file = "printed." ++count; inside = 1; next }
        /^```$/ { inside = 0 } inside { print > file }' "$GUIDE"
    for printed in printed.*; do
        for words in "$@"; do
            if grep -qF -- "$words" "$printed"; then rm "$printed"; continue 2; fi
        done
        grep -qxF "$(sha256sum < "$printed")" ran || die "never run: $(cat "$printed")"
    done
}

# backup HOST LOCATION FOLDER OPTION…: a backup, made on that host.
backup() {
    machine=$1 location=$2 folder=$3
    shift 3
    on "$machine" "plakar-wasm backup connector.wasm $location --to $folder $*" > /dev/null
    GUIDE=$WORLD/$folder/RESTORE.md
    export DUMP=$WORLD/$folder/dump
}
