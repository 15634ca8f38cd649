//! The blocks of `RESTORE.md` run as printed, in namespaces where the hosts that they
//! speak of exist: each with a network, a file system and a name of its own, joined by a
//! bridge (`hosts.sh`). A story fails if a block of its guide was not run.

use host_tests::backup::{BackedUp, Backup};
use host_tests::certs::{Authority, Leaf};
use host_tests::etcd::Version;
use host_tests::gateway::{Gateway, Member, Response};
use host_tests::process::command;
use host_tests::run::{Outcome, Run};
use host_tests::{database::database, tools};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use tempfile::TempDir;

/// A story that is run to its end with this version's programs.
fn run_story(story: &str, version: Version, variables: &[(&str, &str)]) -> Outcome {
    let world = TempDir::with_prefix("hosts-").expect("the temporary directory can be written");
    let programs = world.path().join("programs");
    fs::create_dir(&programs).expect("the folder is ours");
    let link = |program: &Path, name: &str| {
        symlink(program, programs.join(name)).expect("a link can be made");
    };
    link(&tools::plakar_wasm(), "plakar-wasm");
    for program in ["etcd", "etcdctl"] {
        link(&version.program(program), program);
    }
    // 3.4 has none, and the guide asks for a newer one whatever the version.
    let restorer = if version == Version::V3_4_23 { Version::V3_6_14 } else { version };
    link(&restorer.program("etcdutl"), "etcdutl");
    symlink(tools::connector(), world.path().join("connector.wasm")).expect("a link can be made");
    pki(world.path());
    let script = [include_str!("hosts.sh"), story, "\necho the end of the story\n"].concat();
    fs::write(world.path().join("script"), script).expect("the folder is ours");

    let path = format!("/usr/local/bin:{}:/usr/bin:/bin:/usr/sbin:/sbin", programs.display());
    let mut run = Run::of(command("unshare"))
        .args(["-n", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "bash"])
        .path(world.path().join("script"))
        .env("PATH", &path)
        .env("WORLD", text(world.path()))
        .env("PKI", text(&world.path().join("pki")));
    for (name, value) in variables {
        run = run.env(name, value);
    }
    let outcome = run.wait();
    assert_eq!(outcome.code, 0, "{version}: {outcome}");
    assert!(outcome.stdout.contains("the end of the story"), "{version}: {outcome}");
    outcome
}

/// One authority, a certificate for all members and one for clients, under the names
/// that kubeadm gives them as well.
fn pki(world: &Path) {
    let authority = Authority::new();
    let folder = world.join("pki");
    fs::create_dir(&folder).expect("the folder is ours");
    let addresses: Vec<String> = (1..=13).map(|n| format!("10.0.0.{n}")).collect();
    let mut names = vec!["localhost", "127.0.0.1", "m1.test", "m2.test", "m3.test"];
    names.extend(addresses.iter().map(String::as_str));
    let copy = |file: &str, name: &str| {
        fs::copy(file, folder.join(name)).expect("it was written");
    };
    copy(&authority.file(), "ca.crt");
    for (leaf, called) in [
        (Leaf::server(&names), ["server", "peer"]),
        (Leaf::client(Some("root")), ["client", "healthcheck-client"]),
    ] {
        let identity = authority.issue(leaf);
        for name in called {
            copy(&identity.cert, &format!("{name}.crt"));
            copy(&identity.key, &format!("{name}.key"));
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

/// Restores by the blocks of a guide, with the revision raised.
pub(crate) fn restore(version: Version, guide: &str, dump: &Path, data: &Path) -> Outcome {
    let block = |section: &str| {
        let (_, text) = guide.split_once(section).expect(section);
        let (_, text) = text.split_once("```sh\n").expect(section);
        text.split_once("\n```\n").expect(section).0
    };
    let script = [block("\n## 1. "), block("\n## 5. ")].join("\n");
    Run::of(command("sh"))
        .args(["-c", &script])
        .env("ETCDUTL", text(&version.program("etcdutl")))
        .env("DUMP", text(dump))
        .env("DATA_DIR", text(data))
        .env("BUMP", "1000000000")
        .wait()
}

fn one_member_comes_back(version: Version, variant: &str) {
    run_story(include_str!("one.sh"), version, &[("VARIANT", variant)]);
}

#[test]
fn one_member_of_3_4_with_its_log_elsewhere_comes_back() {
    one_member_comes_back(Version::V3_4_23, "wal");
}

#[test]
fn one_member_of_3_5_out_of_space_comes_back() {
    one_member_comes_back(Version::V3_5_33, "alarm");
}

#[test]
fn one_member_of_3_6_on_a_disk_of_its_own_comes_back() {
    one_member_comes_back(Version::V3_6_14, "mount");
}

#[test]
fn one_member_of_3_7_with_its_log_elsewhere_comes_back() {
    one_member_comes_back(Version::V3_7_1, "wal");
}

#[test]
fn three_members_with_names_tls_and_authentication_come_back() {
    run_story(include_str!("three.sh"), Version::V3_6_14, &[]);
}

#[test]
fn members_of_one_name_come_back_without_a_learner_and_with_their_alarm() {
    run_story(include_str!("odd.sh"), Version::V3_4_23, &[]);
}

#[test]
fn a_member_left_over_from_an_earlier_restore_stays_out() {
    run_story(include_str!("again.sh"), Version::V3_5_33, &[]);
}

#[test]
fn control_planes_of_kubeadm_come_back() {
    run_story(include_str!("kubeadm.sh"), Version::V3_6_14, &[]);
}

#[test]
fn members_that_a_proxy_hid_come_back_under_the_names_that_are_given() {
    run_story(include_str!("proxy.sh"), Version::V3_6_14, &[]);
}

/// If the member list was refused, the operator fills in the names.
#[test]
fn a_guide_without_a_member_list_says_so() {
    let denied = Response::refusal(
        host_tests::etcd::GatewayStyle::V2,
        403,
        7,
        "etcdserver: permission denied",
    );
    let gateway = Gateway::start(Member::with(&database(2)).on("/v3/cluster/member/list", denied));
    // The pages would name the members.
    let BackedUp { outcome, target } = Backup::of(gateway.location()).option("proof=off").run();
    outcome.assert_ok();
    assert!(target.guide().contains("The member list is not known"), "{}", target.guide());
}
