//! `manifest.json`: what a snapshot contains, where it came from, and what was proven.
//!
//! The schema is documented in `docs/manifest.md`. It only ever grows; readers
//! ignore fields that they do not know.

use crate::etcd::alarm::{Alarm, AlarmType};
use crate::etcd::call::Transport;
use crate::etcd::messages::{Id, Member, Status};
use crate::member::{Candidate, Rejected};
use crate::proof::observer::Observer;
use crate::proof::{Found, Keyspace};
use crate::quorum::{Outcome, Vote};
use crate::session::Chosen;
use crate::snapshot::stream::{Sent, Stated};
use crate::snapshot::verifier::Proof;
use serde::Serialize;
use std::fmt;
use std::time::{Duration, SystemTime};

/// The version of the schema.
pub(crate) const VERSION: u32 = 1;

/// What is proven of a dump that has a manifest.
pub(crate) fn verified(evidence: &Evidence) -> Vec<&'static str> {
    let mut verified = vec!["announced size", "sha256 of etcd", "bbolt header"];
    verified.extend(evidence.database.as_ref().map(|_| "bbolt pages"));
    match evidence.outcome {
        Some(Outcome::Proven) => verified.push("hashkv of a majority"),
        Some(Outcome::SelfConsistent) => verified.push("hashkv of the sender"),
        _ => {}
    }
    verified
}

/// What is recorded about a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Manifest {
    version: u32,
    connector: Connector,
    /// When the backup began, RFC 3339 in UTC.
    pub created_at: String,
    /// The endpoint that sent the snapshot.
    pub endpoint: String,
    transport: String,
    /// The member that sent it; `null` if it cannot be determined.
    member: Option<MemberInfo>,
    /// Why that member was chosen; `null` if the member cannot be determined.
    choice: Option<String>,
    cluster_id: Option<Id>,
    /// The version of that member's binary; empty if unknown.
    pub etcd_version: String,
    storage_version: Option<String>,
    /// The revision of the snapshot, and those before and after it.
    pub revision: Revision,
    raft: Raft,
    /// All members; `null` if the member did not report them.
    pub members: Option<Vec<MemberInfo>>,
    /// The active alarms, before the snapshot or after it.
    pub alarms: Vec<AlarmInfo>,
    /// The other errors that the member listed, in its own words.
    status_errors: Vec<String>,
    /// Whether a login was needed: etcd gives snapshots only to the role `root`.
    /// Unknown if a client certificate may have been the login.
    pub auth_enabled: Option<bool>,
    /// The quota of the member's database, in bytes; reported by etcd 3.6 and later.
    pub db_size_quota: Option<u64>,
    /// The dump.
    pub dump: DumpInfo,
    /// The facts in the pages of the dump; `null` if they were not read.
    pub database: Option<DatabaseInfo>,
    /// To what extent the dump is proven to be what the cluster holds.
    pub proof: ProofInfo,
    verified: Vec<&'static str>,
    endpoints_rejected: Vec<RejectedInfo>,
    /// What an operator must know of this backup.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Connector {
    name: &'static str,
    version: &'static str,
}

/// A member; fields that are unknown are `null` or absent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct MemberInfo {
    /// Its id.
    pub id: Option<Id>,
    /// Its name; empty if it never started.
    pub name: Option<String>,
    /// Its role when the backup began; only known for the member that was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Whether it is a learner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_learner: Option<bool>,
    /// The URLs at which its peers reach it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub peer_urls: Vec<String>,
    /// The URLs at which clients reach it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub client_urls: Vec<String>,
}

/// The revision of the snapshot, and what the member reported before and after it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Revision {
    /// In the status before it.
    pub before: Option<i64>,
    /// In the status after it.
    pub after: Option<i64>,
    /// In the pages of the dump.
    pub exact: Option<i64>,
}

/// The facts in the pages of a dump.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct DatabaseInfo {
    revision: i64,
    /// -1 if it was never compacted.
    compact_revision: i64,
    compaction_pending: bool,
    consistent_index: Option<u64>,
    term: Option<u64>,
    storage_version: Option<String>,
    members: Vec<MemberInfo>,
    alarms: Vec<AlarmInfo>,
    auth_enabled: bool,
    users: u64,
    roles: u64,
    leases: u64,
    /// The number of keys that exist.
    pub keys: u64,
    revisions: u64,
    tombstones: u64,
    page_size: u32,
    live_pages: u64,
    free_pages: u64,
    /// The space that a defragmentation would free, in bytes.
    free_bytes: u64,
    /// HashKV at the revision and the compaction revision above.
    hash_kv: u32,
}

impl DatabaseInfo {
    /// Collects what was found in a database.
    pub(crate) fn of<O: Observer>(keyspace: &Keyspace<O>) -> Self {
        let found = &keyspace.found;
        Self {
            revision: found.revision,
            compact_revision: found.compact_revision,
            compaction_pending: found.is_compacting,
            consistent_index: found.consistent_index,
            term: found.term,
            storage_version: found.storage_version.clone(),
            members: found.members.iter().map(MemberInfo::of).collect(),
            alarms: found.alarms.iter().cloned().map(AlarmInfo::from).collect(),
            auth_enabled: found.auth_enabled,
            users: found.users,
            roles: found.roles,
            leases: found.leases,
            keys: found.keys,
            revisions: found.revisions,
            tombstones: found.tombstones,
            page_size: found.page_size,
            live_pages: found.live_pages,
            free_pages: found.free_pages,
            free_bytes: found.free_pages.saturating_mul(found.page_size.into()),
            hash_kv: keyspace.hash(found.compact_revision),
        }
    }

    /// Whether a manifest with this `database` describes this one. Fields that a
    /// later version adds do not matter.
    pub(crate) fn matches(&self, reported: &serde_json::Value) -> bool {
        let this = serde_json::to_value(self).unwrap_or_else(|error| unreachable!("{error}"));
        let (Some(this), Some(reported)) = (this.as_object(), reported.as_object()) else {
            return false;
        };
        this.iter().all(|(name, value)| reported.get(name).is_none_or(|reported| reported == value))
    }
}

/// The facts that are known about the content of a dump.
#[derive(Default)]
pub(crate) struct Evidence {
    /// The facts in its pages; `None` if they were not read.
    pub database: Option<(Found, DatabaseInfo)>,
    /// To what extent it is proven; `None` if that was not requested.
    pub outcome: Option<Outcome>,
    /// What the members report.
    pub votes: Vec<Vote>,
}

/// The facts about a dump that was read to its verified end.
pub(crate) struct Dumped {
    /// Its size and its SHA-256.
    pub proof: Proof,
    /// The digest with which the host must compare its own, if the host computes it.
    pub stated: Option<Stated>,
    /// The storage version that was sent with the bytes; may be empty.
    pub storage_version: String,
    /// What it shows of its sender.
    pub sent: Sent,
    /// From the request to the verified end.
    pub duration: Duration,
    /// What its pages contain and the members report.
    pub evidence: Evidence,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ProofInfo {
    /// `proven`, `self-consistent`, `unproven` or `off`.
    pub outcome: &'static str,
    /// Why it is not proven further.
    pub reason: Option<String>,
    members: Vec<VoteInfo>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct VoteInfo {
    endpoint: String,
    member_id: Option<Id>,
    answer: &'static str,
    reason: Option<String>,
    hash_kv: Option<u32>,
    compact_revision: Option<i64>,
    duration_ms: u64,
}

impl ProofInfo {
    fn of(Evidence { outcome, votes, .. }: &Evidence) -> Self {
        let vote = |vote: &Vote| VoteInfo {
            endpoint: vote.endpoint.to_string(),
            member_id: (vote.member_id != 0).then_some(Id(vote.member_id)),
            answer: vote.verdict.name(),
            reason: vote.verdict.reason().map(String::from),
            hash_kv: vote.reported.map(|reported| reported.hash),
            compact_revision: vote.reported.map(|reported| reported.compact_revision),
            duration_ms: vote.duration.as_millis() as u64,
        };
        Self {
            outcome: outcome.as_ref().map_or("off", Outcome::name),
            reason: outcome.as_ref().and_then(Outcome::reason).map(String::from),
            members: votes.iter().map(vote).collect(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Raft {
    term: Option<u64>,
    applied_index: Option<u64>,
}

/// An active alarm.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct AlarmInfo {
    /// The member that it is about; zero if etcd names none.
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
pub(crate) struct DumpInfo {
    /// Its size, digest included.
    pub bytes: u64,
    /// The SHA-256 of the database, which is the dump without its last 32 bytes.
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
    /// Makes the manifest of a dump that was stored.
    pub(crate) fn new(
        created_at: SystemTime,
        chosen: &Chosen,
        after: Option<&Status>,
        dumped: &Dumped,
        rejected: &[Rejected],
    ) -> Self {
        let evidence = &dumped.evidence;
        let database = evidence.database.as_ref();
        // The numbers of an unknown member are meaningless, and zero is not a number
        // that was reported: responses leave it out.
        let known = chosen.identity.hidden().is_none();
        let before = chosen.candidate.status.as_ref().filter(|_| known);
        let after = after.filter(|_| known);
        // Zero was not reported.
        let id = |id: u64| (id != 0).then_some(Id(id));
        let revision = |s: &Status| Some(s.header().revision).filter(|&revision| revision > 0);
        let figure = |figure: u64| (figure != 0).then_some(figure);
        let reported = |text: &str| Some(text.to_string()).filter(|text| !text.is_empty());
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
            storage_version: database
                .and_then(|(found, _)| found.storage_version.clone())
                .or_else(|| reported(&dumped.storage_version))
                .or_else(|| before.and_then(|s| reported(&s.storage_version))),
            revision: Revision {
                before: before.and_then(revision),
                after: after.and_then(revision),
                exact: database.map(|(found, _)| found.revision),
            },
            raft: Raft {
                term: before.and_then(|s| figure(s.header().raft_term)),
                applied_index: before.and_then(|s| figure(s.raft_applied_index)),
            },
            members: members(chosen, database.map(|(found, _)| found))
                .map(|members| members.iter().map(MemberInfo::of).collect()),
            alarms: chosen.troubles.alarms.iter().cloned().map(AlarmInfo::from).collect(),
            status_errors: chosen.troubles.others.clone(),
            auth_enabled: match &chosen.candidate {
                Candidate { token: Some(_), .. } => Some(true),
                _ if database.is_some() => database.map(|(found, _)| found.auth_enabled),
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
            database: database.map(|(_, info)| info.clone()),
            proof: ProofInfo::of(evidence),
            verified: verified(evidence),
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
    pub(crate) fn to_json(&self) -> String {
        crate::json::pretty(self)
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
        if let Some(exact) = self.exact {
            return write!(f, "{exact}");
        }
        match (self.before, self.after) {
            (Some(before), Some(after)) if before == after => write!(f, "{before}"),
            (Some(before), Some(after)) => write!(f, "{before} to {after}"),
            (Some(before), None) => write!(f, "{before} or later"),
            (None, Some(after)) => write!(f, "{after} or earlier"),
            (None, None) => f.write_str("unknown"),
        }
    }
}

/// All members, as the member reports them or otherwise as the pages list them; `None` if neither
/// does. A restored member has none in its pages until it has run.
pub(crate) fn members<'a>(chosen: &'a Chosen, found: Option<&'a Found>) -> Option<&'a [Member]> {
    let found = found.map(|found| found.members.as_slice()).filter(|members| !members.is_empty());
    chosen.members.as_deref().or(found)
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_printed_as_far_as_it_is_known() {
        for (before, after, exact, reported) in [
            (Some(42), Some(42), None, "42"),
            (Some(42), Some(45), None, "42 to 45"),
            (Some(42), None, None, "42 or later"),
            (None, Some(45), None, "45 or earlier"),
            (None, None, None, "unknown"),
            (Some(42), Some(45), Some(43), "43"),
            (None, None, Some(43), "43"),
        ] {
            assert_eq!(Revision { before, after, exact }.to_string(), reported);
        }
    }
}
