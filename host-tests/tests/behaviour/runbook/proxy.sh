# Where a proxy hid the members and the pages were not read, the guide asks for what it cannot know: two members come
# back under the names and URLs that the operator gives.
NAMES=$(printf '10.0.0.%s m%s.test\n' 1 1 2 2)
for n in 1 2; do host m$n $n; done
cluster=m1=http://m1.test:2380,m2=http://10.0.0.2:2380
peer_url() { case $1 in m1) echo http://m1.test:2380 ;; m2) echo http://10.0.0.2:2380 ;; esac; }
for n in 1 2; do
    start m$n "exec etcd --name m$n --data-dir /var/lib/etcd --initial-cluster $cluster \
        --initial-advertise-peer-urls $(peer_url m$n) --listen-peer-urls http://0.0.0.0:2380 \
        --advertise-client-urls http://10.0.0.$n:2379 --listen-client-urls http://10.0.0.$n:2379"
done
etcdctl() { on m1 "etcdctl --endpoints http://10.0.0.1:2379 $*"; }
eventually etcdctl endpoint health
etcdctl put key value > puts
on m1 'exec etcd grpc-proxy start --endpoints http://10.0.0.1:2379 --listen-addr 10.0.0.1:2479 \
    --advertise-client-url 10.0.0.1:2479' > m1/proxy.log 2>&1 &
eventually on m1 'etcdctl --endpoints http://10.0.0.1:2479 get key'
backup m1 etcd://10.0.0.1:2479 known
grep -q 'm2=http://10.0.0.2:2380' "$GUIDE" || die "the pages name the members: $(cat "$GUIDE")"
backup m1 etcd://10.0.0.1:2479 snapshot -o proof=off
grep -q 'The member list is not known' "$GUIDE" || die "$(cat "$GUIDE")"

step m1 2 '' 2 | grep -qx 'this is the file'
for n in 1 2; do
    stop m$n
    step m$n 4
done
export TOKEN=today
NAME=m1 refused 'the names and peer URLs of all members' step m1 5
export CLUSTER=$cluster
for n in 1 2; do
    export NAME=m$n CLIENT_URLS=http://10.0.0.$n:2379 LISTEN_PEER=http://0.0.0.0:2380
    PEER_URLS=$(peer_url m$n)
    export PEER_URLS
    step m$n 5 | grep -q "restored m$n"
    start m$n "$(block 1)
$(block 6 'By hand')"
done
step m2 7 > look 2>&1 || die "$(cat look)"
[ "$(grep -c 'is healthy' look)" = 2 ] || die "$(cat look)"
etcdctl get key | grep -qx value
# The others are run on hosts that have them.
all_ran MANIFESTS systemctl 'ctl member add'
