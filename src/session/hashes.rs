//! The members' HashKV, compared with the hash of a snapshot's bytes.

use super::{Chosen, Session};
use crate::error::{Error, Result, Stage};
use crate::etcd::call::{Call, CallError, Transport};
use crate::etcd::messages::HashKv;
use crate::etcd::refusal::Refusal;
use crate::member::{Candidate, Role};
use crate::net::{Network, Timeouts};
use crate::proof::{Found, Keyspace};
use crate::quorum::{Verdict, Vote};
use std::time::{Duration, Instant};

/// How long a member may take to hash its keys. It reads all of them, and on a busy disk a
/// gigabyte takes ten seconds.
const HASHING: Duration = Duration::from_secs(30);

/// The largest database, in bytes, for which a leader is asked if that is not required. A
/// member accepts no writes while it hashes: about 100 ms for half a gigabyte. That delays
/// all writes through it if it is the leader, and no other client's if it is a follower.
const LEADER_MOST: u64 = 64 << 20;

/// How long a member may take to reach the snapshot's revision, and how long to wait between
/// two requests.
const CATCHING_UP: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(200);

impl<N: Network> Session<N> {
    /// Asks all members that responded for their HashKV at the revision of these keys: the
    /// sender first, then one after the other, the leader last. Each reads all its keys for
    /// that, so they are not asked at the same time.
    pub(crate) fn compare(&self, chosen: &mut Chosen, keyspace: &Keyspace) -> Vec<Vote> {
        let mut votes = vec![self.vote(&mut chosen.candidate, keyspace)];
        let mut others: Vec<Candidate> = self.survey.candidates.iter().cloned().collect();
        others.sort_by_key(|candidate| candidate.role() == Role::Leader);
        votes.extend(others.iter_mut().map(|candidate| self.vote(candidate, keyspace)));
        votes.extend(self.survey.rejected.iter().map(|rejected| Vote {
            endpoint: rejected.endpoint.clone(),
            member_id: 0,
            reported: None,
            verdict: Verdict::NotAsked(rejected.error.what().into()),
            duration: Duration::ZERO,
        }));
        votes
    }

    fn vote(&self, candidate: &mut Candidate, keyspace: &Keyspace) -> Vote {
        let since = Instant::now();
        let is_spared = candidate.role() == Role::Leader
            && keyspace.found.bytes() > LEADER_MOST
            && !self.options.proof_required;
        let outcome = if is_spared {
            Err(Verdict::NotAsked(
                "it is the leader, and would accept no writes while it hashes a large database; \
                `proof=require` asks it"
                    .into(),
            ))
        } else {
            self.hash_kv(candidate, &keyspace.found)
        };
        let (reported, verdict) = match outcome {
            Ok(reported) => (Some(reported), verdict(&reported, keyspace)),
            Err(verdict) => (None, verdict),
        };
        Vote {
            endpoint: candidate.endpoint.clone(),
            member_id: reported.and_then(|reported| reported.header).unwrap_or_default().member_id,
            reported,
            verdict,
            duration: since.elapsed(),
        }
    }

    /// A member's HashKV at a revision, or why it is missing.
    fn hash_kv(
        &self,
        candidate: &mut Candidate,
        found: &Found,
    ) -> std::result::Result<HashKv, Verdict> {
        let since = Instant::now();
        let not_asked = |error: Error| Verdict::NotAsked(error.what().into());
        let mut has_logged_in = false;
        loop {
            let can_wait = since.elapsed() + PAUSE < CATCHING_UP.min(self.deadline.left());
            let refusal = match self.ask_hash_kv(candidate, found.revision).map_err(not_asked)? {
                // It has the revision, but not yet the compaction that came after it.
                Ok(reported) if compacted(&reported) < found.compact_revision && can_wait => {
                    std::thread::sleep(PAUSE);
                    continue;
                }
                Ok(reported) => return Ok(reported),
                Err(refusal) => refusal,
            };
            match &self.options.credentials {
                Some(credentials)
                    if !has_logged_in && refusal.login_could_help(candidate.token.is_some()) =>
                {
                    candidate.token = self.login_at(candidate, credentials).map_err(not_asked)?;
                    has_logged_in = true;
                }
                _ if refusal.is_ahead() && can_wait => std::thread::sleep(PAUSE),
                _ if refusal.is_ahead() => {
                    return Err(Verdict::NotComparable(
                        "it has not reached the revision of the snapshot".into(),
                    ));
                }
                _ if refusal.is_compacted() => {
                    return Err(Verdict::NotComparable(
                        "it is compacted beyond the revision of the snapshot".into(),
                    ));
                }
                _ if candidate.transport == Transport::Gateway && refusal.is_unknown_call() => {
                    return Err(Verdict::NotComparable(
                        "the JSON gateway of its version has no HashKV; gRPC has".into(),
                    ));
                }
                _ => return Err(not_asked(refusal.into_error())),
            }
        }
    }

    /// Asks once; returns the response or the refusal.
    fn ask_hash_kv(
        &self,
        Candidate { endpoint, transport, token, .. }: &Candidate,
        revision: i64,
    ) -> Result<std::result::Result<HashKv, Refusal>> {
        let connect = self.options.limits.connect.min(self.deadline.left());
        let limit = HASHING.min(self.deadline.left());
        let timeouts = Timeouts { connect, first_byte: limit, between_bytes: connect };
        let request =
            transport.request(endpoint, Call::HashKv { revision }, token.as_deref(), timeouts);
        let outcome = self.network.exchange(vec![request], limit + super::GRACE).remove(0);
        let response =
            outcome.map_err(|error| transport.failure(error, endpoint, Stage::Proof, &timeouts))?;
        match transport.unary::<HashKv>(&response) {
            Ok(reported) => Ok(Ok(reported)),
            Err(CallError::Refused(refusal)) => Ok(Err(refusal)),
            Err(error) => Err(error.into_error()),
        }
    }
}

/// The revision that a member is compacted at; -1 if it never was.
fn compacted(reported: &HashKv) -> i64 {
    match reported.compact_revision {
        // Zero is not a revision: the response left it out.
        0 => -1,
        compacted => compacted,
    }
}

/// Compares a response with the bytes.
fn verdict(reported: &HashKv, keyspace: &Keyspace) -> Verdict {
    let revision = keyspace.found.revision;
    let compacted = compacted(reported);
    if ![0, revision].contains(&reported.hash_revision) {
        return Verdict::NotComparable(format!(
            "it hashed up to revision {}",
            reported.hash_revision
        ));
    }
    if compacted > revision {
        return Verdict::NotComparable(
            "it is compacted beyond the revision of the snapshot".into(),
        );
    }
    let is_behind = compacted < keyspace.found.compact_revision;
    if keyspace.hash(compacted.max(keyspace.found.compact_revision)) == reported.hash {
        Verdict::Agrees
    } else if is_behind {
        // It may return a hash computed before it removed what the snapshot does not have.
        Verdict::NotComparable(
            "its hash covers revisions that the compaction of the snapshot has removed".into(),
        )
    } else if !keyspace.is_comparable(compacted) {
        Verdict::NotComparable(
            "no key is left, and members hash what their compaction has not yet removed".into(),
        )
    } else {
        Verdict::Disagrees
    }
}
