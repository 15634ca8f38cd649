# Makes the world that the operator's guide speaks of: `node1` to `node3`, one cluster of
# plain members. Runs as root of namespaces of its own, where these names are known.
mount -t tmpfs tmpfs /var/lib

cluster=$(printf ',node%s=http://127.0.0.%s:2380' 1 1 2 2 3 3)
for n in 1 2 3; do
    etcd --name node$n --data-dir "$PWD/node$n" --initial-cluster "${cluster#,}" \
        --listen-client-urls http://127.0.0.$n:2379 --advertise-client-urls http://node$n:2379 \
        --listen-peer-urls http://127.0.0.$n:2380 \
        --initial-advertise-peer-urls http://127.0.0.$n:2380 2> node$n.log &
done
for _ in $(seq 20); do
    if etcdctl --endpoints http://node1:2379 endpoint health --cluster > health.log 2>&1; then break; fi
done
etcdctl --endpoints http://node1:2379 endpoint health --cluster > health.log 2>&1 ||
    { cat health.log node1.log; exit 1; }
etcdctl put key value > /dev/null
etcdctl put /registry/namespaces/default value > /dev/null
snapshot() { plakar at ./store ls | awk 'NR == 1 { print $2 }'; }
set -x
