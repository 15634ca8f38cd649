# A cluster is restored twice, from the dump of a restored one too. A member left over
# of an earlier restore stays out. The last time one member comes first, on another
# host, and another one joins. All speak TLS with certificates that etcd makes by itself.
NAMES=
for n in 1 2 3 4; do host m$n $n; done
export FLAGS='--auto-tls --peer-auto-tls'
export CTL='--insecure-transport=false --insecure-skip-tls-verify --command-timeout 5s'
cluster=$(printf ',m%s=https://10.0.0.%s:2390' 1 1 2 2 3 3)
for n in 1 2 3; do
    start m$n "exec etcd --name m$n --data-dir /var/lib/etcd --initial-cluster ${cluster#,} \
        --initial-advertise-peer-urls https://10.0.0.$n:2390 --listen-peer-urls https://10.0.0.$n:2390 \
        --advertise-client-urls https://10.0.0.$n:2379 --listen-client-urls https://10.0.0.$n:2379 $FLAGS"
done
etcdctl() { on m1 "etcdctl $CTL --endpoints https://$1:2379 $2"; }
put() { for key in $3; do etcdctl "$1" "put $key $2"; done > puts; }
restored() { # HOST…: restores and starts what stands in GUIDE there
    for m in "$@"; do step $m 4; step $m 5; done > restores 2>&1 || die "$(cat restores)"
    for m in "$@"; do
        start $m "$(block 1)
$(block 6 'By hand')"
    done
    step "$1" 7 > look 2>&1 || die "$(cat look)"
}
eventually etcdctl 10.0.0.1 'endpoint health --cluster'
put 10.0.0.1 first '1 2 3 4'
backup m1 etcd+https://10.0.0.1:2379 first -o tls_insecure_skip_verify=true
for n in 1 2 3; do stop m$n; done
TOKEN=one restored m1 m2 m3
put 10.0.0.2 second '3 4 5 6'
backup m2 etcd+https://10.0.0.2:2379 second -o tls_insecure_skip_verify=true

# The same dump once more; the third member is forgotten, and goes on.
GUIDE=$WORLD/first/RESTORE.md DUMP=$WORLD/first/dump
stop m1
stop m2
TOKEN=two
export TOKEN
for m in m1 m2; do step $m 4; step $m 5; done > restores 2>&1
for m in m1 m2; do start $m "$(block 1)
$(block 6 'By hand')"; done
eventually etcdctl 10.0.0.1 'endpoint health'
[ "$(etcdctl 10.0.0.1 'get 4 --print-value-only')" = first ] || die 'another write came back'
[ -z "$(etcdctl 10.0.0.1 'get 6')" ] || die 'a later write came back'
eventually grep -q 'cluster ID mismatch' m3/etcd.log

# What was restored once was backed up, and comes back: on another host, and alone.
for n in 1 2 3; do stop m$n; done
GUIDE=$WORLD/second/RESTORE.md DUMP=$WORLD/second/dump TOKEN=
ALONE=yes NAME=new ADDRESS=10.0.0.4
export ALONE NAME ADDRESS
restored m4
[ "$(etcdctl 10.0.0.4 'get 6 --print-value-only')" = second ] || die "$(cat look)"
unset ALONE NAME ADDRESS
NEW_NAME=m2 NEW_PEER_URLS=https://10.0.0.2:2390 ALONE=yes NAME=new ADDRESS=10.0.0.4 on m4 "$(block 1)
$(block 7 | sed '/^( set -eu/,$d')
$(block 8)" > added
JOIN=$(sed -n 's/^ETCD_INITIAL_CLUSTER="\(.*\)"$/\1/p' added)
export JOIN
refused 'exists: run section 4 first' step m2 6 'By hand'
step m2 4
start m2 "$(block 1)
$(block 6 'By hand')"
unset JOIN
step m2 7 > look 2>&1 || die "$(cat look)"
[ "$(grep -c 'is healthy' look)" = 2 ] || die "$(cat look)"
[ "$(etcdctl 10.0.0.2 'get 6 --print-value-only')" = second ] || die "$(cat look)"
all_ran systemctl 'this is the file'
