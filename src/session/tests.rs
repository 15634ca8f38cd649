//! What is believed of a member, and why.

use crate::error::{Error, Result};
use crate::etcd::messages::{Authenticated, Header, Member, MemberList, SnapshotResponse, Status};
use crate::etcd::transport::Transport;
use crate::import::{DUMP, Fate, Import, Step};
use crate::net::NetworkError;
use crate::options::Options;
use crate::scripted::{Reply, Scripted, database, json_head, stream};
use crate::session::Session;
use crate::session::identify::again;
use plakar_connector::ErrorKind;
use plakar_connector::names::NO_HTTP2;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The paths of one transport.
struct Paths {
    status: &'static str,
    members: &'static str,
    login: &'static str,
    snapshot: &'static str,
}

const GRPC: Paths = Paths {
    status: "/etcdserverpb.Maintenance/Status",
    members: "/etcdserverpb.Cluster/MemberList",
    login: "/etcdserverpb.Auth/Authenticate",
    snapshot: "/etcdserverpb.Maintenance/Snapshot",
};

const GATEWAY: Paths = Paths {
    status: "/v3/maintenance/status",
    members: "/v3/cluster/member/list",
    login: "/v3/auth/authenticate",
    snapshot: "/v3/maintenance/snapshot",
};

const BOTH: [Transport; 2] = [Transport::Grpc, Transport::Gateway];

const LOGIN: [(&str, &str); 2] = [("username", "root"), ("password", "hunter2")];

impl Transport {
    fn paths(self) -> &'static Paths {
        match self {
            Transport::Grpc => &GRPC,
            Transport::Gateway => &GATEWAY,
        }
    }

    fn status(self, status: &Status) -> Reply {
        let header = status.header.map(|h| {
            json!({ "cluster_id": h.cluster_id.to_string(), "member_id": h.member_id.to_string(),
                    "revision": h.revision.to_string(), "raft_term": h.raft_term.to_string() })
        });
        match self {
            Transport::Grpc => Reply::grpc(&[status]),
            Transport::Gateway => Reply::json(
                200,
                json!({ "header": header.unwrap_or(json!({})), "version": status.version,
                        "leader": status.leader.to_string(), "errors": status.errors,
                        "dbSize": status.db_size.to_string(),
                        "raftAppliedIndex": status.raft_applied_index.to_string() })
                .to_string(),
            ),
        }
    }

    fn members(self, header: Option<Header>, members: &[Member]) -> Reply {
        let list = MemberList { header, members: members.to_vec() };
        match self {
            Transport::Grpc => Reply::grpc(&[&list]),
            Transport::Gateway => {
                let members: Vec<Value> = members
                    .iter()
                    .map(|m| json!({ "ID": m.id.to_string(), "name": m.name, "peerURLs": m.peer_urls }))
                    .collect();
                let mut list = json!({ "members": members });
                if let Some(header) = header {
                    list["header"] = json!({ "cluster_id": header.cluster_id.to_string(),
                                             "member_id": header.member_id.to_string() });
                }
                Reply::json(200, list.to_string())
            }
        }
    }

    fn refusal(self, code: u32, message: &str) -> Reply {
        match self {
            Transport::Grpc => Reply::grpc_refusal(&code.to_string(), message),
            Transport::Gateway => {
                Reply::json(400, json!({ "code": code, "message": message }).to_string())
            }
        }
    }

    fn token(self, token: &str) -> Reply {
        match self {
            Transport::Grpc => Reply::grpc(&[&Authenticated { token: token.into() }]),
            Transport::Gateway => Reply::json(200, json!({ "token": token }).to_string()),
        }
    }

    fn snapshot(self) -> Reply {
        let database = database();
        match self {
            Transport::Grpc => {
                let piece = |remaining_bytes, blob: &[u8]| SnapshotResponse {
                    remaining_bytes,
                    blob: blob.to_vec().into(),
                    version: "3.6.0".into(),
                };
                let digest = Sha256::digest(&database);
                Reply::grpc(&[&piece(0, &database), &piece(0, &digest)])
            }
            Transport::Gateway => (json_head(200), vec![Ok(stream(&database))]).into(),
        }
    }
}

fn header(member_id: u64) -> Header {
    Header { cluster_id: 1, member_id, revision: 42, raft_term: 3 }
}

/// A follower of member 9 that is well.
fn status(member_id: u64) -> Status {
    Status {
        header: Some(header(member_id)),
        version: "3.6.14".into(),
        leader: 9,
        raft_applied_index: 100,
        ..Status::default()
    }
}

fn troubled(member_id: u64, errors: &[&str]) -> Status {
    Status { errors: errors.iter().map(|e| e.to_string()).collect(), ..status(member_id) }
}

/// Scripts a member that is well, all of it over connection 1.
fn member(network: &Scripted, host: &str, transport: Transport, id: u64) {
    let paths = transport.paths();
    network.reply(host, paths.status, transport.status(&status(id)).over(1));
    let named = Member { id, name: format!("m{id}"), ..Member::default() };
    network.reply(host, paths.members, transport.members(Some(header(id)), &[named]).over(1));
    network.reply(host, paths.snapshot, transport.snapshot().over(1));
}

fn options(transport: &str, endpoints: &str, more: &[(&str, &str)]) -> Options {
    let config: Vec<(String, String)> =
        [("location", "etcd://"), ("endpoints", endpoints), ("transport", transport)]
            .iter()
            .chain(more)
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect();
    Options::read(&config).expect("options")
}

/// A whole backup: its manifest.
fn backed_up(network: &Scripted, options: &Options) -> Result<Value> {
    let mut import = Import::new(network.clone(), options.clone(), |_| {});
    let mut manifest = Value::Null;
    while let Step::Record(record) = import.advance()? {
        let mut content = Vec::new();
        if let Some(mut reader) = record.content {
            while let Some(piece) = reader.read(1 << 20)? {
                content.extend(piece);
            }
        }
        import.acknowledge(record.id, Fate::Stored(content.len() as u64));
        match record.pathname {
            DUMP => assert_eq!(content[..content.len() - 32], database()),
            crate::import::MANIFEST => manifest = serde_json::from_slice(&content).expect("JSON"),
            _ => {}
        }
    }
    Ok(manifest)
}

fn back_up(network: &Scripted, transport: Transport, endpoints: &str) -> Result<Value> {
    backed_up(network, &options(&transport.to_string(), endpoints, &[]))
}

fn ping(network: &Scripted, transport: Transport, more: &[(&str, &str)]) -> Result<()> {
    Session::new(network.clone(), options(&transport.to_string(), "a", more), |_| {}).ping()
}

#[track_caller]
fn refused<T>(outcome: Result<T>, kind: ErrorKind, words: &[&str]) {
    let error: Error = match outcome {
        Ok(_) => panic!("it was taken, where it should say {words:?}"),
        Err(error) => error,
    };
    assert_eq!(error.kind, kind, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "it does not say `{word}`: {error}");
    }
}

fn warned(manifest: &Value, words: &str) -> bool {
    manifest["warnings"].to_string().contains(words)
}

#[test]
fn a_member_that_is_well_is_recorded_as_it_is() {
    for transport in BOTH {
        let network = Scripted::default();
        member(&network, "a", transport, 2);
        let manifest = back_up(&network, transport, "a").expect("a backup");
        assert_eq!(manifest["member"], json!({ "id": "2", "name": "m2", "role": "follower" }));
        assert_eq!(manifest["cluster_id"], "1");
        assert_eq!(manifest["choice"], "follower, the only choice");
        assert_eq!(manifest["revision"], json!({ "before": 42, "after": 42, "exact": 42 }));
        assert_eq!(manifest["raft"], json!({ "term": 3, "applied_index": 100 }));
        assert_eq!(manifest["transport"], transport.to_string());
        assert_eq!(manifest["etcd_version"], "3.6.14");
        for none in ["alarms", "warnings", "status_errors", "endpoints_rejected"] {
            assert_eq!(manifest[none], json!([]), "{none}");
        }
        assert!(ping(&network, transport, &[]).is_ok());
    }
}

/// The alarm comes first, and what it is about was there before it.
#[test]
fn a_corrupt_alarm_of_its_own_ends_a_run_whenever_it_is_told() {
    for transport in BOTH {
        for first in [0, 1, 5] {
            let network = Scripted::default();
            member(&network, "a", transport, 2);
            let well = transport.status(&status(2)).over(1);
            let mut turns = vec![well; first];
            turns.push(transport.status(&troubled(2, &["memberID:2  alarm:CORRUPT"])).over(1));
            network.turns("a", transport.paths().status, turns);
            refused(back_up(&network, transport, "a"), ErrorKind::Corrupt, &["CORRUPT", "replace"]);
            network.turns("a", transport.paths().status, vec![transport.status(&status(2))]);
        }
        // After the snapshot alone: whatever was asked before it is well.
        let network = Scripted::default();
        member(&network, "a", transport, 2);
        let begun = std::rc::Rc::new(std::cell::Cell::new(false));
        let (begins, asked) = (begun.clone(), begun);
        network.on("a", transport.paths().snapshot, move |_| {
            begins.set(true);
            Ok(transport.snapshot().over(1))
        });
        network.on("a", transport.paths().status, move |_| {
            let errors: &[&str] = if asked.get() { &["memberID:2 alarm:CORRUPT "] } else { &[] };
            Ok(transport.status(&troubled(2, errors)).over(1))
        });
        refused(back_up(&network, transport, "a"), ErrorKind::Corrupt, &["CORRUPT"]);
    }
}

#[test]
fn what_a_member_lists_before_or_after_the_snapshot_is_recorded_and_warned_of() {
    for transport in BOTH {
        let network = Scripted::default();
        member(&network, "a", transport, 2);
        let before = troubled(2, &["memberID:7 alarm:CORRUPT ", "disk is slow"]);
        let after = troubled(2, &["alarm:CORRUPT ", "memberID:2 alarm:NOSPACE ", "disk is slow"]);
        let mut turns = vec![transport.status(&before).over(1); 1 + again(transport)];
        turns.push(transport.status(&after).over(1));
        network.turns("a", transport.paths().status, turns);
        let manifest = back_up(&network, transport, "a").expect("a backup");
        assert_eq!(
            manifest["alarms"],
            json!([{ "member_id": "7", "alarm": "CORRUPT" }, { "member_id": "0", "alarm": "CORRUPT" },
                   { "member_id": "2", "alarm": "NOSPACE" }])
        );
        assert_eq!(manifest["status_errors"], json!(["disk is slow"]));
        for words in ["for member 7", "whole cluster", "read-only", "`disk is slow`"] {
            assert!(warned(&manifest, words), "{manifest}");
        }
        assert_eq!(manifest["warnings"].as_array().map(Vec::len), Some(4), "none twice");
    }
}

#[test]
fn a_leader_that_is_lost_meanwhile_is_warned_of() {
    let network = Scripted::default();
    member(&network, "a", Transport::Grpc, 2);
    let lost = Status { leader: 0, ..troubled(2, &["etcdserver: no leader"]) };
    let mut turns = vec![Transport::Grpc.status(&status(2)).over(1); 1 + again(Transport::Grpc)];
    turns.push(Transport::Grpc.status(&lost).over(1));
    network.turns("a", GRPC.status, turns);
    let manifest = back_up(&network, Transport::Grpc, "a").expect("a backup");
    assert!(warned(&manifest, "has no leader"), "{manifest}");
    assert_eq!(manifest["status_errors"], json!([]));
    assert_eq!(manifest["member"]["role"], "follower", "that is what it was");
}

#[test]
fn a_snapshot_over_a_connection_of_its_own_is_a_proven_one_of_an_unknown_member() {
    for transport in BOTH {
        let network = Scripted::default();
        member(&network, "a", transport, 2);
        network.reply("a", transport.paths().snapshot, transport.snapshot().over(2));
        let manifest = back_up(&network, transport, "a").expect("a backup");
        assert_eq!(manifest["member"], Value::Null);
        assert_eq!(manifest["choice"], Value::Null);
        assert_eq!(manifest["revision"], json!({ "before": null, "after": null, "exact": 42 }));
        assert_eq!(manifest["raft"], json!({ "term": null, "applied_index": null }));
        assert_eq!(manifest["cluster_id"], "1", "all that answered are of it");
        assert!(warned(&manifest, "it is unknown which member responds here"), "{manifest}");
        assert!(ping(&network, transport, &[]).is_ok());
    }
}

/// A proxy may lead a call to another member by the call's own name: then everything
/// that is asked shows one member, and the snapshot is another's.
#[test]
fn a_snapshot_that_a_proxy_passed_on_is_of_an_unknown_member() {
    for transport in BOTH {
        for name in ["server", "Via", "x-envoy-upstream-service-time"] {
            let network = Scripted::default();
            member(&network, "a", transport, 2);
            let mut passed_on = transport.snapshot().over(1);
            passed_on.head.headers.push((name.into(), b"proxy/1.0".to_vec()));
            network.reply("a", transport.paths().snapshot, passed_on);
            let manifest = back_up(&network, transport, "a").expect("a backup");
            assert_eq!(manifest["member"]["id"], "2", "there is but one");

            let members = [2, 3].map(|id| Member { id, ..Member::default() });
            let list = transport.members(Some(header(2)), &members).over(1);
            network.reply("a", transport.paths().members, list);
            let manifest = back_up(&network, transport, "a").expect("a backup");
            assert_eq!(manifest["member"], Value::Null, "{name}");
            assert!(warned(&manifest, "an HTTP proxy is in between"), "{manifest}");
            assert!(ping(&network, transport, &[]).is_ok());
        }
    }
}

#[test]
fn a_snapshot_of_another_size_is_of_an_unknown_member() {
    // What the member reported before and after; the snapshot has 1536 bytes.
    for (before, after, is_known) in [
        (0, 0, true),
        (1536, 1536, true),
        (1000, 1000, false),
        (2000, 2000, false),
        (1000, 2000, true),
        (1536, 0, true),
        (0, 1536, true),
        (1537, 2000, false),
        (1000, 1535, false),
        (1537, 0, false),
        // It was defragmented meanwhile.
        (4096, 512, true),
    ] {
        for transport in BOTH {
            let network = Scripted::default();
            member(&network, "a", transport, 2);
            let asked = network.clone();
            network.on("a", transport.paths().status, move |_| {
                let begun = asked.count("a", transport.paths().snapshot) > 0;
                let db_size = if begun { after } else { before };
                Ok(transport.status(&Status { db_size, ..status(2) }).over(1))
            });
            let manifest = back_up(&network, transport, "a").expect("a backup");
            assert_eq!(manifest["member"].is_object(), is_known, "{before} {after}");
            assert_eq!(warned(&manifest, "does not have the size"), !is_known, "{manifest}");
        }
    }
}

/// An alarm reaches a member that lags, or is cut off, later than the others.
#[test]
fn what_another_member_says_of_one_is_believed() {
    for transport in BOTH {
        let network = Scripted::default();
        member(&network, "a", transport, 2);
        member(&network, "b", transport, 3);
        let reported = ["memberID:2 alarm:CORRUPT ", "alarm:CORRUPT ", "memberID:2 alarm:NOSPACE "];
        network.reply(
            "b",
            transport.paths().status,
            transport.status(&troubled(3, &reported)).over(1),
        );
        let manifest = back_up(&network, transport, "a,b").expect("a backup of the other one");
        assert_eq!(manifest["endpoint"], "b:2379");
        let rejected = manifest["endpoints_rejected"].to_string();
        assert!(rejected.contains("a:2379") && rejected.contains("CORRUPT"), "{rejected}");
        // It cannot be had.
        network.reply("b", transport.paths().snapshot, transport.refusal(13, "disk on fire"));
        refused(back_up(&network, transport, "a,b"), ErrorKind::Corrupt, &["`a:2379`", "CORRUPT"]);

        // Of the whole cluster, and of one out of space.
        network.reply("b", transport.paths().snapshot, transport.snapshot().over(1));
        let reported = ["alarm:CORRUPT ", "memberID:3 alarm:NOSPACE "];
        network.reply(
            "b",
            transport.paths().status,
            transport.status(&troubled(3, &reported)).over(1),
        );
        let manifest = back_up(&network, transport, "a,b").expect("a backup");
        assert_eq!(manifest["endpoint"], "a:2379", "it is not out of space");
        assert_eq!(manifest["alarms"].as_array().map(Vec::len), Some(2), "{manifest}");
        assert!(warned(&manifest, "CORRUPT is on for the whole cluster"), "{manifest}");
    }
}

#[test]
fn a_cluster_that_is_said_to_be_corrupt_afterwards_fails_the_backup() {
    for transport in BOTH {
        let network = Scripted::default();
        member(&network, "a", transport, 2);
        let begun = std::rc::Rc::new(std::cell::Cell::new(false));
        let (begins, asked) = (begun.clone(), begun);
        network.on("a", transport.paths().snapshot, move |_| {
            begins.set(true);
            Ok(transport.snapshot().over(1))
        });
        network.on("a", transport.paths().status, move |_| {
            Ok(match asked.get() {
                true => transport.refusal(15, "etcdserver: corrupt cluster"),
                false => transport.status(&status(2)).over(1),
            })
        });
        refused(back_up(&network, transport, "a"), ErrorKind::Corrupt, &["CORRUPT", "HashKV"]);
    }
}

#[test]
fn a_password_over_plain_http_is_warned_of() {
    for transport in BOTH {
        for (tls, login, is_warned) in
            [(false, &LOGIN[..], true), (true, &LOGIN[..], false), (false, &[], false)]
        {
            let network = Scripted::default();
            member(&network, "a", transport, 2);
            network.reply("a", transport.paths().login, transport.token("a-token"));
            let mut options = options(&transport.to_string(), "a", login);
            options.endpoints[0].tls = tls;
            let manifest = backed_up(&network, &options).expect("a backup");
            assert_eq!(warned(&manifest, "the password is sent over plain HTTP"), is_warned);
        }
    }
}

/// It may have been the one.
#[test]
fn an_unknown_member_is_not_believed_while_any_member_is_corrupt() {
    for transport in BOTH {
        let network = Scripted::default();
        member(&network, "a", transport, 2);
        let corrupt = transport.status(&troubled(2, &["memberID:7 alarm:CORRUPT "])).over(1);
        network.reply("a", transport.paths().status, corrupt);
        assert!(back_up(&network, transport, "a").is_ok(), "member 2 sent it, and 7 is corrupt");
        network.reply("a", transport.paths().snapshot, transport.snapshot().over(2));
        let words = ["member 7", "unknown", "`endpoints`"];
        refused(back_up(&network, transport, "a"), ErrorKind::Corrupt, &words);
        refused(ping(&network, transport, &[]), ErrorKind::Corrupt, &words);
    }
}

#[test]
fn a_connection_that_is_vouched_for_afterwards_is_good() {
    let network = Scripted::default();
    member(&network, "a", Transport::Grpc, 2);
    let mut turns = vec![Transport::Grpc.status(&status(2)).over(1); 1 + again(Transport::Grpc)];
    turns.push(Transport::Grpc.status(&status(2)).over(2));
    network.turns("a", GRPC.status, turns);
    network.reply("a", GRPC.snapshot, Transport::Grpc.snapshot().over(2));
    let manifest = back_up(&network, Transport::Grpc, "a").expect("a backup");
    assert_eq!(manifest["member"]["id"], "2");
}

/// `etcd grpc-proxy` lists itself as the one member, and says nothing of who answers.
#[test]
fn behind_a_grpc_proxy_member_and_members_are_unknown() {
    for transport in BOTH {
        for reported in [None, Some(Header::default())] {
            let network = Scripted::default();
            member(&network, "a", transport, 2);
            let itself = Member { name: "proxy-host".into(), ..Member::default() };
            let list = transport.members(reported, &[itself]).over(1);
            network.reply("a", transport.paths().members, list);
            let manifest = back_up(&network, transport, "a").expect("a backup");
            assert_eq!((&manifest["member"], &manifest["members"]), (&Value::Null, &Value::Null));
            assert!(warned(&manifest, "grpc-proxy"), "{manifest}");
        }
    }
}

#[test]
fn another_member_at_the_same_place_is_found_out_by_asking_often() {
    for transport in BOTH {
        let again = again(transport);
        for turn in [1, again, again + 1, again + 2, 2 * again + 1] {
            let network = Scripted::default();
            member(&network, "a", transport, 2);
            let mut turns = vec![transport.status(&status(2)).over(1); turn];
            turns.push(transport.status(&status(3)).over(1));
            network.turns("a", transport.paths().status, turns);
            let words = ["first member 2", "then member 3", "`endpoints`"];
            refused(back_up(&network, transport, "a"), ErrorKind::Other, &words);
            // Before the snapshot it costs no snapshot; and then there is the next one.
            let asked_before = turn < again + 1;
            assert_eq!(network.count("a", transport.paths().snapshot) == 0, asked_before);
        }
    }
}

#[test]
fn where_one_place_is_several_members_the_next_place_is_taken() {
    let network = Scripted::default();
    member(&network, "a", Transport::Grpc, 2);
    member(&network, "b", Transport::Grpc, 5);
    let turns = [2, 3].map(|id| Transport::Grpc.status(&status(id)).over(1));
    network.turns("a", GRPC.status, turns.to_vec());
    let manifest = back_up(&network, Transport::Grpc, "a,b").expect("a backup");
    assert_eq!(manifest["endpoint"], "b:2379");
    assert!(manifest["endpoints_rejected"].to_string().contains("then member 3"));
}

#[test]
fn a_second_cluster_is_noticed_whoever_tells_of_it() {
    let other = Header { cluster_id: 8, ..header(2) };
    let network = Scripted::default();
    member(&network, "a", Transport::Grpc, 2);
    network.reply("a", GRPC.members, Transport::Grpc.members(Some(other), &[]).over(1));
    let words = ["first cluster 1", "then cluster 8"];
    refused(back_up(&network, Transport::Grpc, "a"), ErrorKind::Other, &words);

    // An answer that names its cluster and no member.
    let nobody = Header { cluster_id: 8, ..Header::default() };
    network.reply("a", GRPC.members, Transport::Grpc.members(Some(nobody), &[]).over(1));
    refused(back_up(&network, Transport::Grpc, "a"), ErrorKind::Other, &words);

    // A member that is of no use for other reasons.
    let network = Scripted::default();
    member(&network, "a", Transport::Grpc, 2);
    let corrupt = troubled(3, &["memberID:3 alarm:CORRUPT "]);
    let corrupt = Status { header: Some(Header { cluster_id: 8, ..header(3) }), ..corrupt };
    network.reply("b", GRPC.status, Transport::Grpc.status(&corrupt).over(2));
    let two = ["`a:2379` belongs to cluster 1", "`b:2379` to cluster 8"];
    refused(back_up(&network, Transport::Grpc, "a,b"), ErrorKind::Other, &two);

    // A status that is kept from this user, at an endpoint of another cluster.
    let network = Scripted::default();
    member(&network, "a", Transport::Grpc, 2);
    member(&network, "b", Transport::Grpc, 3);
    let denied = Transport::Grpc.refusal(7, "etcdserver: permission denied");
    network.reply("a", GRPC.snapshot, Transport::Grpc.refusal(13, "disk on fire"));
    network.reply("b", GRPC.status, denied);
    network.reply("b", GRPC.members, Transport::Grpc.members(Some(other), &[]).over(1));
    refused(back_up(&network, Transport::Grpc, "a,b"), ErrorKind::Other, &words);
}

#[test]
fn a_member_that_was_made_anew_is_not_the_same() {
    let changed = [
        Status { header: Some(Header { revision: 7, ..header(2) }), ..status(2) },
        Status { header: Some(Header { raft_term: 2, ..header(2) }), ..status(2) },
        Status { raft_applied_index: 5, ..status(2) },
    ];
    for (after, what) in changed.iter().zip(["revision", "raft term", "applied index"]) {
        let network = Scripted::default();
        member(&network, "a", Transport::Grpc, 2);
        let mut turns =
            vec![Transport::Grpc.status(&status(2)).over(1); 1 + again(Transport::Grpc)];
        turns.push(Transport::Grpc.status(after).over(1));
        network.turns("a", GRPC.status, turns);
        let words = [what, "went back"];
        refused(back_up(&network, Transport::Grpc, "a"), ErrorKind::Other, &words);
    }
}

/// Over gRPC a client certificate is a login: one that is not root's is answered
/// `permission denied` where the status wants root.
#[test]
fn a_login_is_tried_wherever_it_could_open_the_status() {
    for transport in BOTH {
        for (code, message) in [
            (7, "etcdserver: permission denied"),
            (3, "etcdserver: user name is empty"),
            (16, "etcdserver: invalid auth token"),
            (9, "etcdserver: user name not found"),
        ] {
            let network = Scripted::default();
            member(&network, "a", transport, 2);
            let paths = transport.paths();
            network.reply("a", paths.login, transport.token("a-token"));
            let message = message.to_string();
            network.on("a", paths.status, move |request| {
                let has_token = request.headers.iter().any(|(_, value)| value == "a-token");
                Ok(match has_token {
                    true => transport.status(&troubled(2, &["memberID:2 alarm:CORRUPT "])).over(1),
                    false => transport.refusal(code, &message),
                })
            });
            let asked = options(&transport.to_string(), "a", &LOGIN);
            refused(backed_up(&network, &asked), ErrorKind::Corrupt, &["CORRUPT"]);
            assert_eq!(network.count("a", paths.login), 1);
        }
    }
}

#[test]
fn a_status_that_a_login_does_not_open_is_asked_for_no_third_time() {
    let network = Scripted::default();
    member(&network, "a", Transport::Grpc, 2);
    network.reply("a", GRPC.login, Transport::Grpc.token("a-token"));
    network.reply("a", GRPC.status, Transport::Grpc.refusal(7, "etcdserver: permission denied"));
    let manifest = backed_up(&network, &options("grpc", "a", &LOGIN)).expect("a backup");
    assert_eq!(network.count("a", GRPC.status), 3, "twice before, and once after");
    assert_eq!(network.count("a", GRPC.login), 1);
    assert_eq!(manifest["member"], json!({ "id": "2", "name": "m2", "role": "unknown" }));
    assert_eq!(manifest["cluster_id"], "1", "the member list has it");
    assert_eq!(manifest["auth_enabled"], true);
    assert!(warned(&manifest, "role and revision are unknown"), "{manifest}");
}

/// What the first probe left out is filled in, and judged, by what comes later.
#[test]
fn a_status_that_opens_later_is_judged_too() {
    for (errors, kind) in
        [(&["memberID:2 alarm:CORRUPT "][..], Some(ErrorKind::Corrupt)), (&[], None)]
    {
        let network = Scripted::default();
        member(&network, "a", Transport::Grpc, 2);
        let denied = Transport::Grpc.refusal(7, "etcdserver: permission denied");
        let opened = Transport::Grpc.status(&troubled(2, errors)).over(1);
        network.turns("a", GRPC.status, vec![denied, opened]);
        let outcome = back_up(&network, Transport::Grpc, "a");
        match kind {
            Some(kind) => refused(outcome, kind, &["CORRUPT"]),
            None => assert_eq!(outcome.expect("a backup")["revision"]["after"], 42),
        }
    }
}

#[test]
fn a_login_is_tried_where_it_could_open_the_snapshot() {
    for (code, message) in [
        (7, "etcdserver: permission denied"),
        (2, "auth: user not found"),
        (16, "etcdserver: invalid auth token"),
    ] {
        let network = Scripted::default();
        member(&network, "a", Transport::Grpc, 2);
        // Authentication was switched on after the first login.
        let off = Transport::Grpc.refusal(9, "etcdserver: authentication is not enabled");
        network.turns("a", GRPC.login, vec![off, Transport::Grpc.token("a-token")]);
        let message = message.to_string();
        network.on("a", GRPC.snapshot, move |request| {
            let has_token = request.headers.iter().any(|(_, value)| value == "a-token");
            Ok(match has_token {
                true => Transport::Grpc.snapshot().over(1),
                false => Transport::Grpc.refusal(code, &message),
            })
        });
        let manifest = backed_up(&network, &options("grpc", "a", &LOGIN)).expect("a backup");
        assert_eq!(manifest["auth_enabled"], true);
        assert_eq!(network.count("a", GRPC.snapshot), 2);
    }
}

#[test]
fn a_refusal_in_the_place_of_the_first_message_is_told_as_what_it_is() {
    for (code, message, kind) in [
        ("4", "stream timeout", ErrorKind::Interrupted),
        ("7", "etcdserver: permission denied", ErrorKind::PermissionDenied),
        ("14", "no healthy upstream", ErrorKind::Interrupted),
    ] {
        let network = Scripted::default();
        member(&network, "a", Transport::Grpc, 2);
        network.reply("a", GRPC.snapshot, Reply::grpc_refusal_in_trailers(code, message));
        refused(back_up(&network, Transport::Grpc, "a"), kind, &["`a:2379`: snapshot: "]);
    }
    let network = Scripted::default();
    member(&network, "a", Transport::Grpc, 2);
    network.reply("a", GRPC.login, Transport::Grpc.token("a-token"));
    let refusal = Reply::grpc_refusal_in_trailers("16", "etcdserver: invalid auth token");
    network.turns("a", GRPC.snapshot, vec![refusal, Transport::Grpc.snapshot().over(1)]);
    assert!(backed_up(&network, &options("grpc", "a", &LOGIN)).is_ok(), "it logs in again");
}

#[test]
fn a_token_that_one_member_refuses_is_a_matter_of_that_member() {
    for transport in BOTH {
        let network = Scripted::default();
        for (host, id) in [("a", 2), ("b", 3)] {
            member(&network, host, transport, id);
            network.reply(host, transport.paths().login, transport.token(&format!("token-{host}")));
        }
        let refusal = transport.refusal(16, "etcdserver: invalid auth token");
        network.reply("a", transport.paths().snapshot, refusal);
        let asked = options(&transport.to_string(), "a,b", &LOGIN);
        let manifest = backed_up(&network, &asked).expect("a backup from the other one");
        assert_eq!(manifest["endpoint"], "b:2379");
        assert_eq!(network.count("a", transport.paths().snapshot), 2, "once more with a new token");
    }
}

#[test]
fn what_every_member_would_refuse_is_asked_of_one() {
    for (code, message, kind) in [
        (7, "etcdserver: permission denied", ErrorKind::PermissionDenied),
        (2, "auth: user name is empty", ErrorKind::Unauthenticated),
        (2, "auth: user not found", ErrorKind::Unauthenticated),
    ] {
        let network = Scripted::default();
        for (host, id) in [("a", 2), ("b", 3)] {
            member(&network, host, Transport::Grpc, id);
            network.reply(host, GRPC.snapshot, Transport::Grpc.refusal(code, message));
        }
        refused(back_up(&network, Transport::Grpc, "a,b"), kind, &["`a:2379`: snapshot: "]);
        assert_eq!(network.count("b", GRPC.snapshot), 0);
        refused(ping(&network, Transport::Grpc, &[]), kind, &["`a:2379`: snapshot: "]);
    }
}

#[test]
fn a_token_that_dies_during_the_snapshot_costs_one_more_login() {
    let network = Scripted::default();
    member(&network, "a", Transport::Grpc, 2);
    let tokens = ["one", "two"].map(|token| Transport::Grpc.token(token));
    network.turns("a", GRPC.login, tokens.to_vec());
    let snapshots = network.clone();
    network.on("a", GRPC.status, move |request| {
        let alive = if snapshots.count("a", GRPC.snapshot) == 0 { "one" } else { "two" };
        let token = request.headers.iter().find(|(name, _)| *name == "token");
        Ok(match token {
            Some((_, token)) if token != alive => {
                Transport::Grpc.refusal(16, "etcdserver: invalid auth token")
            }
            _ => Transport::Grpc.status(&status(2)).over(1),
        })
    });
    let manifest = backed_up(&network, &options("grpc", "a", &LOGIN)).expect("a backup");
    assert_eq!(manifest["revision"]["after"], 42);
    assert_eq!(network.count("a", GRPC.login), 2);
}

#[test]
fn ping_begins_a_snapshot_and_takes_no_more_than_its_beginning() {
    for transport in BOTH {
        let network = Scripted::default();
        member(&network, "a", transport, 2);
        ping(&network, transport, &[]).expect("a yes");
        assert_eq!(network.count("a", transport.paths().snapshot), 1);
        for (reply, kind) in [
            (transport.refusal(7, "etcdserver: permission denied"), ErrorKind::PermissionDenied),
            (transport.refusal(3, "etcdserver: user name is empty"), ErrorKind::Unauthenticated),
            (Reply::page(502), ErrorKind::Unreachable),
        ] {
            network.reply("a", transport.paths().snapshot, reply);
            refused(ping(&network, transport, &[]), kind, &["`a:2379`: snapshot: "]);
        }
        network.on("a", transport.paths().snapshot, |_| Err::<Reply, _>(NetworkError::ReadTimeout));
        refused(ping(&network, transport, &[]), ErrorKind::TimedOut, &["`stall_timeout`"]);
    }
}

#[test]
fn where_grpc_finds_no_way_the_gateway_is_asked() {
    let no_ways = [
        Err(NetworkError::Protocol("protocol error".into())),
        Err(NetworkError::Cut("reset".into())),
        Err(NetworkError::Tls(format!("{NO_HTTP2}; use another port"))),
        Ok(Reply::page(404)),
        Ok(Reply::page(200)),
    ];
    for no_way in no_ways {
        let network = Scripted::default();
        member(&network, "a", Transport::Gateway, 2);
        let answer = no_way.clone();
        network.on("a", GRPC.status, move |_| answer.clone());
        let manifest = backed_up(&network, &options("auto", "a", &[])).expect("a backup");
        assert_eq!(manifest["transport"], "gateway");
        // With `transport=grpc` there is gRPC, or an error that says why not.
        let error = backed_up(&network, &options("grpc", "a", &[])).expect_err("no way");
        assert!(error.to_string().contains("`transport=gateway`"), "{error}");
    }
}

#[test]
fn what_is_no_sign_of_a_missing_http2_sends_nobody_to_the_gateway() {
    for (answer, kind) in [
        (Ok(Reply::page(502)), ErrorKind::Unreachable),
        (Ok(Reply::page(503)), ErrorKind::Unreachable),
        (Ok(Reply::page(429)), ErrorKind::Unreachable),
        (Ok(Reply::page(504)), ErrorKind::TimedOut),
        (Ok(Reply::page(408)), ErrorKind::TimedOut),
        (Ok(Reply::page(401)), ErrorKind::Unauthenticated),
        (Ok(Reply::page(403)), ErrorKind::PermissionDenied),
        (Ok(Reply::grpc_refusal("12", "unknown service")), ErrorKind::Unsupported),
        (Ok(Reply::grpc_refusal("16", "Jwt is missing")), ErrorKind::Unauthenticated),
        (Ok(Reply::grpc_refusal("7", "RBAC: access denied")), ErrorKind::PermissionDenied),
        (Err(NetworkError::Refused), ErrorKind::Unreachable),
        (Err(NetworkError::ReadTimeout), ErrorKind::TimedOut),
        (Err(NetworkError::Tls("tls: expired; renew it".into())), ErrorKind::Unreachable),
    ] {
        let network = Scripted::default();
        member(&network, "a", Transport::Gateway, 2);
        network.on("a", GRPC.status, move |_| answer.clone());
        refused(backed_up(&network, &options("auto", "a", &[])), kind, &["`a:2379`: probe: "]);
        assert_eq!(network.count("a", GATEWAY.status), 0);
    }
}

#[test]
fn where_both_ways_fail_both_reasons_are_told() {
    let network = Scripted::default();
    network.on("a", GRPC.status, |_| Err::<Reply, _>(NetworkError::Protocol("frame".into())));
    network.on("a", GATEWAY.status, |_| Err::<Reply, _>(NetworkError::Cut("reset".into())));
    let auto = options("auto", "a", &[]);
    let words = [
        "neither",
        "gRPC: the server does not speak HTTP/2 (frame), gateway: the connection was closed (reset)",
    ];
    refused(backed_up(&network, &auto), ErrorKind::Unreachable, &words);
    // Neither reason sends people to the way that has failed.
    let error = backed_up(&network, &auto).expect_err("no way").to_string();
    assert!(
        error.ends_with(
            "; check that this is etcd's client port, whether it uses TLS, and what is in between"
        ),
        "{error}"
    );
    network.reply("a", GRPC.status, Reply::page(404));
    let error = backed_up(&network, &auto).expect_err("no way").to_string();
    assert!(
        error.contains("gRPC: the response is not gRPC") && !error.contains("`transport="),
        "{error}"
    );
    network.on("a", GRPC.status, |_| Err::<Reply, _>(NetworkError::Protocol("frame".into())));
    // Where an answer came at all, it says more.
    network.reply("a", GATEWAY.status, Reply::page(502));
    let words = ["gateway: a proxy", "gRPC: the server", "; check that etcd is running behind it"];
    refused(backed_up(&network, &auto), ErrorKind::Unreachable, &words);
    // What can be mended leads.
    network.reply("a", GATEWAY.status, Reply::page(401));
    let words =
        ["neither", "gateway: a proxy", "gRPC: the server", "; connect to the member itself"];
    refused(backed_up(&network, &auto), ErrorKind::Unauthenticated, &words);
    // Where etcd itself answers, there was a way.
    let guarded = Transport::Gateway.refusal(3, "etcdserver: user name is empty");
    network.reply("a", GATEWAY.status, guarded);
    let error = backed_up(&network, &auto).expect_err("a login is wanted");
    assert_eq!(error.kind, ErrorKind::Unauthenticated);
    assert!(!error.to_string().contains("gRPC"), "{error}");
}

#[test]
fn of_several_endpoints_the_reason_that_can_be_mended_leads() {
    let network = Scripted::default();
    network.on("a", GRPC.status, |_| Err::<Reply, _>(NetworkError::Refused));
    network.reply("b", GRPC.status, Transport::Grpc.refusal(3, "etcdserver: user name is empty"));
    let words = [
        "`b:2379`: this cluster requires a login, `a:2379`: connection refused",
        "; set `username` and `password_file`",
    ];
    refused(back_up(&network, Transport::Grpc, "a,b"), ErrorKind::Unauthenticated, &words);
}

#[test]
fn a_refused_snapshot_is_told_as_what_it_is_and_the_next_member_is_asked() {
    for (reply, kind, words) in [
        (Reply::page(504), ErrorKind::TimedOut, "proxy"),
        (Reply::grpc_refusal("13", "disk on fire"), ErrorKind::Other, "INTERNAL"),
        (Reply::page(404), ErrorKind::Unsupported, "not gRPC"),
    ] {
        let network = Scripted::default();
        member(&network, "a", Transport::Grpc, 2);
        network.reply("a", GRPC.snapshot, reply);
        refused(back_up(&network, Transport::Grpc, "a"), kind, &["`a:2379`: snapshot: ", words]);
        member(&network, "b", Transport::Grpc, 3);
        let manifest = back_up(&network, Transport::Grpc, "a,b").expect("a backup");
        assert_eq!(manifest["endpoint"], "b:2379");
    }
}

/// Each piece comes in time, and the whole never does.
#[test]
fn a_refusal_that_drips_ends_with_the_run() {
    let network = Scripted::default();
    member(&network, "a", Transport::Gateway, 2);
    network.on("a", GATEWAY.snapshot, |_| {
        let over = std::time::Instant::now() + std::time::Duration::from_millis(30);
        while std::time::Instant::now() < over {
            std::hint::spin_loop();
        }
        Ok((json_head(500), vec![Ok(b" ".to_vec()); 10]))
    });
    let short = options("gateway", "a", &[("max_duration", "20ms")]);
    refused(backed_up(&network, &short), ErrorKind::TimedOut, &["`max_duration`"]);
}

#[test]
fn what_drips_before_the_first_message_is_given_up_for_the_next_member() {
    for (transport, status, what) in [
        (Transport::Gateway, 500, "refusal"),
        (Transport::Gateway, 200, "first message"),
        (Transport::Grpc, 200, "first message"),
    ] {
        let network = Scripted::default();
        member(&network, "a", transport, 2);
        let head = match transport {
            Transport::Gateway => json_head(status),
            Transport::Grpc => transport.snapshot().head,
        };
        // The head of a gRPC message of 4096 bytes, or the white space before JSON.
        let begin: &[u8] =
            if transport == Transport::Grpc { &[0, 0, 0, 16, 0] } else { &[b' '; 1000] };
        network.reply("a", transport.paths().snapshot, Reply::dripping(head, begin));
        let words = [what, "not complete after 80ms", "`stall_timeout`"];
        let short =
            |endpoints| options(&transport.to_string(), endpoints, &[("stall_timeout", "20ms")]);
        refused(backed_up(&network, &short("a")), ErrorKind::TimedOut, &words);
        let ping = Session::new(network.clone(), short("a"), |_| {}).ping();
        refused(ping, ErrorKind::TimedOut, &words);
        member(&network, "b", transport, 3);
        let manifest = backed_up(&network, &short("a,b")).expect("a backup of the other one");
        assert_eq!(manifest["endpoint"], "b:2379");
    }
}

#[test]
fn of_a_refusal_no_more_is_read_than_an_answer_may_hold() {
    let network = Scripted::default();
    member(&network, "a", Transport::Gateway, 2);
    let endless = vec![Ok(vec![b'x'; 600 << 10]); 3];
    let then_cut = endless.into_iter().chain([Err(NetworkError::Cut("cut".into()))]).collect();
    network.reply("a", GATEWAY.snapshot, (json_head(500), then_cut).into());
    refused(back_up(&network, Transport::Gateway, "a"), ErrorKind::Other, &["status 500", "xxx…"]);
}

#[test]
fn a_member_list_that_is_too_long_is_left_out_and_fails_nothing() {
    for transport in BOTH {
        let network = Scripted::default();
        member(&network, "a", transport, 2);
        let members: Vec<Member> =
            (1..=20_000).map(|id| Member { id, ..Member::default() }).collect();
        let list = transport.members(Some(header(2)), &members).over(1);
        network.reply("a", transport.paths().members, list);
        let manifest = back_up(&network, transport, "a").expect("a backup");
        assert_eq!(manifest["members"], Value::Null);
        assert_eq!(manifest["member"], json!({ "id": "2", "name": null, "role": "follower" }));
    }
}

#[test]
fn a_token_that_etcd_would_not_issue_is_not_sent_back() {
    for transport in BOTH {
        let network = Scripted::default();
        member(&network, "a", transport, 2);
        network.reply("a", transport.paths().login, transport.token("two\nlines"));
        let asked = options(&transport.to_string(), "a", &LOGIN);
        refused(backed_up(&network, &asked), ErrorKind::Corrupt, &["login: ", "the token"]);
    }
}

#[test]
fn without_a_status_afterwards_the_last_revision_is_unknown() {
    let network = Scripted::default();
    member(&network, "a", Transport::Grpc, 2);
    let asked = network.clone();
    network.on("a", GRPC.status, move |_| match asked.count("a", GRPC.snapshot) {
        0 => Ok(Transport::Grpc.status(&status(2)).over(1)),
        _ => Err(NetworkError::ReadTimeout),
    });
    let manifest = back_up(&network, Transport::Grpc, "a").expect("a backup");
    assert_eq!(manifest["revision"], json!({ "before": 42, "after": null, "exact": 42 }));
    assert_eq!(manifest["member"]["id"], "2");
    assert!(warned(&manifest, "no status after the snapshot"), "{manifest}");
}

/// A status that does not say whose it is says nothing of a role either, and zero is
/// no figure.
#[test]
fn what_a_status_leaves_out_is_unknown() {
    for transport in BOTH {
        let network = Scripted::default();
        member(&network, "a", transport, 9);
        let silent = Status { header: None, raft_applied_index: 0, ..status(9) };
        network.reply("a", transport.paths().status, transport.status(&silent).over(1));
        let manifest = back_up(&network, transport, "a").expect("a backup");
        let of_the_list = json!({ "id": "9", "name": "m9", "role": "unknown" });
        assert_eq!(manifest["member"], of_the_list);
        assert_eq!(manifest["revision"], json!({ "before": null, "after": null, "exact": 42 }));
        assert_eq!(manifest["raft"], json!({ "term": null, "applied_index": null }));
    }
}

#[test]
fn a_version_is_asked_for_where_the_status_does_not_tell() {
    let network = Scripted::default();
    member(&network, "a", Transport::Grpc, 2);
    network.reply("a", GRPC.status, Transport::Grpc.refusal(7, "etcdserver: permission denied"));
    for (reported, version) in [("3.5.28", "3.5.28"), ("3.5\u{1b}[31m", "")] {
        network.json("a", "/version", 200, json!({ "etcdserver": reported }).to_string());
        let manifest = back_up(&network, Transport::Grpc, "a").expect("a backup");
        assert_eq!(manifest["etcd_version"], version);
    }
}

#[test]
fn a_stream_that_a_clock_ended_says_whose_clock() {
    for (limit, kind, words) in [
        ("1h", ErrorKind::Interrupted, "a time limit of etcd or of a proxy ended the stream after"),
        ("30ms", ErrorKind::TimedOut, "`max_duration`"),
    ] {
        let network = Scripted::default();
        member(&network, "a", Transport::Grpc, 2);
        let Reply { head, pieces, .. } = Transport::Grpc.snapshot();
        let ended = Reply::grpc_refusal_in_trailers("4", "stream timeout");
        network.reply(
            "a",
            GRPC.snapshot,
            Reply { trailers: ended.trailers, ..(head, pieces).into() }.over(1),
        );
        let options = options("grpc", "a", &[("max_duration", limit)]);
        refused(backed_up(&network, &options), kind, &[words]);
    }
}

#[test]
fn a_refusal_that_comes_in_pieces_is_read_whole() {
    let network = Scripted::default();
    member(&network, "a", Transport::Gateway, 2);
    let pieces = [r#"{"code":7,"#, r#""message":"etcdserver: permission denied"}"#];
    let pieces = pieces.map(|piece| Ok(piece.into())).to_vec();
    network.reply("a", GATEWAY.snapshot, (json_head(403), pieces).into());
    let words = ["role `root`"];
    refused(back_up(&network, Transport::Gateway, "a"), ErrorKind::PermissionDenied, &words);
}

thread_local! {
    /// What people read.
    static LINES: std::cell::RefCell<Vec<String>> = const { std::cell::RefCell::new(Vec::new()) };
}

#[test]
fn people_are_told_that_another_member_is_tried_where_there_is_one() {
    for (endpoints, tried) in [("a,b", 1), ("a", 0)] {
        let network = Scripted::default();
        member(&network, "a", Transport::Grpc, 2);
        member(&network, "b", Transport::Grpc, 3);
        network.reply("a", GRPC.snapshot, Transport::Grpc.refusal(13, "disk on fire"));
        let warn = |line: &str| LINES.with_borrow_mut(|reported| reported.push(line.into()));
        let options = options("grpc", endpoints, &[]);
        let ping = Session::new(network, options, warn).ping();
        assert_eq!(ping.is_ok(), tried == 1);
        let reported = LINES.take();
        let lines = reported.iter().filter(|line| line.ends_with("; trying the next member"));
        assert_eq!(lines.count(), tried, "{reported:?}");
    }
}

/// No etcd keeps to itself who it is; something that stands in for one may.
#[test]
fn what_a_status_does_not_tell_is_recorded_as_unknown() {
    for transport in BOTH {
        let network = Scripted::default();
        member(&network, "a", transport, 2);
        let nobodys = Status { header: None, raft_applied_index: 0, ..status(2) };
        network.reply("a", transport.paths().status, transport.status(&nobodys).over(1));
        let denied = transport.refusal(7, "etcdserver: permission denied");
        network.reply("a", transport.paths().members, denied);
        let manifest = back_up(&network, transport, "a").expect("a backup");
        assert_eq!(manifest["member"], json!({ "id": null, "name": null, "role": "unknown" }));
        assert_eq!(manifest["revision"], json!({ "before": null, "after": null, "exact": 42 }));
        assert_eq!(manifest["raft"], json!({ "term": null, "applied_index": null }));
        assert_eq!(manifest["cluster_id"], Value::Null);
    }
}

/// A caller that continues after a failure gets the same failure.
#[test]
fn an_import_that_failed_stays_so() {
    let network = Scripted::default();
    member(&network, "a", Transport::Grpc, 2);
    let mut turns = vec![Transport::Grpc.status(&status(2)).over(1); 1 + again(Transport::Grpc)];
    turns.push(Transport::Grpc.status(&status(3)).over(1));
    turns.push(Transport::Grpc.status(&status(2)).over(1));
    network.turns("a", GRPC.status, turns);
    let mut import = Import::new(network.clone(), options("grpc", "a", &[]), |_| {});
    while let Step::Record(record) = import.advance().expect("a record") {
        let mut size = 0;
        if let Some(mut reader) = record.content {
            while let Some(piece) = reader.read(1 << 20).expect("a dump") {
                size += piece.len() as u64;
            }
            import.acknowledge(record.id, Fate::Stored(size));
            break;
        }
    }
    for _ in 0..2 {
        refused(import.advance(), ErrorKind::Other, &["then member 3"]);
    }
    refused(import.finish(), ErrorKind::Other, &["then member 3"]);
}

/// Over gRPC and TLS a client certificate may have been the login; the pages know.
#[test]
fn whether_a_login_was_needed_is_recorded_where_it_is_known() {
    for (transport, tls, login, needed) in [
        (Transport::Grpc, false, false, json!(false)),
        (Transport::Gateway, false, false, json!(false)),
        (Transport::Gateway, true, false, json!(false)),
        (Transport::Grpc, true, false, json!(null)),
        (Transport::Grpc, true, true, json!(true)),
        (Transport::Gateway, false, true, json!(true)),
    ] {
        let network = Scripted::default();
        member(&network, "a", transport, 2);
        network.reply("a", transport.paths().login, transport.token("a-token"));
        let more = if login { &LOGIN[..] } else { &[] };
        let mut asked = options(&transport.to_string(), "a", more);
        asked.endpoints[0].tls = tls;
        let manifest = backed_up(&network, &asked).expect("a backup");
        assert_eq!(manifest["auth_enabled"], login, "the pages say that it is off");
        asked.checks.proof_memory = None;
        let manifest = backed_up(&network, &asked).expect("a backup");
        assert_eq!(manifest["auth_enabled"], needed, "{transport}, TLS {tls}, login {login}");
    }
}

#[test]
fn no_exchange_may_outlast_its_limit_or_the_run() {
    for (max_duration, answer, stall) in [("1h", 5, 30), ("2s", 2, 2)] {
        let network = Scripted::default();
        let seen = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        for (path, reply) in [
            (GRPC.status, Transport::Grpc.status(&status(2)).over(1)),
            (GRPC.members, Transport::Grpc.members(Some(header(2)), &[]).over(1)),
            (GRPC.login, Transport::Grpc.token("a-token")),
            (GRPC.snapshot, Transport::Grpc.snapshot().over(1)),
        ] {
            let seen = seen.clone();
            network.on("a", path, move |request| {
                seen.borrow_mut().push((path, request.timeouts));
                Ok(reply.clone())
            });
        }
        let limits = [("max_duration", max_duration), LOGIN[0], LOGIN[1]];
        backed_up(&network, &options("grpc", "a", &limits)).expect("a backup");
        for (path, timeouts) in seen.take() {
            let wait = if path == GRPC.snapshot { stall } else { answer };
            for (limit, expected) in [
                (timeouts.connect, answer),
                (timeouts.first_byte, wait),
                (timeouts.between_bytes, wait),
            ] {
                assert_eq!(limit.as_secs_f64().round() as u64, expected, "{path}: {timeouts:?}");
            }
        }
    }
}

mod hashes;
