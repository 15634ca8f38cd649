//! One API server on one member, which goes and comes back.

use super::{BUMP, assert_same, blocks, change, populate, resource_version};
use host_tests::etcd::{Etcd, Version};
use host_tests::kubernetes::ApiServer;
use host_tests::plakar::Plakar;
use host_tests::process::command;
use host_tests::run::Run;
use host_tests::target::Target;
use std::path::Path;
use tempfile::TempDir;

/// Restores by the guide, as it is for a member that no Kubernetes is known of.
fn restore(version: Version, target: &Target, data: &Path) {
    let guide = target.guide();
    let steps = [
        "## 1. Set the variables for this host",
        "## 2. Check the file and the tool",
        "## 4. Move the old data aside",
        "## 5. Restore",
    ];
    let script: Vec<&str> = steps.iter().flat_map(|step| blocks(&guide, &[step])).collect();
    let programs = version.program("etcdutl");
    let programs = programs.parent().expect("a folder").display();
    Run::of(command("sh"))
        .args(["-e", "-c", &script.join("\n")])
        .env("PATH", &format!("{programs}:{}", std::env::var("PATH").unwrap_or_default()))
        .env("DUMP", target.dump().to_str().expect("temporary paths are UTF-8"))
        .env("DATA_DIR", data.to_str().expect("temporary paths are UTF-8"))
        .env("BUMP", &BUMP.to_string())
        .wait()
        .assert_ok();
}

#[test]
fn the_api_server_serves_the_objects_of_the_backup_and_sends_watchers_back_to_the_start() {
    let etcd = Etcd::start(Version::V3_6_14);
    let server = ApiServer::start(&etcd.endpoint());
    populate(|arguments| server.kubectl(arguments));
    let plakar = Plakar::new();
    plakar.backup(&etcd.location(), &[]).wait().assert_code(0);
    let target = plakar.latest().restore();
    let last_seen = resource_version(&server.get("/api/v1/configmaps"));
    // Asked for by revision, so this may come later.
    let revision = {
        let restored = Etcd::restore(etcd.version, &target.dump());
        let (manifest, revision) = (target.manifest(), restored.revision());
        assert_eq!(manifest["revision"]["exact"], revision);
        assert_eq!(manifest["database"]["keys"], restored.key_count(revision));
        assert_eq!(manifest["proof"]["outcome"], "self-consistent", "{}", manifest["proof"]);
        revision
    };
    let expected = server.lists_at(revision);
    change(|arguments| server.kubectl(arguments));
    let changed = server.lists_now();
    drop(server);
    let highest = etcd.revision();
    let version = etcd.version;
    drop(etcd);

    let folder = TempDir::with_prefix("restored-").expect("a temporary directory");
    restore(version, &target, &folder.path().join("data"));
    let etcd = Etcd::start_on(version, folder);
    let server = ApiServer::start(&etcd.endpoint());

    // Before the server wrote anything of its own.
    assert_same(&server.lists_at(revision + BUMP), &expected);
    let now = server.lists_now();
    for list in ["/api/v1/configmaps", "/api/v1/secrets", "/apis/apps/v1/deployments"] {
        assert_eq!(now[list], expected[list], "`{list}`");
        assert_ne!(now[list], changed[list], "`{list}` was to be changed after the backup");
    }

    for seen in [last_seen, highest] {
        let mut watch = server.watch("/api/v1/configmaps", seen);
        let event = watch.event();
        assert_eq!(event["type"], "ERROR", "from {seen}: {event}");
        assert_eq!(event["object"]["code"], 410, "from {seen}: {event}");
    }
    let list = server.get("/api/v1/configmaps");
    let mut watch = server.watch("/api/v1/configmaps", resource_version(&list));
    for arguments in [
        &["create", "configmap", "new"][..],
        &["label", "configmap", "new", "changed=yes"],
        &["delete", "configmap", "new"],
    ] {
        server.kubectl(arguments).wait().assert_ok();
    }
    for kind in ["ADDED", "MODIFIED", "DELETED"] {
        let event = watch.event();
        assert_eq!(event["type"], kind, "{event}");
        assert_eq!(event["object"]["metadata"]["name"], "new", "{event}");
        assert!(resource_version(&event["object"]) > highest, "{highest}: {event}");
    }
}
