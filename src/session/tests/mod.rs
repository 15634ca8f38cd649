//! What is trusted of a member, and why.

mod choice;
mod hashes;
mod login;
mod member;
mod stream;

use crate::error::{Error, Result};
use crate::etcd::call::Transport;
use crate::etcd::messages::{Authenticated, Header, Member, MemberList, SnapshotResponse, Status};
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

/// A healthy follower of member 9.
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

/// Scripts a healthy member, with all responses on connection 1.
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

/// Makes a whole backup and returns its manifest.
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

thread_local! {
    /// The lines that were reported to people.
    static LINES: std::cell::RefCell<Vec<String>> = const { std::cell::RefCell::new(Vec::new()) };
}
