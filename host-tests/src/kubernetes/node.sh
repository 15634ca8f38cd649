# Usage: node.sh NETWORK NAME ADDRESS FOLDER, in fresh network, mount and UTS namespaces: furnishes
# a node that is plugged into the network held by the process NETWORK, and keeps it.
set -eu
network=$1 name=$2 address=$3 folder=$4

hostname "$name"
ip link set lo up
ip link add eth0 type veth peer name "$name" netns "$network"
nsenter --target "$network" --net ip link set "$name" master nodes up
ip addr add "$address/24" dev eth0
ip link set eth0 up

# Nothing that is done on the node changes this machine.
mount --rbind "${folder%/*}" "${folder%/*}"
mount -o remount,bind,ro /

# `/etc` and `/usr` as they are, and what is written there goes to memory.
mkdir "$folder/memory"
mount -t tmpfs tmpfs "$folder/memory"
for place in etc usr; do
    mkdir -p "$folder/memory/$place/upper" "$folder/memory/$place/work"
    layers=lowerdir=/$place,upperdir=$folder/memory/$place/upper,workdir=$folder/memory/$place/work
    mount -t overlay overlay -o "$layers" "/$place"
done
mkdir -p /etc/kubernetes/manifests

# `/var/lib` as it is, and what is new there goes to the disk.
mkdir "$folder/lib"
for entry in /var/lib/*; do
    if [ -d "$entry" ]; then
        mkdir "$folder/lib/${entry##*/}"
        mount --rbind "$entry" "$folder/lib/${entry##*/}"
    fi
done
mount --rbind "$folder/lib" /var/lib

echo up
exec cat
