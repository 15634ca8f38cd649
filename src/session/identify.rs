//! The identity of the chosen member: it is asked before the snapshot, and again after it.

use super::probe::{Probe, ProbeError};
use super::{Chosen, Session};
use crate::error::Result;
use crate::etcd::call::{Call, CallError, Transport};
use crate::etcd::gateway;
use crate::etcd::messages::{MemberList, Status, Version, version_or_none};
use crate::member::{self, Candidate};
use crate::net::Network;
use crate::snapshot::stream::Sent;
use plakar_connector::ErrorKind;

/// How often a member is asked for its status before the snapshot, and again after it,
/// beyond the first time. This detects a proxy that spreads the calls of one
/// connection over several members. A proxy with weights needs this many: if one call
/// in eleven goes elsewhere, 18 statuses all came from one member, and the snapshot
/// from another, in one backup of sixty. A status costs a member a few
/// microseconds.
pub(super) const fn again(transport: Transport) -> usize {
    match transport {
        Transport::Grpc => 64,
        // They are sent one after the other.
        Transport::Gateway => 24,
    }
}

/// How many statuses are requested at once on one connection, well below what a host allows.
const AT_ONCE: usize = 16;

impl<N: Network> Session<N> {
    /// Asks a member about the cluster, and often enough for its status.
    pub(super) fn identify(&self, candidate: Candidate, choice: String) -> Result<Chosen> {
        let Candidate { endpoint, transport, .. } = &candidate;
        let timeouts = self.probe_timeouts();
        let list =
            transport.request(endpoint, Call::MemberList, candidate.token.as_deref(), timeouts);
        let mut requests = vec![list];
        let mut version = candidate.status.as_ref().map(|s| s.version.clone()).unwrap_or_default();
        if version.is_empty() {
            requests.push(gateway::version_request(endpoint, timeouts));
        }
        // A refusal here does not prevent a backup.
        let mut responses = self.exchange(requests).into_iter().map(std::result::Result::ok);
        let list = responses.next().flatten().and_then(|response| {
            match transport.unary::<MemberList>(&response) {
                Ok(list) => Some((list, response.head.connection())),
                Err(CallError::Unreadable(error)) => {
                    self.warn(&format!("`{endpoint}`: member list: {}", error.what()));
                    None
                }
                Err(_) => None,
            }
        });
        if let Some(response) = responses.next().flatten() {
            let reported = gateway::read::<Version>(&response).unwrap_or_default();
            version = version_or_none(&reported.etcdserver);
        }
        let mut chosen = Chosen::new(candidate, choice, version, &self.survey);
        let of_alarms = chosen.troubles.alarms.iter().map(member::warning);
        let warnings: Vec<String> =
            chosen.candidate.warnings().into_iter().chain(of_alarms).collect();
        for warning in warnings {
            chosen.warn(warning, self.warn);
        }
        if self.options.credentials.is_some() && !chosen.candidate.endpoint.tls {
            let warning = "the password is sent over plain HTTP, where others can read it; let \
                etcd serve TLS, and use `etcd+https`";
            chosen.warn(warning.into(), self.warn);
        }
        let first = chosen
            .candidate
            .status
            .clone()
            .map(|status| (status, chosen.candidate.connection.clone()));
        chosen.add_statuses(first.into_iter().collect(), self.warn)?;
        if let Some((list, connection)) = list {
            chosen.add_members(list, connection.as_deref())?;
        }
        if chosen.candidate.status.is_some() {
            self.ask_again(&mut chosen)?;
        }
        Ok(chosen)
    }

    /// Requests the member's status again, after the snapshot that was `sent`; `None` if
    /// it does not report it. Its token may have expired meanwhile, which a new login fixes.
    /// Fails if another member responds at this endpoint now, or if the snapshot
    /// must not be trusted.
    pub(crate) fn status_after(&self, chosen: &mut Chosen, sent: &Sent) -> Result<Option<Status>> {
        let asked = Probe::of(&chosen.candidate);
        let (asked, outcome) = self.probe_with_login(self.probe(vec![asked])).remove(0);
        let after = match outcome {
            Ok(status) => {
                chosen.candidate.token = asked.token;
                chosen.add_statuses(vec![(status.clone(), asked.connection)], self.warn)?;
                self.ask_again(chosen)?;
                Some(status)
            }
            Err(problem) => {
                let is_refused = matches!(problem, ProbeError::CallError(CallError::Refused(_)));
                let error = problem.into_error(&asked, &self.probe_timeouts());
                if is_refused && error.kind == ErrorKind::Corrupt {
                    return Err(error);
                }
                let warning = format!(
                    "no status after the snapshot ({}): its latest revision is unknown",
                    error.what()
                );
                chosen.warn(warning, self.warn);
                None
            }
        };
        chosen.add_snapshot(sent, after.as_ref());
        chosen.add_statuses(Vec::new(), self.warn)?;
        Ok(after)
    }

    /// Asks the chosen member several times for its status: see [`again`].
    fn ask_again(&self, chosen: &mut Chosen) -> Result<()> {
        let transport = chosen.candidate.transport;
        let at_once = match transport {
            Transport::Grpc => AT_ONCE,
            // A second concurrent request would open a second connection.
            Transport::Gateway => 1,
        };
        for _ in 0..again(transport) / at_once {
            let asked = (0..at_once).map(|_| Probe::of(&chosen.candidate)).collect();
            let reported: Vec<_> = self
                .probe(asked)
                .into_iter()
                .filter_map(|(asked, outcome)| Some((outcome.ok()?, asked.connection)))
                .collect();
            if reported.is_empty() {
                break;
            }
            chosen.add_statuses(reported, self.warn)?;
        }
        Ok(())
    }
}
