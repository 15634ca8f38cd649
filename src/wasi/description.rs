//! The export `plakar:connector/description`.

use super::bindings::exports::plakar::connector::description as wit;
use super::importer::Component;
use crate::options::{OPTIONS, PROTOCOLS, ValueKind};

impl wit::Guest for Component {
    fn describe() -> wit::Description {
        wit::Description {
            name: "etcd".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "verified snapshots of an etcd cluster".into(),
            snapshot_type: "etcd".into(),
            protocols: PROTOCOLS
                .iter()
                .map(|p| wit::Protocol {
                    name: p.name.into(),
                    tls: p.tls,
                    default_port: p.default_port,
                })
                .collect(),
            options: OPTIONS
                .iter()
                .map(|option| wit::OptionDescription {
                    name: option.name.into(),
                    kind: match option.kind {
                        ValueKind::Text => wit::OptionKind::Text,
                        ValueKind::Duration => wit::OptionKind::Duration,
                        ValueKind::Authorities => wit::OptionKind::Authorities,
                        ValueKind::Choice(words) => wit::OptionKind::Choice(
                            words.iter().map(|word| word.to_string()).collect(),
                        ),
                    },
                    secret: option.secret,
                    help: option.help.into(),
                    default: option.default.map(Into::into),
                })
                .collect(),
        }
    }
}
