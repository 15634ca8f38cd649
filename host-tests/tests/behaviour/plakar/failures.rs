//! Whatever goes wrong fails the backup: plakar alone would keep a snapshot
//! without the dump, and call it a success.

use super::{filled, stopped_in_the_middle};
use host_tests::database::database;
use host_tests::etcd::{Etcd, Version};
use host_tests::gateway::{Gateway, Member, Response, Stream, unresponsive_port};
use host_tests::plakar::Plakar;
use host_tests::process::Signal;
use std::time::Duration;

#[test]
fn a_member_that_is_killed_in_the_middle_fails_the_backup() {
    let (mut etcd, plakar) = (filled(), Plakar::new());
    let (running, plugin) = stopped_in_the_middle(&plakar, &etcd, &[]);
    etcd.signal(Signal::KILL);
    etcd.assert_ends(Duration::from_secs(10));
    let outcome = plugin.resume(running);
    plakar.assert_failed(&outcome, &[&format!("`{}`: snapshot: ", etcd.endpoint())]);
    let reported =
        outcome.stdout.matches("snapshot: ").count() + outcome.stderr.matches("snapshot: ").count();
    assert_eq!(reported, 1, "the reason is printed once: {outcome}");
}

#[test]
fn a_member_that_is_shut_down_in_the_middle_fails_the_backup() {
    let (mut etcd, plakar) = (filled(), Plakar::new());
    let (running, plugin) = stopped_in_the_middle(&plakar, &etcd, &[]);
    etcd.shut_down();
    let outcome = plugin.resume(running);
    plakar.assert_failed(&outcome, &[&format!("`{}`: snapshot: ", etcd.endpoint())]);
}

#[test]
fn a_member_that_stalls_in_the_middle_fails_the_backup_and_is_let_go() {
    let (etcd, plakar) = (filled(), Plakar::new());
    let (running, plugin) = stopped_in_the_middle(&plakar, &etcd, &["-o", "stall_timeout=2s"]);
    etcd.signal(Signal::STOP);
    let outcome = plugin.resume(running);
    plakar.assert_failed(&outcome, &["sent nothing for 2s", "`stall_timeout`"]);
    etcd.signal(Signal::CONT);
    etcd.assert_snapshots_ended(1, Duration::from_secs(10));
}

#[test]
fn a_member_that_is_not_there_fails_the_backup() {
    let plakar = Plakar::new();
    let (port, _guard) = unresponsive_port();
    let location = format!("etcd://127.0.0.1:{port}");
    let outcome = plakar.backup(&location, &["-o", "connect_timeout=1s"]).wait();
    plakar.assert_failed(&outcome, &[&format!("`127.0.0.1:{port}`: probe: ")]);
}

#[test]
fn a_digest_that_is_wrong_fails_the_backup() {
    let database = database(64);
    let mut stream = Stream::of(&database);
    stream.digest()[0] ^= 1;
    let gateway = Gateway::start(Member::with(&database).snapshot(Response::stream(stream.body())));
    let plakar = Plakar::new();
    let outcome = plakar.backup(&gateway.location(), &["-o", "transport=gateway"]).wait();
    plakar.assert_failed(&outcome, &[&format!("`{}`: snapshot: ", gateway.endpoint()), "SHA-256"]);
}

#[test]
fn a_stream_that_is_cut_fails_the_backup() {
    let database = database(64);
    let mut body = Stream::of(&database).body();
    body.truncate(body.len() / 2);
    let gateway =
        Gateway::start(Member::with(&database).snapshot(Response::stream(body).then_cut()));
    let plakar = Plakar::new();
    let outcome = plakar.backup(&gateway.location(), &["-o", "transport=gateway"]).wait();
    plakar.assert_failed(&outcome, &[&format!("`{}`: snapshot: ", gateway.endpoint())]);
}

/// Each is something that only a host can see, and each at another place.
#[test]
fn a_component_that_misbehaves_fails_the_backup() {
    let plakar = Plakar::misbehaving();
    for (behaviour, words) in [
        ("trap-in-next", "trapped in `import-run.next`"),
        ("trap-in-read", "trapped in `reader.read`"),
        ("panic", "trapped in `reader.read`"),
        ("exit", "exited in"),
        ("hog-memory", "320 MiB of memory"),
        ("oversized-read", "more than the"),
        ("empty-read", "returned an empty list"),
        ("await-nothing", "awaits acknowledgements"),
        ("duplicate-id", "occurs twice"),
        ("duplicate-path", "occurs twice"),
        ("unclean-path", "has a component `.` or `..`"),
        ("read-error", "`/data`: failing as asked"),
        ("short-of-its-size", "was announced with 1000001 bytes and ended after 1000000"),
        ("wrong-digest", "stating another digest as asked"),
        ("finish-error", "failing in `finish` as asked"),
        ("file-for-directory", "`/in` is a file, and another record is inside it"),
        ("spin", "`max_duration` of 2s"),
        ("stall", "`max_duration` of 2s"),
    ] {
        let behaviour = format!("behaviour={behaviour}");
        let options = ["-o", &behaviour, "-o", "max_duration=2s"];
        let outcome = plakar.backup("test://127.0.0.1:80", &options).wait();
        plakar.assert_failed(&outcome, &[words]);
    }
    let outcome = plakar.backup("test://127.0.0.1:80", &["-o", "behaviour=well"]).wait();
    outcome.assert_code(0);
    assert_eq!(plakar.snapshots().len(), 1, "the same component can be backed up from");
}

#[test]
fn a_plakar_that_takes_no_bytes_fails_the_backup_and_the_member_is_let_go_meanwhile() {
    let (etcd, plakar) = (filled(), Plakar::new());
    let (running, plugin) = stopped_in_the_middle(&plakar, &etcd, &["-o", "store_timeout=2s"]);
    running.signal(Signal::STOP);
    plugin.signal(Signal::CONT);
    etcd.assert_snapshots_ended(1, Duration::from_secs(10));
    running.signal(Signal::CONT);
    plakar.assert_failed(&running.wait(), &["plakar accepted no data for 2s", "`store_timeout`"]);
}

#[test]
fn what_is_left_out_fails_the_backup_and_is_named() {
    let (etcd, plakar) = (Etcd::start(Version::V3_6_14), Plakar::new());
    for dry_run in [&[][..], &["-dry-run"]] {
        let options = [dry_run, &["-ignore", "/dump"]].concat();
        let outcome = plakar.backup(&etcd.location(), &options).wait();
        plakar.assert_failed(&outcome, &["`/dump` was excluded"]);
    }
    let outcome = plakar.backup(&etcd.location(), &["-ignore", "*.md"]).wait();
    plakar.assert_failed(&outcome, &["`/RESTORE.md` was excluded"]);
}

/// plakar takes what has a path below its own store for the store itself, and goes
/// past it without a word. It says of its own that all is well.
#[test]
fn a_store_at_the_path_of_the_dump_fails_the_backup() {
    let (etcd, plakar) = (Etcd::start(Version::V3_6_14), Plakar::new());
    let run = plakar.run(&["at", "/dump", "backup", &etcd.location()]);
    let outcome = run.seeing_folder("/dump", &plakar.store()).wait();
    plakar.assert_failed(&outcome, &["`/dump` was skipped", "move the store"]);
}

/// The plugin looks for its component beside itself, and `/proc` says where that is.
#[test]
fn a_plugin_that_cannot_find_its_component_says_why() {
    let plakar = Plakar::misbehaving_without_proc();
    let outcome = plakar.backup("test://127.0.0.1", &[]).wait();
    // Said by plakar, which asked, and not only on the plugin's standard error.
    let words =
        "failed to create an importer for test://127.0.0.1: cannot find the directory of this";
    plakar.assert_failed(&outcome, &[words, "/proc"]);
}
