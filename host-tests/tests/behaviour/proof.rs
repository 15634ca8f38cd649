//! The proof from the bytes: real databases, real members, and one that is damaged.

use host_tests::backup::{BackedUp, Backup};
use host_tests::etcd::{Client, Cluster, Etcd, HashKv, Settings, Version};
use host_tests::process::command;
use host_tests::target::Target;
use plakar_connector::ErrorKind;
use serde_json::{Value, json};
use std::path::Path;

/// A backup from these endpoints, separated by commas.
fn from(endpoints: &str) -> Backup {
    Backup::of("etcd://").option(format!("endpoints={endpoints}"))
}

fn proven(endpoints: &str, options: &[&str]) -> (Value, Target) {
    let backup = from(endpoints).options(options).run();
    backup.outcome.assert_ok();
    (backup.target.manifest(), backup.target)
}

/// What etcd's own tool computes over a copy of the dump; it writes into the file it reads.
fn hash_by_etcdutl(dump: &Path) -> HashKv {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("copy");
    std::fs::copy(dump, &copy).expect("a copy");
    let output = command(Version::NEWEST.program("etcdutl"))
        .args(["hashkv", "-w", "json"])
        .arg(&copy)
        .output()
        .expect("`etcdutl` can be run");
    let reported: Value = serde_json::from_slice(&output.stdout).expect("`etcdutl` prints JSON");
    HashKv {
        hash: reported["hash"].as_u64().expect("a hash"),
        compact_revision: reported["compactRevision"].as_i64().expect("a revision"),
    }
}

/// Fails unless manifest, etcd's own tool and the member itself agree.
#[track_caller]
fn assert_agrees(
    version: Version,
    member: &Client,
    (manifest, target): &(Value, Target),
    what: &str,
) {
    let database = &manifest["database"];
    let reported = HashKv {
        hash: database["hash_kv"].as_u64().expect("a hash"),
        compact_revision: database["compact_revision"].as_i64().expect("a revision"),
    };
    assert_eq!(reported, hash_by_etcdutl(&target.dump()), "{version}, {what}: {database}");
    let revision = database["revision"].as_u64().expect("a revision");
    if what != AT_THE_END {
        let member = Etcd::hash_kv_of(version, member, revision);
        assert_eq!(reported, member, "{version}, {what}: {database}");
    }
    assert_eq!(manifest["revision"]["exact"], database["revision"]);
}

/// 3.4 has no hash of that revision any more, and others return the one from before the compaction.
const AT_THE_END: &str = "compacted at the last revision";

/// A life with all that changes what counts: deletions, keys created again, compactions at and
/// around them, values of many pages, transactions, leases.
fn every_stage_agrees(version: Version, transport: &str) {
    let etcd = Etcd::start(version);
    let stage = |what: &str| {
        let transport = format!("transport={transport}");
        let backup = proven(&etcd.endpoint(), &[&transport]);
        assert_agrees(version, &etcd, &backup, what);
        // The gateway of 3.4 has no HashKV.
        let outcome = match (version, transport.as_str()) {
            (Version::V3_4_23, "transport=gateway") => "unproven",
            _ => "self-consistent",
        };
        if what != AT_THE_END {
            assert_eq!(backup.0["proof"]["outcome"], outcome, "{what}: {}", backup.0["proof"]);
        }
        backup.0["database"].clone()
    };
    let database = stage("nothing was ever written");
    assert_eq!((&database["keys"], &database["compact_revision"]), (&json!(0), &json!(-1)));
    assert_eq!(database["members"][0]["name"], "m1");

    for index in 0..300 {
        etcd.put(&format!("/registry/{}", index % 40), &format!("value {index}"));
    }
    etcd.delete("/registry/3");
    etcd.delete("/registry/4");
    etcd.put("/registry/4", "again");
    let database = stage("keys were deleted and created again");
    assert_eq!((&database["keys"], &database["tombstones"]), (&json!(39), &json!(2)));
    assert_eq!(database["revision"], json!(etcd.revision()));

    etcd.delete("/registry/5");
    let at_a_deletion = etcd.revision();
    etcd.put("/registry/6", "later");
    etcd.compact(at_a_deletion);
    let database = stage("compacted at a deletion");
    assert_eq!(database["compact_revision"], json!(at_a_deletion));
    etcd.compact(etcd.revision());
    stage(AT_THE_END);

    etcd.put_many("large", 3, 700_000);
    etcd.put_many("small", 2000, 60);
    let lease = etcd.post("/v3/lease/grant", &json!({ "TTL": "3600" }));
    assert!(lease["ID"].is_string(), "{lease}");
    let database = stage("values of many pages, transactions of many operations, a lease");
    assert_eq!((&database["leases"], &database["keys"]), (&json!(1), &json!(2041)));
    assert_eq!(database["auth_enabled"], json!(false));

    for index in 0..40 {
        etcd.delete(&format!("/registry/{index}"));
    }
    etcd.compact(etcd.revision() - 1);
    let database = stage("fragmented");
    assert!(database["free_bytes"].as_u64() > Some(0), "{database}");
}

macro_rules! for_each_version {
    ($($version:ident,)*) => {
        $(#[allow(non_snake_case, reason = "a version's name is no word")]
        mod $version {
            #[test]
            fn every_stage_of_a_life_agrees_over_grpc() {
                super::every_stage_agrees(super::Version::$version, "grpc");
            }

            #[test]
            fn every_stage_of_a_life_agrees_over_the_gateway() {
                super::every_stage_agrees(super::Version::$version, "gateway");
            }

            #[test]
            fn a_damaged_member_is_refused_and_the_others_name_it() {
                super::a_damaged_member_is_refused_and_the_others_name_it(super::Version::$version);
            }
        })*
    };
}

host_tests::versions! { for_each_version }

/// A disk that flipped bits in a value: etcd starts on it, serves it, and its digest fits.
fn a_damaged_member_is_refused_and_the_others_name_it(version: Version) {
    let mut cluster = Cluster::start(version, 3);
    let client = cluster.client(0);
    client.put("/registry/secrets/a", "the value as it was written");
    for index in 0..50 {
        client.put(&format!("/registry/{index}"), "one of many");
    }
    let (leader, followers) = (cluster.leader(), cluster.followers());
    let [damaged, well] = followers[..] else { panic!("three members have two followers") };
    let typed = |members: &[usize]| {
        members.iter().map(|i| cluster.endpoint(*i)).collect::<Vec<_>>().join(",")
    };
    let (all, from_the_other) = (typed(&[damaged, well, leader]), typed(&[well, damaged, leader]));
    let (alone, two) = (typed(&[damaged]), typed(&[damaged, well]));
    let (before, _) = proven(&all, &["proof=require"]);
    assert_eq!(before["proof"]["outcome"], "proven");
    assert_eq!(before["warnings"], json!([]));

    cluster.damage(damaged, b"the value as it was written", b"the value as it was wr\x89tten");
    let revision = client.revision();
    cluster.wait_for_revision(&cluster.endpoint(damaged), revision);
    let (id, endpoint) = (cluster.id(damaged), cluster.endpoint(damaged));

    let BackedUp { outcome, target } = from(&all).run();
    let words = [&endpoint, "proof", &format!("member {id} holds other keys"), "replace this one"];
    outcome.assert_exit(ErrorKind::Corrupt.exit_code().into(), &words);
    target.assert_nothing_left();

    let (manifest, _) = proven(&from_the_other, &["proof=require"]);
    assert_eq!(manifest["proof"]["outcome"], "proven");
    let warnings = manifest["warnings"].to_string();
    assert!(
        warnings.contains(&format!("member {id} at `{endpoint}` holds other keys")),
        "{warnings}"
    );

    // With no other endpoint it cannot be known; with too few, they disagree.
    let (manifest, _) = proven(&alone, &[]);
    assert_eq!(manifest["proof"]["outcome"], "self-consistent");
    let (manifest, _) = proven(&two, &[]);
    assert_eq!(manifest["proof"]["outcome"], "unproven");
    assert!(manifest["warnings"].to_string().contains("holds other keys"), "{manifest}");
    let BackedUp { outcome, target } = from(&two).options(["proof=require"]).run();
    outcome.assert_exit(ErrorKind::Other.exit_code().into(), &["`proof=require`", "1 disagree"]);
    target.assert_nothing_left();
    let (manifest, _) = proven(&all, &["proof=off"]);
    assert_eq!(manifest["proof"]["outcome"], "off");
}

/// While others write, one snapshot is at one revision, and the members agree on it.
#[test]
fn under_load_the_exact_revision_is_proven() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 3);
        let endpoints: Vec<String> = (0..3).map(|index| cluster.endpoint(index)).collect();
        let endpoints = endpoints.join(",");
        let client = cluster.client(cluster.leader());
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for index in 0..100_000 {
                    if stopped.try_recv() != Err(std::sync::mpsc::TryRecvError::Empty) {
                        break;
                    }
                    let revision = client.put(&format!("/registry/{}", index % 500), "a value");
                    if index % 100 == 99 {
                        client.compact(revision - 50);
                    }
                }
            });
            for _ in 0..5 {
                let (manifest, target) = proven(&endpoints, &[]);
                assert_eq!(
                    manifest["proof"]["outcome"], "proven",
                    "{version}: {}",
                    manifest["proof"]
                );
                let oracle = hash_by_etcdutl(&target.dump());
                assert_eq!(manifest["database"]["hash_kv"], json!(oracle.hash), "{version}");
                let [before, exact, after] = ["before", "exact", "after"]
                    .map(|name| manifest["revision"][name].as_i64().expect("a revision"));
                assert!(before <= exact && exact <= after, "{before} {exact} {after}");
            }
            // A failure above drops it too.
            drop(stop);
        });
    }
}

#[test]
fn users_roles_and_alarms_are_read_from_the_pages() {
    let etcd = Etcd::start_with(Version::V3_6_14, Settings::default());
    let id = etcd.member_id();
    etcd.raise(id, "NOSPACE");
    etcd.enable_authentication("a password");
    let options = ["username=root", "password=a password"];
    let (manifest, _) = proven(&etcd.endpoint(), &options);
    let database = &manifest["database"];
    assert_eq!(database["auth_enabled"], json!(true));
    assert_eq!((&database["users"], &database["roles"]), (&json!(3), &json!(2)));
    assert_eq!(database["alarms"], json!([{ "member_id": format!("{id:x}"), "alarm": "NOSPACE" }]));
    assert_eq!(manifest["proof"]["outcome"], "self-consistent", "{}", manifest["proof"]);
}
