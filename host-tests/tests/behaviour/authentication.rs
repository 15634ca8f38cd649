//! Logins, and who may take a snapshot: real members of every version.

use host_tests::etcd::{Etcd, Version};
use host_tests::run::{Outcome, Run};
use host_tests::target::Target;
use plakar_connector::Kind;
use tempfile::NamedTempFile;

const PASSWORD: &str = "correct \"horse\" \\ bättery";

/// A member with authentication on: `root` and `backup` have the role `root`,
/// `reader` may read all keys.
fn guarded(version: Version) -> Etcd {
    let etcd = Etcd::start(version);
    etcd.put("key", "value");
    etcd.enable_authentication(PASSWORD);
    etcd
}

/// Backs up with this login; the password comes from a file.
fn back_up(etcd: &Etcd, login: Option<(&str, &str)>) -> (Outcome, Target) {
    let target = Target::new();
    let mut options = Vec::new();
    let file = NamedTempFile::new().expect("a temporary file");
    if let Some((username, password)) = login {
        std::fs::write(file.path(), format!("{password}\n")).expect("written");
        options.extend([
            "-o".into(),
            format!("username={username}"),
            "-o".into(),
            format!("password_file={}", file.path().display()),
        ]);
    }
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let outcome = Run::backup(&etcd.location(), &target.argument(), &options).wait();
    assert!(!outcome.says(PASSWORD) && !outcome.says("horse"), "the password is shown: {outcome}");
    (outcome, target)
}

#[track_caller]
fn assert_refused(etcd: &Etcd, login: Option<(&str, &str)>, kind: Kind, words: &[&str]) {
    let (outcome, target) = back_up(etcd, login);
    outcome.assert_failed(kind, &[&etcd.endpoint()]).assert_failed(kind, words);
    target.assert_nothing_left();
}

fn users_with_the_role_root_may_take_snapshots(version: Version) {
    let etcd = guarded(version);
    for user in ["root", "backup"] {
        let (outcome, target) = back_up(&etcd, Some((user, PASSWORD)));
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
    assert_refused(&etcd, None, Kind::Unauthenticated, &["`username`", "`password_file`"]);
    assert_refused(&etcd, Some(("root", "wrong")), Kind::Unauthenticated, &["password is wrong"]);
    assert_refused(&etcd, Some(("nobody", PASSWORD)), Kind::Unauthenticated, &["no such user"]);
    assert_refused(&etcd, Some(("reader", PASSWORD)), Kind::PermissionDenied, &["role `root`"]);
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
        })*
    };
}

for_each_version! { V3_4_23, V3_5_33, V3_6_14, V3_7_1, }

#[test]
fn a_login_that_nobody_asked_for_is_no_obstacle() {
    let etcd = Etcd::start(Version::V3_6_14);
    let (outcome, target) = back_up(&etcd, Some(("root", PASSWORD)));
    outcome.assert_ok();
    assert!(outcome.says("authentication is off"), "{outcome}");
    assert_eq!(target.manifest()["auth_enabled"], false);
}

#[test]
fn a_ping_tells_a_login_that_does_not_suffice() {
    let etcd = guarded(Version::V3_6_14);
    Run::ping(&etcd.location(), &[]).wait().assert_failed(Kind::Unauthenticated, &["`username`"]);
    Run::ping(&etcd.location(), &["-o", "username=root", "-o", &format!("password={PASSWORD}")])
        .wait()
        .assert_ok();
}

#[test]
fn a_password_on_the_command_line_is_warned_of_and_never_shown() {
    let etcd = guarded(Version::V3_6_14);
    let target = Target::new();
    let password = format!("password={PASSWORD}");
    let options = ["-vv", "-o", "username=root", "-o", &password];
    let outcome = Run::backup(&etcd.location(), &target.argument(), &options).wait();
    outcome.assert_ok();
    assert!(outcome.stderr.contains("password_file=PATH"), "{outcome}");
    assert!(!outcome.says("horse"), "the password is shown: {outcome}");
}
