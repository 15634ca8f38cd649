//! What a connector says it is, checked against the contract's rules.

use crate::Error;
use std::collections::HashSet;

/// What a connector is and what it can be told.
#[derive(Debug, Clone)]
pub struct Description {
    /// Lower case, digits and dashes.
    pub name: String,
    /// By semantic versioning, without a leading `v`.
    pub version: String,
    /// One sentence for people.
    pub summary: String,
    /// The type a snapshot is filed under in Plakar.
    pub kind: String,
    /// What may stand before `://` in a location, the preferred one first.
    pub protocols: Vec<Protocol>,
    /// The options it takes.
    pub options: Vec<OptionDescription>,
}

/// What may stand before `://` in a location.
#[derive(Debug, Clone)]
pub struct Protocol {
    /// The name.
    pub name: String,
    /// Whether connections are TLS.
    pub tls: bool,
    /// The port where none is typed.
    pub default_port: u16,
}

/// One option.
#[derive(Debug, Clone)]
pub struct OptionDescription {
    /// The name.
    pub name: String,
    /// What values it takes.
    pub kind: OptionKind,
    /// Whether the value must never be shown, logged or recorded.
    pub secret: bool,
    /// One line of help.
    pub help: String,
    /// The value that holds where none is given.
    pub default: Option<String>,
}

/// What values an option takes.
#[derive(Debug, Clone)]
pub enum OptionKind {
    /// Any text.
    Text,
    /// `true` or `false`.
    Boolean,
    /// A duration, such as `1h30m`.
    Duration,
    /// A comma-separated list of authorities.
    Authorities,
    /// One of the words.
    Choice(Vec<String>),
}

impl Description {
    /// The option called `name`.
    pub fn option(&self, name: &str) -> Option<&OptionDescription> {
        self.options.iter().find(|option| option.name == name)
    }

    /// The protocols as the shared rules for locations take them.
    pub fn protocols(&self) -> Vec<plakar_connector::Protocol<'_>> {
        self.protocols
            .iter()
            .map(|p| plakar_connector::Protocol {
                name: &p.name,
                tls: p.tls,
                default_port: p.default_port,
            })
            .collect()
    }

    /// Refuses a description that breaks the contract: other code relies on it.
    pub fn check(self) -> Result<Self, Error> {
        let refuse = |what: String| {
            Err(Error::component(format!("the component describes itself wrongly: {what}")))
        };
        let word = |text: &str, more: &[u8]| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || more.contains(&b))
        };
        if !word(&self.name, b"-") {
            return refuse("its name is not lower case, digits and dashes".into());
        }
        if self.protocols.is_empty() {
            return refuse("it has no protocol".into());
        }
        let mut seen = HashSet::new();
        for protocol in &self.protocols {
            if protocol.name.len() < 2
                || !word(&protocol.name, b"+.-")
                || protocol.default_port == 0
            {
                return refuse(format!(
                    "protocol `{}` is malformed",
                    protocol.name.escape_default()
                ));
            }
            if !seen.insert(&protocol.name) {
                return refuse(format!("protocol `{}` occurs twice", protocol.name));
            }
        }
        let mut seen = HashSet::new();
        for option in &self.options {
            if !word(&option.name, b"_") {
                return refuse(format!("option `{}` is malformed", option.name.escape_default()));
            }
            if !seen.insert(&option.name) {
                return refuse(format!("option `{}` occurs twice", option.name));
            }
        }
        Ok(self)
    }
}
