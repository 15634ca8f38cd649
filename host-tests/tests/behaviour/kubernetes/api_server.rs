//! One API server on one member, which goes and comes back.

use super::{BUMP, assert_same, change, populate, resource_version};
use crate::runbook::{block, restore};
use host_tests::etcd::{Etcd, Version};
use host_tests::kubernetes::ApiServer;
use host_tests::plakar::Plakar;
use serde_json::Value;
use tempfile::TempDir;

/// The name in an object, and the kind of event that it came with.
fn told(event: &Value) -> (&str, &str) {
    let text = |value: &'_ Value| value.as_str().map_or("", |text| text);
    (text(&event["type"]), text(&event["object"]["metadata"]["name"]))
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
    let revision = Etcd::restore(etcd.version, &target.dump()).revision();
    let expected = server.lists_at(revision);
    change(|arguments| server.kubectl(arguments));
    let changed = server.lists_now();
    drop(server);
    let highest = etcd.revision();
    let version = etcd.version;
    drop(etcd);

    let folder = TempDir::with_prefix("restored-").expect("a temporary directory");
    let script = block(&target.guide(), "## Under Kubernetes", "--bump-revision");
    restore(version, &script, &target.dump(), &folder.path().join("data")).assert_ok();
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
        let event = watch.next();
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
        let event = watch.next();
        assert_eq!(told(&event), (kind, "new"), "{event}");
        assert!(resource_version(&event["object"]) > highest, "{highest}: {event}");
    }
}
