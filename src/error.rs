//! The one error of the connector.
//!
//! Every message has the same grammar: the endpoint and the stage where it
//! happened, what failed, and after a semicolon what to do about it.

use plakar_connector::{Authority, Kind};
use std::fmt;

/// What was being done when something failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reading options; nothing has been contacted.
    Options,
    /// Asking members who they are.
    Probe,
    /// Exchanging a name and a password for a token.
    Login,
    /// Receiving the snapshot.
    Snapshot,
    /// Handing bytes to whoever stores them.
    Store,
    /// Checking a dump or a bundle that was stored earlier.
    Verify,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Options => "options",
            Stage::Probe => "probe",
            Stage::Login => "login",
            Stage::Snapshot => "snapshot",
            Stage::Store => "store",
            Stage::Verify => "verify",
        })
    }
}

/// Why something could not be done. Its `Display` is the message for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The case of the contract that it belongs to.
    pub kind: Kind,
    endpoint: Option<String>,
    stage: Option<Stage>,
    what: String,
    remedy: Option<String>,
}

impl Error {
    /// A failure of this kind; `what` says what failed, lower case, no full stop.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, endpoint: None, stage: None, what: what.into(), remedy: None }
    }

    /// Adds where it happened, unless that is known already.
    pub fn at(mut self, endpoint: &Authority, stage: Stage) -> Self {
        self.endpoint.get_or_insert_with(|| endpoint.to_string());
        self.stage.get_or_insert(stage);
        self
    }

    /// Adds the stage alone, where no endpoint is involved.
    pub fn during(mut self, stage: Stage) -> Self {
        self.stage.get_or_insert(stage);
        self
    }

    /// Adds what to do about it, unless that is known already.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy.get_or_insert_with(|| remedy.into());
        self
    }

    /// What failed, without place and remedy: for lists that name the place.
    pub fn what(&self) -> &str {
        &self.what
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(endpoint) = &self.endpoint {
            write!(f, "`{endpoint}`: ")?;
        }
        if let Some(stage) = self.stage {
            write!(f, "{stage}: ")?;
        }
        f.write_str(&self.what)?;
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// The connector's result.
pub type Result<T> = std::result::Result<T, Error>;

/// A text that came from a server, fit for a message: one line, bounded.
pub fn quote(text: &str) -> String {
    const MOST: usize = 200;
    let mut line: String =
        text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST + 1).collect();
    if line.chars().count() > MOST {
        line.pop();
        line.push('…');
    }
    format!("`{line}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_endpoint_stage_failure_and_remedy() {
        let endpoint = Authority { host: "::1".into(), port: 2379, tls: false };
        let error = Error::new(Kind::Unreachable, "connection refused")
            .remedy("check that etcd listens there")
            .at(&endpoint, Stage::Probe);
        assert_eq!(
            error.to_string(),
            "`[::1]:2379`: probe: connection refused; check that etcd listens there"
        );
    }

    #[test]
    fn a_servers_text_is_quoted_in_one_bounded_line() {
        assert_eq!(quote(" a\nb\u{1b}c "), "`a b c`");
        assert!(quote(&"x".repeat(10_000)).chars().count() < 210);
    }
}
