//! A connector's description of itself, checked against the rules of the contract.

use crate::Error;
use plakar_connector::limits;
use plakar_connector::names::{ENDPOINTS, FILE_SUFFIX, LOCATION, LONGEST, TLS_PREFIX};
use plakar_connector::text::{escaped, is_hidden};
use std::collections::HashSet;

/// The most protocols, options, or words of one choice.
const MOST: usize = 256;

/// A connector's description of itself and its options.
#[derive(Debug, Clone)]
pub struct Description {
    /// Lower case, digits and dashes.
    pub name: String,
    /// A semantic version, without a leading `v`.
    pub version: String,
    /// One sentence for people.
    pub summary: String,
    /// The type a snapshot is filed under in Plakar.
    pub kind: String,
    /// What may come before `://` in a location, the preferred one first.
    pub protocols: Vec<Protocol>,
    /// The options it takes.
    pub options: Vec<OptionDescription>,
}

/// What may come before `://` in a location.
#[derive(Debug, Clone)]
pub struct Protocol {
    /// The name.
    pub name: String,
    /// Whether connections are TLS.
    pub tls: bool,
    /// The port if none is typed.
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
    /// The value if none is given.
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
    /// Returns the option called `name`.
    pub fn option(&self, name: &str) -> Option<&OptionDescription> {
        self.options.iter().find(|option| option.name == name)
    }

    /// Returns the protocols in the form that the shared rules for locations use.
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

    /// Refuses a description that breaks the contract, because other code relies on it.
    pub fn check(self) -> Result<Self, Error> {
        let refuse = |what: String| {
            Err(Error::component(format!("the component's description is invalid: {what}")))
        };
        let word = |text: &str, more: &[u8]| {
            (1..=LONGEST).contains(&text.len())
                && text
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || more.contains(&b))
        };
        if !word(&self.name, b"-") {
            return refuse(format!(
                "its name is not at most {LONGEST} lower-case letters, digits and dashes"
            ));
        }
        if self.protocols.is_empty() {
            return refuse("it has no protocol".into());
        }
        if self.protocols.len() > MOST || self.options.len() > MOST {
            return refuse(format!("it has more than {MOST} protocols or options"));
        }
        let mut seen = HashSet::new();
        for protocol in &self.protocols {
            if protocol.name.len() < 2
                || !word(&protocol.name, b"+.-")
                || protocol.default_port == 0
            {
                return refuse(format!(
                    "protocol `{}` is malformed: it needs 2 to {LONGEST} lower-case letters, \
                        digits, `+`, `.` or `-`, and a port",
                    escaped(&protocol.name, LONGEST)
                ));
            }
            if !seen.insert(&protocol.name) {
                return refuse(format!("protocol `{}` occurs twice", protocol.name));
            }
        }
        let mut seen = HashSet::new();
        for option in &self.options {
            let name = escaped(&option.name, LONGEST);
            if !word(&option.name, b"_") {
                return refuse(format!(
                    "option `{name}` is malformed: it needs 1 to {LONGEST} lower-case letters, \
                        digits or underscores"
                ));
            }
            if !seen.insert(&option.name) {
                return refuse(format!("option `{name}` occurs twice"));
            }
            if is_of_host(&option.name) {
                return refuse(format!("option `{name}` has a name that belongs to the host"));
            }
            let fits = match (option.name.as_str(), &option.kind) {
                // Programs also pass a list on as text.
                (ENDPOINTS, kind) => matches!(kind, OptionKind::Authorities | OptionKind::Text),
                (name, kind) if limits::ALL.iter().any(|limit| limit.name == name) => {
                    matches!(kind, OptionKind::Duration)
                }
                (_, OptionKind::Choice(words)) => {
                    (1..=MOST).contains(&words.len())
                        && words.iter().all(|word| {
                            (1..=LONGEST).contains(&word.len()) && !word.contains(is_hidden)
                        })
                }
                _ => true,
            };
            if !fits {
                return refuse(format!("option `{name}` has values that its type does not allow"));
            }
        }
        Ok(self)
    }
}

/// Returns whether a name belongs to the host: the location, its TLS options, and `X_file`
/// for every option X.
fn is_of_host(name: &str) -> bool {
    name == LOCATION || name.starts_with(TLS_PREFIX) || name.ends_with(FILE_SUFFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(name: &str, kind: OptionKind) -> OptionDescription {
        OptionDescription {
            name: name.into(),
            kind,
            secret: false,
            help: String::new(),
            default: None,
        }
    }

    fn with(options: Vec<OptionDescription>) -> Description {
        Description {
            name: "test".into(),
            version: "0.1.0".into(),
            summary: String::new(),
            kind: "test".into(),
            protocols: vec![Protocol { name: "test".into(), tls: true, default_port: 1 }],
            options,
        }
    }

    #[track_caller]
    fn refused(options: Vec<OptionDescription>, words: &str) {
        let said = with(options).check().expect_err("refused").to_string();
        assert!(said.contains(words) && said.len() < 700, "{said}");
    }

    #[test]
    fn a_connector_may_not_declare_what_belongs_to_the_host() {
        for name in ["tls_private_key", "tls_x", "location", "password_file", "_file"] {
            refused(vec![option(name, OptionKind::Text)], "belongs to the host");
        }
        refused(vec![option("max_duration", OptionKind::Text)], "has values that its type");
        refused(vec![option("endpoints", OptionKind::Boolean)], "has values that its type");
    }

    #[test]
    fn what_a_connector_declares_is_bounded() {
        let choice = |words: Vec<String>| vec![option("x", OptionKind::Choice(words))];
        refused(vec![option(&"x".repeat(65), OptionKind::Text)], "is malformed");
        refused(vec![option(&"\x1b".repeat(1 << 20), OptionKind::Text)], "is malformed");
        let many = (0..257).map(|n| option(&format!("x{n}"), OptionKind::Text)).collect();
        refused(many, "more than 256");
        refused(choice(vec!["x".into(); 5000]), "has values that its type");
        refused(choice(vec!["x".repeat(65)]), "has values that its type");
        refused(choice(vec!["x\x1b[2J".into()]), "has values that its type");
        refused(choice(Vec::new()), "has values that its type");
        let mut named = with(Vec::new());
        named.name = "x".repeat(65);
        assert!(named.check().is_err());
    }

    #[test]
    fn a_plain_description_is_accepted() {
        let options = vec![
            option("endpoints", OptionKind::Authorities),
            option("max_duration", OptionKind::Duration),
            option("transport", OptionKind::Choice(vec!["auto".into(), "grpc".into()])),
        ];
        assert!(with(options).check().is_ok());
    }
}
