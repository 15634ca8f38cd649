//! The probe: asks every endpoint for its status, over the transport that works.

use super::Session;
use crate::error::{Error, Result, Stage};
use crate::etcd::alarm::{Alarm, Troubles};
use crate::etcd::call::{Call, CallError, Transport};
use crate::etcd::failure::lacks_http2;
use crate::etcd::messages::Status;
use crate::member::{self, Candidate, Rejected};
use crate::net::{Network, NetworkError, Response, Timeouts};
use plakar_connector::{Authority, ErrorKind};
use std::collections::VecDeque;

/// What the probe of the endpoints found.
#[derive(Default)]
pub(super) struct Survey {
    /// Members that can be used, the best first.
    pub(super) candidates: VecDeque<Candidate>,
    /// Endpoints that cannot be used.
    pub(super) rejected: Vec<Rejected>,
    /// The id of the cluster that they report; zero if none does.
    pub(super) cluster_id: u64,
    /// All alarms that they report.
    pub(super) alarms: Vec<Alarm>,
}

impl Survey {
    /// The error if no endpoint is left: the one reason, or all of them.
    pub(super) fn none_left(&self) -> Error {
        match self.rejected.as_slice() {
            [] => Error::new(ErrorKind::Other, "no endpoint is left to try"),
            [only] => only.error.clone(),
            several => {
                let reason = |r: &Rejected| (format!("`{}`", r.endpoint), r.error.clone());
                Error::of_several("no member could be used", several.iter().map(reason).collect())
            }
        }
        .during(Stage::Probe)
    }
}

impl<N: Network> Session<N> {
    /// Asks every endpoint for its status, all at once, and ranks those that respond.
    pub(crate) fn probe_all(&mut self) -> Result<()> {
        self.options.warnings.iter().for_each(|warning| self.warn(warning));
        let transport = self.options.transport.unwrap_or(Transport::Grpc);
        let asked =
            self.options.endpoints.iter().map(|e| Probe::new(e.clone(), transport)).collect();
        let probed = self.probe(asked);
        let probed = self.probe_without_grpc(probed);
        let probed = self.probe_with_login(probed);
        let reported = || probed.iter().filter_map(|(a, s)| Some((&a.endpoint, s.as_ref().ok()?)));
        if let Some([(a, a_id), (b, b_id)]) = member::cluster_mismatch(reported()) {
            return Err(Error::new(
                ErrorKind::Other,
                format!("`{a}` belongs to cluster {a_id}, but `{b}` to cluster {b_id}"),
            )
            .remedy("use endpoints of one cluster only")
            .during(Stage::Probe));
        }
        let cluster_id = reported().map(|(_, status)| status.header().cluster_id).max();
        // A member that lags may not know yet what the others report of it.
        let mut troubles = Troubles::default();
        reported().for_each(|(_, status)| troubles.add(Troubles::of(status)));
        let (mut candidates, mut rejected) = (Vec::new(), Vec::new());
        for (asked, outcome) in probed {
            let endpoint = asked.endpoint.clone();
            match candidate(asked, outcome, &troubles, &self.probe_timeouts()) {
                Ok(candidate) => candidates.push(candidate),
                Err(error) => {
                    let error = self.deadline.explain(error).at(&endpoint, Stage::Probe);
                    rejected.push(Rejected { endpoint, error });
                }
            }
        }
        if !candidates.is_empty() {
            // What the user named is not used, and its member is not compared.
            for Rejected { endpoint, error } in &rejected {
                self.warn(&format!("`{endpoint}` is not used: {}", error.what()));
            }
        }
        member::rank(&mut candidates, &self.options.endpoints);
        self.survey = Survey {
            candidates: candidates.into(),
            rejected,
            cluster_id: cluster_id.unwrap_or_default(),
            alarms: troubles.alarms,
        };
        Ok(())
    }

    /// Asks these endpoints for their status, all at once. Returns the responses in the
    /// order of `asked`.
    pub(super) fn probe(&self, asked: Vec<Probe>) -> Vec<Probed> {
        let timeouts = self.probe_timeouts();
        let request = |asked: &Probe| {
            asked.transport.request(&asked.endpoint, Call::Status, asked.token.as_deref(), timeouts)
        };
        let probed = self.exchange(asked.iter().map(request).collect());
        let read = |(asked, outcome): (Probe, std::result::Result<Response, NetworkError>)| {
            let connection = outcome.as_ref().ok().and_then(|response| response.head.connection());
            let status = match outcome {
                Ok(response) => asked.transport.unary(&response).map_err(ProbeError::CallError),
                Err(error) => Err(ProbeError::Network(error)),
            };
            (Probe { connection, ..asked }, status)
        };
        asked.into_iter().zip(probed).map(read).collect()
    }

    /// Asks the gateway if gRPC does not work, unless gRPC was requested.
    fn probe_without_grpc(&self, probed: Vec<Probed>) -> Vec<Probed> {
        if self.options.transport.is_some() {
            return probed;
        }
        let (mut probed, closed): (Vec<Probed>, Vec<Probed>) =
            probed.into_iter().partition(|(_, outcome)| !lacks_grpc(outcome));
        let timeouts = self.probe_timeouts();
        let asked = |(asked, outcome): Probed| {
            let no_grpc = outcome.err().map(|problem| problem.into_error(&asked, &timeouts));
            Probe { no_grpc, ..Probe::new(asked.endpoint, Transport::Gateway) }
        };
        probed.extend(self.probe(closed.into_iter().map(asked).collect()));
        probed
    }

    /// Asks again, with a login, the endpoints where a login could help.
    pub(super) fn probe_with_login(&self, probed: Vec<Probed>) -> Vec<Probed> {
        let Some(credentials) = &self.options.credentials else {
            return probed;
        };
        let (others, guarded): (Vec<Probed>, Vec<Probed>) =
            probed.into_iter().partition(|(asked, outcome)| !is_guarded(asked, outcome));
        let guarded: Vec<Probe> = guarded.into_iter().map(|(asked, _)| asked).collect();
        let logins = self.login(&guarded, credentials);
        // The run ends with the first reason: the user can fix a login.
        let (mut probed, mut tokens) = (Vec::new(), Vec::new());
        for (asked, login) in guarded.into_iter().zip(logins) {
            match login {
                Ok(token) => tokens.push(Probe { token, ..asked }),
                Err(error) => probed.push((asked, Err(ProbeError::Login(error)))),
            }
        }
        probed.extend(others);
        probed.extend(self.probe(tokens));
        probed
    }
}

/// An endpoint, and how it is asked.
pub(super) struct Probe {
    pub(super) endpoint: Authority,
    pub(super) transport: Transport,
    pub(super) token: Option<String>,
    /// Why gRPC is not used, if it was tried.
    no_grpc: Option<Error>,
    /// The connection on which its last response arrived.
    pub(super) connection: Option<String>,
}

impl Probe {
    pub(super) fn new(endpoint: Authority, transport: Transport) -> Self {
        Self { endpoint, transport, token: None, no_grpc: None, connection: None }
    }

    /// Asks the member again, in the way in which it responded before.
    pub(super) fn of(Candidate { endpoint, transport, token, .. }: &Candidate) -> Self {
        Self { token: token.clone(), ..Self::new(endpoint.clone(), *transport) }
    }
}

/// The response of an endpoint to a probe.
pub(super) type Probed = (Probe, std::result::Result<Status, ProbeError>);

pub(super) enum ProbeError {
    Network(NetworkError),
    CallError(CallError),
    Login(Error),
}

impl ProbeError {
    /// The error to report. If gRPC was tried before, its reason is included,
    /// unless etcd itself responded this time.
    pub(super) fn into_error(self, asked: &Probe, timeouts: &Timeouts) -> Error {
        let Probe { endpoint, transport, no_grpc, .. } = asked;
        // A response says more than a connection that could not be used.
        let has_response = matches!(self, ProbeError::CallError(_));
        let (error, is_etcds) = match self {
            ProbeError::Network(error) => {
                (transport.failure(error, endpoint, Stage::Probe, timeouts), false)
            }
            ProbeError::CallError(CallError::Refused(refusal)) => {
                let is_etcds = refusal.code.is_some();
                (refusal.into_error(), is_etcds)
            }
            ProbeError::CallError(error) => (error.into_error(), false),
            ProbeError::Login(error) => (error, true),
        };
        match no_grpc {
            Some(no_grpc) if !is_etcds => {
                // The remedy of each may be the other transport, which was tried.
                let no_grpc = no_grpc.clone().without_remedy();
                let error = if has_response { error } else { error.without_remedy() };
                let mut both = vec![("gRPC".into(), no_grpc), ("gateway".into(), error)];
                if has_response {
                    both.reverse();
                }
                Error::of_several("neither gRPC nor the JSON gateway works", both).remedy(
                    "check that this is etcd's client port, whether it uses TLS, and what is in \
                        between",
                )
            }
            _ => error,
        }
        .at(endpoint, Stage::Probe)
    }
}

/// Whether gRPC does not seem to work although a server is there. A refusal,
/// by etcd or by a proxy in its place, is not a sign of that.
fn lacks_grpc(outcome: &std::result::Result<Status, ProbeError>) -> bool {
    match outcome {
        Err(ProbeError::CallError(CallError::Foreign(_))) => true,
        Err(ProbeError::Network(error)) => lacks_http2(error),
        _ => false,
    }
}

/// Whether a login could help with what was refused.
fn is_guarded(asked: &Probe, outcome: &std::result::Result<Status, ProbeError>) -> bool {
    match outcome {
        Err(ProbeError::CallError(CallError::Refused(refusal))) => {
            refusal.login_could_help(asked.token.is_some())
        }
        _ => false,
    }
}

fn candidate(
    asked: Probe,
    outcome: std::result::Result<Status, ProbeError>,
    troubles: &Troubles,
    timeouts: &Timeouts,
) -> Result<Candidate> {
    let status = match outcome {
        Ok(status) => {
            let sender = status.header().member_id;
            match member::disqualified(troubles, sender) {
                Some(error) => return Err(error),
                None => Some(status),
            }
        }
        // Some versions protect the status more than others; only the snapshot call
        // shows whether the snapshot is refused too.
        Err(ProbeError::CallError(CallError::Refused(refusal))) if refusal.lacks_permission() => {
            None
        }
        Err(problem) => return Err(problem.into_error(&asked, timeouts)),
    };
    let Probe { endpoint, transport, token, no_grpc, connection } = asked;
    Ok(Candidate { endpoint, transport, no_grpc, status, token, connection, behind: 0 })
}
