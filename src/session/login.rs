//! Logins: a name and a password for a token, endpoint by endpoint.

use super::Session;
use super::probe::Probe;
use crate::error::{Result, Stage};
use crate::etcd::call::{Call, CallError};
use crate::etcd::messages::Authenticated;
use crate::member::Candidate;
use crate::net::Network;
use crate::options::Credentials;

impl<N: Network> Session<N> {
    /// Returns the candidate, with a token if a login was given and authentication is on.
    pub(super) fn authenticate(&self, mut candidate: Candidate) -> Result<Candidate> {
        let Some(credentials) = &self.options.credentials else {
            return Ok(candidate);
        };
        if candidate.token.is_none() {
            candidate.token = self.login_at(&candidate, credentials)?;
        }
        if candidate.token.is_none() {
            self.warn(&format!(
                "`{}`: login: authentication is disabled in this cluster, `username` and \
                    `password` are not needed",
                candidate.endpoint
            ));
        }
        Ok(candidate)
    }

    /// Logs in at a candidate's endpoint; `None` if authentication is off.
    pub(super) fn login_at(
        &self,
        Candidate { endpoint, transport, .. }: &Candidate,
        credentials: &Credentials,
    ) -> Result<Option<String>> {
        self.login(&[Probe::new(endpoint.clone(), *transport)], credentials).remove(0)
    }

    /// Logs in at all these endpoints at once; `None` if authentication is off.
    pub(super) fn login(
        &self,
        asked: &[Probe],
        credentials: &Credentials,
    ) -> Vec<Result<Option<String>>> {
        let timeouts = self.probe_timeouts();
        let call =
            Call::Authenticate { name: &credentials.username, password: &credentials.password };
        let requests = asked
            .iter()
            .map(|asked| asked.transport.request(&asked.endpoint, call, None, timeouts))
            .collect();
        asked
            .iter()
            .zip(self.exchange(requests))
            .map(|(Probe { endpoint, transport, .. }, outcome)| {
                let response = outcome
                    .map_err(|error| transport.failure(error, endpoint, Stage::Login, &timeouts))?;
                match transport.unary::<Authenticated>(&response) {
                    Ok(authenticated) => Ok(Some(authenticated.token)),
                    Err(CallError::Refused(refusal)) if refusal.auth_is_off() => Ok(None),
                    Err(error) => Err(error.into_error().at(endpoint, Stage::Login)),
                }
            })
            .collect()
    }
}
