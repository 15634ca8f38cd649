# Three members with names, TLS for clients and peers, and authentication come back all
# at once, on hosts that know which member they are.
NAMES=$(printf '10.0.0.%s m%s m%s.test\n' 1 1 1 2 2 2 3 3 3)
for n in 1 2 3; do host m$n $n; done
export FLAGS="--cert-file=$PKI/server.crt --key-file=$PKI/server.key --trusted-ca-file=$PKI/ca.crt \
    --client-cert-auth --peer-cert-file=$PKI/server.crt --peer-key-file=$PKI/server.key \
    --peer-trusted-ca-file=$PKI/ca.crt --peer-client-cert-auth"
export CTL="--cacert=$PKI/ca.crt --cert=$PKI/client.crt --key=$PKI/client.key"
cluster=$(printf ',m%s=https://m%s.test:2380' 1 1 2 2 3 3)
for n in 1 2 3; do
    start m$n "exec etcd --name m$n --data-dir /var/lib/etcd --initial-cluster ${cluster#,} \
        --initial-advertise-peer-urls https://m$n.test:2380 --listen-peer-urls https://0.0.0.0:2380 \
        --advertise-client-urls https://m$n.test:2379 --listen-client-urls https://0.0.0.0:2379 $FLAGS"
done
etcdctl() { on m1 "etcdctl $CTL --endpoints https://m1.test:2379,https://m2.test:2379,https://m3.test:2379 $*"; }
eventually etcdctl endpoint health
etcdctl put key value > puts
etcdctl put key 'another' > puts
etcdctl user add root:secret > puts
etcdctl user grant-role root root > puts
etcdctl auth enable > puts
echo secret > password
backup m1 etcd+https://m1.test:2379 snapshot -o endpoints=m1.test:2379,m2.test:2379,m3.test:2379 \
    -o tls_ca_file="$PKI/ca.crt" -o tls_cert_file="$PKI/client.crt" \
    -o tls_private_key_file="$PKI/client.key" -o username=root -o password_file=password
etcdctl --user root:secret put key later > puts

for n in 1 2 3; do stop m$n; done
for n in 1 2 3; do
    TOKEN=today BUMP=1000000000 step m$n 2 | grep -qx 'this is the file'
    step m$n 4
done
# Nothing is made without a word of the operator's.
refused 'a new value for this restore' step m1 5
TOKEN=today NAME=m9 refused 'the table has no member m9' step m1 5
[ ! -e m1/lib/etcd/member ] || die 'a restore was made without its token'
for n in 1 2 3; do
    TOKEN=today BUMP=1000000000 step m$n 5 > restored
    grep -q "restored m$n; the same on every host: token today, bump 1000000000" restored
done
FLAGS='' refused 'the TLS flags that etcd had' step m1 6 'By hand'
for n in 1 2 3; do
    start m$n "$(block 1)
$(block 6 'By hand')"
done
# The password is read from the terminal, which does not exist here.
on m2 "$(block 1)
$(block 7)
$(block 7 '' 2)" > look 2> look.err << end || die "$(cat look look.err)"
secret
end
cat look.err >> look
[ "$(grep -c 'is healthy' look)" = 3 ] || die "$(cat look)"
[ "$(grep -Ec '^https://m[123].test:2379, [0-9]+' look)" = 3 ] || die "$(cat look)"
[ "$(grep -E '^https://m[123].test:2379, [0-9]+' look | cut -d' ' -f2 | sort -u | wc -l)" = 1 ] ||
    die "the members differ: $(cat look)"
grep -q '"Revision" : 10000000' look || die "$(cat look)"
etcdctl --user root:secret get key | grep -qx another
all_ran systemctl 'ctl member add'
