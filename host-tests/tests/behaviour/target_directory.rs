//! The directory that is backed up into: all of a backup, or nothing.

use host_tests::backup::Backup;
use host_tests::database::database;
use host_tests::etcd::{Etcd, Version};
use host_tests::gateway::{Gateway, Member, Response};
use host_tests::process::Signal;
use host_tests::run::{Outcome, Run};
use host_tests::target::{Target, below};
use plakar_connector::ErrorKind;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use crate::attempt::{MORE_THAN_BUFFERS_HOLD, stopped_in_the_middle};

/// The exit code for a directory that cannot be written.
const STORE_FAILED: i32 = 10;

fn back_up(gateway: &Gateway, to: &Path, more: &[&str]) -> Outcome {
    Backup::of(gateway.location()).arguments(more).to_path(to).wait()
}

fn healthy() -> Gateway {
    Gateway::start(Member::with(&database(2)))
}

fn failing() -> Gateway {
    Gateway::start(Member::with(&database(2)).snapshot(Response::stream("{}")))
}

#[test]
fn files_are_for_their_owner_alone() {
    let target = Target::new();
    back_up(&healthy(), &target.path(), &[]).assert_ok();
    let mode = |path: &Path| path.metadata().expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&target.path()), 0o700);
    for file in ["dump", "manifest.json", "RESTORE.md"] {
        assert_eq!(mode(&target.path().join(file)), 0o600, "{file}");
    }
}

#[test]
fn a_directory_that_was_there_stays_there_empty_after_a_failure() {
    let target = Target::new();
    fs::create_dir(target.path()).expect("made");
    back_up(&failing(), &target.path(), &[]).assert_exit(9, &[]);
    assert!(target.path().is_dir() && below(&target.path()).is_empty());
}

#[test]
fn other_files_are_left_alone() {
    let target = Target::new();
    fs::create_dir(target.path()).expect("made");
    fs::write(target.path().join("notes"), "mine").expect("written");
    back_up(&failing(), &target.path(), &[]).assert_exit(9, &[]);
    back_up(&healthy(), &target.path(), &[]).assert_ok();
    assert_eq!(fs::read(target.path().join("notes")).expect("it is there"), b"mine");
    assert_eq!(below(&target.path()).len(), 4);
}

#[test]
fn an_earlier_backup_is_not_overwritten() {
    let target = Target::new();
    back_up(&healthy(), &target.path(), &[]).assert_ok();
    let before = target.dump_bytes();
    let other = Gateway::start(Member::with(&database(3)));
    let outcome = back_up(&other, &target.path(), &[]);
    outcome.assert_exit(STORE_FAILED, &["dump` exists", "`--force`"]);
    assert!(target.dump_bytes() == before);
    target.assert_whole_backup();
}

#[test]
fn an_earlier_backup_is_replaced_where_that_is_wanted() {
    let target = Target::new();
    back_up(&healthy(), &target.path(), &[]).assert_ok();
    let other = Gateway::start(Member::with(&database(3)));
    back_up(&other, &target.path(), &["--force"]).assert_ok();
    assert!(target.dump_bytes() == host_tests::database::dump(&database(3)));
    target.assert_whole_backup();
}

#[test]
fn an_earlier_backup_survives_a_later_one_that_fails() {
    let target = Target::new();
    back_up(&healthy(), &target.path(), &[]).assert_ok();
    let before = target.dump_bytes();
    back_up(&failing(), &target.path(), &["--force"]).assert_exit(9, &[]);
    assert!(target.dump_bytes() == before);
    target.assert_whole_backup();
}

/// A file in the way, a missing parent, a file system that takes nothing.
#[test]
fn a_directory_that_cannot_be_written_is_found_out_before_anything_is_contacted() {
    let target = Target::new();
    fs::write(target.path(), "a file").expect("written");
    for place in [target.path(), target.path().join("below"), "/proc/backup".into(), "/proc".into()]
    {
        let gateway = healthy();
        let outcome = back_up(&gateway, &place, &[]);
        outcome.assert_exit(STORE_FAILED, &[&format!("`{}`", place.display())]);
        assert!(!gateway.was_contacted(), "{outcome}");
    }
    assert_eq!(fs::read(target.path()).expect("it is there"), b"a file");
}

#[test]
fn a_full_disk_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let _mount = SmallDisk::mount(folder.path());
    let etcd = Etcd::start(Version::V3_6_14);
    etcd.fill(8 << 20);
    let to = folder.path().join("backup");
    let outcome = Backup::of(etcd.location()).to_path(&to).wait();
    outcome.assert_exit(STORE_FAILED, &["No space left"]);
    assert!(below(folder.path()).is_empty(), "{:?}", below(folder.path()));
}

/// A file system of 4 MiB.
struct SmallDisk<'a>(&'a Path);

impl SmallDisk<'_> {
    fn mount(at: &Path) -> SmallDisk<'_> {
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(at);
        let output = mount.output().expect("`mount` can be run");
        assert!(
            output.status.success(),
            "a small file system cannot be mounted; this test needs root: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        SmallDisk(at)
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0).status();
    }
}

/// The same for standard output, where that is what is backed up into.
#[test]
fn a_pipe_that_nobody_reads_ends_a_backup_with_store_timeout() {
    let etcd = Etcd::start(Version::V3_6_14);
    etcd.fill(MORE_THAN_BUFFERS_HOLD);
    let location = etcd.location();
    for form in [&[][..], &["--bundle"]] {
        let (_unread, pipe) = std::io::pipe().expect("a pipe");
        let arguments = [&["backup"], form, &[&location, "-o", "store_timeout=2s"]].concat();
        let run = Run::in_our_sandbox(arguments).output_to(File::from(OwnedFd::from(pipe)));
        let outcome = run.wait();
        outcome.assert_failed(ErrorKind::TimedOut, &["store: ", "for 2s", "`store_timeout`"]);
        assert!(outcome.elapsed < Duration::from_secs(10), "{outcome}");
    }
    etcd.assert_snapshots_ended(2, Duration::from_secs(5));
}

/// Without a standard output Rust's runtime makes do with `/dev/null`.
#[test]
fn a_backup_into_a_closed_standard_output_fails() {
    let gateway = healthy();
    let backup = |redirected: &str| {
        Run::in_our_sandbox(["backup", &gateway.location(), "-o", "transport=gateway"])
            .through("sh", ["-c", &format!("exec \"$@\" {redirected}"), "sh"])
            .wait()
    };
    backup(">&-").assert_exit(STORE_FAILED, &["standard output is closed"]);
    backup("> /dev/null").assert_ok();
    let full = backup("> /dev/full");
    assert!(full.code != 0, "{full}");
}

/// A file is on the disk once the exit code says so.
#[test]
fn what_goes_to_a_file_is_synced() {
    let gateway = healthy();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let trace = folder.path().join("trace");
    let trace_to = trace.to_str().expect("UTF-8");
    let file = File::create(folder.path().join("dump")).expect("it can be written");
    let run = Run::in_our_sandbox(["backup", &gateway.location(), "-o", "transport=gateway"]);
    run.through("strace", ["-f", "-qq", "-e", "trace=fsync", "-o", trace_to])
        .output_to(file)
        .wait()
        .assert_ok();
    let trace = std::fs::read_to_string(trace).expect("`strace` has written it");
    assert!(trace.contains("fsync(1)"), "{trace}");
}

/// A run that is killed cannot clean up; the next one does it.
#[test]
fn what_a_killed_run_left_is_removed_by_the_next_one() {
    let etcd = Etcd::start(Version::V3_6_14);
    etcd.fill(MORE_THAN_BUFFERS_HOLD);
    let target = Target::new();
    let running = stopped_in_the_middle(&etcd, &Backup::of(etcd.location()), &target);
    running.signal(Signal::KILL);
    running.wait();
    assert!(!target.dump().exists(), "a part looks like a backup");
    assert!(!below(&target.path()).is_empty(), "it left something");
    let next = back_up(&healthy(), &target.path(), &[]);
    next.assert_ok();
    assert!(next.stderr.contains(", which an interrupted run had left"), "{next}");
    target.assert_whole_backup();
}

#[test]
fn what_a_living_run_writes_is_left_alone_by_others() {
    let etcd = Etcd::start(Version::V3_6_14);
    etcd.fill(MORE_THAN_BUFFERS_HOLD);
    let target = Target::new();
    let running = stopped_in_the_middle(&etcd, &Backup::of(etcd.location()), &target);
    back_up(&failing(), &target.path(), &[]).assert_exit(9, &[]);
    running.signal(Signal::CONT);
    running.wait().assert_ok();
    target.assert_whole_backup();
}
