//! Which member to back up: what the responses to a probe report of each, in which
//! order they are tried, and which must not be trusted.

use crate::error::{Error, quote};
use crate::etcd::alarm::{Alarm, AlarmType, Troubles, reports_no_leader};
use crate::etcd::call::Transport;
use crate::etcd::messages::{Id, Status};
use plakar_connector::{Authority, ErrorKind};
use std::fmt;

/// A follower that has applied this many entries fewer than the most advanced
/// member lags: it is what etcd itself lets a follower be behind before it sends
/// a whole snapshot (`server/etcdserver/server.go`, `DefaultSnapshotCatchUpEntries`).
const LAG: u64 = 5000;

/// The role of a member in its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A voting member that follows a leader.
    Follower,
    /// The leader.
    Leader,
    /// A member that does not vote yet.
    Learner,
    /// A member that knows no leader: its data may be stale.
    Leaderless,
    /// A member that does not report it.
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

/// Returns the role in a status.
pub(crate) fn role(status: &Status) -> Role {
    if status.is_learner {
        Role::Learner
    } else if status.leader == 0 || status.errors.iter().any(|e| reports_no_leader(e)) {
        Role::Leaderless
    } else {
        match status.header().member_id {
            0 => Role::Unknown,
            id if id == status.leader => Role::Leader,
            _ => Role::Follower,
        }
    }
}

/// A member that responded.
#[derive(Clone)]
pub(crate) struct Candidate {
    /// The endpoint at which it responded.
    pub endpoint: Authority,
    /// The transport that is used for it.
    pub transport: Transport,
    /// Why that is not gRPC, if gRPC was tried.
    pub no_grpc: Option<Error>,
    /// Its status, if it returned one.
    pub status: Option<Status>,
    /// The token from a login there.
    pub token: Option<String>,
    /// The connection on which its status arrived, if the host reports it.
    pub connection: Option<String>,
    /// How many entries fewer than the most advanced candidate it has applied, set
    /// by [`rank`].
    pub behind: u64,
}

impl Candidate {
    /// Its role in its cluster.
    pub(crate) fn role(&self) -> Role {
        self.status.as_ref().map_or(Role::Unknown, role)
    }

    fn lags(&self) -> bool {
        self.behind > LAG
    }

    /// Warnings about the member, compared with the others.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.status.is_none() {
            warnings.push(
                "this member reports its status only to users with the role `root`: its role and \
                    revision are unknown"
                    .into(),
            );
        }
        if self.lags() {
            warnings.push(format!(
                "this member is {} entries behind another one: its data is older",
                self.behind
            ));
        }
        warnings
    }

    fn is_out_of_space(&self) -> bool {
        self.status.as_ref().is_some_and(|status| {
            Troubles::of(status).concerns(AlarmType::Nospace, status.header().member_id)
        })
    }

    /// Describes its role and its drawbacks.
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
pub(crate) struct Rejected {
    /// The endpoint.
    pub endpoint: Authority,
    /// Why it is not used.
    pub error: Error,
}

/// Why a member must not be backed up, whatever else it reports. `sender` is its id;
/// zero if several may respond at that endpoint and it is unknown which one did:
/// then it may be any of them.
pub(crate) fn disqualified(troubles: &Troubles, sender: u64) -> Option<Error> {
    let corrupt =
        |text: String, remedy: &str| Some(Error::new(ErrorKind::Corrupt, text).remedy(remedy));
    if troubles.concerns(AlarmType::Corrupt, sender) {
        return corrupt(
            "etcd has raised the alarm CORRUPT for this member".into(),
            "back up another member, and replace this one",
        );
    }
    let of_a_member = |alarm: &&Alarm| alarm.alarm.is(&AlarmType::Corrupt) && alarm.member_id != 0;
    match troubles.alarms.iter().find(of_a_member) {
        Some(alarm) if sender == 0 => corrupt(
            format!("{alarm}, and it is unknown whether that is the member responding here"),
            "name the members one by one in `endpoints`",
        ),
        _ => None,
    }
}

/// Warnings about a backup from a member with this status.
pub(crate) fn warnings(status: &Status) -> Vec<String> {
    let mut warnings = Vec::new();
    match role(status) {
        Role::Leaderless => warnings.push(
            "this member has no leader: its data may be older than what was acknowledged".into(),
        ),
        Role::Learner => warnings.push(
            "this member is a learner: its data may be older than that of the voting members"
                .into(),
        ),
        _ => {}
    }
    let troubles = Troubles::of(status);
    warnings.extend(troubles.alarms.iter().map(warning));
    for other in &troubles.others {
        warnings.push(format!("this member reports {}", quote(other)));
    }
    warnings
}

/// Explains what an alarm means for a backup.
pub(crate) fn warning(alarm: &Alarm) -> String {
    match (&alarm.alarm, alarm.member_id) {
        (AlarmType::Nospace, _) => format!(
            "{alarm}: the snapshot is valid, but a cluster restored from it is read-only until \
                it is defragmented and the alarm is disarmed"
        ),
        (AlarmType::Corrupt, 0) => format!(
            "{alarm}, without naming a member: compare the members' HashKV before you trust this \
                snapshot"
        ),
        _ => alarm.to_string(),
    }
}

/// Orders members by how well they suit a backup. First come those that keep up, then
/// those that report nothing, lag, are learners, or know no leader, in this order; of
/// each of these the freshest come first. Among equals, those that are not out of space
/// come first, because a snapshot prevents the reuse of pages; then the followers, to
/// spare the leader; then the `typed` order decides.
pub(crate) fn rank(candidates: &mut [Candidate], typed: &[Authority]) {
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
        let behind = if staleness(c) > 0 { c.behind } else { 0 };
        (staleness(c), behind, c.is_out_of_space(), c.role() == Role::Leader, place)
    });
}

/// Explains why a member is used and not the `others` that could be.
pub(crate) fn choice<'a>(
    candidate: &Candidate,
    others: impl IntoIterator<Item = &'a Candidate>,
) -> String {
    let others: Vec<String> = others
        .into_iter()
        .map(|other| format!("{} ({})", other.endpoint, other.described()))
        .collect();
    if others.is_empty() {
        format!("{}, the only usable member", candidate.described())
    } else {
        format!("{}, preferred to {}", candidate.described(), others.join(", "))
    }
}

/// Returns the ids of two different clusters among the statuses of the endpoints, if
/// there are any.
pub(crate) fn cluster_mismatch<'a>(
    reported: impl IntoIterator<Item = (&'a Authority, &'a Status)>,
) -> Option<[(&'a Authority, Id); 2]> {
    let mut known = reported
        .into_iter()
        .map(|(endpoint, status)| (endpoint, Id(status.header().cluster_id)))
        .filter(|(_, id)| *id != Id(0));
    let first = known.next()?;
    known.find(|(_, id)| *id != first.1).map(|other| [first, other])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etcd::alarm::tests::RECORDED;
    use crate::etcd::messages::Header;

    fn candidate(id: u64, change: impl FnOnce(&mut Status)) -> Candidate {
        let header = Some(Header { member_id: id, cluster_id: 5, ..Header::default() });
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
    fn a_follower_comes_before_the_leader_and_both_before_the_rest() {
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
    fn a_member_out_of_space_comes_last_of_those_that_keep_up() {
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
    fn of_those_that_do_not_keep_up_the_freshest_comes_first() {
        let changes: [fn(&mut Status); 3] =
            [|s| s.leader = 0, |s| s.is_learner = true, |s| s.leader = 1];
        for change in changes {
            let applied = |applied: u64| {
                move |s: &mut Status| {
                    change(s);
                    s.raft_applied_index = applied;
                }
            };
            let candidates = vec![
                candidate(2, applied(10)),
                candidate(3, applied(1_000_000)),
                candidate(4, applied(20)),
            ];
            assert_eq!(order(candidates), ["m3", "m4", "m2"]);
        }
    }

    #[test]
    fn of_those_that_keep_up_a_few_entries_make_no_difference() {
        let candidates = vec![
            candidate(2, |s| s.raft_applied_index = 10_000 - LAG),
            candidate(3, |s| s.raft_applied_index = 10_000),
        ];
        assert_eq!(order(candidates), ["m2", "m3"]);
    }

    #[test]
    fn the_drawbacks_of_a_member_are_reported() {
        let full = |s: &mut Status| s.errors = vec!["memberID:3 alarm:NOSPACE ".into()];
        let mut candidates =
            [candidate(2, |s| s.raft_applied_index = 1), candidate(3, full), candidate(1, |_| {})];
        rank(&mut candidates, &[]);
        let [first, second, third] = &candidates;
        assert_eq!(
            choice(first, [second, third]),
            "leader, preferred to m3:2379 (follower, out of space), m2:2379 (follower, 9999 entries \
                behind)"
        );
        assert_eq!(choice(first, []), "leader, the only usable member");
        assert!(first.warnings().is_empty() && second.warnings().is_empty());
        assert!(third.warnings()[0].contains("9999 entries behind"), "{:?}", third.warnings());
        let silent = Candidate { status: None, ..candidate(6, |_| {}) };
        assert!(silent.warnings()[0].contains("reports its status only to"));
    }

    #[test]
    fn among_equals_the_typed_order_decides() {
        assert_eq!(order(vec![candidate(3, |_| {}), candidate(2, |_| {})]), ["m3", "m2"]);
    }

    fn alarmed(errors: &[&str]) -> Status {
        let change = |s: &mut Status| s.errors = errors.iter().map(|e| e.to_string()).collect();
        candidate(7, change).status.expect("a status")
    }

    #[test]
    fn its_own_corrupt_alarm_disqualifies_a_member_of_every_version() {
        for (version, own, cluster_wide) in RECORDED {
            let troubles = Troubles::of(&alarmed(&[own]));
            let error = disqualified(&troubles, 7).expect(version);
            assert_eq!(error.kind, ErrorKind::Corrupt);
            assert!(disqualified(&troubles, 8).is_none(), "{version}");
            assert!(disqualified(&troubles, 0).is_some(), "{version}: it may be that one");
            let troubles = Troubles::of(&alarmed(&[cluster_wide]));
            assert!([0, 7].iter().all(|id| disqualified(&troubles, *id).is_none()), "{version}");
        }
        let later = Troubles::of(&alarmed(&["memberID:7 alarm:CORRUPT_INDEX"]));
        assert!([0, 7].iter().all(|id| disqualified(&later, *id).is_some()), "a later name");
        let full = Troubles::of(&alarmed(&["memberID:7 alarm:NOSPACE "]));
        assert!([0, 7].iter().all(|id| disqualified(&full, *id).is_none()));
    }

    #[test]
    fn every_alarm_and_error_gives_a_warning() {
        for (error, words) in [
            ("memberID:8 alarm:CORRUPT ", "the alarm CORRUPT is on for member 8"),
            ("alarm:CORRUPT ", "the whole cluster, without naming a member"),
            ("memberID:7  alarm:NOSPACE", "read-only until it is defragmented"),
            ("memberID:7 alarm:READONLY", "the alarm READONLY is on for member 7"),
            ("disk is on fire", "this member reports `disk is on fire`"),
        ] {
            let warnings = warnings(&alarmed(&[error]));
            assert_eq!(warnings.len(), 1, "{error}");
            assert!(warnings[0].contains(words), "{warnings:?}");
        }
        assert!(warnings(&alarmed(&[])).is_empty());
        let learner = candidate(2, |s| s.is_learner = true).status.expect("a status");
        assert!(warnings(&learner)[0].contains("learner"));
    }

    #[test]
    fn a_member_without_a_leader_is_detected_by_either_sign() {
        assert_eq!(candidate(2, |s| s.leader = 0).role(), Role::Leaderless);
        assert_eq!(
            candidate(2, |s| s.errors = vec!["etcdserver: no leader".into()]).role(),
            Role::Leaderless
        );
        let leaderless = candidate(2, |s| s.leader = 0);
        assert_eq!(warnings(leaderless.status.as_ref().expect("a status")).len(), 1);
    }

    #[test]
    fn members_of_two_clusters_are_detected() {
        let reported = |both: &[Candidate]| {
            let status = |c: &Candidate| (c.endpoint.clone(), c.status.clone().expect("a status"));
            let reported: Vec<(Authority, Status)> = both.iter().map(status).collect();
            let two =
                cluster_mismatch(reported.iter().map(|(endpoint, status)| (endpoint, status)));
            two.map(|two| two.map(|(endpoint, id)| (endpoint.host.clone(), id)))
        };
        let mut both = vec![
            candidate(1, |_| {}),
            candidate(2, |s| {
                s.header = Some(Header { member_id: 2, cluster_id: 9, ..Header::default() })
            }),
        ];
        assert_eq!(reported(&both), Some([("m1".into(), Id(5)), ("m2".into(), Id(9))]));
        both.push(candidate(3, |s| s.header = Some(Header { member_id: 3, ..Header::default() })));
        both.remove(1);
        assert_eq!(reported(&both), None, "without a cluster id there is no mismatch");
    }
}
