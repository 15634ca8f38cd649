//! Control planes that kubeadm has set up lose all of their data, and come back by
//! the printed steps alone.

use super::{BUMP, assert_same, blocks, change, populate, resource_version};
use host_tests::etcd::{Etcd, Version};
use host_tests::kubernetes::{ControlPlane, Kubeadm, Lists, Shell};
use host_tests::plakar::Plakar;
use host_tests::target::Target;
use serde_json::Value;
use tempfile::TempDir;

const NODES: [(&str, &str); 3] = [("cp1", "10.0.0.11"), ("cp2", "10.0.0.12"), ("cp3", "10.0.0.13")];

/// What plakar brought back, and what it is to bring back.
struct Backup {
    target: Target,
    guide: String,
    revision: u64,
    lists: Lists,
    /// No resource version was ever higher.
    highest: u64,
}

/// Fills a cluster, backs it up, and lets it go on.
fn back_up(cluster: &Kubeadm, version: Version) -> Backup {
    let first = &cluster.control_planes[0];
    populate(|arguments| first.kubectl(arguments));
    let plakar = Plakar::new();
    let endpoints: Vec<String> = cluster
        .control_planes
        .iter()
        .map(|machine| format!("{}:2379", machine.node.address))
        .collect();
    let endpoints = format!("endpoints={}", endpoints.join(","));
    const PKI: &str = "/etc/kubernetes/pki/etcd";
    let [ca, cert, key] = [
        format!("tls_ca_file={PKI}/ca.crt"),
        format!("tls_cert_file={PKI}/healthcheck-client.crt"),
        format!("tls_private_key_file={PKI}/healthcheck-client.key"),
    ];
    let options = ["-o", &endpoints, "-o", &ca, "-o", &cert, "-o", &key];
    plakar.backup("etcd+https://", &options).on(&first.node).wait().assert_code(0);
    let target = plakar.latest().restore();
    let revision = Etcd::restore(version, &target.dump()).revision();
    // Asked for by revision, so it may come later.
    let lists = first.lists_at(revision);
    change(|arguments| first.kubectl(arguments));
    let highest = resource_version(&first.get("/api/v1/namespaces"));
    Backup { guide: target.guide(), target, revision, lists, highest }
}

/// All members lose their data. The kubelets continue, and so a member starts again.
fn lose_all_data(cluster: &Kubeadm) {
    for machine in &cluster.control_planes {
        machine.node.run("rm -r /var/lib/etcd/member").wait().assert_ok();
        machine.kill("etcd");
    }
    let first = &cluster.control_planes[0];
    first.eventually("serve an empty cluster", || {
        let shop = first.kubectl(&["get", "namespace", "shop", "--request-timeout", "5s"]).wait();
        shop.says("NotFound")
    });
}

/// Fails unless this control plane is as healthy as kubeadm wants it to be, and its
/// API server serves the objects of the backup.
#[track_caller]
fn assert_is_back(machine: &ControlPlane, backup: &Backup) {
    machine.etcdctl("endpoint health").wait().assert_ok();
    // The address that the manifest's probes ask.
    let ask =
        r"exec 3<>/dev/tcp/127.0.0.1/2381; printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3; cat <&3";
    let probe = machine.node.run(&format!("bash -c \"{ask}\"")).wait();
    assert!(probe.stdout.starts_with("HTTP/1.0 200"), "{probe}");
    machine.wait_until_ready();
    assert_same(&machine.lists_at(backup.revision + BUMP), &backup.lists);
    for name in ["kube-controller-manager", "kube-scheduler"] {
        assert!(machine.pod(name).is_some(), "`{name}` does not run on `{}`", machine.node.name);
    }
}

/// Fails unless all members hold the same, and nobody else is one.
#[track_caller]
fn assert_all_agree(cluster: &Kubeadm, backup: &Backup) {
    let revision = backup.revision + BUMP;
    let hashes = cluster.control_planes[0]
        .etcdctl(&format!("endpoint hashkv --cluster -w json --rev {revision}"))
        .wait();
    hashes.assert_ok();
    let hashes: Value = serde_json::from_str(&hashes.stdout).expect("`etcdctl` prints JSON");
    let hashes = hashes.as_array().expect("a response of each");
    assert_eq!(hashes.len(), cluster.control_planes.len(), "{hashes:?}");
    let hash = |response: &Value| response["HashKV"]["hash"].as_u64().expect("a hash");
    assert!(hashes.iter().all(|other| hash(other) == hash(&hashes[0])), "{hashes:?}");
}

#[track_caller]
fn assert_all_are_back(cluster: &Kubeadm, backup: &Backup) {
    std::thread::scope(|scope| {
        for machine in &cluster.control_planes {
            scope.spawn(|| assert_is_back(machine, backup));
        }
    });
    assert_all_agree(cluster, backup);
    let first = &cluster.control_planes[0];
    first.kubectl(&["create", "namespace", "new"]).wait().assert_ok();
    let new = resource_version(&first.get("/api/v1/namespaces/new"));
    assert!(new > backup.highest, "{new} after {}", backup.highest);
}

/// The operator's shells, one on each host.
struct Shells<'a> {
    shells: Vec<Shell>,
    backup: &'a Backup,
}

impl Shells<'_> {
    /// Opens them, and sets in each what the guide says to set first.
    fn open<'a>(machines: &[ControlPlane], backup: &'a Backup, settings: &str) -> Shells<'a> {
        let mut shells: Vec<Shell> =
            machines.iter().map(|machine| Shell::open(&machine.node)).collect();
        let token = shells[0].run("date +%s");
        let dump = backup.target.dump();
        for shell in &mut shells {
            shell.run(&format!("DUMP={} TOKEN={} {settings}", dump.display(), token.trim()));
        }
        Shells { shells, backup }
    }

    /// Runs one of the blocks below a heading on every host, at the same time: a
    /// host's API server takes long to end.
    #[track_caller]
    fn run(&mut self, headings: &[&str], number: usize) {
        let block = blocks(&self.backup.guide, headings)[number];
        std::thread::scope(|scope| {
            for shell in &mut self.shells {
                scope.spawn(|| shell.run(block));
            }
        });
    }
}

const WHICH: &str = "## 1. Set the variables for this host";
const CHECK: &str = "## 2. Check the file and the tool";
const STOP: &str = "## 3. Stop the old cluster";
const MOVE: &str = "## 4. Move the old data aside";
const RESTORE: &str = "## 5. Restore";
const START: &str = "## 6. Start";
const LOOK: &str = "## 7. Check the result";
const PODS: &str = "### Kubernetes static pods";

#[test]
fn three_control_planes_come_back_by_the_printed_steps() {
    let version = Version::V3_5_33;
    let cluster = Kubeadm::start(version, &NODES);
    let backup = back_up(&cluster, version);
    lose_all_data(&cluster);

    let mut hosts = Shells::open(&cluster.control_planes, &backup, "");
    hosts.run(&[WHICH], 0);
    hosts.run(&[CHECK], 0);
    hosts.run(&[CHECK], 1);
    hosts.run(&[STOP, PODS], 0);
    hosts.run(&[MOVE], 0);
    hosts.run(&[RESTORE], 0);
    hosts.run(&[START, PODS], 0);
    hosts.run(&[LOOK], 0);
    hosts.run(&[START, PODS], 1);
    assert_all_are_back(&cluster, &backup);
}

/// The first one by `kubeadm init` on what was restored, with the keys of the old
/// cluster; the others by `kubeadm join`.
#[test]
fn a_cluster_comes_back_on_other_hosts_one_of_them_first() {
    let version = Version::V3_6_14;
    let mut cluster = Kubeadm::start(version, &NODES[..2]);
    let backup = back_up(&cluster, version);
    let keys = TempDir::with_prefix("keys-").expect("a temporary directory");
    let place = keys.path().display();
    // The other certificates are for the old addresses, and kubeadm would keep them.
    let save = format!(
        "cd /etc/kubernetes/pki && tar cf {place}/keys ca.* sa.* front-proxy-ca.* etcd/ca.*"
    );
    cluster.control_planes[0].node.run(&save).wait().assert_ok();
    cluster.control_planes.clear();

    cluster.add("new1", "10.0.0.21");
    let load = format!("mkdir /etc/kubernetes/pki && tar xf {place}/keys -C /etc/kubernetes/pki");
    cluster.control_planes[0].node.run(&load).wait().assert_ok();
    let settings = "ALONE=yes ADDRESS=10.0.0.21 IMAGE=images.test/etcd:3.6.14-0";
    let mut host = Shells::open(&cluster.control_planes, &backup, settings);
    host.run(&[WHICH], 0);
    host.run(&[CHECK], 0);
    host.run(&[CHECK], 1);
    host.run(&[STOP, PODS], 0);
    host.run(&[MOVE], 0);
    host.run(&[RESTORE], 0);
    let first = &cluster.control_planes[0];
    let (_, ignored) = backup
        .guide
        .split_once("`kubeadm init --ignore-preflight-errors=")
        .expect("it is in the guide");
    let (ignored, _) = ignored.split_once('`').expect("it ends");
    let objections = first.objections(ignored);
    // Others are of the machine that this runs on.
    assert!(objections.contains("[WARNING DirAvailable--var-lib-etcd]"), "{objections}");
    first.init();
    host.run(&[LOOK], 0);
    for (name, address) in [("new2", "10.0.0.22"), ("new3", "10.0.0.23")] {
        let index = cluster.add(name, address);
        cluster.join(index);
    }
    cluster.control_planes[0].kubectl(&["delete", "node", "cp1", "cp2"]).wait().assert_ok();
    assert_all_are_back(&cluster, &backup);
}
