//! Logins to clusters of several members.

use super::{VERSION, assert_taken_from, endpoints, fill, from};
use host_tests::backup::BackedUp;
use host_tests::etcd::{Cluster, Version};
use plakar_connector::ErrorKind;
use tempfile::NamedTempFile;

const PASSWORD: &str = "correct horse";

fn password_file() -> NamedTempFile {
    let file = NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), PASSWORD).expect("written");
    file
}

fn login(password: &NamedTempFile) -> [String; 2] {
    ["username=backup".into(), format!("password_file={}", password.path().display())]
}

/// Logs in to a cluster of three; returns how often the leader, the follower that
/// was typed first and the other one were asked for a token.
fn logins_at_leader_and_followers(version: Version, proof: &str) -> [u64; 3] {
    let cluster = Cluster::start(version, 3);
    fill(&cluster);
    let (leader, followers) = (cluster.leader(), cluster.followers());
    let members = [leader, followers[0], followers[1]];
    cluster.client(leader).enable_authentication(PASSWORD);
    for &member in &members {
        cluster.eventually("want a login", || {
            cluster.client(member).refuses_without_login().then_some(())
        });
    }
    let file = password_file();
    let mut options: Vec<String> = login(&file).into();
    options.push(proof.into());
    let backup = from(&endpoints(&cluster, &members)).options(&options).run();
    assert_taken_from(&cluster, followers[0], "follower", &backup);
    assert_eq!(backup.target.manifest()["auth_enabled"], true);
    assert!(!backup.outcome.says(PASSWORD));
    members.map(|member| cluster.metrics(member).logins())
}

/// This version returns its status without a login, so no other member is asked for a token; its
/// HashKV needs a login.
#[test]
fn a_token_is_asked_of_the_chosen_follower_alone_unless_all_are_compared() {
    assert_eq!(logins_at_leader_and_followers(Version::V3_4_23, "proof=off"), [0, 1, 0]);
    assert_eq!(logins_at_leader_and_followers(Version::V3_4_23, "proof=require"), [1, 1, 1]);
}

/// This one returns its status to users only: each is asked for a token of its
/// own, and no token of the chosen one is used elsewhere.
#[test]
fn members_that_guard_their_status_are_logged_in_to_once_each() {
    assert_eq!(logins_at_leader_and_followers(VERSION, "proof=off"), [1, 1, 1]);
}

/// A login is a proposal to the cluster; without a quorum nobody can have one.
#[test]
fn without_a_quorum_a_login_ends_in_time_and_names_the_member() {
    for version in [Version::V3_4_23, VERSION] {
        let mut cluster = Cluster::start(version, 3);
        let (leader, followers, file) = (cluster.leader(), cluster.followers(), password_file());
        cluster.client(leader).enable_authentication(PASSWORD);
        let left = followers[1];
        cluster.eventually("want a login", || {
            cluster.client(left).refuses_without_login().then_some(())
        });
        cluster.kill(leader);
        cluster.kill(followers[0]);
        let options = [&login(&file)[..], &["connect_timeout=3s".into()]].concat();
        let BackedUp { outcome, target } =
            from(&endpoints(&cluster, &[left])).options(&options).run();
        let place = format!("`{}`: login: ", cluster.endpoint(left));
        outcome.assert_failed(ErrorKind::TimedOut, &[&place, "sent nothing for 3s"]);
        target.assert_nothing_left();
        assert_eq!(cluster.snapshots_ended(left), 0);
    }
}
