//! The facts that are known about an import so far, for people.

use super::reader::{Dump, DumpState};
use super::{Fate, Import, Phase};
use crate::error::visible;
use crate::etcd::messages::Id;
use crate::manifest;
use crate::net::Network;
use crate::quorum::Outcome;

impl<N: Network> Import<N> {
    /// The facts that are known so far, by name; unknown ones are left out.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let Dump { session, chosen, state } = &*self.dump.borrow();
        let mut facts = Vec::new();
        let mut fact = |name, value: String| {
            if !value.is_empty() {
                // Some are texts from servers.
                facts.push((name, visible(&value)));
            }
        };
        if let Some(chosen) = chosen {
            fact("endpoint", chosen.candidate.endpoint.to_string());
            fact("transport", chosen.candidate.transport.to_string());
            let no_grpc = chosen.candidate.no_grpc.as_ref().map(|error| error.what().to_string());
            fact("no-grpc", no_grpc.unwrap_or_default());
            fact("etcd-version", chosen.version.clone());
            match chosen.identity.hidden() {
                None => {
                    fact("role", chosen.candidate.role().to_string());
                    fact("choice", chosen.choice.clone());
                }
                Some(why) => fact("member-unknown", why.into()),
            }
            fact("member-name", chosen.member().map(|m| m.name.clone()).unwrap_or_default());
            let id = |id: u64| if id == 0 { String::new() } else { Id(id).to_string() };
            fact("member-id", id(chosen.identity.member_id()));
            fact("cluster-id", id(chosen.identity.cluster_id()));
        }
        let rejected: Vec<String> = session
            .rejected()
            .iter()
            .map(|rejected| format!("{}: {}", rejected.endpoint, rejected.error.what()))
            .collect();
        fact("endpoints-rejected", rejected.join(", "));
        if let Phase::Guide(manifest) | Phase::Finished(Some(manifest)) = &self.phase {
            fact("revision", manifest.revision.to_string());
        }
        // If the host computes the digest, its acknowledgement completes the proof.
        let is_stored = |size| match self.phase {
            Phase::AwaitingDump(Some(Fate::Stored(stored)))
            | Phase::Failed(_, Some(Fate::Stored(stored))) => stored == size,
            Phase::Guide(_) | Phase::Finished(Some(_)) => true,
            _ => false,
        };
        if let DumpState::Verified(dumped) = state
            && is_stored(dumped.proof.size)
        {
            let evidence = &dumped.evidence;
            let outcome = evidence.outcome.as_ref().map(Outcome::to_string);
            fact("bytes", dumped.proof.size.to_string());
            fact("sha256", manifest::hex(&dumped.proof.sha256));
            fact("proof", outcome.unwrap_or_default());
            fact("verified", manifest::verified(evidence).join(", "));
        }
        facts
    }
}
