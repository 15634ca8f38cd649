//! The proof of a complete dump: by its own pages, and by what the members hold.

use crate::error::{Error, Result, Stage};
use crate::etcd::messages::Id;
use crate::manifest::{self, DatabaseInfo, Evidence};
use crate::net::Network;
use crate::proof::Keyspace;
use crate::quorum::{self, Outcome, Verdict, Vote};
use crate::session::{Chosen, Session};
use crate::snapshot::verifier::Pages;
use plakar_connector::ErrorKind;

/// Checks the pages of a dump, and compares its keys with the members'. Fails if the
/// dump must not be trusted, or is less proven than the user requires.
pub(super) fn prove<N: Network>(
    session: &Session<N>,
    chosen: &mut Chosen,
    pages: Pages,
) -> Result<Evidence> {
    let is_required = session.options().proof_required;
    let endpoint = chosen.candidate.endpoint.clone();
    let keyspace = match pages {
        None => return Ok(Evidence::default()),
        Some(Ok(keyspace)) => keyspace,
        Some(Err(why)) if is_required => {
            return Err(not_proven(&why).at(&endpoint, Stage::Proof));
        }
        Some(Err(why)) => {
            let warning = format!("the snapshot is not proven: {why}");
            chosen.warn(warning, |line| session.warn(line));
            return Ok(Evidence { outcome: Some(Outcome::Unproven(why)), ..Evidence::default() });
        }
    };
    chosen.add_pages(&keyspace.found, |line| session.warn(line))?;
    let votes = session.compare(chosen, &keyspace);
    let voters = voters(chosen, &keyspace);
    let outcome = quorum::judge(&votes, &voters, chosen.identity.member_id())
        .map_err(|error| error.at(&endpoint, Stage::Proof))?;
    warn_of_others(session, chosen, &votes, keyspace.found.revision);
    // In a cluster of one voter there is no other member to ask.
    let is_enough =
        outcome == Outcome::Proven || (outcome == Outcome::SelfConsistent && voters.len() == 1);
    if is_required && !is_enough {
        let missing = match outcome {
            Outcome::SelfConsistent => quorum::not_compared(&votes),
            _ => String::new(),
        };
        return Err(not_proven(&format!("{outcome}{missing}")).at(&endpoint, Stage::Proof));
    }
    let info = DatabaseInfo::of(&keyspace);
    Ok(Evidence { database: Some((keyspace.found, info)), outcome: Some(outcome), votes })
}

/// The ids of the voting members.
fn voters(chosen: &Chosen, keyspace: &Keyspace) -> Vec<u64> {
    let members = manifest::members(chosen, Some(&keyspace.found)).unwrap_or_default();
    members.iter().filter(|member| !member.is_learner).map(|member| member.id).collect()
}

/// Warns of each member that holds other keys.
fn warn_of_others<N: Network>(
    session: &Session<N>,
    chosen: &mut Chosen,
    votes: &[Vote],
    revision: i64,
) {
    for vote in votes.iter().filter(|vote| vote.verdict == Verdict::Disagrees) {
        let warning = format!(
            "member {} at `{}` holds other keys at revision {revision} than the snapshot: one of the \
             two is damaged; compare all members with `etcdctl endpoint hashkv --rev {revision}`",
            Id(vote.member_id),
            vote.endpoint,
        );
        chosen.warn(warning, |line| session.warn(line));
    }
}

fn not_proven(why: &str) -> Error {
    let what = format!("the snapshot is not proven, which `proof=require` requires: {why}");
    Error::new(ErrorKind::Other, what)
        .remedy("name all members in `endpoints`, or use `proof=auto`")
}
