# Three members that share a name, at IPv6 addresses, come back under a name each, by
# their units; a learner and a member that never came are left out. An alarm was on.
NAMES=
for n in 1 2 3 4; do host m$n $n; done
# What systemd would do, with the unit that the host has.
cat > systemctl << 'end'
#!/bin/sh
set -eu
case "$*" in
'disable --now etcd')
    touch "$WORLD/$(uname -n)/disabled"
    kill -- "-$(cat "$WORLD/$(uname -n)/pid")"
    flock /var/lib/etcd/member/snap/db true ;;
'enable etcd') rm "$WORLD/$(uname -n)/disabled" ;;
'start --no-block etcd')
    [ ! -e "$WORLD/$(uname -n)/disabled" ]
    setsid sh "$WORLD/$(uname -n)/unit" > "$WORLD/$(uname -n)/etcd.log" 2>&1 &
    echo $! > "$WORLD/$(uname -n)/pid" ;;
*) echo "systemctl: $*" >&2; exit 1 ;;
esac
end
chmod +x systemctl
unit() { # HOST URLS FLAG…: what starts etcd there
    machine=$1 url=$2
    shift 2
    cp systemctl "$machine/bin/systemctl"
    echo "exec etcd --data-dir /var/lib/etcd --listen-peer-urls http://$url:2380 \
        --initial-advertise-peer-urls http://$url:2380 --listen-client-urls http://$url:2379 \
        --advertise-client-urls http://$url:2379 $*" > "$machine/unit"
    on "$machine" 'systemctl enable etcd && systemctl start --no-block etcd'
}
touch m1/disabled m2/disabled m3/disabled m4/disabled
etcdctl() { on m1 "ETCDCTL_API=3 etcdctl --endpoints http://[fd00::1]:2379 $*"; }
cluster=$(printf ',was%s=http://[fd00::%s]:2380' 1 1 2 2 3 3)
for n in 1 2 3; do unit m$n "[fd00::$n]" "--name was$n --initial-cluster ${cluster#,}"; done
eventually etcdctl endpoint health --cluster
# Restarted without a name, all are called `default`.
for n in 1 2 3; do
    sed -i "s/--name was$n//" m$n/unit
    on m$n 'systemctl disable --now etcd && systemctl enable etcd && systemctl start --no-block etcd'
    eventually etcdctl endpoint health --cluster
done
eventually etcdctl member add learns --learner --peer-urls 'http://[fd00::4]:2380'
unit m4 '[fd00::4]' "--name learns --initial-cluster ${cluster#,},learns=http://[fd00::4]:2380 \
    --initial-cluster-state existing"
eventually on m4 'ETCDCTL_API=3 etcdctl --endpoints http://[fd00::4]:2379 endpoint status'
eventually etcdctl member add absent --peer-urls 'http://[fd00::5]:2380'
etcdctl put key value > puts
on m1 "curl --silent --globoff 'http://[fd00::1]:2379/v3/maintenance/alarm' \
    -d '{\"action\":\"ACTIVATE\",\"memberID\":\"0\",\"alarm\":\"CORRUPT\"}'" > puts
eventually grep -q . puts
backup m1 'etcd://[fd00::1]:2379' snapshot
for left in 'a learner' 'never started' 'because another member has the same name' 'CORRUPT` of the whole cluster'; do
    grep -q "$left" "$GUIDE" || die "the guide does not say '$left': $(cat "$GUIDE")"
done

ids=$(awk -F'`' '/^\| `member-/ { print $2 }' "$GUIDE")
name() { # HOST: its name, found in the table by its address
    awk -F'`' -v url="http://[fd00::${1#m}]:2380" '$4 == url { print $2 }' "$GUIDE"
}
[ "$(echo "$ids" | wc -w)" = 3 ] || die "$ids"
for m in m1 m2 m3 m4; do step $m 3 systemd; done
refused 'the table has no member m1' step m1 5
export TOKEN=today
for m in m1 m2 m3; do NAME=$(name $m) step $m 4; done
for m in m1 m2; do NAME=$(name $m) step $m 5; done
# The third one's file is not there; it must not serve.
NAME=$(name m3) DUMP=$WORLD/none refused 'not the file of this guide' step m3 5
NAME=$(name m3) refused 'would start empty' step m3 6 systemd
NAME=$(name m3) step m3 5
for m in m1 m2 m3; do NAME=$(name $m) step $m 6 systemd; done
NAME=$(name m1) step m1 7 > look 2>&1 || die "$(cat look)"
[ "$(grep -cE '^\| +[0-9a-f]+ \| +started' look)" = 3 ] || die "$(cat look)"
grep -q 'alarm:CORRUPT' look || die "the alarm did not come back: $(cat look)"
refused 'corrupt cluster' etcdctl put key again
NAME=$(name m1) on m1 "$(block 1)
$(block 7)
$(block 7 '' 2)"
etcdctl put key again > puts
etcdctl get key | grep -qx again
all_ran 'exec env -i' 'ctl member add' 'this is the file'
