//! The choice of the member: the best one, or the next.

use super::{Chosen, Session};
use crate::error::{Error, Result};
use crate::member::{self, Rejected};
use crate::net::Network;
use plakar_connector::Authority;

impl<N: Network> Session<N> {
    /// Chooses the best candidate that accepts the login and can be identified. Other
    /// refusals do not prevent a backup.
    pub(crate) fn choose(&mut self) -> Result<Chosen> {
        while let Some(candidate) = self.survey.candidates.pop_front() {
            let choice = member::choice(&candidate, &self.survey.candidates);
            let endpoint = candidate.endpoint.clone();
            match self.authenticate(candidate).and_then(|c| self.identify(c, choice)) {
                Ok(chosen) => return Ok(chosen),
                Err(error) => self.reject(endpoint, error)?,
            }
        }
        Err(self.survey.none_left())
    }

    /// Rejects a member in favor of the next one, or ends the run if all members would
    /// respond in the same way.
    pub(super) fn reject(&mut self, endpoint: Authority, error: Error) -> Result<()> {
        if error.is_of_all_members() {
            return Err(error);
        }
        if !self.survey.candidates.is_empty() {
            self.warn(&format!("{error}; trying the next member"));
        }
        self.survey.rejected.push(Rejected { endpoint, error });
        Ok(())
    }
}
