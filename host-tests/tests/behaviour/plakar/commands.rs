//! The rest of plakar's command line.

use host_tests::etcd::{Etcd, Version};
use host_tests::plakar::Plakar;
use std::time::Duration;

#[test]
fn a_dry_run_reads_nothing_and_stores_nothing() {
    let (etcd, plakar) = (Etcd::start(Version::V3_6_14), Plakar::new());
    let outcome = plakar.backup(&etcd.location(), &["-dry-run"]).wait();
    outcome.assert_code(0);
    assert!(outcome.says("/dump"), "{outcome}");
    assert_eq!(plakar.snapshots(), [""; 0]);
    assert_eq!(etcd.snapshots_ended(), 0, "the member was asked for a snapshot");
    plakar.assert_no_plugin_left();
}

#[test]
fn a_backup_can_be_checked_at_once() {
    let (etcd, plakar) = (Etcd::start(Version::V3_6_14), Plakar::new());
    let outcome = plakar.backup(&etcd.location(), &["-check"]).wait();
    outcome.assert_code(0);
    assert!(outcome.says("check completed without errors"), "{outcome}");
}

#[test]
fn a_source_is_checked_and_pinged_within_a_second() {
    let (etcd, plakar) = (Etcd::start(Version::V3_6_14), Plakar::new());
    plakar.run(&["source", "add", "mine", &etcd.location()]).wait().assert_code(0);
    plakar.run(&["source", "check", "mine"]).wait().assert_code(0);
    let outcome = plakar.run(&["source", "ping", "mine"]).wait();
    outcome.assert_code(0);
    assert!(outcome.says("configuration OK"), "{outcome}");
    assert!(outcome.elapsed < Duration::from_secs(1), "{outcome}");
    plakar.backup("@mine", &[]).wait().assert_code(0);
    assert_eq!(plakar.snapshots().len(), 1);
}

#[test]
fn a_ping_says_what_is_wrong() {
    let plakar = Plakar::new();
    let etcd = Etcd::start(Version::V3_6_14);
    let (location, endpoint) = (etcd.location(), etcd.endpoint());
    drop(etcd);
    plakar.run(&["source", "add", "gone", &location]).wait().assert_code(0);
    let outcome = plakar.run(&["source", "ping", "gone"]).wait();
    outcome.assert_code(1);
    assert!(outcome.says(&format!("`{endpoint}`: probe: connection refused")), "{outcome}");
    plakar.assert_no_plugin_left();

    let etcd = Etcd::start(Version::V3_6_14);
    etcd.enable_authentication("hunter2");
    let location = etcd.location();
    let add = ["source", "add", "reader", &location, "username=reader", "password=hunter2"];
    plakar.run(&add).wait().assert_code(0);
    let outcome = plakar.run(&["source", "ping", "reader"]).wait();
    outcome.assert_code(1);
    assert!(outcome.says("role `root`"), "{outcome}");
}

#[test]
fn what_is_typed_wrong_is_reported_before_anything_is_contacted() {
    let plakar = Plakar::new();
    for (location, options, words) in [
        ("etcd://127.0.0.1:1", &["-o", "pasword=x"][..], "did you mean `password`?"),
        ("etcd://127.0.0.1:1", &["-o", "max_duration=soon"], "`max_duration`"),
        ("etcd://root:hunter2@127.0.0.1:1", &[], "credentials"),
        ("etcd://127.0.0.1:99999", &[], "port"),
        ("etcd://127.0.0.1:1", &["-o", "password_file=/no/such"], "`/no/such` cannot be opened"),
    ] {
        let outcome = plakar.backup(location, options).wait();
        plakar.assert_failed(&outcome, &["failed to create an importer", words]);
        let reported = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(!reported.contains("InvalidArgument"), "no code is to be seen: {outcome}");
    }
}

#[test]
fn a_password_that_was_typed_is_warned_of() {
    let (etcd, plakar) = (Etcd::start(Version::V3_6_14), Plakar::new());
    etcd.enable_authentication("hunter2");
    let outcome =
        plakar.backup(&etcd.location(), &["-o", "username=root", "-o", "password=hunter2"]).wait();
    outcome.assert_code(0);
    assert!(outcome.says("records its command line in every snapshot"), "{outcome}");
    assert!(outcome.says("`password_file`"), "{outcome}");
    assert!(!outcome.says("hunter2"), "{outcome}");

    // The same from a source is nobody else's to see.
    let source = ["source", "add", "mine", &etcd.location(), "username=root", "password=hunter2"];
    plakar.run(&source).wait().assert_code(0);
    let outcome = plakar.backup("@mine", &[]).wait();
    outcome.assert_code(0);
    let lines: Vec<&str> = outcome.stderr.lines().filter(|l| !l.contains("plain HTTP")).collect();
    assert_eq!(lines, [""; 0], "nothing else is to be said where all is well");
    assert!(!plakar.latest().info().contains("hunter2"));
}

#[test]
fn two_locations_at_once_are_refused() {
    let (etcd, plakar) = (Etcd::start(Version::V3_6_14), Plakar::new());
    let other = format!("etcd+http://{}", etcd.endpoint());
    let outcome = plakar.backup(&etcd.location(), &[]).args([&other]).wait();
    plakar.assert_failed(&outcome, &["merge"]);
    etcd.assert_snapshots_ended(0, Duration::from_secs(1));
}
