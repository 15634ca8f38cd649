# Usage: container.sh [TYPE SOURCE TARGET]… run PROGRAM ARGUMENT…, in a fresh mount namespace: runs a
# program that sees the `hostPath` volumes as a container does.
set -eu
while [ "$1" != run ]; do
    case $1 in
        DirectoryOrCreate) mkdir -p "$2" ;;
        FileOrCreate) [ -e "$2" ] || : >"$2" ;;
    esac
    if [ -d "$2" ]; then mkdir -p "$3"; fi
    mount --rbind "$2" "$3"
    shift 3
done
shift
exec "$@"
