//! Real clusters of several members, some of them unhealthy: which is asked, what is
//! reported, and how all of them are restored.

mod choice;
mod login;

use crate::attempt::MORE_THAN_BUFFERS_HOLD;
use host_tests::backup::{BackedUp, Backup};
use host_tests::etcd::{Cluster, Etcd, Version};
use host_tests::process::Signal;
use host_tests::run::Running;
use host_tests::target::Target;
use plakar_connector::ErrorKind;
use serde_json::Value;

const VERSION: Version = Version::V3_6_14;

/// A backup from these endpoints, in this order.
fn from(endpoints: &[String]) -> Backup {
    Backup::from_endpoints(endpoints).arguments(["--json"])
}

/// The endpoints of these members.
fn endpoints(cluster: &Cluster, members: &[usize]) -> Vec<String> {
    members.iter().map(|&index| cluster.endpoint(index)).collect()
}

/// Some keys with history; returns once every member has them.
fn fill(cluster: &Cluster) {
    let leader = cluster.client(cluster.leader());
    let last = (0..50).map(|key| leader.put(&format!("key/{}", key % 10), "value")).max();
    for index in [cluster.leader()].into_iter().chain(cluster.followers()) {
        cluster.wait_for_revision(&cluster.endpoint(index), last.expect("keys were put"));
    }
}

/// Fails unless facts, manifest, guide and dump all name this member.
#[track_caller]
fn assert_taken_from(
    cluster: &Cluster,
    index: usize,
    role: &str,
    BackedUp { outcome, target }: &BackedUp,
) {
    outcome.assert_ok();
    target.assert_whole_backup();
    let (manifest, reported) = (target.manifest(), outcome.outcome());
    let facts = &reported["facts"];
    let member = &manifest["member"];
    assert_eq!(manifest["endpoint"], cluster.endpoint(index), "{outcome}");
    assert_eq!(member["id"], cluster.id(index), "{manifest}");
    assert_eq!(member["role"], role, "{manifest}");
    assert!(text(&manifest["choice"]).starts_with(role), "{manifest}");
    for (fact, recorded) in [
        ("endpoint", &manifest["endpoint"]),
        ("member-id", &member["id"]),
        ("role", &member["role"]),
        ("choice", &manifest["choice"]),
        ("cluster-id", &manifest["cluster_id"]),
        ("sha256", &manifest["dump"]["sha256"]),
    ] {
        assert_eq!(&facts[fact], recorded, "`{fact}` is reported in two ways: {outcome}");
    }
    assert!(target.guide().contains(&format!("behind `{}`", cluster.endpoint(index))));
    assert_sent(cluster, index, 1);
}

/// Fails unless this member sent this many snapshots, by its own metrics.
#[track_caller]
fn assert_sent(cluster: &Cluster, index: usize, count: u64) {
    // It counts one a moment after the last byte has left.
    cluster.eventually("count its snapshot", || {
        (cluster.snapshots_ended(index) >= count).then_some(())
    });
    assert_eq!(cluster.snapshots_ended(index), count, "more were taken than one would think");
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("`{value}` is no text"))
}

/// Fails unless the dump restores to what this member holds.
#[track_caller]
fn assert_comes_back(cluster: &Cluster, index: usize, target: &Target) {
    let restored = Etcd::restore(VERSION, &target.dump());
    let revision = restored.revision();
    let expected = cluster.hash_kv(&cluster.endpoint(index), revision);
    assert_eq!(restored.hash_kv(revision), expected);
}

fn a_follower_is_asked_though_the_leader_was_typed_first(version: Version) {
    let cluster = Cluster::start(version, 3);
    fill(&cluster);
    let (leader, followers) = (cluster.leader(), cluster.followers());
    let typed = endpoints(&cluster, &[leader, followers[0], followers[1]]);
    let backup = from(&typed).run();
    assert_taken_from(&cluster, followers[0], "follower", &backup);
    for other in [leader, followers[1]] {
        assert_eq!(cluster.snapshots_ended(other), 0);
        let manifest = backup.target.manifest();
        assert!(text(&manifest["choice"]).contains(&cluster.endpoint(other)), "{manifest}");
    }
    let manifest = backup.target.manifest();
    assert_eq!(manifest["member"]["name"], cluster.name(followers[0]));
    assert_eq!(manifest["members"].as_array().map(Vec::len), Some(3));
    assert_eq!(manifest["endpoints_rejected"], serde_json::json!([]));
    assert_eq!(manifest["warnings"], serde_json::json!([]));
}

macro_rules! for_each_version {
    ($($version:ident,)*) => {
        $(#[allow(non_snake_case, reason = "a version's name is no word")]
        mod $version {
            #[test]
            fn a_follower_is_asked_though_the_leader_was_typed_first() {
                super::a_follower_is_asked_though_the_leader_was_typed_first(
                    super::Version::$version,
                );
            }
        })*
    };
}

host_tests::versions! { for_each_version }

/// Of five, so that the three that are well have a leader.
#[test]
fn a_dead_and_a_frozen_member_are_passed_over_and_recorded() {
    let mut cluster = Cluster::start(VERSION, 5);
    fill(&cluster);
    let sick = cluster.followers();
    let [dead, frozen, well] = [sick[0], sick[1], sick[2]];
    cluster.kill(dead);
    cluster.freeze(frozen);
    let typed = endpoints(&cluster, &[dead, frozen, well]);
    let backup = from(&typed).option("connect_timeout=2s").run();
    println!("with connect_timeout=2s, the whole run took {:?}", backup.outcome.elapsed);
    assert_taken_from(&cluster, well, "follower", &backup);
    let manifest = backup.target.manifest();
    let rejected = &manifest["endpoints_rejected"];
    let reason = |index| {
        let endpoint = cluster.endpoint(index);
        let list = rejected.as_array().expect("a list");
        let entry = list.iter().find(|entry| entry["endpoint"] == endpoint);
        text(&entry.unwrap_or_else(|| panic!("`{endpoint}` is not in {rejected}"))["reason"])
    };
    assert!(reason(dead).contains("refused"), "{rejected}");
    assert!(reason(frozen).contains("sent nothing for 2s"), "{rejected}");
    let reported = backup.outcome.outcome();
    let reported = text(&reported["facts"]["endpoints-rejected"]);
    for index in [dead, frozen] {
        assert!(reported.contains(&cluster.endpoint(index)), "{reported}");
    }
    assert_comes_back(&cluster, well, &backup.target);
}

/// Behind TLS it takes connections, and the handshake never ends.
#[test]
fn a_frozen_member_behind_tls_is_passed_over_until_it_thaws() {
    let mut cluster = Cluster::start_secure(VERSION, 3);
    let (leader, followers) = (cluster.leader(), cluster.followers());
    let [frozen, well] = [followers[0], followers[1]];
    let typed = endpoints(&cluster, &[leader, frozen, well]);
    let options = [cluster.options(), vec!["connect_timeout=2s".into()]].concat();
    let backup =
        Backup::of("etcd+https://").endpoints(&typed).arguments(["--json"]).options(&options);
    cluster.freeze(frozen);
    let first = backup.run();
    println!("with connect_timeout=2s, the whole run took {:?}", first.outcome.elapsed);
    assert_taken_from(&cluster, well, "follower", &first);
    let manifest = first.target.manifest();
    assert_eq!(manifest["endpoints_rejected"][0]["endpoint"], typed[1], "{manifest}");
    cluster.thaw(frozen);
    cluster.leader();
    assert_taken_from(&cluster, frozen, "follower", &backup.run());
}

#[test]
fn a_learner_is_used_only_without_another_member_and_with_a_warning() {
    let mut cluster = Cluster::start(VERSION, 1);
    fill(&cluster);
    let learner = cluster.add_learner();
    let leader = cluster.leader();
    // Whatever the leader sent the learner to begin with.
    let before = cluster.snapshots_ended(leader);
    let BackedUp { outcome, target } = from(&endpoints(&cluster, &[learner, leader])).run();
    outcome.assert_ok();
    let manifest = target.manifest();
    assert_eq!(manifest["endpoint"], cluster.endpoint(leader), "{outcome}");
    assert_eq!(manifest["member"]["role"], "leader");
    assert!(text(&manifest["choice"]).contains("(learner)"), "{manifest}");
    assert_eq!(manifest["warnings"], serde_json::json!([]));
    assert_sent(&cluster, leader, before + 1);
    assert_eq!(cluster.snapshots_ended(learner), 0);

    let backup = from(&endpoints(&cluster, &[learner])).run();
    assert_taken_from(&cluster, learner, "learner", &backup);
    assert!(backup.outcome.says("this member is a learner"), "{}", backup.outcome);
    let manifest = backup.target.manifest();
    assert!(manifest["warnings"].to_string().contains("learner"), "{manifest}");
    // A learner does not report its own.
    assert_comes_back(&cluster, leader, &backup.target);
}

#[test]
fn what_is_left_of_a_lost_quorum_is_backed_up_with_a_warning() {
    let mut cluster = Cluster::start(VERSION, 3);
    fill(&cluster);
    let followers = cluster.followers();
    cluster.kill(cluster.leader());
    cluster.kill(followers[0]);
    cluster.wait_until_leaderless(followers[1]);
    let backup = from(&endpoints(&cluster, &[0, 1, 2])).run();
    assert_taken_from(&cluster, followers[1], "leaderless", &backup);
    assert!(backup.outcome.says("this member has no leader"), "{}", backup.outcome);
    let manifest = backup.target.manifest();
    assert!(manifest["warnings"].to_string().contains("has no leader"), "{manifest}");
    assert_eq!(manifest["endpoints_rejected"].as_array().map(Vec::len), Some(2));
    // The guide needs them most now.
    assert_eq!(manifest["members"].as_array().map(Vec::len), Some(3), "{manifest}");
    println!("without a quorum, the whole run took {:?}", backup.outcome.elapsed);
    assert_comes_back(&cluster, followers[1], &backup.target);
}

/// Starts to back a follower up that holds more than any buffer, and stops the
/// reader in the middle of the dump.
fn stopped_in_the_middle(cluster: &Cluster) -> (usize, Running, Target) {
    let leader = cluster.client(cluster.leader());
    let value: String = std::iter::repeat_with(fastrand::alphanumeric).take(1 << 20).collect();
    for key in 0..MORE_THAN_BUFFERS_HOLD >> 20 {
        leader.put(&format!("fill/{key}"), &value);
    }
    fill(cluster);
    let follower = cluster.followers()[0];
    let typed = endpoints(cluster, &[cluster.leader(), follower]);
    let target = Target::new();
    let running = from(&typed).to(&target).start();
    cluster.eventually("send a first byte", || (target.bytes_so_far() > 0).then_some(()));
    running.signal(Signal::STOP);
    assert_eq!(cluster.snapshots_ended(follower), 0, "it was stopped too late");
    (follower, running, target)
}

fn ends_well(cluster: &Cluster, (follower, running, target): (usize, Running, Target)) {
    assert_eq!(cluster.snapshots_ended(follower), 0, "the snapshot did not last");
    running.signal(Signal::CONT);
    let backup = BackedUp { outcome: running.wait(), target };
    assert_taken_from(cluster, follower, "follower", &backup);
    assert_comes_back(cluster, follower, &backup.target);
}

#[test]
fn a_leader_that_moves_in_the_middle_does_not_disturb_a_backup() {
    let cluster = Cluster::start(VERSION, 3);
    let stopped = stopped_in_the_middle(&cluster);
    // To the very member that is being backed up.
    cluster.move_leader(stopped.0);
    ends_well(&cluster, stopped);
}

#[test]
fn a_leader_that_dies_in_the_middle_does_not_disturb_a_backup() {
    let mut cluster = Cluster::start(VERSION, 3);
    let stopped = stopped_in_the_middle(&cluster);
    let old = cluster.leader();
    cluster.kill(old);
    assert_ne!(cluster.leader(), old);
    ends_well(&cluster, stopped);
}

#[test]
fn endpoints_of_two_clusters_are_refused_and_nothing_is_written() {
    let (ours, theirs) = (Cluster::start(VERSION, 1), Cluster::start(VERSION, 1));
    let typed = [ours.endpoint(0), theirs.endpoint(0)];
    let BackedUp { outcome, target } = from(&typed).run();
    outcome.assert_failed(ErrorKind::Other, &[&typed[0], &typed[1], "of one cluster only"]);
    target.assert_nothing_left();
    assert_eq!((ours.snapshots_ended(0), theirs.snapshots_ended(0)), (0, 0));
}
