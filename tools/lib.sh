# Sourced by the scripts beside it: where tools live and how one is installed whole or not at all.

set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools=${PLAKAR_ETCD_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/plakar-etcd}

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "error: $*"
    exit 1
}

# versions NAME: the versions of a tool that `tools/versions` lists, one a line, the oldest first.
versions() {
    grep -q "^$1 " "$repo/tools/versions" || fail "\`tools/versions\` has no $1"
    sed -n "s/^$1 //p" "$repo/tools/versions"
}

need() {
    command -v "$1" >/dev/null || fail "\`$1\` is not on the PATH: $2"
}

[[ $tools == /* ]] || fail "\`$tools\` is not an absolute path: correct PLAKAR_ETCD_TOOLS or XDG_CACHE_HOME"

# in_scratch NAME COMMAND…: runs COMMAND with `$scratch`, an empty folder that is gone afterwards
# however the run ends. Runs with the same NAME wait for each other.
in_scratch() {
    local name=$1
    shift
    need flock 'install the package util-linux'
    mkdir -p "$tools"
    exec 9>"$tools/.$name.lock"
    if ! flock -n 9; then
        say "waiting for another run that is installing $name"
        flock 9
    fi
    # A run that was killed outright could not tidy up; the lock says that it is over.
    rm -rf "$tools/.$name.scratch"
    scratch=$tools/.$name.scratch
    mkdir "$scratch"
    trap 'rm -rf "$scratch"' EXIT
    trap 'exit 130' INT TERM HUP
    "$@" 9>&-
    rm -rf "$scratch"
    trap - EXIT INT TERM HUP
    exec 9>&-
}

# provide NAME "PROGRAM…" COMMAND…: makes `$tools/NAME/bin/PROGRAM…`, once. COMMAND puts the
# programs into the folder `$bin`; it appears under its final name only when all of them are there.
provide() {
    has_programs "$1" "$2" || in_scratch "$1" provide_locked "$@"
}

provide_locked() {
    local name=$1 programs=$2
    shift 2
    # Another run may have finished while this one waited.
    if has_programs "$name" "$programs"; then return; fi
    bin=$scratch/$name/bin
    mkdir -p "$bin"
    "$@"
    for program in $programs; do
        [[ -x $bin/$program ]] || fail "installing $name left no \`$program\`"
    done
    rm -rf "${tools:?}/$name"
    mv "$scratch/$name" "$tools/$name"
}

has_programs() {
    local program
    for program in $2; do
        [[ -x $tools/$1/bin/$program ]] || return 1
    done
}

# cargo_install CRATE VERSION ARGUMENT…: installs a program from its crate into `$bin`.
cargo_install() {
    local crate=$1 version=$2 quiet=--quiet
    shift 2
    need cargo 'install Rust, https://rustup.rs'
    if [[ -t 2 ]]; then quiet=; fi
    rm -f "$bin"/*
    # From outside the workspace, so that its cargo settings do not apply.
    (cd "$scratch" && CARGO_TARGET_DIR=$scratch/target CARGO_PROFILE_DEV_DEBUG=false cargo install $quiet "$crate" \
        --version "$version" --locked --no-track --root "${bin%/bin}" "$@") ||
        fail "\`cargo install $crate\` failed: check the connection to crates.io and run this again"
}

# link PROGRAM PATTERN ARGUMENT…: links PROGRAM from the PATH into `$bin` when the first line that
# `PROGRAM ARGUMENT…` prints matches PATTERN.
link() {
    local path output
    path=$(type -P "$1") && [[ $path == /* ]] || return 1
    output=$("$path" "${@:3}" 2>/dev/null) || return 1
    # shellcheck disable=SC2053
    [[ ${output%%$'\n'*} == $2 ]] && ln -sf "$path" "$bin/$1"
}
