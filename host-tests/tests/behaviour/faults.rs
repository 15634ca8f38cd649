//! Real members that die, stall or refuse.

use crate::attempt::{MORE_THAN_BUFFERS_HOLD, stopped_in_the_middle};
use host_tests::backup::Backup;
use host_tests::etcd::{Etcd, Settings, Version};
use host_tests::process::Signal;
use host_tests::target::Target;
use plakar_connector::ErrorKind;
use serde_json::json;
use std::time::Duration;

/// Each generation of gateways, and either transport.
const RUNS: [(Version, &str); 4] = [
    (Version::V3_5_33, "transport=gateway"),
    (Version::V3_5_33, "transport=grpc"),
    (Version::V3_6_14, "transport=gateway"),
    (Version::V3_6_14, "transport=grpc"),
];

fn filled(version: Version) -> Etcd {
    let etcd = Etcd::start(version);
    etcd.fill(MORE_THAN_BUFFERS_HOLD);
    etcd
}

#[test]
fn a_member_that_is_killed_in_the_middle_leaves_nothing() {
    for (version, transport) in RUNS {
        let mut etcd = filled(version);
        let target = Target::new();
        let running =
            stopped_in_the_middle(&etcd, &Backup::of(etcd.location()).option(transport), &target);
        etcd.signal(Signal::KILL);
        etcd.assert_ends(Duration::from_secs(10));
        running.signal(Signal::CONT);
        let words = [&format!("`{}`: snapshot: ", etcd.endpoint()), "log"];
        running.wait().assert_failed(ErrorKind::Interrupted, &words);
        target.assert_nothing_left();
    }
}

/// It goes on sending for some seconds, and then ends what is still open.
#[test]
fn a_member_that_is_shut_down_in_the_middle_leaves_nothing() {
    for (version, transport) in [RUNS[0], RUNS[3]] {
        let mut etcd = filled(version);
        let target = Target::new();
        let running =
            stopped_in_the_middle(&etcd, &Backup::of(etcd.location()).option(transport), &target);
        etcd.shut_down();
        running.signal(Signal::CONT);
        running.wait().assert_failed(
            ErrorKind::Interrupted,
            &[&format!("`{}`: snapshot: ", etcd.endpoint())],
        );
        target.assert_nothing_left();
    }
}

#[test]
fn a_member_that_stalls_in_the_middle_is_left_after_stall_timeout() {
    for transport in ["transport=gateway", "transport=grpc"] {
        let etcd = filled(Version::V3_6_14);
        let target = Target::new();
        let backup = Backup::of(etcd.location()).options(["stall_timeout=2s", transport]);
        let running = stopped_in_the_middle(&etcd, &backup, &target);
        etcd.signal(Signal::STOP);
        running.signal(Signal::CONT);
        let place = format!("`{}`: snapshot: ", etcd.endpoint());
        let words = [place.as_str(), "sent nothing for 2s", "`stall_timeout`"];
        running.wait().assert_failed(ErrorKind::TimedOut, &words);
        target.assert_nothing_left();
        etcd.signal(Signal::CONT);
        etcd.assert_snapshots_ended(1, Duration::from_secs(10));
    }
}

#[test]
fn a_member_that_stalls_before_its_first_response_is_left_after_connect_timeout() {
    let etcd = Etcd::start(Version::V3_6_14);
    etcd.signal(Signal::STOP);
    let target = Target::new();
    let outcome = Backup::of(etcd.location()).option("connect_timeout=1s").to(&target).wait();
    let words =
        [&format!("`{}`: probe: ", etcd.endpoint()), "sent nothing for 1s", "`connect_timeout`"];
    outcome.assert_failed(ErrorKind::TimedOut, &words);
    assert!(outcome.elapsed < Duration::from_secs(10), "{outcome}");
    target.assert_nothing_left();
    etcd.signal(Signal::CONT);
}

/// The reader's machine may vanish without a word: what was agreed at the start
/// frees the member, and nobody is there to do it.
#[test]
fn a_reader_that_vanishes_holds_no_snapshot_open_past_max_duration() {
    for (version, transport) in [
        (Version::V3_4_23, "transport=gateway"),
        (Version::V3_5_33, "transport=grpc"),
        (Version::V3_6_14, "transport=gateway"),
        (Version::V3_7_1, "transport=grpc"),
    ] {
        let etcd = filled(version);
        let target = Target::new();
        let backup = Backup::of(etcd.location()).options(["max_duration=3s", transport]);
        let running = stopped_in_the_middle(&etcd, &backup, &target);
        etcd.assert_snapshots_ended(1, Duration::from_secs(10));
        running.signal(Signal::CONT);
        running.wait().assert_failed(ErrorKind::TimedOut, &["`max_duration`"]);
        target.assert_nothing_left();
    }
}

#[test]
fn a_reader_that_is_killed_frees_the_member_at_once() {
    let etcd = filled(Version::V3_6_14);
    let target = Target::new();
    let running = stopped_in_the_middle(&etcd, &Backup::of(etcd.location()), &target);
    running.signal(Signal::KILL);
    assert_eq!(running.wait().code, 137);
    etcd.assert_snapshots_ended(1, Duration::from_secs(5));
}

#[test]
fn a_member_without_a_gateway_is_an_error_that_names_the_flag() {
    for version in Version::ALL.into_iter().filter(|version| *version >= Version::V3_5_33) {
        let etcd =
            Etcd::start_with(version, Settings::default().flag("--enable-grpc-gateway=false"));
        let target = Target::new();
        Backup::of(etcd.location()).option("transport=gateway").to(&target).wait().assert_failed(
            ErrorKind::Unsupported,
            &[
                &format!("`{}`: probe: ", etcd.endpoint()),
                "no JSON gateway",
                "--enable-grpc-gateway=false",
            ],
        );
        target.assert_nothing_left();
    }
}

#[test]
fn a_host_name_that_is_not_whitelisted_is_an_error_that_names_the_flag() {
    let etcd =
        Etcd::start_with(Version::V3_6_14, Settings::default().flag("--host-whitelist=127.0.0.1"));
    let target = Target::new();
    let location = format!("etcd://localhost:{}", etcd.port());
    Backup::of(location).option("transport=gateway").to(&target).wait().assert_failed(
        ErrorKind::PermissionDenied,
        &[&format!("`localhost:{}`: probe: ", etcd.port()), "421", "--host-whitelist"],
    );
    target.assert_nothing_left();
}

/// `/health` says 503 then, and a backup was never needed more.
#[test]
fn a_member_that_ran_out_of_space_is_backed_up_with_a_warning() {
    let flags = Settings::default().flag("--quota-backend-bytes=8388608");
    let etcd = Etcd::start_with(Version::V3_6_14, flags);
    let value = "A".repeat(4 << 20);
    let full = (0..8).any(|key| {
        let put = json!({ "key": "AAA=", "value": value, "lease": 0, "prev_kv": false });
        let response = etcd.try_post("/v3/kv/put", &put).expect("it responds");
        assert!(
            response.0 == 200 || response.1.contains("space exceeded"),
            "put {key}: {response:?}"
        );
        response.0 != 200
    });
    assert!(full, "the quota was never reached");

    let target = Target::new();
    let outcome = Backup::of(etcd.location()).to(&target).wait();
    outcome.assert_ok();
    target.assert_whole_backup();
    assert!(outcome.stderr.contains("NOSPACE"), "{outcome}");
    assert_eq!(target.manifest()["alarms"][0]["alarm"], "NOSPACE");
    let guide = target.guide();
    assert!(guide.contains("\nctl defrag --cluster\nctl alarm disarm\n"), "{guide}");
}
