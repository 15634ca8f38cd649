# One member comes back by the guide, whatever stands in the way.
# Where VARIANT says so, etcd's log lies elsewhere, or the data directory is the mount
# point of a disk, or an alarm is on.
NAMES="10.0.0.1 m1"
host m1 1
export DATA_DIR=/var/lib/etcd WAL_DIR=
case $VARIANT in
wal) WAL_DIR=/var/lib/wal ;;
mount) mkdir -p m1/lib/etcd/lost+found ;;
esac
[ -e m1/lib/etcd ] || mkdir -m 700 m1/lib/etcd
[ -z "$WAL_DIR" ] || mkdir -m 700 m1/lib/wal
chown -R 12345:12345 m1/lib
if [ "$VARIANT" = mount ]; then
    nsenter -t "$(cat m1/holder)" --mount mount --bind "$WORLD/m1/lib/etcd" /var/lib/etcd
fi
start m1 "exec etcd --name m1 --data-dir $DATA_DIR ${WAL_DIR:+--wal-dir $WAL_DIR} \
    --listen-peer-urls http://10.0.0.1:2380 --initial-advertise-peer-urls http://10.0.0.1:2380 \
    --listen-client-urls http://10.0.0.1:2379 --advertise-client-urls http://10.0.0.1:2379 \
    --initial-cluster m1=http://10.0.0.1:2380 --quota-backend-bytes 4294967296"
etcdctl() { on m1 "env -i PATH='$PATH' ETCDCTL_API=3 etcdctl --endpoints http://10.0.0.1:2379 $*"; }
eventually etcdctl endpoint health
put() { on m1 "for key in \$(seq $1 $2); do ETCDCTL_API=3 etcdctl --endpoints http://10.0.0.1:2379 put \$key value; done" > puts; }
hash() { etcdctl endpoint hashkv --rev 21 -w json | grep -o '"hash":[0-9]*'; }
put 1 10
backup m1 etcd://10.0.0.1:2379 older
older=$DUMP
put 11 20
before=$(hash)
if [ "$VARIANT" = alarm ]; then
    on m1 "curl --silent http://10.0.0.1:2379/v3/maintenance/alarm \
        -d '{\"action\":\"ACTIVATE\",\"memberID\":\"7\",\"alarm\":\"NOSPACE\"}'" | grep -q NOSPACE
fi
backup m1 etcd://10.0.0.1:2379 snapshot
etcdctl alarm disarm > disarmed
put 21 30
head -c 10000 "$DUMP" > damaged
printf X >> damaged
tail -c +10002 "$DUMP" >> damaged

# The check changes nothing, and distinguishes this file from others.
step m1 2 | grep -qx 'this is the file'
DUMP=$WORLD/damaged refused 'is damaged' step m1 2
DUMP=$older refused 'not the file of this guide' step m1 2
head -c 10000 "$DUMP" > cut
DUMP=$WORLD/cut refused 'is damaged' step m1 2
mkdir 'a folder'
cp "$DUMP" 'a folder/dump'
DUMP=$WORLD/'a folder/dump' step m1 2 | grep -qx 'this is the file'
ETCDUTL=nothing refused 'set ETCDUTL to an etcdutl' step m1 2
ADDRESS=10.0.0.7 on m1 "$(block 1)
echo \"\$PEER_URLS\"" | grep -qx http://10.0.0.7:2380
refused 'an etcd still runs' step m1 4
etcdctl get 30 | grep -q value
stop m1
refused 'exists: run section 4 first' step m1 5
# Neither is the old data started, nor is it overlooked.
{ block 1; block 6 'By hand'; } > /run/blocks
refused 'or with the old data' on m1 'exec timeout 20 sh /run/blocks'
DATA_DIR=/var/lib WAL_DIR='' refused 'there is data in /var/lib/etcd' step m1 4
{ block 1; block 4; } > /run/blocks
refused 'Permission denied' on m1 'cd / && exec setpriv --reuid 12346 --clear-groups sh /run/blocks'
if [ -n "$WAL_DIR" ]; then
    WAL_DIR='' refused 'set WAL_DIR' step m1 4
    WAL_DIR=/var/lib/etcd/member refused 'set WAL_DIR' step m1 4
fi
step m1 4 | grep -q '/var/lib/etcd/member\.old-'
step m1 4 | grep -q '/var/lib/etcd/member\.old-'
[ -d m1/lib/etcd/member.old-*/snap ] || die 'the old data is not there'

# No empty cluster is ever started.
refused 'would start empty' step m1 6 'By hand'
DUMP=$older refused 'not the file of this guide' step m1 5
DUMP=$WORLD/damaged refused 'expected sha256' step m1 5
DUMP=$WORLD/none refused 'not the file of this guide' step m1 5
mkdir m1/lib/full
nsenter -t "$(cat m1/holder)" --mount mount -t tmpfs -o size=16k tmpfs /var/lib/full
DATA_DIR=/var/lib/full refused 'no space left' step m1 5
[ -z "$(on m1 'ls /var/lib/full')" ] || die 'left behind on the full disk'
for left in m1/lib/etcd/member m1/lib/etcd/restoring.* m1/lib/wal/*.wal; do
    [ ! -e "$left" ] || die "left behind: $left"
done
refused 'would start empty' step m1 6 'By hand'

# What the environment says of another etcd does not reach this one, nor its tools.
export ETCDCTL_ENDPOINTS=http://10.0.0.9:1 ETCDCTL_CACERT=none ETCDCTL_USER=a:b ETCDCTL_WRITE_OUT=json
export ETCD_NAME=other ETCD_DATA_DIR=/var/lib/other ETCD_CONFIG_FILE=/var/lib/none ETCDCTL_API=2 \
    ETCD_LISTEN_CLIENT_URLS=http://10.0.0.9:1 ETCD_INITIAL_CLUSTER=other=http://10.0.0.9:1
step m1 5 | grep -q 'restored m1'
[ "$(find m1/lib/etcd/member m1/lib/wal/*.wal ! -user 12345 2> /dev/null)" = '' ] ||
    die 'the restored files have another owner'
refused 'exists: run section 4 first' step m1 5
start m1 "$(block 1)
$(block 6 'By hand')"
WAIT=30 step m1 7 > look
if [ "$VARIANT" = alarm ]; then
    refused 'database space exceeded' etcdctl put 21 value
    on m1 "$(block 1)
$(block 7)
$(block 7 '' 2)" > cleared
fi
if [ "$VARIANT" = mount ]; then
    etcdctl endpoint status -w json | grep -q '"dbSizeQuota":4294967296' || die 'another quota'
fi
grep -q '"Revision" : 21' look || die "$(cat look)"
count=$(sed -n 's/.*`"Count"` of \([0-9]*\) keys.*/\1/p' "$GUIDE")
grep -q "\"Count\" : ${count:?the guide says how many}\$" look || die "$(cat look)"
[ "$(hash)" = "$before" ] || die "the data is another: $before $(hash)"
[ -z "$(etcdctl get 21)" ] || die 'a later write is back'
etcdctl put 21 value > /dev/null

# Another data directory than the restored one is reported.
stop m1
WAL_DIR=''
start m1 "exec env -i PATH=$PATH etcd --name m1 --data-dir /var/lib/other \
    --listen-client-urls http://10.0.0.1:2379 --advertise-client-urls http://10.0.0.1:2379"
eventually etcdctl endpoint health
WAIT=0 refused 'it has other data' step m1 7
all_ran systemctl
