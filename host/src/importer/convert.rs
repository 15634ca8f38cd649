//! Converts the generated types into this crate's own.

use crate::bindings::{description as wit, types};
use plakar_connector::ErrorKind;
use plakar_policy::Error;
use plakar_policy::limits::one_line;
use plakar_policy::{Description, OptionDescription, OptionKind, Protocol};

pub(super) fn reported(error: types::Error) -> Error {
    let (kind, text) = match error {
        types::Error::InvalidConfig(text) => (ErrorKind::InvalidConfig, text),
        types::Error::Unreachable(text) => (ErrorKind::Unreachable, text),
        types::Error::TimedOut(text) => (ErrorKind::TimedOut, text),
        types::Error::Unauthenticated(text) => (ErrorKind::Unauthenticated, text),
        types::Error::PermissionDenied(text) => (ErrorKind::PermissionDenied, text),
        types::Error::Unsupported(text) => (ErrorKind::Unsupported, text),
        types::Error::Interrupted(text) => (ErrorKind::Interrupted, text),
        types::Error::Corrupt(text) => (ErrorKind::Corrupt, text),
        types::Error::Other(text) => (ErrorKind::Other, text),
    };
    Error::reported(kind, one_line(&text))
}

pub(super) fn into_description(description: wit::Description) -> Description {
    // Names and the words of a choice are checked, not changed, because users type them.
    let option = |option: wit::OptionDescription| OptionDescription {
        name: option.name,
        kind: match option.kind {
            wit::OptionKind::Text => OptionKind::Text,
            wit::OptionKind::Boolean => OptionKind::Boolean,
            wit::OptionKind::Duration => OptionKind::Duration,
            wit::OptionKind::Authorities => OptionKind::Authorities,
            wit::OptionKind::Choice(words) => OptionKind::Choice(words),
        },
        secret: option.secret,
        help: one_line(&option.help),
        default: option.default.map(|text| one_line(&text)),
    };
    let protocol = |protocol: wit::Protocol| Protocol {
        name: protocol.name,
        tls: protocol.tls,
        default_port: protocol.default_port,
    };
    Description {
        name: description.name,
        version: one_line(&description.version),
        summary: one_line(&description.summary),
        kind: one_line(&description.snapshot_type),
        protocols: description.protocols.into_iter().map(protocol).collect(),
        options: description.options.into_iter().map(option).collect(),
    }
}
