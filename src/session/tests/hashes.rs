//! What the members report of the keys, and the effect on the backup.

use super::*;
use crate::etcd::messages::HashKv;
use crate::scripted::{REVISION, written};

const HASH_KV: [(Transport, &str); 2] = [
    (Transport::Grpc, "/etcdserverpb.Maintenance/HashKV"),
    (Transport::Gateway, "/v3/maintenance/hashkv"),
];

/// The response of a member that holds what the scripted snapshot holds.
fn same(member_id: u64) -> HashKv {
    let hash = written().hash_kv();
    HashKv { header: Some(header(member_id)), hash, compact_revision: -1, hash_revision: REVISION }
}

fn other(member_id: u64) -> HashKv {
    HashKv { hash: 1, ..same(member_id) }
}

fn reply(transport: Transport, reported: &HashKv) -> Reply {
    let HashKv { header, hash, compact_revision, hash_revision } = reported;
    let member_id = header.expect("a header").member_id.to_string();
    match transport {
        Transport::Grpc => Reply::grpc(&[reported]),
        // As etcd 3.6.14 writes it.
        Transport::Gateway => Reply::json(
            200,
            json!({ "header": { "cluster_id": "1", "member_id": member_id }, "hash": hash,
                    "compact_revision": compact_revision.to_string(),
                    "hash_revision": hash_revision.to_string() })
            .to_string(),
        ),
    }
}

/// A cluster of members 2, 3 and 9 at the endpoints a, b and c; the last one leads.
fn cluster(transport: Transport, path: &'static str, reported: [Option<HashKv>; 3]) -> Scripted {
    let network = Scripted::default();
    let list = [2, 3, 9].map(|id| Member { id, name: format!("m{id}"), ..Member::default() });
    for ((host, id), reported) in [("a", 2), ("b", 3), ("c", 9)].into_iter().zip(reported) {
        member(&network, host, transport, id);
        let paths = transport.paths();
        network.reply(host, paths.members, transport.members(Some(header(id)), &list).over(1));
        match reported {
            Some(reported) => network.reply(host, path, reply(transport, &reported)),
            None => network.on(host, path, |_| Err::<Reply, _>(NetworkError::ReadTimeout)),
        }
    }
    network
}

fn verdicts(manifest: &Value) -> Vec<(String, String)> {
    let members = manifest["proof"]["members"].as_array().expect("a list");
    let text = |value: &Value| value.as_str().unwrap_or("null").to_string();
    members.iter().map(|vote| (text(&vote["endpoint"]), text(&vote["answer"]))).collect()
}

#[test]
fn a_majority_that_holds_the_same_proves_a_snapshot() {
    for (transport, path) in HASH_KV {
        let network = cluster(transport, path, [Some(same(2)), Some(same(3)), None]);
        let manifest = back_up(&network, transport, "a,b,c").expect("a backup");
        assert_eq!(manifest["proof"]["outcome"], "proven");
        let expected = [("a:2379", "agrees"), ("b:2379", "agrees"), ("c:2379", "not asked")];
        assert_eq!(verdicts(&manifest), expected.map(|(a, b)| (a.to_string(), b.to_string())));
        assert_eq!(manifest["proof"]["members"][1]["member_id"], "3");
        assert_eq!(manifest["database"]["hash_kv"], written().hash_kv());
        assert_eq!(manifest["database"]["keys"], 1);
        assert!(manifest["verified"].to_string().contains("hashkv of a majority"), "{manifest}");
        let asked: Vec<String> = network
            .asked
            .borrow()
            .iter()
            .filter(|(_, p, _)| *p == path)
            .map(|(host, ..)| host.clone())
            .collect();
        assert_eq!(asked, ["a", "b", "c"], "the leader is the last to be asked");
    }
}

#[test]
fn a_majority_that_holds_something_else_fails_the_backup_and_names_the_sender() {
    for (transport, path) in HASH_KV {
        for sender in [same(2), other(2)] {
            let network = cluster(transport, path, [Some(sender), Some(other(3)), Some(other(9))]);
            let words = ["`a:2379`: proof: member 2 holds other keys", "replace this one"];
            refused(back_up(&network, transport, "a,b,c"), ErrorKind::Corrupt, &words);
        }
    }
}

#[test]
fn a_minority_that_holds_something_else_is_named() {
    for (transport, path) in HASH_KV {
        let network = cluster(transport, path, [Some(same(2)), Some(other(3)), Some(same(9))]);
        let manifest = back_up(&network, transport, "a,b,c").expect("a backup");
        assert_eq!(manifest["proof"]["outcome"], "proven");
        assert!(warned(&manifest, "member 3 at `b:2379` holds other keys"), "{manifest}");
    }
}

#[test]
fn if_only_the_sender_could_be_asked_a_snapshot_is_self_consistent() {
    for (transport, path) in HASH_KV {
        let network = cluster(transport, path, [Some(same(2)), None, None]);
        let manifest = back_up(&network, transport, "a").expect("a backup");
        assert_eq!(manifest["proof"]["outcome"], "self-consistent");
        assert_eq!(manifest["warnings"], json!([]));
        let asked = options(&transport.to_string(), "a", &[("proof", "require")]);
        let words = ["`a:2379`: proof: ", "`proof=require`", "name all members"];
        refused(backed_up(&network, &asked), ErrorKind::Other, &words);

        let alone = Scripted::default();
        member(&alone, "a", transport, 2);
        alone.reply("a", path, reply(transport, &same(2)));
        assert!(backed_up(&alone, &asked).is_ok(), "there is nobody else to ask");
    }
}

#[test]
fn without_the_proof_no_member_is_asked_and_nothing_is_reported() {
    for (transport, path) in HASH_KV {
        let network = cluster(transport, path, [Some(other(2)), Some(other(3)), Some(other(9))]);
        let asked = options(&transport.to_string(), "a,b,c", &[("proof", "off")]);
        let manifest = backed_up(&network, &asked).expect("a backup");
        assert_eq!(manifest["proof"], json!({ "outcome": "off", "reason": null, "members": [] }));
        assert_eq!(manifest["database"], Value::Null);
        assert_eq!(network.count("a", path), 0);
    }
}

#[test]
fn a_member_that_cannot_be_compared_has_no_vote() {
    let (transport, path) = HASH_KV[0];
    for (reported, reason) in [
        (HashKv { compact_revision: 50, ..other(3) }, "compacted beyond"),
        (HashKv { hash_revision: 41, ..other(3) }, "hashed up to revision 41"),
    ] {
        let network = cluster(transport, path, [Some(same(2)), Some(reported), Some(same(9))]);
        let manifest = back_up(&network, transport, "a,b,c").expect("a backup");
        assert_eq!(manifest["proof"]["outcome"], "proven");
        let vote = &manifest["proof"]["members"][1];
        assert_eq!(vote["answer"], "not comparable");
        assert!(vote["reason"].to_string().contains(reason), "{vote}");
    }
    // The refusal of etcd 3.6.14 over gRPC, and of the gateway of 3.4.23 at an unknown path.
    let compacted = "etcdserver: mvcc: required revision has been compacted";
    let headers = vec![("content-type".into(), b"text/plain; charset=utf-8".to_vec())];
    let head = crate::net::Head { status: 404, headers };
    let not_found = Reply::from((head, vec![Ok(b"Not Found\n".to_vec())]));
    for ((transport, path), refusal, reason) in [
        (HASH_KV[0], Transport::Grpc.refusal(11, compacted), "compacted beyond"),
        (HASH_KV[1], not_found, "has no HashKV; gRPC has"),
    ] {
        let network = cluster(transport, path, [Some(same(2)), None, Some(same(9))]);
        network.reply("b", path, refusal);
        let manifest = back_up(&network, transport, "a,b,c").expect("a backup");
        let vote = &manifest["proof"]["members"][1];
        assert_eq!(vote["answer"], "not comparable");
        assert!(vote["reason"].to_string().contains(reason), "{vote}");
    }
}

#[test]
fn a_member_that_has_not_reached_the_revision_is_asked_again() {
    let (transport, path) = HASH_KV[0];
    let future = "etcdserver: mvcc: required revision is a future revision";
    let network = cluster(transport, path, [Some(same(2)), None, None]);
    let turns = vec![transport.refusal(11, future), reply(transport, &same(3))];
    network.turns("b", path, turns);
    let manifest = back_up(&network, transport, "a,b").expect("a backup");
    assert_eq!(manifest["proof"]["outcome"], "proven");
    assert_eq!(network.count("b", path), 2);
}

#[test]
fn a_login_is_tried_if_it_could_permit_the_hash() {
    for (transport, path) in HASH_KV {
        let network = cluster(transport, path, [Some(same(2)), None, None]);
        for host in ["a", "b"] {
            network.reply(host, transport.paths().login, transport.token("a-token"));
        }
        network.on("b", path, move |request| {
            let is_open = request.headers.iter().any(|(_, value)| value == "a-token");
            Ok(if is_open {
                reply(transport, &same(3))
            } else {
                transport.refusal(3, "etcdserver: user name is empty")
            })
        });
        let asked = options(&transport.to_string(), "a,b", &LOGIN);
        let manifest = backed_up(&network, &asked).expect("a backup");
        assert_eq!(manifest["proof"]["outcome"], "proven", "{manifest}");
    }
}

/// A snapshot of a database with these alarms: member and number.
fn alarmed(alarms: &[(u8, u8)]) -> databases::Database {
    let mut database = written();
    database.page_size = 4096;
    for (member, alarm) in alarms {
        let zero_is_left_out = |tag: u8, n: u8| if n == 0 { vec![] } else { vec![tag, n] };
        let key = [zero_is_left_out(8, *member), zero_is_left_out(16, *alarm)].concat();
        database.add("alarm", &key, b"");
    }
    database
}

#[test]
fn an_alarm_in_the_pages_is_used_whatever_the_status_reports() {
    let (transport, path) = HASH_KV[1];
    let back_up = |alarms: &[(u8, u8)]| {
        let network = cluster(transport, path, [Some(same(2)), Some(same(3)), Some(same(9))]);
        let body = stream(&alarmed(alarms).bytes());
        network.reply("a", transport.paths().snapshot, (json_head(200), vec![Ok(body)]).into());
        let mut import = Import::new(network, options("gateway", "a,b,c", &[]), |_| {});
        let mut manifest = Ok(Value::Null);
        loop {
            match import.advance() {
                Ok(Step::Record(record)) => {
                    let mut content = Vec::new();
                    let mut reader = record.content;
                    while let Some(piece) = match &mut reader {
                        Some(reader) => match reader.read(1 << 20) {
                            Ok(piece) => piece,
                            Err(error) => return Err(error),
                        },
                        None => None,
                    } {
                        content.extend(piece);
                    }
                    import.acknowledge(record.id, Fate::Stored(content.len() as u64));
                    if record.pathname == crate::import::MANIFEST {
                        manifest = Ok(serde_json::from_slice(&content).expect("JSON"));
                    }
                }
                Ok(_) => return manifest,
                Err(error) => return Err(error),
            }
        }
    };
    refused(back_up(&[(2, 2)]), ErrorKind::Corrupt, &["proof: ", "CORRUPT for this member"]);
    for (alarms, words) in [
        (&[(3, 2)][..], "the alarm CORRUPT is on for member 3"),
        (&[(0, 2)], "CORRUPT is on for the whole cluster"),
        (&[(2, 1)], "the alarm NOSPACE is on for member 2"),
    ] {
        let manifest = back_up(alarms).expect("a backup");
        assert!(warned(&manifest, words), "{manifest}");
        assert_eq!(manifest["alarms"].as_array().map(Vec::len), Some(1), "{manifest}");
        assert_eq!(manifest["database"]["alarms"], manifest["alarms"]);
    }
}

#[test]
fn a_snapshot_of_a_revision_that_the_member_was_not_at_is_of_an_unknown_member() {
    for (before, after, is_known) in
        [(42, 42, true), (40, 45, true), (0, 0, true), (43, 45, false), (40, 41, false)]
    {
        let (transport, path) = HASH_KV[0];
        let network = cluster(transport, path, [None, None, None]);
        let asked = network.clone();
        network.on("a", GRPC.status, move |_| {
            let begun = asked.count("a", GRPC.snapshot) > 0;
            let revision = if begun { after } else { before };
            let header = Some(Header { revision, ..header(2) });
            Ok(transport.status(&Status { header, ..status(2) }).over(1))
        });
        let manifest = back_up(&network, transport, "a").expect("a backup");
        assert_eq!(manifest["member"].is_object(), is_known, "{before} {after}");
        assert_eq!(
            warned(&manifest, "has a revision that this member did not"),
            !is_known,
            "{manifest}"
        );
    }
}

#[test]
fn a_reader_out_of_memory_gives_up_the_proof_and_not_the_backup() {
    let (transport, path) = HASH_KV[0];
    let network = cluster(transport, path, [Some(same(2)), Some(same(3)), None]);
    let mut asked = options("grpc", "a,b", &[]);
    asked.checks.proof_memory = Some(1000);
    let manifest = backed_up(&network, &asked).expect("a backup");
    assert_eq!(manifest["proof"]["outcome"], "unproven");
    assert!(manifest["proof"]["reason"].to_string().contains("`proof_memory`"), "{manifest}");
    assert!(warned(&manifest, "the snapshot is not proven: "), "{manifest}");
    asked.proof_required = true;
    refused(backed_up(&network, &asked), ErrorKind::Other, &["proof: ", "`proof_memory`"]);
}

/// A member accepts no writes while it hashes.
#[test]
fn a_leader_of_a_large_database_is_spared_unless_the_proof_is_required() {
    let (transport, path) = HASH_KV[0];
    let mut large = written();
    large.page_size = 65_536;
    let database = |pages| databases::Database { pages, ..large.clone() }.bytes();
    for (pages, proof, verdict) in
        [(1024, "auto", "agrees"), (1025, "auto", "not asked"), (1025, "require", "agrees")]
    {
        let bytes = database(pages);
        let network = cluster(transport, path, [Some(same(2)), Some(same(3)), Some(same(9))]);
        let digest = Sha256::digest(&bytes);
        let piece = |left, blob: &[u8]| SnapshotResponse {
            remaining_bytes: left,
            blob: blob.to_vec().into(),
            version: "3.6.0".into(),
        };
        let mut left = bytes.len();
        let mut pieces: Vec<SnapshotResponse> = Vec::new();
        for blob in bytes.chunks(512 << 10) {
            left -= blob.len();
            pieces.push(piece(left as u64, blob));
        }
        pieces.push(piece(0, &digest));
        let messages: Vec<&dyn crate::scripted::Encode> =
            pieces.iter().map(|piece| piece as &dyn crate::scripted::Encode).collect();
        network.reply("a", transport.paths().snapshot, Reply::grpc(&messages).over(1));
        let asked = options("grpc", "a,b,c", &[("proof", proof)]);
        let mut import = Import::new(network, asked, |_| {});
        let mut manifest = Value::Null;
        while let Step::Record(record) = import.advance().expect("a step") {
            let mut content = Vec::new();
            if let Some(mut reader) = record.content {
                while let Some(piece) = reader.read(1 << 20).expect("bytes") {
                    content.extend(piece);
                }
            }
            import.acknowledge(record.id, Fate::Stored(content.len() as u64));
            if record.pathname == crate::import::MANIFEST {
                manifest = serde_json::from_slice(&content).expect("JSON");
            }
        }
        assert_eq!(manifest["proof"]["outcome"], "proven");
        assert_eq!(manifest["proof"]["members"][2]["answer"], verdict, "{pages} {proof}");
    }
}
