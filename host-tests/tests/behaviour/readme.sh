# Makes the world that the README speaks of: `node1`, a plain member on its port,
# and `node2`, one as kubeadm sets it up. Runs as root of namespaces of its own, where
# both names are known, so nothing here meets what else this machine runs.

serve() { # NAME SCHEME ADDRESS PEER-PORT FLAG…
    name=$1 url=$2://$3:2379 peer=http://127.0.0.1:$4
    shift 4
    etcd --name "$name" --data-dir "$PWD/$name" "$@" \
        --listen-client-urls "$url" --advertise-client-urls "$url" \
        --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" \
        --initial-cluster "$name=$peer" 2> "$name.log" &
}
serve node1 http 127.0.0.1 2380
serve node2 https 127.0.0.2 2381 --client-cert-auth --trusted-ca-file "$PKI/ca.crt" \
    --cert-file "$PKI/server.crt" --key-file "$PKI/server.key"

served() {
    etcdctl --endpoints http://node1:2379 endpoint health &&
        etcdctl --endpoints https://node2:2379 --cacert "$PKI/ca.crt" \
            --cert "$PKI/healthcheck-client.crt" --key "$PKI/healthcheck-client.key" endpoint health
}
for _ in $(seq 20); do
    if served > health.log 2>&1; then break; fi
done
served > health.log 2>&1 || { cat health.log node1.log node2.log; exit 1; }
etcdctl --endpoints http://node1:2379 put key value > /dev/null
set -x
