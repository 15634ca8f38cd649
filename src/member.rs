//! Which member to back up: what the answers to a probe say of each, in which
//! order they are tried, and which are not to be trusted at all.

use crate::error::Error;
use crate::etcd::messages::{AlarmType, Id, Status};
use crate::etcd::transport::Transport;
use plakar_connector::Authority;
use std::fmt;

/// A follower that has applied so many entries fewer than the most advanced
/// member lags: it is what etcd itself lets a follower be behind before it sends
/// a whole snapshot (`server/etcdserver/server.go`, `DefaultSnapshotCatchUpEntries`).
const LAG: u64 = 5000;

/// What a member is in its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A voting member that follows a leader.
    Follower,
    /// The leader.
    Leader,
    /// A member that does not vote yet.
    Learner,
    /// A member that knows no leader: its data may be stale.
    Leaderless,
    /// A member that does not tell.
    Unknown,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Follower => "follower",
            Role::Leader => "leader",
            Role::Learner => "learner",
            Role::Leaderless => "leaderless",
            Role::Unknown => "unknown",
        })
    }
}

/// The role that a status tells.
pub fn role(status: &Status) -> Role {
    if status.is_learner {
        Role::Learner
    } else if status.leader == 0 || status.errors.iter().any(|e| e.contains("no leader")) {
        Role::Leaderless
    } else if status.leader == status.header().member_id {
        Role::Leader
    } else {
        Role::Follower
    }
}

/// An active alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alarm {
    /// The member that it is about; zero where etcd names none.
    pub member_id: u64,
    /// What is wrong.
    pub alarm: AlarmType,
}

/// The alarms that a status lists among its errors.
pub fn alarms(status: &Status) -> Vec<Alarm> {
    let alarm = |error: &String| {
        let (member, alarm) = error.trim().strip_prefix("memberID:")?.split_once(" alarm:")?;
        let alarm = AlarmType::named(alarm.trim())?;
        Some(Alarm { member_id: member.parse().ok()?, alarm })
    };
    status.errors.iter().filter_map(alarm).collect()
}

/// A member that answered.
#[derive(Clone)]
pub struct Candidate {
    /// Where it answered.
    pub endpoint: Authority,
    /// How it is spoken to.
    pub transport: Transport,
    /// Why that is not gRPC, where it was tried.
    pub no_grpc: Option<String>,
    /// Its status, unless it keeps that to itself.
    pub status: Option<Status>,
    /// The token that a login there gave.
    pub token: Option<String>,
    /// The connection that its status came over, where the host tells.
    pub connection: Option<String>,
    /// How many entries fewer than the most advanced candidate it has applied, as
    /// far as [`rank`] could see.
    pub behind: u64,
}

impl Candidate {
    /// What it is in its cluster.
    pub fn role(&self) -> Role {
        self.status.as_ref().map_or(Role::Unknown, role)
    }

    fn lags(&self) -> bool {
        self.behind > LAG
    }

    fn is_out_of_space(&self) -> bool {
        self.status.as_ref().is_some_and(|status| has_own_alarm(status, AlarmType::Nospace))
    }

    /// What it is, and what speaks against it.
    fn described(&self) -> String {
        let mut words = self.role().to_string();
        if self.lags() {
            words += &format!(", {} entries behind", self.behind);
        }
        if self.is_out_of_space() {
            words += ", out of space";
        }
        words
    }
}

/// An endpoint that is not used, and why.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// The endpoint.
    pub endpoint: Authority,
    /// Why it is not used.
    pub error: Error,
}

/// Why a member must not be backed up, whatever else it says.
pub fn disqualified(status: &Status) -> Option<&'static str> {
    has_own_alarm(status, AlarmType::Corrupt)
        .then_some("etcd has raised the alarm CORRUPT for this member")
}

/// Whether an alarm is on for the very member that tells of it.
fn has_own_alarm(status: &Status, alarm: AlarmType) -> bool {
    let own = status.header().member_id;
    own != 0 && alarms(status).contains(&Alarm { member_id: own, alarm })
}

/// What an operator must know of a backup from this member.
pub fn warnings(candidate: &Candidate) -> Vec<String> {
    let mut warnings = Vec::new();
    let Some(status) = &candidate.status else {
        return vec![
            "this member tells its status to no one but the role `root`: role and revision are unknown".into(),
        ];
    };
    match role(status) {
        Role::Leaderless => warnings.push(
            "this member knows no leader: what it holds may be older than what was acknowledged"
                .into(),
        ),
        Role::Learner => warnings.push(
            "this member is a learner: what it holds may be older than what voters hold".into(),
        ),
        _ => {}
    }
    if candidate.lags() {
        warnings.push(format!(
            "this member has applied {} entries fewer than another one: what it holds is older",
            candidate.behind
        ));
    }
    for alarm in alarms(status) {
        warnings.push(match (alarm.alarm, alarm.member_id) {
            (AlarmType::Nospace, id) => format!(
                "the alarm NOSPACE is on for member {}: the snapshot is good, but a cluster restored \
                 from it is read-only until it is defragmented and the alarm disarmed",
                Id(id)
            ),
            (AlarmType::Corrupt, 0) => "the alarm CORRUPT is on and names no member: compare the members' \
                                   HashKV before you trust this snapshot"
                .into(),
            (alarm, id) => format!("the alarm {} is on for member {}", alarm.name(), Id(id)),
        });
    }
    warnings
}

/// Orders members by how well they suit a backup. First come those that keep up,
/// then those that tell nothing, lag, only learn, or know no leader. Of these,
/// the ones that are not out of space, since a snapshot keeps pages from being
/// used again; of these, the followers, so that the leader is left in peace. Among
/// equals the `typed` order holds.
pub fn rank(candidates: &mut [Candidate], typed: &[Authority]) {
    let applied = |c: &Candidate| c.status.as_ref().map(|s| s.raft_applied_index);
    let newest = candidates.iter().filter_map(applied).max().unwrap_or_default();
    for candidate in candidates.iter_mut() {
        candidate.behind = applied(candidate).map_or(0, |applied| newest - applied);
    }
    let staleness = |candidate: &Candidate| match candidate.role() {
        Role::Follower | Role::Leader if candidate.lags() => 2,
        Role::Follower | Role::Leader => 0,
        Role::Unknown => 1,
        Role::Learner => 3,
        Role::Leaderless => 4,
    };
    candidates.sort_by_key(|c| {
        let place = typed.iter().position(|endpoint| *endpoint == c.endpoint);
        (staleness(c), c.is_out_of_space(), c.role() == Role::Leader, place)
    });
}

/// Says why a member is asked, before the `others` that could be.
pub fn choice<'a>(
    candidate: &Candidate,
    others: impl IntoIterator<Item = &'a Candidate>,
) -> String {
    let others: Vec<String> = others
        .into_iter()
        .map(|other| format!("{} ({})", other.endpoint, other.described()))
        .collect();
    match others.is_empty() {
        true => format!("{}, the only choice", candidate.described()),
        false => format!("{}, before {}", candidate.described(), others.join(", ")),
    }
}

/// The ids of two different clusters among the candidates, if there are.
pub fn strangers(candidates: &[Candidate]) -> Option<[(&Authority, Id); 2]> {
    let mut known = candidates
        .iter()
        .filter_map(|c| c.status.as_ref().map(|s| (&c.endpoint, Id(s.header().cluster_id))));
    let first = known.next()?;
    known.find(|(_, id)| *id != first.1).map(|other| [first, other])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etcd::messages::Header;

    fn candidate(id: u64, change: impl FnOnce(&mut Status)) -> Candidate {
        let header = Some(Header { member_id: id, ..Header::default() });
        let mut status =
            Status { header, leader: 1, raft_applied_index: 10_000, ..Status::default() };
        change(&mut status);
        Candidate {
            endpoint: Authority { host: format!("m{id}"), port: 2379, tls: false },
            transport: Transport::Gateway,
            no_grpc: None,
            status: Some(status),
            token: None,
            connection: None,
            behind: 0,
        }
    }

    fn order(mut candidates: Vec<Candidate>) -> Vec<String> {
        let typed: Vec<Authority> = candidates.iter().map(|c| c.endpoint.clone()).collect();
        candidates.reverse();
        rank(&mut candidates, &typed);
        candidates.into_iter().map(|c| c.endpoint.host).collect()
    }

    #[test]
    fn a_follower_goes_before_the_leader_and_both_before_the_rest() {
        let silent = Candidate { status: None, ..candidate(6, |_| {}) };
        let candidates = vec![
            candidate(5, |s| s.leader = 0),
            candidate(4, |s| s.is_learner = true),
            candidate(3, |s| s.raft_applied_index = 10_000 - LAG - 1),
            silent,
            candidate(1, |_| {}),
            candidate(2, |s| s.raft_applied_index = 10_000 - LAG),
        ];
        assert_eq!(order(candidates), ["m2", "m1", "m6", "m3", "m4", "m5"]);
    }

    #[test]
    fn a_member_out_of_space_goes_last_of_those_that_keep_up() {
        let full = |s: &mut Status| {
            s.errors = [1, 2].map(|id| format!("memberID:{id} alarm:NOSPACE ")).into();
        };
        let candidates = vec![
            candidate(2, full),
            candidate(1, full),
            candidate(3, full),
            candidate(4, |s| s.leader = 0),
        ];
        assert_eq!(order(candidates), ["m3", "m2", "m1", "m4"]);
    }

    #[test]
    fn what_speaks_against_a_member_is_told() {
        let mut candidates = [candidate(2, |s| s.raft_applied_index = 1), candidate(1, |_| {})];
        rank(&mut candidates, &[]);
        let [first, second] = &candidates;
        assert_eq!(
            choice(first, [second]),
            "leader, before m2:2379 (follower, 9999 entries behind)"
        );
        assert!(warnings(first).is_empty());
        assert!(warnings(second)[0].contains("9999 entries fewer"), "{:?}", warnings(second));
    }

    #[test]
    fn among_equals_the_typed_order_holds() {
        assert_eq!(order(vec![candidate(3, |_| {}), candidate(2, |_| {})]), ["m3", "m2"]);
    }

    #[test]
    fn only_its_own_corrupt_alarm_disqualifies_a_member() {
        let alarmed = |error: &str| candidate(7, |s| s.errors = vec![error.into()]);
        let verdict = |c: &Candidate| disqualified(c.status.as_ref().expect("a status"));
        assert!(verdict(&alarmed("memberID:7 alarm:CORRUPT ")).is_some());
        for error in
            ["memberID:8 alarm:CORRUPT ", "memberID:0 alarm:CORRUPT ", "memberID:7 alarm:NOSPACE "]
        {
            assert!(verdict(&alarmed(error)).is_none(), "{error}");
            assert_eq!(warnings(&alarmed(error)).len(), 1, "{error}");
        }
    }

    #[test]
    fn a_member_without_leader_is_known_by_either_sign() {
        assert_eq!(candidate(2, |s| s.leader = 0).role(), Role::Leaderless);
        assert_eq!(
            candidate(2, |s| s.errors = vec!["etcdserver: no leader".into()]).role(),
            Role::Leaderless
        );
        assert_eq!(warnings(&candidate(2, |s| s.leader = 0)).len(), 1);
    }

    #[test]
    fn members_of_two_clusters_are_noticed() {
        let mut both = vec![
            candidate(1, |_| {}),
            candidate(2, |s| {
                s.header = Some(Header { member_id: 2, cluster_id: 9, ..Header::default() })
            }),
        ];
        assert!(strangers(&both).is_some());
        both.pop();
        assert!(strangers(&both).is_none());
    }
}
