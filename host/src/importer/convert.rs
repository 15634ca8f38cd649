//! What the generated types say, in this crate's own.

use crate::Error;
use crate::bindings::importer as wit;
use crate::description::{Description, OptionDescription, OptionKind, Protocol};
use crate::policy::limits::one_line;
use plakar_connector::Kind;
use std::time::{Duration, SystemTime};

pub(super) fn modified(time: wit::Timestamp) -> Result<SystemTime, Error> {
    if time.nanoseconds >= 1_000_000_000 {
        return Err(Error::broke("a timestamp has a second or more of nanoseconds"));
    }
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::new(time.seconds, time.nanoseconds))
        .ok_or_else(|| Error::broke("a timestamp is out of range"))
}

pub(super) fn reported(error: wit::Error) -> Error {
    let (kind, text) = match error {
        wit::Error::InvalidConfig(text) => (Kind::InvalidConfig, text),
        wit::Error::Unreachable(text) => (Kind::Unreachable, text),
        wit::Error::TimedOut(text) => (Kind::TimedOut, text),
        wit::Error::Unauthenticated(text) => (Kind::Unauthenticated, text),
        wit::Error::PermissionDenied(text) => (Kind::PermissionDenied, text),
        wit::Error::Unsupported(text) => (Kind::Unsupported, text),
        wit::Error::Interrupted(text) => (Kind::Interrupted, text),
        wit::Error::Corrupt(text) => (Kind::Corrupt, text),
        wit::Error::Other(text) => (Kind::Other, text),
    };
    Error::reported(kind, one_line(&text))
}

pub(super) fn into_description(description: wit::Description) -> Description {
    // Names and the words of a choice are checked, not changed: they are typed.
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
        kind: one_line(&description.type_),
        protocols: description.protocols.into_iter().map(protocol).collect(),
        options: description.options.into_iter().map(option).collect(),
    }
}
