# Three control planes as kubeadm sets them up, with a stand-in for the kubelet that runs
# what lies in the folder of manifests. They lose all their data and come back by the
# guide, all at once; then one comes back first and another one joins it.
NAMES=
for n in 1 2 3; do host cp$n 1$n; done

cat > kubelet << 'end'
cd "$WORLD/$(uname -n)"
while sleep 0.1; do
    for pod in etcd kube-apiserver; do
        manifest=/etc/kubernetes/manifests/$pod.yaml
        if [ -e $manifest ] && [ ! -e $pod.pid ]; then
            # A hostPath is made if it is not there.
            mkdir -p /var/lib/etcd
            setsid $(sed -n 's/^    - //p' $manifest) > $pod.log 2>&1 &
            echo $! > $pod.pid
        elif [ ! -e $manifest ] && [ -e $pod.pid ]; then
            kill "$(cat $pod.pid)"
            wait "$(cat $pod.pid)"
            rm $pod.pid
        fi
    done
done
end
mkdir tools image image/usr image/usr/local image/usr/local/bin
cat > tools/crictl << 'end'
#!/bin/sh
[ "$1 $2 $3" = 'ps --quiet --name' ] || exit 1
cd "$WORLD/$(uname -n)"
for file in *.pid; do echo "${file%.pid}"; done | grep -E "$4" || true
end
cat > tools/ctr << 'end'
#!/bin/sh
case "$*" in
"-n k8s.io images mount registry.example/etcd:3.6.14-0 "*) mount --bind "$WORLD/image" "$6" ;;
"-n k8s.io images unmount --rm "*) umount "$6" ;;
*) echo "ctr: $*" >&2; exit 1 ;;
esac
end
cat > tools/systemctl << 'end'
#!/bin/sh
[ "$*" = 'restart kubelet' ] && echo "$(uname -n)" >> "$WORLD/kubelets"
end
chmod +x tools/*
# The programs are in the image alone, but for etcd, whose container is played.
for tool in etcdctl etcdutl; do mv "$(command -v $tool)" image/usr/local/bin/; done

manifest() { # NUMBER INITIAL-CLUSTER STATE
    folder=cp$1/etc/kubernetes
    mkdir -p "$folder/manifests" "$folder/pki"
    cp -r "$PKI" "$folder/pki/etcd"
    cp tools/* "cp$1/bin"
    pki=/etc/kubernetes/pki/etcd
    {
        printf '%s\n' 'apiVersion: v1' 'kind: Pod' 'spec:' '  containers:' '  - command:' '    - etcd'
        printf -- '    - --%s\n' "advertise-client-urls=https://10.0.0.1$1:2379" \
            "cert-file=$pki/server.crt" client-cert-auth=true data-dir=/var/lib/etcd \
            "initial-advertise-peer-urls=https://10.0.0.1$1:2380" "initial-cluster=$2" \
            ${3:+initial-cluster-state=$3} "key-file=$pki/server.key" \
            "listen-client-urls=https://127.0.0.1:2379,https://10.0.0.1$1:2379" \
            listen-metrics-urls=http://127.0.0.1:2381 "listen-peer-urls=https://10.0.0.1$1:2380" \
            "name=cp$1" "peer-cert-file=$pki/peer.crt" peer-client-cert-auth=true \
            "peer-key-file=$pki/peer.key" "peer-trusted-ca-file=$pki/ca.crt" \
            "trusted-ca-file=$pki/ca.crt"
        printf '%s\n' '    image: registry.example/etcd:3.6.14-0' '    name: etcd' \
            '  volumes:' '  - hostPath:' '      path: /var/lib/etcd' '      type: DirectoryOrCreate'
    } > "$folder/manifests/etcd.yaml"
    printf '    - %s\n' sleep 600 > "$folder/manifests/kube-apiserver.yaml"
    enter "cp$1" "exec sh $WORLD/kubelet" 2> "cp$1/etcd.log" &
}
etcdctl() { # NUMBER ARGUMENT…
    machine=cp$1
    shift
    on "$machine" "PATH=\$PATH:$WORLD/image/usr/local/bin etcdctl --endpoints https://127.0.0.1:2379 --cacert $PKI/ca.crt \
        --cert $PKI/client.crt --key $PKI/client.key $*"
}
cluster=cp1=https://10.0.0.11:2380
manifest 1 "$cluster" ''
for n in 2 3; do
    eventually etcdctl 1 member add cp$n --peer-urls https://10.0.0.1$n:2380
    cluster=$cluster,cp$n=https://10.0.0.1$n:2380
    manifest $n "$cluster" existing
    eventually etcdctl $n endpoint health
done
eventually etcdctl 1 put /registry/key value
backup cp1 etcd+https://10.0.0.12:2379 snapshot -o tls_ca_file="$PKI/ca.crt" \
    -o tls_cert_file="$PKI/client.crt" -o tls_private_key_file="$PKI/client.key"
etcdctl 1 put /registry/later value > puts
pods='Kubernetes static pods'
export TOKEN=today

for n in 1 2 3; do
    step cp$n 2
    [ -x cp$n/bin/etcdutl ] && [ -x cp$n/bin/etcdctl ] || die 'the tools are still in the image'
    step cp$n 2 '' 2 | grep -qx 'this is the file'
done
for n in 1 2 3; do
    step cp$n 3 "$pods"
    [ ! -e cp$n/etcd.pid ] && [ ! -e cp$n/kube-apiserver.pid ] || die 'it was not waited for'
    rm -r cp$n/lib/etcd
    DATA_DIR=/srv/etcd refused 'set DATA_DIR to its hostPath' step cp$n 4
    step cp$n 4
done
for n in 1 2; do step cp$n 5; done
refused 'would start empty' step cp3 6 "$pods"
step cp3 5
for n in 1 2 3; do step cp$n 6 "$pods"; done
step cp2 7 > look 2>&1 || die "$(cat look)"
[ "$(grep -c 'is healthy' look)" = 3 ] || die "$(cat look)"
grep -q '"Revision" : 100000000' look || die "$(cat look)"
for n in 1 2 3; do
    [ -z "$(etcdctl $n get /registry/later)" ] || die 'a later write is back'
    on cp$n "curl --silent http://127.0.0.1:2381/health" | grep -q true || die 'the probe fails'
    step cp$n 6 "$pods" 2
done
[ "$(cat kubelets)" = "$(printf 'cp1\ncp2\ncp3')" ] || die 'no kubelet was restarted'

# One first. The second one keeps what it is called.
for n in 1 2; do step cp$n 3 "$pods"; step cp$n 4; done
step cp3 3 "$pods"
ALONE=yes BUMP=2000000000 step cp1 5
step cp1 6 "$pods"
ALONE=yes step cp1 7 > look 2>&1 || die "$(cat look)"
NEW_NAME=cp2 NEW_PEER_URLS=https://10.0.0.12:2380 on cp1 "$(block 1)
$(block 7 | sed '/^( set -eu/,$d')
$(block 8)" > added
JOIN=$(sed -n 's/^ETCD_INITIAL_CLUSTER="\(.*\)"$/\1/p' added) step cp2 8 '' 2
step cp2 7 > look 2>&1 || die "$(cat look)"
[ "$(grep -c 'is healthy' look)" = 2 ] || die "$(cat look)"
grep -q '"Revision" : 200000000' look || die "$(cat look)"
all_ran 'exec env -i' 'systemctl enable' 'systemctl disable'
