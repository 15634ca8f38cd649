//! Logins, and who may take a snapshot: real members of every version.

use crate::attempt::{MORE_THAN_BUFFERS_HOLD, stopped_in_the_middle};
use host_tests::backup::{BackedUp, Backup};
use host_tests::certs::{Authority, Identity, Key, Leaf};
use host_tests::etcd::{Client, Etcd, Gate, Settings, Version};
use host_tests::process::Signal;
use host_tests::target::Target;
use plakar_connector::ErrorKind;
use serde_json::json;
use std::cell::Cell;
use std::time::{Duration, Instant};
use tempfile::NamedTempFile;

const PASSWORD: &str = "correct \"horse\" \\ bättery";

/// A member with authentication on: `root` and `backup` have the role `root`,
/// `reader` may read all keys.
fn guarded(version: Version) -> Etcd {
    guarded_with(version, Settings::default())
}

fn guarded_with(version: Version, settings: Settings) -> Etcd {
    let etcd = Etcd::start_with(version, settings);
    etcd.put("key", "value");
    etcd.enable_authentication(PASSWORD);
    etcd
}

/// A backup with the login of a user, if any. The password comes from the file, which
/// has to last as long as the backup.
fn logged_in(location: String, user: Option<(&str, &str)>, file: &NamedTempFile) -> Backup {
    let backup = Backup::of(location);
    let Some((username, password)) = user else { return backup };
    std::fs::write(file.path(), format!("{password}\n")).expect("written");
    backup
        .option(format!("username={username}"))
        .option(format!("password_file={}", file.path().display()))
}

fn empty_file() -> NamedTempFile {
    NamedTempFile::new().expect("a temporary file")
}

/// Backs up with this login.
fn back_up(etcd: &Etcd, user: Option<(&str, &str)>) -> BackedUp {
    back_up_over("auto", etcd, user)
}

fn back_up_over(transport: &str, etcd: &Etcd, user: Option<(&str, &str)>) -> BackedUp {
    let file = empty_file();
    let backup = logged_in(etcd.location(), user, &file);
    let backup = backup.option(format!("transport={transport}")).run();
    for secret in [PASSWORD, "horse"] {
        assert!(!backup.outcome.says(secret), "the password is shown: {}", backup.outcome);
    }
    backup
}

#[track_caller]
fn assert_refused(etcd: &Etcd, login: Option<(&str, &str)>, kind: ErrorKind, words: &[&str]) {
    let BackedUp { outcome, target } = back_up(etcd, login);
    outcome.assert_failed(kind, &[&etcd.endpoint()]).assert_failed(kind, words);
    target.assert_nothing_left();
}

fn users_with_the_role_root_may_take_snapshots(version: Version) {
    let etcd = guarded(version);
    for user in ["root", "backup"] {
        let BackedUp { outcome, target } = back_up(&etcd, Some((user, PASSWORD)));
        outcome.assert_ok();
        target.assert_whole_backup();
        assert_eq!(target.manifest()["auth_enabled"], true);
        let restored = Etcd::restore(version, &target.dump());
        // It comes back with authentication on, so ask what needs no login.
        assert!(restored.refuses_without_login());
    }
}

fn all_others_are_refused_with_the_remedy(version: Version) {
    let etcd = guarded(version);
    assert_refused(&etcd, None, ErrorKind::Unauthenticated, &["`username`", "`password_file`"]);
    assert_refused(
        &etcd,
        Some(("root", "wrong")),
        ErrorKind::Unauthenticated,
        &["password is wrong"],
    );
    assert_refused(
        &etcd,
        Some(("nobody", PASSWORD)),
        ErrorKind::Unauthenticated,
        &["does not exist in etcd"],
    );
    assert_refused(
        &etcd,
        Some(("reader", PASSWORD)),
        ErrorKind::PermissionDenied,
        &["role `root`"],
    );
}

/// What `ping` says and what a backup comes to are one thing.
fn ping_says_what_a_backup_would(version: Version) {
    let etcd = guarded(version);
    for transport in ["transport=grpc", "transport=gateway"] {
        for (user, password, kind) in [
            (None, "", Some(ErrorKind::Unauthenticated)),
            (Some("root"), "wrong", Some(ErrorKind::Unauthenticated)),
            (Some("nobody"), PASSWORD, Some(ErrorKind::Unauthenticated)),
            // It may read every key, and that is not enough.
            (Some("reader"), PASSWORD, Some(ErrorKind::PermissionDenied)),
            (Some("backup"), PASSWORD, None),
        ] {
            let file = empty_file();
            let login = user.map(|user| (user, password));
            let backup = logged_in(etcd.location(), login, &file).option(transport);
            let ping = backup.ping().wait();
            let code = backup.run().outcome.code;
            assert_eq!(ping.code, code, "etcd {version}, {transport}, {user:?}: {ping}");
            match kind {
                Some(kind) => drop(ping.assert_failed(kind, &[&etcd.endpoint()])),
                None => drop(ping.assert_ok()),
            }
        }
    }
}

/// An RSA key and its certificate, in either format that etcd reads.
fn signer(authority: &Authority, format: Key) -> Identity {
    authority.issue(Leaf::client(Some("token signer")).key(format))
}

fn tokens_of_either_kind_are_taken_over_either_transport(version: Version) {
    let authority = Authority::new();
    let jwt = |format| Settings::default().jwt(&signer(&authority, format), 300);
    for settings in [Settings::default(), jwt(Key::RsaPkcs1), jwt(Key::Rsa)] {
        let etcd = guarded_with(version, settings);
        for transport in ["grpc", "gateway"] {
            let BackedUp { outcome, target } =
                back_up_over(transport, &etcd, Some(("backup", PASSWORD)));
            outcome.assert_ok();
            target.assert_whole_backup();
            let manifest = target.manifest();
            assert_eq!(
                (&manifest["transport"], &manifest["auth_enabled"]),
                (&transport.into(), &true.into())
            );
            assert!(manifest["revision"]["after"].is_u64(), "{manifest}");
        }
        assert_eq!(etcd.logins(), 2);
    }
}

macro_rules! for_each_version {
    ($($version:ident,)*) => {
        $(#[allow(non_snake_case, reason = "a version's name is no word")]
        mod $version {
            use super::Version;

            #[test]
            fn users_with_the_role_root_may_take_snapshots() {
                super::users_with_the_role_root_may_take_snapshots(Version::$version);
            }

            #[test]
            fn all_others_are_refused_with_the_remedy() {
                super::all_others_are_refused_with_the_remedy(Version::$version);
            }

            #[test]
            fn ping_says_what_a_backup_would() {
                super::ping_says_what_a_backup_would(Version::$version);
            }

            #[test]
            fn tokens_of_either_kind_are_taken_over_either_transport() {
                super::tokens_of_either_kind_are_taken_over_either_transport(Version::$version);
            }
        })*
    };
}

host_tests::versions! { for_each_version }

#[test]
fn a_login_that_was_not_requested_does_not_stop_a_backup() {
    let etcd = Etcd::start(Version::V3_6_14);
    let BackedUp { outcome, target } = back_up(&etcd, Some(("root", PASSWORD)));
    outcome.assert_ok();
    assert!(outcome.says("authentication is disabled"), "{outcome}");
    assert_eq!(target.manifest()["auth_enabled"], false);
}

#[test]
fn a_password_on_the_command_line_is_warned_of_and_never_shown() {
    let etcd = guarded(Version::V3_6_14);
    let outcome = Backup::of(etcd.location())
        .option("username=root")
        .option(format!("password={PASSWORD}"))
        .arguments(["-vv"])
        .run()
        .outcome;
    outcome.assert_ok();
    assert!(outcome.stderr.contains("password_file=PATH"), "{outcome}");
    assert!(!outcome.says("horse"), "the password is shown: {outcome}");
}

/// How a token dies though nobody used it wrongly.
#[derive(Clone, Copy, Debug)]
enum Death {
    /// Its time is over.
    Expiry,
    /// The user got a password, the same as before: etcd forgets the user's
    /// simple tokens.
    Revocation,
}

const DEATHS: [Death; 2] = [Death::Expiry, Death::Revocation];

/// Long enough for a run that nobody holds back.
const SECONDS: i32 = 4;

impl Death {
    fn settings(self, authority: &Authority) -> Settings {
        match self {
            Death::Expiry => Settings::default().jwt(&signer(authority, Key::Rsa), SECONDS),
            Death::Revocation => Settings::default(),
        }
    }

    /// Waits until every token of the user `backup` so far is dead.
    fn strike(self, member: &Client) {
        // Whatever is older than this one dies no later.
        let witness = member.logged_in("backup", PASSWORD);
        if let Death::Revocation = self {
            member.logged_in("root", PASSWORD).set_password("backup", PASSWORD);
        }
        let started = Instant::now();
        while !witness.refuses_token() {
            assert!(started.elapsed() < Duration::from_secs(30), "{self:?}: the token lives on");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// etcd looks at it when the stream begins; this version's status, which is asked
/// for once more afterwards, takes a login too.
#[test]
fn a_token_that_dies_in_the_middle_costs_one_login_and_nothing_else() {
    for (death, transport) in [
        (Death::Expiry, "transport=grpc"),
        (Death::Revocation, "transport=grpc"),
        (Death::Revocation, "transport=gateway"),
    ] {
        let authority = Authority::new();
        let etcd = Etcd::start_with(Version::V3_6_14, death.settings(&authority));
        etcd.fill(MORE_THAN_BUFFERS_HOLD);
        etcd.enable_authentication(PASSWORD);
        let (target, file) = (Target::new(), empty_file());
        let backup = logged_in(etcd.location(), Some(("backup", PASSWORD)), &file);
        let running = stopped_in_the_middle(&etcd, &backup.option(transport), &target);
        death.strike(&etcd);
        let before = etcd.logins();
        running.signal(Signal::CONT);
        let outcome = running.wait();
        outcome.assert_ok();
        target.assert_whole_backup();
        let manifest = target.manifest();
        assert!(manifest["revision"]["after"].is_u64(), "{death:?}: {manifest}\n{outcome}");
        assert_eq!(etcd.logins() - before, 1, "{death:?}");
    }
}

#[test]
fn a_password_that_changes_during_the_backup_is_a_warning() {
    let etcd = Etcd::start(Version::V3_6_14);
    etcd.fill(MORE_THAN_BUFFERS_HOLD);
    etcd.enable_authentication(PASSWORD);
    let (target, file) = (Target::new(), empty_file());
    let backup = logged_in(etcd.location(), Some(("backup", PASSWORD)), &file);
    let running = stopped_in_the_middle(&etcd, &backup, &target);
    etcd.logged_in("root", PASSWORD).set_password("backup", "another");
    running.signal(Signal::CONT);
    let outcome = running.wait();
    outcome.assert_ok();
    target.assert_whole_backup();
    for words in ["latest revision is unknown", "password is wrong"] {
        assert!(outcome.says(words), "{outcome}");
    }
    let revision = &target.manifest()["revision"];
    assert!(revision["before"].is_u64() && revision["after"].is_null(), "{revision}");
}

/// Backs up with the login of `backup`; does something while the request for the
/// snapshot, with whatever token it carries, is held back.
fn back_up_while(etcd: &Etcd, something: impl FnOnce()) -> BackedUp {
    let gate = Gate::before(etcd.endpoint());
    let (target, file) = (Target::new(), empty_file());
    let location = format!("etcd://{}", gate.endpoint());
    let backup = logged_in(location, Some(("backup", PASSWORD)), &file);
    let running = backup.option("transport=gateway").to(&target).start();
    let held = gate.wait_for_snapshot();
    something();
    drop(held);
    let outcome = running.wait();
    outcome.assert_ok();
    target.assert_whole_backup();
    assert!(target.manifest()["revision"]["after"].is_u64(), "{}", target.manifest());
    BackedUp { outcome, target }
}

#[test]
fn a_token_that_dies_before_the_snapshot_costs_a_login_and_nothing_else() {
    for version in [Version::V3_4_23, Version::V3_6_14] {
        for death in DEATHS {
            let authority = Authority::new();
            let etcd = guarded_with(version, death.settings(&authority));
            let before = Cell::new(0);
            back_up_while(&etcd, || {
                death.strike(&etcd);
                before.set(etcd.logins());
            });
            assert_eq!(etcd.logins() - before.get(), 1, "etcd {version}, {death:?}");
        }
    }
}

#[test]
fn authentication_that_is_switched_before_the_snapshot_does_not_stop_a_backup() {
    for version in [Version::V3_4_23, Version::V3_6_14] {
        let etcd = Etcd::start(version);
        back_up_while(&etcd, || etcd.enable_authentication(PASSWORD));
        let root = etcd.logged_in("root", PASSWORD);
        back_up_while(&etcd, || drop(root.post("/v3/auth/disable", &json!({}))));
    }
}

/// As where a clock is wrong: each token has expired when it is issued.
#[test]
fn a_member_that_never_takes_its_own_tokens_is_asked_for_two_and_no_more() {
    let authority = Authority::new();
    // 3.4 returns its status without a login, so its first refusal is that of the snapshot.
    for (version, stage, logins) in
        [(Version::V3_4_23, "snapshot", 2), (Version::V3_6_14, "probe", 1)]
    {
        for transport in ["grpc", "gateway"] {
            let expired = Settings::default().jwt(&signer(&authority, Key::Rsa), -1);
            let etcd = guarded_with(version, expired);
            let BackedUp { outcome, target } =
                back_up_over(transport, &etcd, Some(("backup", PASSWORD)));
            let place = format!("`{}`: {stage}: ", etcd.endpoint());
            let words = [&place, "rejects the token", "`--auth-token`"];
            outcome.assert_failed(ErrorKind::Unauthenticated, &words);
            target.assert_nothing_left();
            assert_eq!(etcd.logins(), logins, "etcd {version}, {transport}");
        }
    }
}
