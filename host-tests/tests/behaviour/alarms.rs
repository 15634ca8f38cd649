//! Alarms of real members of every version, as their own status words them.

use host_tests::backup::{BackedUp, Backup};
use host_tests::etcd::{Etcd, Version};
use host_tests::recorded;
use plakar_connector::ErrorKind;
use serde_json::json;

const TRANSPORTS: [&str; 2] = ["transport=grpc", "transport=gateway"];

fn a_corrupt_member_is_refused_and_a_corrupt_cluster_warned_of(version: Version) {
    let etcd = Etcd::start(version);
    let own = etcd.member_id();
    let hex = |id: u64| format!("{id:x}");
    etcd.raise(0, "CORRUPT");
    etcd.raise(7, "CORRUPT");
    etcd.raise(own, "NOSPACE");
    let texts = [(0, "CORRUPT"), (7, "CORRUPT"), (own, "NOSPACE")]
        .map(|(id, alarm)| recorded::alarm(version, id, alarm));
    assert_reports(&etcd, &texts);
    for transport in TRANSPORTS {
        let BackedUp { outcome, target } = Backup::of(etcd.location()).option(transport).run();
        outcome.assert_ok();
        let manifest = target.manifest();
        for (id, alarm) in [(0, "CORRUPT"), (7, "CORRUPT"), (own, "NOSPACE")] {
            let recorded = json!({ "member_id": hex(id), "alarm": alarm });
            let alarms = manifest["alarms"].as_array().expect("a list");
            assert!(alarms.contains(&recorded), "etcd {version}: {manifest}");
        }
        for words in
            ["CORRUPT is on for the whole cluster", "CORRUPT is on for member 7", "NOSPACE"]
        {
            assert!(outcome.says(words), "etcd {version}, {transport}: {outcome}");
            assert!(manifest["warnings"].to_string().contains(words), "{manifest}");
        }
        assert_eq!(manifest["status_errors"], json!([]), "etcd {version}");
        let ping = Backup::of(etcd.location()).option(transport).ping().wait();
        ping.assert_ok();
    }
    etcd.raise(own, "CORRUPT");
    assert_reports(&etcd, &[recorded::alarm(version, own, "CORRUPT")]);
    for transport in TRANSPORTS {
        let BackedUp { outcome, target } = Backup::of(etcd.location()).option(transport).run();
        let place = format!("`{}`: probe: ", etcd.endpoint());
        outcome.assert_failed(
            ErrorKind::Corrupt,
            &[&place, "CORRUPT for this member", "another member"],
        );
        target.assert_nothing_left();
        let ping = Backup::of(etcd.location()).option(transport).ping().wait();
        ping.assert_failed(ErrorKind::Corrupt, &[&place]);
    }
}

/// The texts that the fakes send are the ones that real members send.
#[track_caller]
fn assert_reports(etcd: &Etcd, texts: &[String]) {
    let errors = etcd.status()["errors"].clone();
    let errors: Vec<&str> =
        errors.as_array().expect("a list").iter().filter_map(|error| error.as_str()).collect();
    // From 3.7 on the blanks depend on the build of the server.
    let blanks_vary = etcd.version() >= Version::V3_7_1;
    let same = |sent: &str, text: &str| {
        if blanks_vary { sent.split_whitespace().eq(text.split_whitespace()) } else { sent == text }
    };
    for text in texts {
        let is_sent = errors.iter().any(|sent| same(sent, text));
        assert!(is_sent, "`{text}` is not among {errors:?}");
    }
}

macro_rules! for_each_version {
    ($($version:ident,)*) => {
        $(#[allow(non_snake_case, reason = "a version's name is no word")]
        #[test]
        fn $version() {
            a_corrupt_member_is_refused_and_a_corrupt_cluster_warned_of(Version::$version);
        })*
    };
}

host_tests::versions! { for_each_version }
