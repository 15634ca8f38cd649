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
                Ok(chosen) => {
                    self.warn_of_unused();
                    return Ok(chosen);
                }
                Err(error) => self.reject(endpoint, error)?,
            }
        }
        Err(self.survey.none_left())
    }

    /// Warns of the endpoints that the probe ruled out: the user named them, but they are not
    /// used, and their members are not compared.
    fn warn_of_unused(&mut self) {
        let unreported = self.survey.rejected.iter().skip(self.survey.reported);
        for Rejected { endpoint, error } in unreported {
            self.warn(&format!("`{endpoint}` is not used: {}", error.what()));
        }
        self.survey.reported = self.survey.rejected.len();
    }

    /// Rejects a member in favor of the next one, or ends the run if all members would
    /// respond in the same way.
    pub(super) fn reject(&mut self, endpoint: Authority, error: Error) -> Result<()> {
        if error.is_of_all_members() {
            return Err(error);
        }
        if !self.survey.candidates.is_empty() {
            self.warn_of_unused();
            self.warn(&format!("{error}; trying the next member"));
            self.survey.reported += 1;
        }
        self.survey.rejected.push(Rejected { endpoint, error });
        Ok(())
    }
}
