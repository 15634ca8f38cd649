//! The grammar of messages about failures.
//!
//! ```text
//! `node1:2379`: probe: connection refused; check that etcd listens there
//! └── place ──┘ └stage┘ └─── what ──────┘  └────────── remedy ──────────┘
//! ```
//! Every part is lower case, without a full stop; names and values are in
//! backticks. A remedy is a part of its own, so no message hides it in a sentence and
//! none has two.

use std::fmt;

/// What failed: where, at which stage, and what to do about it. Its `Display` is the
/// text for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    place: Option<String>,
    stage: Option<&'static str>,
    what: String,
    remedy: Option<String>,
}

impl Message {
    /// A message that says what failed, but not where or what to do.
    pub fn new(what: impl Into<String>) -> Self {
        Self { place: None, stage: None, what: what.into(), remedy: None }
    }

    /// Adds where it happened, unless that is known already: an endpoint, a file or
    /// an option, in backticks.
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.place.get_or_insert_with(|| place.to_string());
        self
    }

    /// Adds what was being done, unless that is known already.
    pub fn during(mut self, stage: &'static str) -> Self {
        self.stage.get_or_insert(stage);
        self
    }

    /// Adds what to do about it, unless that is known already.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy.get_or_insert_with(|| remedy.into());
        self
    }

    /// Removes the remedy, when that is known not to help.
    pub fn without_remedy(self) -> Self {
        Self { remedy: None, ..self }
    }

    /// What failed, without place, stage and remedy: for lists that name the place.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What to do about it, if that is known.
    pub fn into_remedy(self) -> Option<String> {
        self.remedy
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
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

impl std::error::Error for Message {}

/// What failed, but not where or what to do.
impl<T: Into<String>> From<T> for Message {
    fn from(what: T) -> Self {
        Self::new(what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_where_when_what_and_what_to_do() {
        let message = Message::new("connection refused")
            .remedy("check that etcd listens there")
            .at("`[::1]:2379`")
            .during("probe");
        assert_eq!(
            message.to_string(),
            "`[::1]:2379`: probe: connection refused; check that etcd listens there"
        );
        assert_eq!(message.what(), "connection refused");
        assert_eq!(message.into_remedy().as_deref(), Some("check that etcd listens there"));
        assert_eq!(Message::new("it failed").to_string(), "it failed");
    }

    #[test]
    fn the_part_that_is_set_first_is_kept() {
        let message = Message::new("it failed").at("`a`").during("login").remedy("wait");
        let again = message.clone().at("`b`").during("probe").remedy("retry");
        assert_eq!(again, message);
        assert_eq!(message.without_remedy().to_string(), "`a`: login: it failed");
    }
}
