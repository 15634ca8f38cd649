//! `manifest.json`: what a snapshot is, where it came from, and what was proven.
//!
//! The schema is documented in `docs/manifest.md`. It only ever grows; readers
//! ignore fields that they do not know.

use crate::alarm::{Alarm, AlarmType};
use crate::etcd::messages::{Id, Member, Status};
use crate::etcd::transport::Transport;
use crate::import::Dumped;
use crate::member::{Candidate, Rejected};
use crate::session::Chosen;
use plakar_connector::text::is_hidden;
use serde::Serialize;
use std::fmt::{self, Write as _};
use std::time::SystemTime;

/// The version of the schema.
pub const VERSION: u32 = 1;

/// What is proven of every dump that has a manifest.
pub const VERIFIED: [&str; 3] = ["announced size", "sha256 of etcd", "bbolt header"];

/// What is told about a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Manifest {
    version: u32,
    connector: Connector,
    /// When the backup began, RFC 3339 in UTC.
    pub created_at: String,
    /// The endpoint that sent the snapshot.
    pub endpoint: String,
    transport: String,
    /// The member that sent it; `null` where nobody can tell which one did.
    member: Option<MemberInfo>,
    /// Why that member; `null` where nobody can tell which one it is.
    choice: Option<String>,
    cluster_id: Option<Id>,
    /// The version of that member's binary; empty where unknown.
    pub etcd_version: String,
    storage_version: Option<String>,
    /// The revisions that the snapshot lies between.
    pub revision: Revision,
    raft: Raft,
    /// All members; `null` where the member did not tell.
    pub members: Option<Vec<MemberInfo>>,
    /// The active alarms, before the snapshot or after it.
    pub alarms: Vec<AlarmInfo>,
    /// What else the member listed as its errors, in its own words.
    status_errors: Vec<String>,
    /// Whether a login was needed: etcd gives snapshots to the role `root` alone.
    /// Unknown where a client certificate may have been the login.
    pub auth_enabled: Option<bool>,
    /// The most that the member's database may take, in bytes; known from etcd 3.6 on.
    pub db_size_quota: Option<u64>,
    /// The dump.
    pub dump: DumpInfo,
    verified: [&'static str; 3],
    endpoints_rejected: Vec<RejectedInfo>,
    /// What an operator must know of this backup.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Connector {
    name: &'static str,
    version: &'static str,
}

/// A member, as far as it is known.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MemberInfo {
    /// Its id.
    pub id: Option<Id>,
    /// Its name; empty where it never started.
    pub name: Option<String>,
    /// What it was when the backup began; only known of the member asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Whether it is a learner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_learner: Option<bool>,
    /// Where its peers reach it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub peer_urls: Vec<String>,
    /// Where clients reach it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub client_urls: Vec<String>,
}

/// The member's revision before and after the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Revision {
    /// In the status before it.
    pub before: Option<i64>,
    /// In the status after it.
    pub after: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Raft {
    term: Option<u64>,
    applied_index: Option<u64>,
}

/// An active alarm.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlarmInfo {
    /// The member that it is about; zero where etcd names none.
    pub member_id: Id,
    /// What is wrong, by etcd's name.
    #[serde(serialize_with = "alarm_name")]
    pub alarm: AlarmType,
}

impl From<Alarm> for AlarmInfo {
    fn from(Alarm { member_id, alarm }: Alarm) -> Self {
        Self { member_id: Id(member_id), alarm }
    }
}

fn alarm_name<S: serde::Serializer>(alarm: &AlarmType, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(alarm.name())
}

/// What is known of the dump.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DumpInfo {
    /// Its size, digest included.
    pub bytes: u64,
    /// The SHA-256 of the database, which is all of it but the last 32 bytes.
    pub sha256: String,
    /// From the request to the proof.
    pub duration_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct RejectedInfo {
    endpoint: String,
    reason: String,
}

impl Manifest {
    /// Puts together what is known once a dump is stored.
    pub fn new(
        created_at: SystemTime,
        chosen: &Chosen,
        after: Option<&Status>,
        dumped: &Dumped,
        rejected: &[Rejected],
    ) -> Self {
        // Figures of a member say nothing where it is unknown whose they are, and zero
        // is none: it is what an answer leaves out.
        let known = chosen.identity.hidden().is_none();
        let before = chosen.candidate.status.as_ref().filter(|_| known);
        let after = after.filter(|_| known);
        // Zero is what is not told.
        let id = |id: u64| (id != 0).then_some(Id(id));
        let revision = |s: &Status| Some(s.header().revision).filter(|&revision| revision > 0);
        let figure = |figure: u64| (figure != 0).then_some(figure);
        let told = |text: &str| Some(text.to_string()).filter(|text| !text.is_empty());
        Self {
            version: VERSION,
            connector: Connector { name: "etcd", version: env!("CARGO_PKG_VERSION") },
            created_at: humantime::format_rfc3339_seconds(created_at).to_string(),
            endpoint: chosen.candidate.endpoint.to_string(),
            transport: chosen.candidate.transport.to_string(),
            member: known.then(|| MemberInfo {
                id: id(chosen.identity.member_id()),
                name: chosen.member().map(|m| m.name.clone()),
                role: Some(chosen.candidate.role().to_string()),
                is_learner: None,
                peer_urls: Vec::new(),
                client_urls: Vec::new(),
            }),
            choice: known.then(|| chosen.choice.clone()),
            cluster_id: id(chosen.identity.cluster_id()),
            etcd_version: chosen.version.clone(),
            storage_version: told(&dumped.storage_version)
                .or_else(|| before.and_then(|s| told(&s.storage_version))),
            revision: Revision {
                before: before.and_then(revision),
                after: after.and_then(revision),
            },
            raft: Raft {
                term: before.and_then(|s| figure(s.header().raft_term)),
                applied_index: before.and_then(|s| figure(s.raft_applied_index)),
            },
            members: chosen
                .members
                .as_ref()
                .map(|members| members.iter().map(MemberInfo::of).collect()),
            alarms: chosen.troubles.alarms.iter().cloned().map(AlarmInfo::from).collect(),
            status_errors: chosen.troubles.others.clone(),
            auth_enabled: match &chosen.candidate {
                Candidate { token: Some(_), .. } => Some(true),
                Candidate { transport: Transport::Grpc, endpoint, .. } if endpoint.tls => None,
                _ => Some(false),
            },
            db_size_quota: before
                .and_then(|s| u64::try_from(s.db_size_quota).ok())
                .filter(|&quota| quota > 0),
            dump: DumpInfo {
                bytes: dumped.proof.size,
                sha256: hex(&dumped.proof.sha256),
                duration_ms: dumped.duration.as_millis() as u64,
            },
            verified: VERIFIED,
            endpoints_rejected: rejected
                .iter()
                .map(|r| RejectedInfo {
                    endpoint: r.endpoint.to_string(),
                    reason: r.error.what().into(),
                })
                .collect(),
            warnings: chosen.warnings.clone(),
        }
    }

    /// The file's text.
    pub fn to_json(&self) -> String {
        let json =
            serde_json::to_string_pretty(self).unwrap_or_else(|error| unreachable!("{error}"));
        // Names are the users' to choose, and the file is read on terminals. Outside of
        // strings there is no such character but the line break.
        let mut plain = String::with_capacity(json.len() + 1);
        for c in json.chars() {
            match is_hidden(c) && c != '\n' {
                true => {
                    let _ = write!(plain, "\\u{:04x}", u32::from(c));
                }
                false => plain.push(c),
            }
        }
        plain.push('\n');
        plain
    }
}

impl MemberInfo {
    fn of(member: &Member) -> Self {
        Self {
            id: Some(Id(member.id)),
            name: Some(member.name.clone()),
            role: None,
            is_learner: Some(member.is_learner),
            peer_urls: member.peer_urls.clone(),
            client_urls: member.client_urls.clone(),
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.before, self.after) {
            (Some(before), Some(after)) if before == after => write!(f, "{before}"),
            (Some(before), Some(after)) => write!(f, "{before} to {after}"),
            (Some(before), None) => write!(f, "{before} or later"),
            (None, Some(after)) => write!(f, "{after} or earlier"),
            (None, None) => f.write_str("unknown"),
        }
    }
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_told_as_far_as_it_is_known() {
        for (before, after, told) in [
            (Some(42), Some(42), "42"),
            (Some(42), Some(45), "42 to 45"),
            (Some(42), None, "42 or later"),
            (None, Some(45), "45 or earlier"),
            (None, None, "unknown"),
        ] {
            assert_eq!(Revision { before, after }.to_string(), told);
        }
    }
}
