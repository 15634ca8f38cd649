//! The error type of the connector.
//!
//! Its text is a [`Message`]: the endpoint and the stage where it happened, what
//! failed, and what to do about it.

use plakar_connector::text::is_hidden;
use plakar_connector::{Authority, ErrorKind, Message};
use std::fmt;

/// What was being done when something failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Asking members for their status and identity.
    Probe,
    /// Exchanging a name and a password for a token.
    Login,
    /// Receiving the snapshot.
    Snapshot,
    /// Comparing the snapshot with what the members hold.
    Proof,
    /// Passing bytes to the store.
    Store,
    /// Checking a dump or a bundle that was stored earlier.
    Verify,
}

impl Stage {
    /// Its name in messages.
    fn name(self) -> &'static str {
        match self {
            Stage::Probe => "probe",
            Stage::Login => "login",
            Stage::Snapshot => "snapshot",
            Stage::Proof => "proof",
            Stage::Store => "store",
            Stage::Verify => "verify",
        }
    }
}

/// Why something could not be done. Its `Display` is the message for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The case of the contract that it belongs to.
    pub kind: ErrorKind,
    message: Message,
    of_all_members: bool,
}

impl Error {
    /// A failure of this kind; `what` says what failed, lower case, no full stop.
    pub fn new(kind: ErrorKind, what: impl Into<Message>) -> Self {
        Self { kind, message: what.into(), of_all_members: false }
    }

    /// A failure with several causes, each with the place where it happened. The
    /// one that the caller can best fix comes first, and gives its kind and its remedy.
    pub fn of_several(what: &str, mut failures: Vec<(String, Error)>) -> Self {
        failures.sort_by_key(|(_, error)| error.urgency());
        let reasons: Vec<String> =
            failures.iter().map(|(place, error)| format!("{place}: {}", error.what())).collect();
        let mut several = Error::new(ErrorKind::Other, format!("{what}: {}", reasons.join(", ")));
        if let Some((_, lead)) = failures.into_iter().next() {
            several.kind = lead.kind;
            several.of_all_members = lead.of_all_members;
            several.message = match lead.message.into_remedy() {
                Some(remedy) => several.message.remedy(remedy),
                None => several.message,
            };
        }
        several
    }

    /// Ranks a failure among several: those that the caller can fix come first.
    fn urgency(&self) -> u8 {
        match self.kind {
            ErrorKind::InvalidConfig | ErrorKind::Unauthenticated => 0,
            ErrorKind::PermissionDenied => 1,
            ErrorKind::Corrupt => 2,
            ErrorKind::Unsupported => 3,
            ErrorKind::Interrupted | ErrorKind::Other => 4,
            ErrorKind::TimedOut => 5,
            ErrorKind::Unreachable => 6,
        }
    }

    /// Adds where it happened, unless that is known already.
    pub fn at(self, endpoint: &Authority, stage: Stage) -> Self {
        let message = self.message.at(format_args!("`{endpoint}`")).during(stage.name());
        Self { message, ..self }
    }

    /// Adds the file that it is about, unless a place is known already, and the stage.
    pub fn in_file(self, path: &str, stage: Stage) -> Self {
        let message = self.message.at(quote(path)).during(stage.name());
        Self { message, ..self }
    }

    /// Marks the failure as one with which every member of the cluster would respond, so
    /// that trying another one would not help.
    pub fn of_all_members(mut self) -> Self {
        self.of_all_members = true;
        self
    }

    /// Whether every member of the cluster would respond in the same way.
    pub fn is_of_all_members(&self) -> bool {
        self.of_all_members
    }

    /// Adds the stage alone, when no endpoint is involved.
    pub fn during(self, stage: Stage) -> Self {
        Self { message: self.message.during(stage.name()), ..self }
    }

    /// Adds what to do about it, unless that is known already.
    pub fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { message: self.message.remedy(remedy), ..self }
    }

    /// Removes the remedy, when that is known not to help.
    pub fn without_remedy(self) -> Self {
        Self { message: self.message.without_remedy(), ..self }
    }

    /// What failed, without place and remedy: for lists that name the place.
    pub fn what(&self) -> &str {
        self.message.what()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message.fmt(f)
    }
}

impl std::error::Error for Error {}

/// The connector's result.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// The longest part of a server's text that is shown, in characters.
const SHOWN: usize = 200;

/// A text from a server, formatted for a message: in backticks, on one line,
/// bounded.
pub(crate) fn quote(text: &str) -> String {
    format!("`{}`", plain(text).replace('`', "'"))
}

/// A text from a server, formatted for a terminal: on one line, bounded, without
/// characters that a terminal interprets.
pub(crate) fn plain(text: &str) -> String {
    let mut line: String = visible(text.trim()).chars().take(SHOWN + 1).collect();
    if line.chars().count() > SHOWN {
        line.pop();
        line.push('…');
    }
    line
}

/// A text without the characters that a terminal interprets.
pub(crate) fn visible(text: &str) -> String {
    text.chars().map(|c| if is_hidden(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_its_endpoint_and_stage() {
        let endpoint = Authority { host: "::1".into(), port: 2379, tls: false };
        let error =
            Error::new(ErrorKind::Unreachable, "connection refused").at(&endpoint, Stage::Probe);
        assert_eq!(error.to_string(), "`[::1]:2379`: probe: connection refused");
    }

    #[test]
    fn a_servers_text_is_quoted_in_one_bounded_line() {
        assert_eq!(quote(" a\nb\u{1b}c\u{9b}d\u{202e}e`f "), "`a b c d e'f`");
        assert!(quote(&"x".repeat(10_000)).chars().count() < 210);
    }

    #[test]
    fn of_several_failures_the_one_that_can_be_fixed_comes_first() {
        let failure = |place: &str, kind| {
            let error = Error::new(kind, format!("{kind:?}")).remedy(format!("mend {kind:?}"));
            (place.to_string(), error)
        };
        let order = [
            ErrorKind::Unauthenticated,
            ErrorKind::PermissionDenied,
            ErrorKind::Corrupt,
            ErrorKind::Unsupported,
            ErrorKind::Other,
            ErrorKind::TimedOut,
            ErrorKind::Unreachable,
        ];
        for (index, lead) in order.iter().enumerate() {
            for other in &order[index + 1..] {
                let both = vec![failure("a", *other), failure("b", *lead)];
                let error = Error::of_several("none", both);
                assert_eq!(error.kind, *lead);
                let text = format!("none: b: {lead:?}, a: {other:?}; mend {lead:?}");
                assert_eq!(error.to_string(), text);
            }
        }
        let first = vec![failure("a", ErrorKind::Other), failure("b", ErrorKind::Other)];
        assert!(Error::of_several("none", first).to_string().starts_with("none: a: "));
    }

    #[test]
    fn an_error_knows_whether_it_concerns_one_member_or_all() {
        let error = Error::new(ErrorKind::PermissionDenied, "no");
        assert!(!error.is_of_all_members());
        assert!(error.of_all_members().is_of_all_members());
    }
}
