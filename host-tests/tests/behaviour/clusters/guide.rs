//! The commands of `RESTORE.md` for a cluster as kubeadm sets it up.

use super::{VERSION, assert_taken_from, backup, endpoints};
use crate::runbook::{block, restore};
use host_tests::etcd::{Cluster, free_port};
use host_tests::process::{self, Process};
use host_tests::target::Target;
use std::path::Path;
use tempfile::TempDir;

/// Runs a block that starts etcd with these flags besides, as the guide asks.
fn start(block: &str, flags: &[String], data: &Path) -> Process {
    let programs = VERSION.program("etcd");
    let folder = programs.parent().expect("a folder").display();
    // As printed, but that the shell gives its process to etcd.
    let script = block.trim_end().replace("\netcd ", "\nexec etcd ");
    let mut command = process::command("sh");
    command
        .args(["-c", &format!("{script} {}", flags.join(" "))])
        .env("PATH", format!("{folder}:{}", std::env::var("PATH").unwrap_or_default()))
        .env("DATA_DIR", data)
        .stderr(std::process::Stdio::null());
    Process::start(command)
}

#[test]
fn three_members_like_kubeadms_come_back_by_the_guide_all_at_once_or_one_by_one() {
    let mut cluster = Cluster::start_secure(VERSION, 3);
    let leader = cluster.leader();
    for key in 0..10 {
        let mut etcdctl = cluster.etcdctl(&cluster.endpoint(leader));
        let output = etcdctl.args(["put", &format!("key/{key}"), "value"]).output();
        assert!(output.expect("`etcdctl` can be run").status.success());
    }
    let revision = cluster.revision(&cluster.endpoint(leader));
    let follower = cluster.followers()[0];
    let all = endpoints(&cluster, &[0, 1, 2]);
    for endpoint in &all {
        cluster.wait_for_revision(endpoint, revision);
    }
    let target = Target::new();
    let outcome = backup("etcd+https://", &all, &target, &cluster.options()).wait();
    let backup = (outcome, target);
    assert_taken_from(&cluster, follower, "follower", &backup);
    let expected = cluster.hash_kv(&all[leader], revision);
    let target = backup.1;
    assert!(target.manifest()["members"][0]["peer_urls"][0].to_string().contains("https://"));

    // The guide: stop every member of the old cluster first.
    (0..3).for_each(|index| cluster.kill(index));
    let guide = target.guide();
    let flags = cluster.tls_flags();
    let folder = TempDir::with_prefix("restored-").expect("a temporary directory");

    let restored: Vec<Process> = (0..3)
        .map(|index| {
            let data = folder.path().join(cluster.name(index));
            let heading = format!("### `{}`", cluster.name(index));
            restore(VERSION, &block(&guide, &heading, "snapshot restore"), &target.dump(), &data)
                .assert_ok();
            start(&block(&guide, &heading, "etcd --data-dir"), &flags, &data)
        })
        .collect();
    for endpoint in &all {
        cluster.wait_for_revision(endpoint, revision);
        assert_eq!(cluster.hash_kv(endpoint, revision), expected, "`{endpoint}`");
    }
    drop(restored);

    let heading = "## One member";
    let data = folder.path().join("alone");
    restore(VERSION, &block(&guide, heading, "snapshot restore"), &target.dump(), &data)
        .assert_ok();
    let begin = block(&guide, heading, "etcd --data-dir");
    let _first = start(&begin, &flags, &data);
    let alone = all.iter().find(|endpoint| begin.contains(*endpoint)).expect("it names a member");
    cluster.wait_for_revision(alone, revision);

    let peer_url = format!("https://127.0.0.1:{}", free_port());
    let endpoint = format!("127.0.0.1:{}", free_port());

    let printed = cluster.member_add(alone, &["second", "--peer-urls", &peer_url]);
    let mut second = process::command(VERSION.program("etcd"));
    second
        .envs(printed)
        .arg("--data-dir")
        .arg(folder.path().join("second"))
        .args(["--listen-peer-urls", &peer_url])
        .args(["--listen-client-urls", &format!("https://{endpoint}")])
        .args(["--advertise-client-urls", &format!("https://{endpoint}")])
        .args(&flags)
        .stderr(std::process::Stdio::null());
    let _second = Process::start(second);
    for endpoint in [alone, &endpoint] {
        cluster.wait_for_revision(endpoint, revision);
        assert_eq!(cluster.hash_kv(endpoint, revision), expected, "`{endpoint}`");
    }
}
