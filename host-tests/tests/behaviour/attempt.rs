//! What most modules do: back a fake member up, and look at what came of it.

use host_tests::backup::{BackedUp, Backup};
use host_tests::etcd::Etcd;
use host_tests::gateway::{Gateway, Member, Response};
use host_tests::process::Signal;
use host_tests::run::{Outcome, Running};
use host_tests::target::Target;
use plakar_connector::ErrorKind;
use std::time::{Duration, Instant};

/// A backup of a fake member that was tried.
pub(crate) struct Attempt {
    pub(crate) gateway: Gateway,
    pub(crate) target: Target,
    pub(crate) outcome: Outcome,
}

impl Attempt {
    /// Tries to back this member up, with these options, of which the last of a
    /// name holds; through its gateway if they do not say otherwise.
    pub(crate) fn of(member: Member, options: &[&str]) -> Attempt {
        let gateway = Gateway::start(member);
        let backup = Backup::of(gateway.location()).option("transport=gateway").options(options);
        let BackedUp { outcome, target } = backup.run();
        Attempt { gateway, target, outcome }
    }

    /// Fails unless a whole backup is there whose dump is that of `database`.
    #[track_caller]
    pub(crate) fn assert_backed_up(&self, database: &[u8]) {
        self.outcome.assert_ok();
        self.target.assert_whole_backup();
        assert!(
            self.target.dump_bytes() == host_tests::database::dump(database),
            "the dump is another one: {}",
            self.outcome
        );
    }

    /// Fails unless it failed with this kind at this stage, named the endpoint,
    /// said these words, and left nothing behind.
    #[track_caller]
    pub(crate) fn assert_refused(&self, kind: ErrorKind, stage: &str, words: &[&str]) {
        let place = format!("`{}`: {stage}: ", self.gateway.endpoint());
        self.outcome.assert_failed(kind, &[&place]).assert_failed(kind, words);
        self.target.assert_nothing_left();
    }
}

/// Tries to back up a member that sends this for the snapshot call, and has
/// to fail.
#[track_caller]
pub(crate) fn snapshot_is_refused(response: Response, kind: ErrorKind, words: &[&str]) {
    let database = host_tests::database::database(2);
    Attempt::of(Member::with(&database).snapshot(response), &[])
        .assert_refused(kind, "snapshot", words);
}

/// More than the sockets and pipes between a member and a stopped reader hold.
pub(crate) const MORE_THAN_BUFFERS_HOLD: usize = 64 << 20;

/// Starts a backup, into `target`, of a member that is filled with so much, and stops it
/// in the middle of the dump: the member's snapshot stays open until it continues.
pub(crate) fn stopped_in_the_middle(etcd: &Etcd, backup: &Backup, target: &Target) -> Running {
    let running = backup.to(target).start();
    let started = Instant::now();
    while target.bytes_so_far() == 0 {
        assert!(started.elapsed() < Duration::from_secs(30), "no byte of the dump comes");
        std::thread::sleep(Duration::from_millis(1));
    }
    running.signal(Signal::STOP);
    assert!(target.bytes_so_far() < MORE_THAN_BUFFERS_HOLD as u64 / 2, "it was stopped too late");
    assert_eq!(etcd.snapshots_ended(), 0, "the member has sent everything already");
    running
}
