//! Ctrl-C, SIGTERM and SIGHUP in the middle of a backup, and whom one gives way to.

use crate::attempt::{MORE_THAN_BUFFERS_HOLD, stopped_in_the_middle};
use host_tests::database::database;
use host_tests::etcd::{Etcd, Version};
use host_tests::gateway::{Answer, Gateway, Member};
use host_tests::process::Signal;
use host_tests::run::Run;
use host_tests::target::Target;
use std::time::Duration;

/// The first is that of a terminal which is closed.
const SIGNALS: [(Signal, i32); 3] = [(Signal::HUP, 129), (Signal::INT, 130), (Signal::TERM, 143)];

#[test]
fn a_signal_in_the_middle_frees_the_member_and_leaves_nothing() {
    for (signal, code) in SIGNALS {
        let etcd = Etcd::start(Version::V3_6_14);
        etcd.fill(MORE_THAN_BUFFERS_HOLD);
        let target = Target::new();
        let running = stopped_in_the_middle(&etcd, &target, &["--json"]);
        running.signal(signal);
        running.signal(Signal::CONT);
        let outcome = running.wait();
        outcome.assert_exit(code, &[]);
        target.assert_nothing_left();
        etcd.assert_snapshots_ended(1, Duration::from_secs(5));
        let last = outcome.outcome();
        assert_eq!(last["ok"], false);
        assert_eq!(last["kind"], "signal");
        assert_eq!(last["exit_code"], code);
    }
}

/// Whichever of them is seen first.
#[test]
fn a_second_signal_leaves_no_backup_either() {
    let etcd = Etcd::start(Version::V3_6_14);
    etcd.fill(MORE_THAN_BUFFERS_HOLD);
    let target = Target::new();
    let running = stopped_in_the_middle(&etcd, &target, &[]);
    for (signal, _) in SIGNALS {
        running.signal(signal);
    }
    running.signal(Signal::CONT);
    let outcome = running.wait();
    assert!(SIGNALS.iter().any(|(_, code)| outcome.code == *code), "{outcome}");
    etcd.assert_snapshots_ended(1, Duration::from_secs(5));
    assert!(!target.dump().exists(), "a part looks like a backup");
    Run::backup(&etcd.location(), &target.argument(), &[]).wait().assert_ok();
    target.assert_whole_backup();
}

#[test]
fn a_signal_while_nobody_answers_ends_the_wait() {
    for (signal, code) in SIGNALS {
        let member = Member::with(&database(2)).on("/v3/maintenance/status", Answer::nothing());
        let gateway = Gateway::start(member);
        let target = Target::new();
        let running = Run::backup(&gateway.location(), &target.argument(), &["--json"]).start();
        running.wait_for_event(|event| event["event"] == "started");
        running.signal(signal);
        let outcome = running.wait();
        outcome.assert_exit(code, &[]);
        assert!(outcome.elapsed < Duration::from_secs(4), "it waited on: {outcome}");
        target.assert_nothing_left();
    }
}

#[test]
fn a_signal_ends_a_component_that_never_comes_back() {
    let target = Target::new();
    let running = Run::misbehaving("spin", &target.argument(), &["--json"]).start();
    running.wait_for_event(|event| event["event"] == "record" && event["pathname"] == "/data");
    running.signal(Signal::INT);
    let outcome = running.wait();
    outcome.assert_exit(130, &[]);
    assert!(outcome.elapsed < Duration::from_secs(20), "{outcome}");
    target.assert_nothing_left();
}

/// The member often runs on the same machine, and has heartbeats to keep.
#[test]
fn a_backup_gives_way_to_whoever_shares_the_machine() {
    let etcd = Etcd::start(Version::V3_6_14);
    etcd.fill(MORE_THAN_BUFFERS_HOLD);
    let target = Target::new();
    let running = stopped_in_the_middle(&etcd, &target, &[]);
    assert_eq!(running.niceness(), 10);
    running.signal(Signal::CONT);
    running.wait().assert_ok();
}
