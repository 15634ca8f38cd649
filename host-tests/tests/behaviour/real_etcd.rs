//! Backups of real members come back as the same data.

use host_tests::backup::Backup;
use host_tests::etcd::{Etcd, Version, Writer};
use host_tests::target::Target;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// Backs the member up and checks everything that the files say.
fn back_up(etcd: &Etcd, transport: &str) -> Target {
    let backup = Backup::of(etcd.location()).option(format!("transport={transport}")).run();
    backup.assert_ok();
    let target = backup.target;
    assert_dump_is_proven(&target);
    let manifest = target.manifest();
    assert_eq!(manifest["version"], 1);
    assert_eq!(manifest["endpoint"], etcd.endpoint());
    assert_eq!(manifest["transport"], transport);
    assert_eq!(manifest["etcd_version"], etcd.version.name());
    assert_eq!(manifest["member"]["name"], "m1");
    assert_eq!(manifest["member"]["role"], "leader");
    assert_eq!(manifest["endpoints_rejected"], Value::Array(Vec::new()));
    target
}

/// The dump is what `etcdctl snapshot save` writes, and what the manifest says.
fn assert_dump_is_proven(target: &Target) {
    let dump = target.dump_bytes();
    assert_eq!(dump.len() % 512, 32, "a dump is whole pages and a digest");
    let (database, digest) = dump.split_at(dump.len() - 32);
    let computed = Sha256::digest(database);
    assert_eq!(computed[..], *digest);
    let reported = &target.manifest()["dump"];
    let hex: String = computed.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(reported["sha256"], hex);
    assert_eq!(reported["bytes"], dump.len());
}

/// Restores the dump and compares it with its source at the snapshot's revision.
fn assert_comes_back(etcd: &Etcd, target: &Target) -> Etcd {
    let restored = Etcd::restore(etcd.version, &target.dump());
    let revision = restored.revision();
    let reported = &target.manifest()["revision"];
    let (before, after) = (reported["before"].as_u64(), reported["after"].as_u64());
    assert!(
        before <= Some(revision) && Some(revision) <= after,
        "revision {revision} is outside of {reported}"
    );
    assert_eq!(
        restored.hash_kv(revision),
        etcd.hash_kv(revision),
        "the hashes over all history differ"
    );
    assert_eq!(restored.full_range(revision), etcd.full_range(revision), "the living keys differ");
    assert_eq!(restored.key_count(revision), etcd.key_count(revision));
    restored
}

fn an_empty_database_comes_back(version: Version) {
    let etcd = Etcd::start(version);
    let target = back_up(&etcd, "grpc");
    let restored = assert_comes_back(&etcd, &target);
    assert_eq!(restored.key_count(restored.revision()), 0);
}

fn a_small_database_comes_back_with_its_history(version: Version) {
    let etcd = Etcd::start(version);
    etcd.put_many("config", 300, 100);
    for key in ["config/00000003", "config/00000004"] {
        etcd.put(key, "changed");
        etcd.delete(key);
    }
    etcd.put("config/00000003", "back again");
    etcd.compact(3);
    etcd.put("ключ/🗝", "\u{0}\n\"odd\\ bytes\"");
    for (backups, transport) in [(1, "grpc"), (2, "gateway")] {
        let target = back_up(&etcd, transport);
        etcd.assert_snapshots_ended(backups, Duration::from_secs(5));
        let restored = assert_comes_back(&etcd, &target);
        assert_eq!(restored.key_count(restored.revision()), 300);
    }
}

fn a_database_under_write_load_comes_back_as_it_was_at_one_revision(
    version: Version,
    transport: &str,
    bytes: usize,
) {
    let etcd = Etcd::start(version);
    etcd.fill(bytes);
    let before = etcd.revision();
    let writer = Writer::start(&etcd);
    let target = back_up(&etcd, transport);
    let during = etcd.revision();
    assert!(writer.stop() > 0 && during > before, "nothing was written during the backup");
    assert!(target.dump_bytes().len() > bytes);
    assert_comes_back(&etcd, &target);
}

macro_rules! for_each_version {
    ($($version:ident: $bytes:expr, $transport:expr;)*) => {
        $(#[allow(non_snake_case, reason = "a version's name is no word")]
        mod $version {
            use super::Version;

            #[test]
            fn an_empty_database_comes_back() {
                super::an_empty_database_comes_back(Version::$version);
            }

            #[test]
            fn a_small_database_comes_back_with_its_history() {
                super::a_small_database_comes_back_with_its_history(Version::$version);
            }

            #[test]
            fn a_database_under_write_load_comes_back_as_it_was_at_one_revision() {
                super::a_database_under_write_load_comes_back_as_it_was_at_one_revision(
                    Version::$version, $transport, $bytes,
                );
            }
        })*
    };
}

for_each_version! {
    V3_4_23: 30 << 20, "gateway";
    V3_5_33: 300 << 20, "gateway";
    V3_6_14: 300 << 20, "grpc";
    V3_7_1: 60 << 20, "grpc";
}
