//! Ctrl-C, SIGTERM and SIGHUP in the middle of a backup, readers that stand still, and
//! whom one gives way to.

use crate::attempt::{MORE_THAN_BUFFERS_HOLD, stopped_in_the_middle};
use host_tests::backup::Backup;
use host_tests::database::database;
use host_tests::etcd::{Etcd, Version};
use host_tests::gateway::{Gateway, Member, Response};
use host_tests::process::Signal;
use host_tests::target::Target;
use plakar_connector::ErrorKind;
use std::fs::File;
use std::io::{PipeReader, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// The first is that of a terminal which is closed.
const SIGNALS: [(Signal, i32); 3] = [(Signal::HUP, 129), (Signal::INT, 130), (Signal::TERM, 143)];

#[test]
fn a_signal_in_the_middle_frees_the_member_and_leaves_nothing() {
    for (signal, code) in SIGNALS {
        let etcd = Etcd::start(Version::V3_6_14);
        etcd.fill(MORE_THAN_BUFFERS_HOLD);
        let target = Target::new();
        let running = stopped_in_the_middle(
            &etcd,
            &Backup::of(etcd.location()).arguments(["--json"]),
            &target,
        );
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
    let running = stopped_in_the_middle(&etcd, &Backup::of(etcd.location()), &target);
    for (signal, _) in SIGNALS {
        running.signal(signal);
    }
    running.signal(Signal::CONT);
    let outcome = running.wait();
    assert!(SIGNALS.iter().any(|(_, code)| outcome.code == *code), "{outcome}");
    etcd.assert_snapshots_ended(1, Duration::from_secs(5));
    assert!(!target.dump().exists(), "a part looks like a backup");
    Backup::of(etcd.location()).to(&target).wait().assert_ok();
    target.assert_whole_backup();
}

#[test]
fn a_signal_while_no_member_responds_ends_the_wait() {
    for (signal, code) in SIGNALS {
        let member = Member::with(&database(2)).on("/v3/maintenance/status", Response::nothing());
        let gateway = Gateway::start(member);
        let target = Target::new();
        let running = Backup::of(gateway.location()).arguments(["--json"]).to(&target).start();
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
    let running = Backup::misbehaving("spin").arguments(["--json"]).to(&target).start();
    running.wait_for_event(|event| event["event"] == "record" && event["pathname"] == "/data");
    running.signal(Signal::INT);
    let outcome = running.wait();
    outcome.assert_exit(130, &[]);
    assert!(outcome.elapsed < Duration::from_secs(20), "{outcome}");
    target.assert_nothing_left();
}

/// `nohup`, a shell's `&` and systemd's `IgnoreSIGPIPE=` rely on it.
#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let target = Target::new();
    let running = Backup::misbehaving("stall")
        .arguments(["--json"])
        .to(&target)
        .through("sh", ["-c", "trap '' HUP INT; exec \"$@\"", "sh"])
        .start();
    running.wait_for_event(|event| event["event"] == "record" && event["pathname"] == "/data");
    running.signal(Signal::HUP);
    running.signal(Signal::INT);
    running.signal(Signal::TERM);
    running.wait().assert_exit(143, &[]);
    target.assert_nothing_left();
}

/// A pipe into which nothing more goes, and its reader.
fn full_pipe() -> (PipeReader, File) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    rustix::pipe::fcntl_setpipe_size(&writer, 4096).expect("a pipe can be small");
    let mut writer = File::from(OwnedFd::from(writer));
    writer.write_all(&[b'\n'; 4096]).expect("a pipe holds a page");
    (reader, writer)
}

#[test]
fn a_reader_that_stands_still_keeps_no_backup() {
    let target = Target::new();
    let (_unread, pipe) = full_pipe();
    let run = Backup::misbehaving("flood-log").arguments(["--json"]).to(&target).output_to(pipe);
    let outcome = run.wait();
    outcome.assert_ok();
    assert!(target.path().join("report").is_file(), "{outcome}");
    assert!(outcome.elapsed < Duration::from_secs(60), "{outcome}");
}

#[test]
fn a_reader_that_stands_still_stops_no_clock() {
    let target = Target::new();
    let (_unread, pipe) = full_pipe();
    let backup = Backup::misbehaving("stall").arguments(["--json"]).option("max_duration=2s");
    let outcome = backup.to(&target).output_to(pipe).wait();
    outcome.assert_exit(ErrorKind::TimedOut.exit_code().into(), &[]);
    assert!(outcome.elapsed < Duration::from_secs(15), "{outcome}");
    target.assert_nothing_left();
}

#[test]
fn a_reader_that_stands_still_keeps_no_signal() {
    let target = Target::new();
    let (_unread, pipe) = full_pipe();
    let started = std::time::Instant::now();
    let running =
        Backup::misbehaving("stall").arguments(["--json"]).to(&target).output_to(pipe).start();
    // No event comes through; the target is there once the signals are caught.
    while !target.path().exists() {
        assert!(started.elapsed() < Duration::from_secs(30), "it does not begin");
        std::thread::sleep(Duration::from_millis(5));
    }
    let signalled = std::time::Instant::now();
    running.signal(Signal::TERM);
    running.wait().assert_exit(143, &[]);
    assert!(signalled.elapsed() < Duration::from_secs(12));
    target.assert_nothing_left();
}

/// Whatever the thread that works is waiting for: here for who writes to a pipe.
#[test]
fn a_signal_ends_a_run_that_waits_for_a_file() {
    for (signals, limit) in [(1, 14), (2, 5)] {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let queue = folder.path().join("password");
        let made = std::process::Command::new("mkfifo").arg(&queue).status();
        assert!(made.is_ok_and(|status| status.success()), "`mkfifo` is needed");
        let target = Target::new();
        let file = format!("password_file={}", queue.display());
        let running = Backup::misbehaving("well").option(&file).to(&target).start();
        // Opens once somebody reads.
        let _writer = File::options().write(true).open(&queue).expect("it is read");
        let signalled = std::time::Instant::now();
        for _ in 0..signals {
            running.signal(Signal::TERM);
            // Two of them that are pending at the same time are one.
            std::thread::sleep(Duration::from_millis(200));
        }
        running.wait().assert_exit(143, &[]);
        assert!(signalled.elapsed() < Duration::from_secs(limit), "{:?}", signalled.elapsed());
        target.assert_nothing_left();
    }
}

/// The thread that works may be where it hears of no signal: here it waits, asleep, for
/// another run that puts its backup into the same directory.
#[test]
fn a_signal_ends_a_run_that_cannot_end_in_order() {
    let target = Target::new();
    let other = target.path().join(".plakar-wasm-commit.partial");
    std::fs::create_dir_all(&other).expect("made");
    let lock = File::create(other.join("lock")).expect("made");
    lock.lock().expect("nobody else has it");
    let running = Backup::misbehaving("well").arguments(["--json"]).to(&target).start();
    running.wait_for_event(|event| event["event"] == "record" && event["pathname"] == "/report");
    // Nothing shows that it waits; one that does not wait yet ends cleanly, which is checked below.
    std::thread::sleep(Duration::from_secs(2));
    let signalled = std::time::Instant::now();
    running.signal(Signal::TERM);
    let outcome = running.wait();
    outcome.assert_exit(143, &[]);
    assert!(outcome.stderr.contains("before the run could clean up"), "{outcome}");
    assert!(signalled.elapsed() < Duration::from_secs(14), "{:?}", signalled.elapsed());
    assert!(!target.path().join("report").exists(), "a part looks like a backup");
}

/// The member often runs on the same machine, and has heartbeats to keep.
#[test]
fn a_backup_lowers_its_priority() {
    let etcd = Etcd::start(Version::V3_6_14);
    etcd.fill(MORE_THAN_BUFFERS_HOLD);
    let target = Target::new();
    let running = stopped_in_the_middle(&etcd, &Backup::of(etcd.location()), &target);
    assert_eq!(running.niceness(), 10);
    running.signal(Signal::CONT);
    running.wait().assert_ok();
}
