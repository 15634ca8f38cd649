//! What the contract promises, seen through hosts and components: somebody checks
//! every digest, and an import has an end.

use host_tests::backup::{BackedUp, Backup};
use host_tests::database::{PAGE, database};
use host_tests::gateway::{Gateway, Member, Response, Stream};
use host_tests::plakar::Plakar;
use host_tests::run::{Outcome, Run};
use host_tests::target::Target;
use host_tests::tools;
use plakar_connector::ErrorKind;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// A member whose snapshot came with one bit flipped.
fn flipped() -> Gateway {
    let database = database(40);
    let mut stream = Stream::cut_into(&database, 2 * PAGE);
    stream.messages[3].blob[100] ^= 0x80;
    Gateway::start(Member::with(&database).snapshot(Response::stream(stream.body())))
}

/// The words that each host must print, wherever the digest was computed.
fn words(gateway: &Gateway) -> [String; 2] {
    [format!("`{}`: snapshot: ", gateway.endpoint()), "SHA-256".into()]
}

#[track_caller]
fn caught(gateway: &Gateway, outcome: &Outcome) {
    let words = words(gateway);
    outcome.assert_failed(ErrorKind::Corrupt, &words.each_ref().map(String::as_str));
}

#[test]
fn a_flipped_bit_is_caught_by_the_host_that_hashes() {
    let (gateway, target) = (flipped(), Target::new());
    let backup = Backup::of(gateway.location()).arguments(["--json"]).option("transport=gateway");
    let outcome = backup.to(&target).wait();
    caught(&gateway, &outcome);
    target.assert_nothing_left();
    let facts = &outcome.outcome()["facts"];
    assert!(facts["endpoint"].is_string(), "{facts}");
    assert!(facts["verified"].is_null() && facts["sha256"].is_null(), "it was not proven: {facts}");
}

#[test]
fn a_flipped_bit_is_caught_through_plakar() {
    let (gateway, plakar) = (flipped(), Plakar::new());
    let outcome = plakar.backup(&gateway.location(), &["-o", "transport=gateway"]).wait();
    let words = words(&gateway);
    plakar.assert_failed(&outcome, &words.each_ref().map(String::as_str));
}

#[test]
fn a_flipped_bit_is_caught_by_the_component_where_its_own_command_line_runs() {
    for run in [Run::in_our_sandbox(["backup"]), Run::wasmtime(["backup"])] {
        let gateway = flipped();
        caught(&gateway, &run.args([gateway.location()]).wait());
    }
}

#[test]
fn a_flipped_bit_is_caught_by_the_component_under_a_host_that_does_not_hash() {
    let (gateway, target) = (flipped(), Target::new());
    caught(&gateway, &Run::node(&gateway.location(), &target.argument()).wait());
    target.assert_nothing_left();
}

#[test]
fn a_digest_is_compared_over_as_many_bytes_as_it_covers() {
    let target = Target::new();
    Backup::misbehaving("right-digest").to(&target).wait().assert_ok();
    for (behaviour, code, words) in [
        ("wrong-digest", i32::from(ErrorKind::Corrupt.exit_code()), "`/data`: stating another"),
        ("digest-of-more", 11, "covers 1000001 bytes of a content that has 1000000"),
    ] {
        let BackedUp { outcome, target } = Backup::misbehaving(behaviour).run();
        outcome.assert_exit(code, &[words]);
        target.assert_nothing_left();
    }
}

#[test]
fn an_import_is_ended_before_anything_is_kept() {
    let BackedUp { outcome, .. } = Backup::misbehaving("well").arguments(["--json"]).run();
    assert_eq!(outcome.assert_ok().outcome()["facts"]["finished"], "yes");

    let BackedUp { outcome, target } = Backup::misbehaving("finish-error").run();
    outcome.assert_failed(ErrorKind::Interrupted, &["failing in `finish` as asked"]);
    target.assert_nothing_left();

    let BackedUp { outcome, target } =
        Backup::misbehaving("stall-in-finish").option("max_duration=2s").run();
    outcome.assert_failed(ErrorKind::TimedOut, &["`max_duration`"]);
    assert!(outcome.elapsed < Duration::from_secs(20), "{outcome}");
    target.assert_nothing_left();
}

/// Whose time is half a second before 1970.
#[test]
fn a_file_that_is_older_than_the_epoch_keeps_its_time() {
    let target = Target::new();
    Backup::misbehaving("old-file").to(&target).wait().assert_ok();
    let metadata = fs::metadata(target.path().join("data")).expect("it was backed up");
    assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (-1, 500_000_000));
}

/// The misbehaving connector exports versions that this host does not know, before
/// and behind the one that it does.
#[test]
fn a_component_may_export_several_versions() {
    let outcome =
        Run::plakar_wasm(["inspect", "--json"]).path(tools::misbehaving_connector()).wait();
    let exports = outcome.assert_ok().outcome()["exports"].to_string();
    for version in ["0.1.0", "0.2.0", "0.9.0"] {
        assert!(exports.contains(&format!("plakar:connector/importer@{version}")), "{exports}");
    }
}

#[test]
fn every_way_to_misbehave_is_used_by_a_test() {
    let BackedUp { outcome, .. } = Backup::misbehaving("nonsense").run();
    outcome.assert_failed(ErrorKind::InvalidConfig, &["is not one of"]);
    let (_, listed) = outcome.stderr.split_once("is not one of").expect("it lists them");
    let names: Vec<&str> = listed.split('`').skip(1).step_by(2).collect();
    assert!(names.contains(&"well") && names.len() > 20, "{names:?}");

    let tests = sources(&tools::repository().join("host-tests/tests/behaviour"));
    for name in names {
        let name = name.trim_end_matches("URL");
        let used = [format!("\"{name}"), format!("behaviour={name}")];
        assert!(used.iter().any(|used| tests.contains(used)), "no test uses `{name}`");
    }
}

/// All Rust below a folder.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).expect("the folder is in the repository") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            text += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &fs::read_to_string(&path).expect("source text");
        }
    }
    text
}
