//! What a member returns for each path, unless the script says otherwise.

use super::{Request, Response, Stream};
use crate::database::REVISION;
use crate::etcd::{GatewayStyle, Version};
use crate::recorded;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The script of a gateway: a healthy member, less what a test changes.
#[derive(Debug, Clone)]
pub struct Member {
    style: GatewayStyle,
    cluster_id: u64,
    id: u64,
    leader: u64,
    is_learner: bool,
    alarms: Vec<(u64, &'static str)>,
    database_size: usize,
    scripted: HashMap<String, Response>,
    /// The responses after a snapshot was requested, instead of those.
    changed: HashMap<String, Response>,
    /// Whether one was.
    asked_for_snapshot: Arc<AtomicBool>,
}

const SNAPSHOT: &str = "/v3/maintenance/snapshot";

impl Member {
    /// A member that holds this database, and responds as etcd 3.6 does.
    pub fn with(database: &[u8]) -> Member {
        Member::speaking(GatewayStyle::V2, database)
    }

    /// A member that holds this database and responds in this style.
    pub fn speaking(style: GatewayStyle, database: &[u8]) -> Member {
        let stream = Stream { style, ..Stream::of(database) };
        Member {
            style,
            cluster_id: 7_438_200_942_389_488_494,
            id: 11,
            leader: 11,
            is_learner: false,
            alarms: Vec::new(),
            database_size: database.len(),
            scripted: HashMap::new(),
            changed: HashMap::new(),
            asked_for_snapshot: Arc::default(),
        }
        .snapshot(Response::stream(stream.body()))
    }

    /// Says that it is the member of this id, in a cluster led by that one; 0
    /// where it knows no leader.
    pub fn numbered(self, id: u64, leader: u64) -> Member {
        Member { id, leader, ..self }
    }

    /// Says that it belongs to another cluster than all the others.
    pub fn of_another_cluster(self) -> Member {
        Member { cluster_id: 5, ..self }
    }

    /// Says that it only learns.
    pub fn learning(self) -> Member {
        Member { is_learner: true, ..self }
    }

    /// Says that this alarm is on for that member; for the whole cluster if it is 0.
    pub fn alarmed(mut self, member: u64, alarm: &'static str) -> Member {
        self.alarms.push((member, alarm));
        self
    }

    /// Responds to the snapshot call with this.
    pub fn snapshot(self, response: Response) -> Member {
        self.on(SNAPSHOT, response)
    }

    /// Responds to every request for `path` with this; the path `*` stands for a
    /// connection that begins with HTTP/2.
    pub fn on(mut self, path: &str, response: Response) -> Member {
        self.scripted.insert(path.into(), response);
        self
    }

    /// Responds with the first of these until a snapshot was asked for, and then with
    /// the other.
    pub fn on_after_snapshot(mut self, path: &str, [before, after]: [Response; 2]) -> Member {
        self.changed.insert(path.into(), after);
        self.on(path, before)
    }

    pub(super) fn response(&self, request: &Request) -> Response {
        let path = request.path.split('?').next().unwrap_or_default();
        if path == SNAPSHOT {
            self.asked_for_snapshot.store(true, Ordering::SeqCst);
        }
        let changed = self.asked_for_snapshot.load(Ordering::SeqCst);
        if let Some(response) = self.changed.get(path).filter(|_| changed) {
            return response.clone();
        }
        if let Some(response) = self.scripted.get(path) {
            return response.clone();
        }
        let header = json!({
            "cluster_id": self.cluster_id.to_string(), "member_id": self.id.to_string(),
            "revision": REVISION.to_string(), "raft_term": "2",
        });
        match path {
            "/version" => Response::json(200, &self.version()),
            "/health" => {
                Response::new(200, "text/plain; charset=utf-8", r#"{"health":"true","reason":""}"#)
            }
            "/v3/maintenance/status" => {
                let mut status = json!({
                    "header": header, "version": self.server_version(),
                    "dbSize": self.database_size.to_string(),
                    "dbSizeInUse": self.database_size.to_string(),
                    "raftIndex": "604", "raftTerm": "2", "raftAppliedIndex": "604",
                });
                if self.leader != 0 {
                    status["leader"] = self.leader.to_string().into();
                }
                if self.is_learner {
                    status["isLearner"] = true.into();
                }
                let mut errors: Vec<String> = self
                    .alarms
                    .iter()
                    .map(|(id, name)| recorded::alarm(self.recorded_from(), *id, name))
                    .collect();
                if self.leader == 0 {
                    errors.push(recorded::NO_LEADER.into());
                }
                if !errors.is_empty() {
                    status["errors"] = errors.into();
                }
                if let Some(version) = storage_version(self.style) {
                    status["storageVersion"] = version.into();
                }
                Response::json(200, &status)
            }
            "/v3/cluster/member/list" => Response::json(
                200,
                &json!({ "header": header, "members": [{
                    "ID": self.id.to_string(), "name": "m1",
                    "peerURLs": ["http://127.0.0.1:2380"], "clientURLs": ["http://127.0.0.1:2379"],
                }]}),
            ),
            // As a server does that knows HTTP/1.1 alone.
            "*" => Response::new(400, "text/plain", "Bad Request").then_cut(),
            _ => match self.style {
                GatewayStyle::V1 => Response::new(404, "text/plain; charset=utf-8", "Not Found\n"),
                GatewayStyle::V2 => Response::refusal(self.style, 404, 5, "Not Found"),
            },
        }
    }

    /// The version whose texts it sends.
    fn recorded_from(&self) -> Version {
        match self.style {
            GatewayStyle::V1 => Version::V3_5_33,
            GatewayStyle::V2 => Version::V3_6_14,
        }
    }

    fn version(&self) -> serde_json::Value {
        match self.style {
            GatewayStyle::V1 => json!({ "etcdserver": "3.5.33", "etcdcluster": "3.5.0" }),
            GatewayStyle::V2 => {
                json!({ "etcdserver": "3.6.14", "etcdcluster": "3.6.0", "storage": "3.6.0" })
            }
        }
    }

    fn server_version(&self) -> &'static str {
        self.recorded_from().name()
    }
}

/// The storage version, which etcd reports from 3.6 on.
pub(super) fn storage_version(style: GatewayStyle) -> Option<&'static str> {
    match style {
        GatewayStyle::V1 => None,
        GatewayStyle::V2 => Some("3.6.0"),
    }
}
