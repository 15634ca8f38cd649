//! Names that lead to several addresses, to several members, or nowhere.

use crate::attempt::MORE_THAN_BUFFERS_HOLD;
use host_tests::backup::{BackedUp, Backup};
use host_tests::balancer::{Balancer, Lasting};
use host_tests::etcd::{Cluster, Etcd, GrpcProxy, Version, free_port};
use host_tests::gateway::unresponsive_port;
use host_tests::process::Signal;
use host_tests::target::Target;
use plakar_connector::ErrorKind;
use std::collections::BTreeSet;
use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

const VERSION: Version = Version::V3_6_14;

/// What carries the calls; each has its own way with connections.
const TRANSPORTS: [&str; 2] = ["transport=grpc", "transport=gateway"];

/// What a run may take beyond its limits.
const GRACE: Duration = Duration::from_secs(3);

/// Backs up from `etcd.test`, which has these addresses.
fn back_up_by_name(addresses: &[&str], port: u16, options: &[&str]) -> BackedUp {
    let hosts: String = addresses.iter().map(|address| format!("{address} etcd.test\n")).collect();
    Backup::of(format!("etcd://etcd.test:{port}"))
        .options(options)
        .run_with(|run| run.seeing("/etc/hosts", &hosts))
}

#[test]
fn of_several_addresses_the_one_that_responds_is_backed_up() {
    let etcd = Etcd::start(VERSION);
    let port = free_port();
    for listening in ["127.0.0.3", "[::1]"] {
        let address = format!("{listening}:{port}").parse().expect("an address");
        let _there = Balancer::start_at(address, &[etcd.endpoint()], Lasting::Always);
        for transport in TRANSPORTS {
            let addresses = ["127.0.0.2", "127.0.0.3", "::1"];
            let BackedUp { outcome, target } = back_up_by_name(&addresses, port, &[transport]);
            outcome.assert_ok();
            target.assert_whole_backup();
            assert_eq!(target.manifest()["endpoint"], format!("etcd.test:{port}"));
            assert!(outcome.elapsed < Duration::from_secs(5), "{outcome}");
        }
    }
}

#[test]
fn a_name_none_of_whose_addresses_responds_is_named() {
    let port = free_port();
    for transport in TRANSPORTS {
        let addresses = ["127.0.0.2", "127.0.0.3", "::1"];
        let BackedUp { outcome, target } = back_up_by_name(&addresses, port, &[transport]);
        let words = [&format!("`etcd.test:{port}`: probe: "), "connection refused"];
        outcome.assert_failed(ErrorKind::Unreachable, &words);
        target.assert_nothing_left();
    }
}

/// A firewall drops what is sent to the first address.
#[test]
fn an_address_without_connections_does_not_delay_a_backup() {
    let etcd = Etcd::start(VERSION);
    let (port, _held) = unresponsive_port();
    let address = format!("127.0.0.3:{port}").parse().expect("an address");
    let _there = Balancer::start_at(address, &[etcd.endpoint()], Lasting::Always);
    for transport in TRANSPORTS {
        let addresses = ["127.0.0.1", "127.0.0.3"];
        let options = [transport, "connect_timeout=2s"];
        let BackedUp { outcome, target } = back_up_by_name(&addresses, port, &options);
        outcome.assert_ok();
        target.assert_whole_backup();
        assert!(outcome.elapsed < Duration::from_secs(2) + GRACE, "{outcome}");
    }
}

/// The first address is that of a frozen member: a client connected to it waits.
#[test]
fn an_address_that_connects_and_never_responds_ends_a_backup_with_its_limit() {
    let etcd = Etcd::start(VERSION);
    let frozen = TcpListener::bind("127.0.0.2:0").expect("a port");
    let port = frozen.local_addr().expect("an address").port();
    let address = format!("127.0.0.3:{port}").parse().expect("an address");
    let _there = Balancer::start_at(address, &[etcd.endpoint()], Lasting::Always);
    for transport in TRANSPORTS {
        let addresses = ["127.0.0.2", "127.0.0.3"];
        let options = [transport, "connect_timeout=2s"];
        let BackedUp { outcome, target } = back_up_by_name(&addresses, port, &options);
        let place = format!("`etcd.test:{port}`: probe: ");
        let words = [place.as_str(), "sent nothing for 2s", "`connect_timeout`"];
        outcome.assert_failed(ErrorKind::TimedOut, &words);
        target.assert_nothing_left();
        assert!(outcome.elapsed < Duration::from_secs(2) + GRACE, "{outcome}");
    }
}

#[test]
fn an_unknown_name_is_reported() {
    // Nobody listens there.
    let resolver = "nameserver 127.0.0.10\n";
    let target = Target::new();
    let run = Backup::of("etcd://nowhere.test").to(&target).seeing("/etc/resolv.conf", resolver);
    let words = ["`nowhere.test:2379`: probe: ", "the name has no address", "spelling"];
    run.wait().assert_failed(ErrorKind::Unreachable, &words);
    target.assert_nothing_left();
}

#[test]
fn a_resolver_that_never_responds_ends_a_backup_with_connect_timeout() {
    let _silent = UdpSocket::bind("127.0.0.9:53").expect("this test needs root, for port 53");
    let target = Target::new();
    let run = Backup::of("etcd://nowhere.test")
        .option("connect_timeout=1s")
        .to(&target)
        .seeing("/etc/resolv.conf", "nameserver 127.0.0.9\n");
    let outcome = run.wait();
    let words = ["`nowhere.test:2379`: probe: ", "no connection within 1s", "`connect_timeout`"];
    outcome.assert_failed(ErrorKind::Unreachable, &words);
    assert!(outcome.elapsed < Duration::from_secs(1) + GRACE, "{outcome}");
    target.assert_nothing_left();
}

/// A lookup keeps a thread until the system gives up, long after the request has.
#[test]
fn names_are_looked_up_a_few_at_a_time() {
    let silent = UdpSocket::bind("127.0.0.11:53").expect("this test needs root, for port 53");
    let names: Vec<String> = (0..24).map(|number| format!("h{number}.test")).collect();
    Backup::from_endpoints(&names)
        .option("connect_timeout=1s")
        .ping()
        .seeing("/etc/resolv.conf", "nameserver 127.0.0.11\n")
        .wait()
        .assert_failed(ErrorKind::Unreachable, &["`h23.test:2379`: no connection within 1s"]);
    silent.set_nonblocking(true).expect("a socket can be set");
    let mut query = [0; 512];
    let mut asked = BTreeSet::new();
    while silent.recv(&mut query).is_ok() {
        // After a header of 12 bytes comes the first label, its length before it.
        let label = &query[13..][..query[12].into()];
        asked.insert(String::from_utf8_lossy(label).into_owned());
    }
    assert_eq!(asked.len(), 8, "{asked:?}");
}

/// Three members with a megabyte between them, and one name in front of them.
fn balanced(lasting: Lasting) -> (Cluster, Balancer) {
    balanced_with(1, lasting)
}

fn balanced_with(megabytes: usize, lasting: Lasting) -> (Cluster, Balancer) {
    let cluster = Cluster::start(VERSION, 3);
    let leader = cluster.client(cluster.leader());
    let value: String = std::iter::repeat_with(fastrand::alphanumeric).take(1 << 20).collect();
    let put = |key| leader.put(&format!("value/{key}"), &value);
    let revision = (0..megabytes).map(put).max().expect("there is a value");
    let endpoints = [0, 1, 2].map(|index| cluster.endpoint(index));
    for endpoint in &endpoints {
        cluster.wait_for_revision(endpoint, revision);
    }
    let balancer = Balancer::start(&endpoints, lasting);
    (cluster, balancer)
}

/// A backup through this balancer.
fn behind(balancer: &Balancer) -> Backup {
    Backup::of(format!("etcd://{}", balancer.endpoint()))
}

/// How many snapshots each member has sent.
fn sent(cluster: &Cluster) -> [u64; 3] {
    [0, 1, 2].map(|index| cluster.snapshots_ended(index))
}

#[track_caller]
fn assert_refused_as_several_members(balancer: &Balancer, BackedUp { outcome, target }: &BackedUp) {
    let place = format!("`{}`: probe: this endpoint is of member ", balancer.endpoint());
    let words = [place.as_str(), "before", "this name leads to several members"];
    outcome.assert_failed(ErrorKind::Other, &words);
    target.assert_nothing_left();
}

#[test]
fn behind_a_balancer_a_backup_is_of_the_member_that_it_names_or_none() {
    let (cluster, balancer) = balanced(Lasting::Always);
    let mut backed_up = 0;
    for transport in TRANSPORTS.iter().cycle().take(10) {
        let before = sent(&cluster);
        let backup = behind(&balancer).option(transport).run();
        if backup.outcome.code != 0 {
            assert_refused_as_several_members(&balancer, &backup);
            continue;
        }
        backed_up += 1;
        backup.target.assert_whole_backup();
        let manifest = backup.target.manifest();
        let named = (0..3).find(|&index| manifest["member"]["id"] == cluster.id(index));
        let named = named.expect("the manifest names a member");
        cluster.eventually("count its snapshot", || {
            (cluster.snapshots_ended(named) > before[named]).then_some(())
        });
        let mut expected = before;
        expected[named] += 1;
        assert_eq!(sent(&cluster), expected, "another member sent it: {manifest}");
        assert_ne!(manifest["revision"]["after"], serde_json::Value::Null, "{manifest}");
    }
    assert!(backed_up > 0, "a name like that is of no use at all");
}

#[test]
fn a_balancer_that_leads_each_request_to_another_member_is_noticed_before_the_snapshot() {
    let (cluster, balancer) = balanced(Lasting::ForOneAnswer);
    for transport in TRANSPORTS {
        assert_refused_as_several_members(&balancer, &behind(&balancer).option(transport).run());
    }
    assert_eq!(sent(&cluster), [0, 0, 0]);
}

/// The statuses before it, the member list and the statuses after it all come from one
/// member, and the snapshot from another. Which request is led where is left to
/// luck, for a connection that was just closed may be tried once more.
#[test]
fn a_balancer_that_leads_elsewhere_for_the_snapshot_alone_is_not_believed() {
    let (cluster, _) = balanced(Lasting::Always);
    let [a, b] = [0, 1].map(|index| cluster.endpoint(index));
    for transport in TRANSPORTS {
        for _ in 0..10 {
            let turns = [a.clone(), a.clone(), b.clone(), a.clone()];
            let balancer = Balancer::start(&turns, Lasting::ForOneAnswer);
            let backup = behind(&balancer).option(transport).run();
            match backup.outcome.code {
                0 => assert_is_of_an_unknown_member(&backup),
                _ => assert_refused_as_several_members(&balancer, &backup),
            }
        }
    }
}

/// Fails unless this is a whole backup that names no member, and says so.
#[track_caller]
fn assert_is_of_an_unknown_member(BackedUp { outcome, target }: &BackedUp) {
    outcome.assert_ok();
    target.assert_whole_backup();
    let manifest = target.manifest();
    for unknown in ["/member", "/choice", "/revision/before", "/revision/after", "/raft/term"] {
        assert_eq!(manifest.pointer(unknown), Some(&serde_json::Value::Null), "{manifest}");
    }
    assert!(manifest["warnings"].to_string().contains("it is unknown which member responds here"));
    assert!(outcome.says("it is unknown which member responds here"), "{outcome}");
}

/// One member behind a proxy that keeps no connection.
#[test]
fn a_proxy_that_closes_each_connection_leaves_a_backup_of_an_unknown_member() {
    let etcd = Etcd::start(VERSION);
    etcd.put("key", "value");
    let balancer = Balancer::start(&[etcd.endpoint()], Lasting::ForOneAnswer);
    let backup = behind(&balancer).option("transport=gateway").run();
    assert_is_of_an_unknown_member(&backup);
    assert_eq!(backup.target.manifest()["cluster_id"].as_str().map(str::is_empty), Some(false));
    let restored = Etcd::restore(VERSION, &backup.target.dump());
    assert_eq!(restored.hash_kv(2), etcd.hash_kv(2));
}

/// `etcd grpc-proxy` responds for its members, one after the other, and lists itself as
/// the one member unless its flags say to advertise nothing.
#[test]
fn behind_etcds_own_proxy_no_wrong_member_is_recorded() {
    for version in Version::ALL {
        let etcd = Etcd::start(version);
        etcd.put("key", "value");
        let proxy = GrpcProxy::start(version, &[etcd.endpoint()], true);
        for transport in TRANSPORTS {
            let backup = Backup::of(proxy.location()).option(transport).run();
            match transport {
                "transport=grpc" => {
                    assert_is_of_an_unknown_member(&backup);
                    // Not the proxy, which lists itself: the pages know better.
                    let members = &backup.target.manifest()["members"];
                    assert_eq!(members.as_array().map(Vec::len), Some(1), "{members}");
                    assert_eq!(members[0]["id"], format!("{:x}", etcd.member_id()));
                    Backup::of(proxy.location()).option(transport).ping().wait().assert_ok();
                }
                // It serves no JSON.
                _ => {
                    backup.assert_failed(ErrorKind::Unsupported, &[&proxy.endpoint()]);
                }
            }
        }
    }
    let (cluster, _) = balanced(Lasting::Always);
    let members = [0, 1, 2].map(|index| cluster.endpoint(index));
    for advertises in [true, false] {
        let proxy = GrpcProxy::start(VERSION, &members, advertises);
        for _ in 0..10 {
            let BackedUp { outcome, target } =
                Backup::of(proxy.location()).option("transport=grpc").run();
            let words = ["is of member ", "before", "name them one by one"];
            outcome.assert_failed(ErrorKind::Other, &words);
            target.assert_nothing_left();
        }
    }
}

#[test]
fn a_balancer_that_leads_elsewhere_after_the_snapshot_is_noticed() {
    let (cluster, balancer) = balanced(Lasting::UntilTheSnapshotEnds);
    for transport in TRANSPORTS {
        assert_refused_as_several_members(&balancer, &behind(&balancer).option(transport).run());
    }
    assert_eq!(sent(&cluster).iter().sum::<u64>(), 2);
}

/// No other member may go on with what one began.
#[test]
fn a_balancer_that_leads_elsewhere_within_the_snapshot_fails_the_backup() {
    let (cluster, balancer) = balanced(Lasting::IntoTheSnapshot);
    for (number, transport) in (1..).zip(TRANSPORTS) {
        let BackedUp { outcome, target } = behind(&balancer).option(transport).run();
        let place = format!("`{}`: snapshot: ", balancer.endpoint());
        outcome.assert_failed(ErrorKind::Interrupted, &[&place]);
        target.assert_nothing_left();
        cluster.eventually("end its snapshot", || {
            (sent(&cluster).iter().sum::<u64>() >= number).then_some(())
        });
        assert_eq!(sent(&cluster).iter().sum::<u64>(), number, "one was asked for, and no more");
    }
}

/// Longer than the host keeps a connection that nobody uses.
const LONG: Duration = Duration::from_secs(32);

/// A connection is in use as long as a snapshot comes over it, however long that is:
/// what is asked afterwards goes to the same member.
#[test]
fn behind_a_balancer_a_snapshot_may_take_long() {
    let (cluster, balancer) = balanced_with(MORE_THAN_BUFFERS_HOLD >> 20, Lasting::Always);
    let target = Target::new();
    let location = format!("etcd://{}", balancer.endpoint());
    let running = Backup::of(&location).option("transport=grpc").to(&target).start();
    cluster.eventually("send a first byte", || (target.bytes_so_far() > 0).then_some(()));
    running.signal(Signal::STOP);
    std::thread::sleep(LONG);
    running.signal(Signal::CONT);
    running.wait().assert_ok();
    target.assert_whole_backup();
}
