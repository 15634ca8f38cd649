//! What the members report of the keys at one revision, and what follows from it.
//!
//! A member reports the HashKV of what it holds itself. The bytes of a snapshot
//! are what its sender holds. If a majority of the voters has the same hash,
//! the bytes are what the cluster agreed on.

use crate::error::{Error, Result};
use crate::etcd::messages::{HashKv, Id};
use plakar_connector::{Authority, ErrorKind};
use std::fmt;
use std::time::Duration;

/// What a member's response means for the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The member holds the same.
    Agrees,
    /// The member holds something else.
    Disagrees,
    /// Its response cannot be compared: why.
    NotComparable(String),
    /// There is no response: why.
    NotAsked(String),
}

impl Verdict {
    /// Its name in records.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Verdict::Agrees => "agrees",
            Verdict::Disagrees => "disagrees",
            Verdict::NotComparable(_) => "not comparable",
            Verdict::NotAsked(_) => "not asked",
        }
    }

    /// Why it could not be compared.
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Verdict::Agrees | Verdict::Disagrees => None,
            Verdict::NotComparable(why) | Verdict::NotAsked(why) => Some(why),
        }
    }
}

/// One member's response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vote {
    /// The endpoint that was asked.
    pub endpoint: Authority,
    /// The id of the member that responded; zero if it is unknown.
    pub member_id: u64,
    /// Its response.
    pub reported: Option<HashKv>,
    /// What the response means for the bytes.
    pub verdict: Verdict,
    /// How long the response took.
    pub duration: Duration,
}

/// To what extent the bytes are proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A majority of the voters holds the same.
    Proven,
    /// The sender holds the same; no other member could be compared.
    SelfConsistent,
    /// Neither: why.
    Unproven(String),
}

impl Outcome {
    /// Its name in records.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Outcome::Proven => "proven",
            Outcome::SelfConsistent => "self-consistent",
            Outcome::Unproven(_) => "unproven",
        }
    }

    /// Why they are not proven further.
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Outcome::Unproven(why) => Some(why),
            _ => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason() {
            Some(why) => write!(f, "{}: {why}", self.name()),
            None => f.write_str(self.name()),
        }
    }
}

/// Judges the responses for bytes from `sender` (zero if it is unknown), in a cluster
/// of these voters. Fails if a majority holds something else.
pub(crate) fn judge(votes: &[Vote], voters: &[u64], sender: u64) -> Result<Outcome> {
    let of = |verdict: Verdict| {
        let mut ids: Vec<u64> = votes
            .iter()
            .filter(|vote| vote.verdict == verdict && voters.contains(&vote.member_id))
            .map(|vote| vote.member_id)
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    };
    let (agree, disagree) = (of(Verdict::Agrees), of(Verdict::Disagrees));
    let majority = voters.len() / 2 + 1;
    if disagree.len() >= majority {
        let who = match sender {
            0 => "the member that sent the snapshot".into(),
            id => format!("member {}", Id(id)),
        };
        return Err(Error::new(
            ErrorKind::Corrupt,
            format!(
                "{who} holds other keys than {} of the {} voting members at the same revision \
                    (HashKV): its database is damaged",
                disagree.len(),
                voters.len()
            ),
        )
        .remedy("back up another member, and replace this one"));
    }
    if agree.len() >= majority && voters.len() > 1 {
        return Ok(Outcome::Proven);
    }
    let alone = agree.iter().all(|id| *id == sender);
    if !agree.is_empty() && alone && disagree.is_empty() {
        return Ok(Outcome::SelfConsistent);
    }
    Ok(Outcome::Unproven(match (voters.len(), agree.len(), disagree.len()) {
        (0, ..) => "the voting members of the cluster are unknown".into(),
        (_, 0, 0) => format!("no voting member was compared{}", not_compared(votes)),
        (all, agree, 0) => {
            format!("{agree} of {all} voting members agree{}", not_compared(votes))
        }
        (all, agree, others) => format!(
            "{agree} of {all} voting members agree, {others} disagree{}",
            not_compared(votes)
        ),
    }))
}

/// The members that were not compared, each with the reason, in brackets.
pub(crate) fn not_compared(votes: &[Vote]) -> String {
    /// More would distract from the message.
    const SHOWN: usize = 3;
    let mut reasons: Vec<String> = votes
        .iter()
        .filter_map(|vote| Some(format!("`{}`: {}", vote.endpoint, vote.verdict.reason()?)))
        .collect();
    let left_out = reasons.len().saturating_sub(SHOWN);
    reasons.truncate(SHOWN);
    if left_out > 0 {
        reasons.push(format!("and {left_out} more"));
    }
    if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(member_id: u64, verdict: Verdict) -> Vote {
        let endpoint = Authority { host: format!("m{member_id}"), port: 2379, tls: false };
        Vote { endpoint, member_id, reported: None, verdict, duration: Duration::ZERO }
    }

    fn judged(agree: &[u64], disagree: &[u64], voters: &[u64]) -> Result<Outcome> {
        let votes: Vec<Vote> = agree
            .iter()
            .map(|id| vote(*id, Verdict::Agrees))
            .chain(disagree.iter().map(|id| vote(*id, Verdict::Disagrees)))
            .chain([vote(1, Verdict::NotAsked("silent".into()))])
            .collect();
        judge(&votes, voters, 1)
    }

    #[test]
    fn a_majority_of_the_voters_decides() {
        for (agree, disagree, voters, outcome) in [
            (&[1, 2][..], &[][..], &[1, 2, 3][..], "proven"),
            (&[2, 3], &[], &[1, 2, 3], "proven"),
            (&[1, 2], &[3], &[1, 2, 3], "proven"),
            (&[1, 2, 3], &[], &[1, 2, 3, 4, 5], "proven"),
            (&[1], &[], &[1, 2, 3], "self-consistent"),
            (&[1], &[], &[1], "self-consistent"),
            (&[1, 2], &[], &[1, 2, 3, 4, 5], "unproven: 2 of 5 voting members agree (SILENT)"),
            (&[2], &[], &[1, 2, 3], "unproven: 1 of 3 voting members agree (SILENT)"),
            (&[1], &[2], &[1, 2, 3], "unproven: 1 of 3 voting members agree, 1 disagree (SILENT)"),
            (&[], &[], &[1, 2, 3], "unproven: no voting member was compared (SILENT)"),
            (&[1], &[2], &[1, 2], "unproven: 1 of 2 voting members agree, 1 disagree (SILENT)"),
            (&[1, 2], &[], &[], "unproven: the voting members of the cluster are unknown"),
            // The same member at several endpoints, and a member that does not vote.
            (&[1, 1, 1], &[], &[1, 2, 3], "self-consistent"),
            (&[1, 9], &[], &[1, 2, 3], "self-consistent"),
            (&[1, 2], &[9, 8, 7], &[1, 2, 3], "proven"),
        ] {
            let reported = judged(agree, disagree, voters).map(|outcome| outcome.to_string());
            let outcome = outcome.replace("SILENT", "`m1:2379`: silent");
            assert_eq!(reported, Ok(outcome), "{agree:?} {disagree:?} {voters:?}");
        }
    }

    #[test]
    fn only_some_of_many_members_that_were_not_compared_are_named() {
        let silent = |id| vote(id, Verdict::NotAsked("silent".into()));
        let text = not_compared(&[1, 2, 3, 4, 5].map(silent));
        assert_eq!(text, " (`m1:2379`: silent, `m2:2379`: silent, `m3:2379`: silent, and 2 more)");
        assert_eq!(not_compared(&[vote(1, Verdict::Agrees)]), "");
    }

    #[test]
    fn a_majority_that_holds_something_else_names_the_sender() {
        for (agree, disagree, voters) in [
            (&[][..], &[2, 3][..], &[1, 2, 3][..]),
            (&[1], &[2, 3], &[1, 2, 3]),
            (&[], &[1], &[1]),
            (&[1, 2], &[3, 4, 5], &[1, 2, 3, 4, 5]),
        ] {
            let error = judged(agree, disagree, voters).expect_err("a refusal");
            assert_eq!(error.kind, ErrorKind::Corrupt);
            assert!(error.to_string().contains("member 1 holds other keys"), "{error}");
        }
    }
}
