//! Control planes that kubeadm has set up lose all of their data, and come back by
//! the printed steps alone.

use super::{BUMP, assert_same, blocks, change, populate, resource_version};
use host_tests::etcd::{Etcd, Version};
use host_tests::kubernetes::{ControlPlane, Kubeadm, Lists, Shell};
use host_tests::plakar::Plakar;
use host_tests::target::Target;

const VERSION: Version = Version::V3_5_33;

const NODES: [(&str, &str); 3] = [("cp1", "10.0.0.11"), ("cp2", "10.0.0.12"), ("cp3", "10.0.0.13")];

/// What plakar brought back, and what it is to bring back.
struct Backup {
    target: Target,
    revision: u64,
    lists: Lists,
    /// No resource version was ever higher.
    highest: u64,
}

/// Fills a cluster, backs it up, and lets it go on.
fn back_up(cluster: &Kubeadm) -> Backup {
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
    let revision = Etcd::restore(VERSION, &target.dump()).revision();
    // Asked for by revision, so it may come later.
    let lists = first.lists_at(revision);
    change(|arguments| first.kubectl(arguments));
    let highest = resource_version(&first.get("/api/v1/namespaces"));
    Backup { target, revision, lists, highest }
}

/// All members lose their data. The kubelets go on, and so a member starts anew.
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

/// Fails unless this control plane is as healthy as kubeadm expects, and its API
/// server serves the objects of the backup.
fn assert_is_back(machine: &ControlPlane, backup: &Backup) {
    let look = "export ETCDCTL_API=3
        PKI=/etc/kubernetes/pki/etcd
        etcdctl --endpoints https://127.0.0.1:2379 --cacert $PKI/ca.crt \
            --cert $PKI/healthcheck-client.crt --key $PKI/healthcheck-client.key endpoint health";
    machine.node.run(look).wait().assert_ok();
    let probe = "exec 3<>/dev/tcp/127.0.0.1/2381; printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
    let probe = machine.node.run(&format!("bash -c \"{probe}\"")).wait();
    assert!(probe.stdout.starts_with("HTTP/1.0 200"), "{probe}");
    assert_same(&machine.lists_at(backup.revision + BUMP), &backup.lists);
    for name in ["kube-controller-manager", "kube-scheduler"] {
        assert!(machine.pod(name).is_some(), "`{name}` does not run on `{}`", machine.node.name);
    }
}

#[test]
fn three_control_planes_come_back_by_the_printed_steps() {
    let cluster = Kubeadm::start(VERSION, &NODES);
    let backup = back_up(&cluster);
    lose_all_data(&cluster);

    let guide = backup.target.guide();
    let mut shells: Vec<Shell> =
        cluster.control_planes.iter().map(|machine| Shell::open(&machine.node)).collect();
    let token = shells[0].run("date +%s");
    let set = format!("DUMP={} TOKEN={}", backup.target.dump().display(), token.trim());
    for shell in &mut shells {
        shell.run(&set);
    }
    let mut on_each = |headings: &[&str], number: usize| {
        for shell in &mut shells {
            shell.run(blocks(&guide, headings)[number]);
        }
    };
    on_each(&["## 1. Say which member this host is"], 0);
    on_each(&["## 2. Check the file and the tool"], 0);
    on_each(&["## 2. Check the file and the tool"], 1);
    on_each(&["## 3. Stop the old cluster", "### Kubernetes static pods"], 0);
    on_each(&["## 4. Move the old data aside"], 0);
    on_each(&["## 5. Restore"], 0);
    on_each(&["## 6. Start", "### Kubernetes static pods"], 0);
    on_each(&["## 7. Look"], 0);
    on_each(&["## 6. Start", "### Kubernetes static pods"], 1);

    for machine in &cluster.control_planes {
        machine.wait_until_ready();
        assert_is_back(machine, &backup);
    }
    let first = &cluster.control_planes[0];
    first.kubectl(&["create", "namespace", "new"]).wait().assert_ok();
    let new = resource_version(&first.get("/api/v1/namespaces/new"));
    assert!(new > backup.highest, "{new} after {}", backup.highest);
}
