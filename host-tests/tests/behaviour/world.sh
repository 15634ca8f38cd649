# The beginning of each page's world: a home of its own, and a network with nothing in it.
set -eu
cd "$WORLD"
export HOME="$WORLD"
unset XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME
plakar -disable-security-check > /dev/null
ip link set lo up
