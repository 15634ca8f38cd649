//! What was backed up comes back.

use host_tests::etcd::{Client, Etcd, Version, Writer, free_port};
use host_tests::plakar::Plakar;
use host_tests::process::{Process, command};
use serde_json::json;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

#[test]
fn a_cluster_of_every_version_comes_back_from_the_store() {
    let plakar = Plakar::new();
    for version in Version::ALL {
        let etcd = Etcd::start(version);
        etcd.put_many("config", 300, 1000);
        etcd.delete("config/00000007");
        etcd.compact(2);
        let outcome = plakar.backup(&etcd.location(), &[]).wait();
        outcome.assert_code(0);
        assert!(outcome.says("completed without errors"), "{outcome}");
        plakar.assert_no_plugin_left();

        let snapshot = plakar.latest();
        for name in ["dump", "manifest.json", "RESTORE.md"] {
            assert!(snapshot.list().contains(name), "no `{name}`: {}", snapshot.list());
        }
        let info = snapshot.info();
        for line in ["Type: etcd", &format!("Origin: {}", etcd.endpoint()), "Errors: 0"] {
            assert!(info.contains(line), "no `{line}`: {info}");
        }
        assert!(snapshot.cat("/RESTORE.md").contains("etcd"));
        snapshot.check();

        let target = snapshot.restore();
        target.assert_whole_backup();
        assert_eq!(snapshot.cat("/manifest.json"), read(&target.path().join("manifest.json")));
        let restored = Etcd::restore(version, &target.dump());
        let revision = restored.revision();
        assert_eq!(restored.hash_kv(revision), etcd.hash_kv(revision), "etcd {version}");
        assert_eq!(restored.full_range(revision), etcd.full_range(revision), "etcd {version}");
        assert_eq!(restored.key_count(revision), 299);
    }
}

#[test]
fn a_cluster_under_load_comes_back_as_it_was_at_one_revision() {
    let etcd = Etcd::start(Version::V3_6_14);
    etcd.put_many("config", 2000, 4000);
    let writer = Writer::start(&etcd);
    let plakar = Plakar::new();
    plakar.backup(&etcd.location(), &[]).wait().assert_code(0);
    assert!(writer.stop() > 1, "nothing was written meanwhile");
    let target = plakar.latest().restore();
    let restored = Etcd::restore(etcd.version, &target.dump());
    let revision = restored.revision();
    assert_eq!(restored.full_range(revision), etcd.full_range(revision));
    assert_eq!(restored.hash_kv(revision).hash, etcd.hash_kv(revision).hash);
}

#[test]
fn users_the_switch_of_authentication_and_leases_come_back() {
    let etcd = Etcd::start(Version::V3_6_14);
    etcd.post("/v3/lease/grant", &json!({ "TTL": 3600, "ID": 4711 }));
    etcd.post("/v3/kv/put", &json!({ "key": "bGVhc2Vk", "value": "eA==", "lease": 4711 }));
    etcd.enable_authentication("hunter2");

    let plakar = Plakar::new();
    let file = plakar.home().join("password");
    std::fs::write(&file, "hunter2\n").expect("it is ours");
    let option = format!("password_file={}", file.display());
    let outcome = plakar.backup(&etcd.location(), &["-o", "username=backup", "-o", &option]).wait();
    outcome.assert_code(0);
    assert!(!outcome.says("command line"), "a warning without a reason: {outcome}");
    assert!(!outcome.says("hunter2"), "{outcome}");

    let target = plakar.latest().restore();
    let restored = Etcd::restore(etcd.version, &target.dump());
    assert!(restored.refuses_without_login(), "authentication was not switched on again");
    let login = json!({ "name": "reader", "password": "hunter2" });
    let response = restored.post("/v3/auth/authenticate", &login);
    assert!(response["token"].is_string(), "the user is another: {response}");
    let etcdctl = Command::new(etcd.version.program("etcdctl"))
        .env_clear()
        .args(["--endpoints", &restored.endpoint(), "--user", "root:hunter2"])
        .args(["lease", "timetolive", "1267", "--keys"])
        .output()
        .expect("`etcdctl` can be run");
    let reported = String::from_utf8_lossy(&etcdctl.stdout);
    // etcdctl writes lease ids in hexadecimal: 0x1267 is 4711.
    assert!(
        reported.contains("1267 granted") && reported.contains("[leased]"),
        "{reported}{etcdctl:?}"
    );
}

#[test]
fn three_members_boot_from_one_dump_and_agree() {
    let etcd = Etcd::start(Version::V3_6_14);
    etcd.put_many("config", 200, 1000);
    let plakar = Plakar::new();
    plakar.backup(&etcd.location(), &[]).wait().assert_code(0);
    let target = plakar.latest().restore();

    let folder = TempDir::with_prefix("three-").expect("the temporary directory can be written");
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    let ports: Vec<(u16, u16)> = (0..3).map(|_| (free_port(), free_port())).collect();
    let cluster: Vec<String> =
        ports.iter().enumerate().map(|(n, (_, peer))| format!("m{n}={}", url(*peer))).collect();
    let cluster = cluster.join(",");
    let mut running = Vec::new();
    for (n, (client, peer)) in ports.iter().enumerate() {
        let (name, peer, client) = (format!("m{n}"), url(*peer), url(*client));
        let data = folder.path().join(&name);
        let restored = Command::new(etcd.version.restorer())
            .args(["snapshot", "restore"])
            .arg(target.dump())
            .args(["--name", &name, "--initial-cluster", &cluster, "--data-dir"])
            .arg(&data)
            .args(["--initial-advertise-peer-urls", &peer])
            .output()
            .expect("the restoring tool can be run");
        assert!(restored.status.success(), "{restored:?}");
        let mut member = command(etcd.version.program("etcd"));
        member
            .env_clear()
            .args(["--name", &name, "--initial-cluster", &cluster, "--data-dir"])
            .arg(&data)
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .arg("--unsafe-no-fsync")
            .stderr(Stdio::null());
        running.push(Process::start(member));
    }
    let clients: Vec<Client> =
        ports.iter().map(|(client, _)| Client::new(format!("127.0.0.1:{client}"))).collect();
    let started = Instant::now();
    while !clients.iter().all(|client| matches!(client.try_get("/health"), Ok((200, _)))) {
        assert!(started.elapsed() < Duration::from_secs(30), "the three do not serve: {running:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let revision = clients[0].revision();
    let expected = etcd.hash_kv(revision);
    for client in &clients {
        assert_eq!(Etcd::hash_kv_of(etcd.version, client, revision), expected);
    }
}

/// The runbook's commands, on what came out of the store.
#[test]
fn the_guide_in_the_store_brings_a_kubernetes_cluster_back() {
    let etcd = Etcd::start(Version::V3_6_14);
    etcd.put_many("registry", 100, 100);
    let plakar = Plakar::new();
    plakar.backup(&etcd.location(), &[]).wait().assert_code(0);
    let snapshot = plakar.latest();
    let target = snapshot.restore();
    let folder = TempDir::with_prefix("restored-").expect("the temporary directory can be written");
    let guide = snapshot.cat("/RESTORE.md");
    let data = folder.path().join("data");
    crate::runbook::restore(etcd.version, &guide, &target.dump(), &data).assert_ok();
    let restored = Etcd::start_on(etcd.version, folder);
    assert!(restored.revision() > 1_000_000_000, "{}", restored.revision());
    assert_eq!(restored.key_count(restored.revision()), 100);
}

fn read(path: &std::path::Path) -> String {
    std::fs::read_to_string(path).expect("it was restored")
}
