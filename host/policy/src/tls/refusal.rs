//! Messages about TLS failures that say what to do about them.

use super::x509::date;
use plakar_connector::Message;
use plakar_connector::names::NO_HTTP2;
use plakar_connector::text::escaped;
use rustls::pki_types::ServerName;
use rustls::{
    AlertDescription, CertificateError, Error, InvalidMessage, OtherError, PeerMisbehaved,
};
use std::fmt;
use std::sync::Arc;

/// The prefix of the text of every TLS failure. It shows a component that it can pass the
/// text on unchanged.
pub const MARK: &str = "tls: ";

/// The server closed the connection before the handshake was complete.
const CUT: (&str, &str) = (
    "the server closed the connection during the handshake",
    "check that this port uses TLS, and check the server's log",
);

const NOT_TLS: (&str, &str) = (
    "the server did not respond with TLS",
    "check that this port uses TLS, or use the protocol for plain HTTP",
);
const NO_HTTP1: (&str, &str) =
    ("the server does not support HTTP/1.1", "check that this is the right port");
const NOTHING_IN_COMMON: (&str, &str) = (
    "the server and this host have no TLS version, cipher or type of key in common",
    "enable TLS 1.3, or TLS 1.2 with ECDHE and AES-GCM or ChaCha20, and use a key that is ECDSA \
        on P-256, P-384 or P-521, Ed25519, or RSA of 2048 to 8192 bits",
);
const BROKEN: (&str, &str) = (
    "the server sends malformed TLS",
    "check that nothing but the server itself listens on that port",
);
const MALFORMED: (&str, &str) =
    ("the server's certificate, or one in its chain, is malformed", "issue another one");

/// A failure that the host's own checks found, with its message.
#[derive(Debug)]
pub(super) struct Refusal(Message);

impl Refusal {
    pub(super) fn error(message: Message) -> Error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Self(message)))))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Refusal {}

/// Returns what went wrong and what to do about it; `http2` says whether HTTP/2 was
/// requested. The message contains no names of a library's types: those are in the log at
/// `-vv`.
pub fn explain(error: &Error, http2: bool) -> Message {
    let said = match error {
        Error::InvalidCertificate(fault) => of_certificate(fault),
        Error::AlertReceived(AlertDescription::NoApplicationProtocol)
        | Error::NoApplicationProtocol
        | Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedApplicationProtocol) => {
            if http2 {
                return Message::new(NO_HTTP2).remedy("let it offer `h2`, or use HTTP/1.1");
            }
            say(NO_HTTP1)
        }
        Error::AlertReceived(alert) => of_alert(*alert),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => say(NOT_TLS),
        Error::PeerIncompatible(_)
        | Error::PeerMisbehaved(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme) => {
            say(NOTHING_IN_COMMON)
        }
        Error::NoCertificatesPresented => {
            say(("the server sends no certificate", "configure one, and check its log"))
        }
        Error::FailedToGetCurrentTime | Error::FailedToGetRandomBytes => say((
            "this machine provides no time or no random numbers",
            "check its clock and kernel",
        )),
        Error::General(_) | Error::Other(_) | Error::InconsistentKeys(_) => {
            say(("the handshake failed on this side", "run it again with `-vv` for the reason"))
        }
        _ => say(BROKEN),
    };
    said.during("tls")
}

fn say((what, remedy): (&str, &str)) -> Message {
    Message::new(what).remedy(remedy)
}

/// Returns the message about a server that closed the connection during the handshake.
pub fn cut() -> Message {
    say(CUT).during("tls")
}

fn of_certificate(fault: &CertificateError) -> Message {
    match fault {
        CertificateError::UnknownIssuer => say((
            "the server's certificate is signed by an authority that is not trusted here",
            "set `tls_ca_file` to that authority's certificate",
        )),
        CertificateError::BadSignature => say((
            "the server's certificate was not signed by the authority that it names",
            "check that `tls_ca_file` contains the server's current authority, and not an older \
                one of the same name",
        )),
        CertificateError::ExpiredContext { not_after, .. } => Message::new(format!(
            "the server's certificate, or its authority's, expired on {}",
            date(*not_after)
        ))
        .remedy("renew it, or check this machine's clock"),
        CertificateError::NotValidYetContext { not_before, .. } => Message::new(format!(
            "the server's certificate is not valid before {}",
            date(*not_before)
        ))
        .remedy("check the clocks of this machine and of the one that issued it"),
        CertificateError::NotValidForNameContext { expected, presented } => {
            of_names(expected, presented)
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => say((
            "the server's certificate is not meant for servers",
            "issue one with the extended key usage `serverAuth`",
        )),
        CertificateError::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id, ..
        }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id,
            ..
        } => of_algorithm(signature_algorithm_id),
        CertificateError::UnhandledCriticalExtension => say(CRITICAL),
        CertificateError::Other(OtherError(other)) => {
            if let Some(Refusal(said)) = other.downcast_ref() {
                return said.clone();
            }
            say(other.downcast_ref().map_or(MALFORMED, of_path))
        }
        _ => say(MALFORMED),
    }
}

const CRITICAL: (&str, &str) = (
    "the server's certificate, or one of its authorities', has a critical extension that is \
        unknown here",
    "issue one without it",
);

fn of_path(error: &webpki::Error) -> (&'static str, &'static str) {
    match error {
        webpki::Error::UnsupportedCriticalExtension => CRITICAL,
        webpki::Error::NameConstraintViolation => (
            "the server's certificate contains a name that its authority may not certify (name \
                constraints)",
            "issue one without that name, or from another authority",
        ),
        webpki::Error::EndEntityUsedAsCa => (
            "the server's certificate is signed with a certificate that is not an authority's \
                (CA:FALSE)",
            "issue it from an authority",
        ),
        webpki::Error::PathLenConstraintViolated => (
            "there are more authorities between the server's certificate and the trusted one \
                than the latter allows (path length)",
            "issue it from an authority with a shorter path",
        ),
        webpki::Error::UnsupportedCertVersion => (
            "an authority in the server's chain is older than X.509 version 3",
            "issue it again, or set it as `tls_ca_file`",
        ),
        webpki::Error::EmptyEkuExtension => (
            "the server's certificate has an empty extended key usage",
            "issue one with `serverAuth`",
        ),
        webpki::Error::MaximumNameConstraintComparisonsExceeded
        | webpki::Error::MaximumPathBuildCallsExceeded
        | webpki::Error::MaximumPathDepthExceeded
        | webpki::Error::MaximumSignatureChecksExceeded => (
            "the server sends too many certificates",
            "configure only its own and those of the authorities above it",
        ),
        _ => MALFORMED,
    }
}

/// Returns the message with the expected name and the names in the certificate, each of
/// which rustls writes as `DnsName("node1")` or `IpAddress(10.0.0.1)`.
fn of_names(expected: &ServerName<'_>, presented: &[String]) -> Message {
    let of_kind = |kind| presented.iter().filter_map(move |name| inner(name, kind));
    let names: Vec<&str> = of_kind("DnsName").collect();
    let both: Vec<&str> = names.iter().copied().chain(of_kind("IpAddress")).collect();
    let expected = expected.to_str();
    let expected = expected.as_ref();
    if names.contains(&expected) {
        return Message::new(format!(
            "the server's certificate contains `{expected}` as a DNS name, and not as an IP address"
        ))
        .remedy(format!("issue one with the subject alternative name `IP:{expected}`"));
    }
    if both.is_empty() {
        return Message::new(format!(
            "the server's certificate contains no names, but needs `{expected}`"
        ))
        .remedy("issue one with that subject alternative name");
    }
    let all: Vec<String> = both.iter().map(|name| format!("`{}`", escaped(name, 256))).collect();
    let remedy = match both.iter().find(|name| !name.starts_with("*.")) {
        Some(_) => {
            "use one of these names as the endpoint, or set `tls_server_name` to one".to_owned()
        }
        // All of them are patterns, which are not names.
        None => format!(
            "use a name such as `node1{}` as the endpoint, or set `tls_server_name` to one",
            escaped(&both[0][1..], 256)
        ),
    };
    Message::new(format!(
        "the server's certificate is for {}, and not for `{expected}`",
        all.join(", ")
    ))
    .remedy(remedy)
}

fn inner<'a>(name: &'a str, kind: &str) -> Option<&'a str> {
    let inner = name.strip_prefix(kind)?.strip_prefix('(')?.strip_suffix(')')?;
    Some(inner.trim_matches('"'))
}

/// Names the algorithm from the content of an AlgorithmIdentifier (RFC 5280, 4.1.1.2).
fn of_algorithm(id: &[u8]) -> Message {
    let oid = match id {
        [0x06, length, rest @ ..] => rest.get(..usize::from(*length)).unwrap_or_default(),
        _ => &[],
    };
    let name = match oid {
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 2 | 4] => "with MD5 or MD2",
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5] | [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1] => {
            "with SHA-1"
        }
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 14]
        | [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 1] => "with SHA-224",
        [0x2a, 0x86, 0x48, 0xce, 0x38, ..] | [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 1..=8] => {
            "with DSA"
        }
        [0x2b, 0x65, 0x71] => "with Ed448",
        _ => "in a way or with a kind of key that is unknown here",
    };
    Message::new(format!("the server's certificate, or one of its authorities', is signed {name}"))
        .remedy(
            "issue it again, with a key that is ECDSA on P-256, P-384 or P-521, Ed25519, or RSA of \
         2048 to 8192 bits, and with SHA-256, SHA-384 or SHA-512",
        )
}

fn of_alert(alert: AlertDescription) -> Message {
    match alert {
        AlertDescription::CertificateRequired => say((
            "the server requires a client certificate",
            "set `tls_cert_file` and `tls_private_key_file`",
        )),
        AlertDescription::BadCertificate => say((
            "the server rejected the client certificate, or requires one",
            "set `tls_cert_file` and `tls_private_key_file`, signed by an authority that the \
                server trusts and with the extended key usage `clientAuth`",
        )),
        AlertDescription::UnknownCA => say((
            "the server does not trust the authority that signed the client certificate",
            "use a `tls_cert_file` of an authority that it trusts, or append the intermediate \
                authorities to it",
        )),
        AlertDescription::CertificateExpired => say((
            "the server says that the client certificate has expired",
            "renew it, or check the server's clock",
        )),
        AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::AccessDenied => {
            Message::new(format!("the server rejected the client certificate ({})", name(alert)))
                .remedy("use another `tls_cert_file`, or check the server's log")
        }
        AlertDescription::UnrecognisedName => say((
            "the server does not know this name",
            "set `tls_server_name` to one that it knows",
        )),
        AlertDescription::HandshakeFailure
        | AlertDescription::ProtocolVersion
        | AlertDescription::InsufficientSecurity => say(NOTHING_IN_COMMON),
        other => Message::new(format!("the server ended the handshake ({})", name(other)))
            .remedy("check the server's log"),
    }
}

/// Names an alert, such as `alert 50, decode error`.
fn name(alert: AlertDescription) -> String {
    let mut name = format!("alert {}", u8::from(alert));
    if let Some(camel) = alert.as_str() {
        name.push(',');
        for c in camel.chars() {
            name.extend(c.is_uppercase().then_some(' '));
            name.push(c.to_ascii_lowercase());
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{
        CertRevocationListError, ContentType, EncryptedClientHelloError, HandshakeType,
        InconsistentKeys, PeerIncompatible,
    };

    /// Returns an error of each kind, and one for each message of its own.
    fn every_error() -> Vec<Error> {
        let of_path = |error| CertificateError::Other(OtherError(Arc::new(error)));
        let algorithm = |id: &[u8]| CertificateError::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: id.into(),
            supported_algorithms: Vec::new(),
        };
        let time = rustls::pki_types::UnixTime::since_unix_epoch(std::time::Duration::ZERO);
        let certificates = vec![
            CertificateError::BadEncoding,
            CertificateError::Expired,
            CertificateError::ExpiredContext { time, not_after: time },
            CertificateError::NotValidYet,
            CertificateError::NotValidYetContext { time, not_before: time },
            CertificateError::Revoked,
            CertificateError::UnhandledCriticalExtension,
            CertificateError::UnknownIssuer,
            CertificateError::UnknownRevocationStatus,
            CertificateError::ExpiredRevocationList,
            CertificateError::BadSignature,
            CertificateError::NotValidForName,
            of_name("node2", &["DnsName(\"node1\")"]),
            CertificateError::InvalidPurpose,
            CertificateError::InvalidPurposeContext {
                required: rustls::ExtendedKeyPurpose::ServerAuth,
                presented: Vec::new(),
            },
            CertificateError::InvalidOcspResponse,
            CertificateError::ApplicationVerificationFailure,
            CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
                signature_algorithm_id: vec![6, 1],
                public_key_algorithm_id: vec![1],
            },
            algorithm(&[]),
            algorithm(&[6, 200, 1]),
            algorithm(&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5, 5, 0]),
            of_path(webpki::Error::UnsupportedCriticalExtension),
            of_path(webpki::Error::NameConstraintViolation),
            of_path(webpki::Error::EndEntityUsedAsCa),
            of_path(webpki::Error::CaUsedAsEndEntity),
            of_path(webpki::Error::PathLenConstraintViolated),
            of_path(webpki::Error::UnsupportedCertVersion),
            of_path(webpki::Error::EmptyEkuExtension),
            of_path(webpki::Error::MaximumPathDepthExceeded),
            of_path(webpki::Error::MalformedExtensions),
            CertificateError::Other(OtherError(Arc::new(std::fmt::Error))),
        ];
        let mut errors: Vec<Error> = certificates.into_iter().map(Error::from).collect();
        errors.extend((0..=255).map(|code| Error::AlertReceived(AlertDescription::from(code))));
        errors.extend([
            Refusal::error(Message::new("found here").remedy("do this")),
            Error::InappropriateMessage {
                expect_types: vec![ContentType::Handshake],
                got_type: ContentType::Alert,
            },
            Error::InappropriateHandshakeMessage {
                expect_types: vec![HandshakeType::ServerHello],
                got_type: HandshakeType::Finished,
            },
            Error::InvalidEncryptedClientHello(EncryptedClientHelloError::NoCompatibleConfig),
            Error::InvalidMessage(InvalidMessage::InvalidContentType),
            Error::InvalidMessage(InvalidMessage::MissingData("ServerHello")),
            Error::NoCertificatesPresented,
            Error::UnsupportedNameType,
            Error::DecryptError,
            Error::EncryptError,
            Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
            Error::PeerMisbehaved(PeerMisbehaved::TooManyKeyUpdateRequests),
            Error::PeerMisbehaved(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme),
            Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedApplicationProtocol),
            Error::InvalidCertRevocationList(CertRevocationListError::BadSignature),
            Error::General("BadThing".into()),
            Error::FailedToGetCurrentTime,
            Error::FailedToGetRandomBytes,
            Error::HandshakeNotComplete,
            Error::PeerSentOversizedRecord,
            Error::NoApplicationProtocol,
            Error::BadMaxFragmentSize,
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch),
            Error::Other(OtherError(Arc::new(std::fmt::Error))),
        ]);
        errors
    }

    fn of_name(expected: &'static str, presented: &[&str]) -> CertificateError {
        CertificateError::NotValidForNameContext {
            expected: ServerName::try_from(expected).expect("a name"),
            presented: presented.iter().map(|&name| name.into()).collect(),
        }
    }

    #[test]
    fn every_failure_is_explained_with_a_remedy() {
        let terms = ["serverAuth", "clientAuth", "keyCertSign", "ChaCha20"];
        for error in every_error() {
            for http2 in [true, false] {
                let said = explain(&error, http2).to_string();
                assert!(said.starts_with(MARK) && said.contains("; "), "{error:?}: {said}");
                let mut rest = said.clone();
                terms.iter().for_each(|term| rest = rest.replace(term, ""));
                let camel = rest
                    .as_bytes()
                    .windows(2)
                    .any(|two| two[0].is_ascii_lowercase() && two[1].is_ascii_uppercase());
                assert!(!camel && !rest.contains(['{', '}', '"', '[']), "{error:?}: {said}");
            }
        }
    }

    #[test]
    fn http2_is_reported_as_missing_only_if_it_was_requested() {
        for error in [
            Error::AlertReceived(AlertDescription::NoApplicationProtocol),
            Error::NoApplicationProtocol,
            Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedApplicationProtocol),
        ] {
            assert!(explain(&error, true).to_string().starts_with(NO_HTTP2));
            assert!(explain(&error, false).to_string().contains("does not support HTTP/1.1"));
        }
    }

    #[track_caller]
    fn reported(expected: &'static str, presented: &[&str], words: &str) {
        let said = explain(&of_name(expected, presented).into(), false);
        assert!(said.to_string().contains(words), "{said}");
    }

    #[test]
    fn the_error_about_a_wrong_name_lists_the_names_of_the_certificate() {
        reported(
            "10.0.0.9",
            &["DnsName(\"node1\")", "IpAddress(10.0.0.1)"],
            "is for `node1`, `10.0.0.1`, and not for `10.0.0.9`; use one of these names",
        );
        reported("127.0.0.1", &["DnsName(\"127.0.0.1\")"], "alternative name `IP:127.0.0.1`");
        reported("node1", &["DnsName(\"*.example.test\")"], "a name such as `node1.example.test`");
        reported("node1", &["DirectoryName", "Unsupported(0x81)"], "contains no names");
        reported("node1", &["UniformResourceIdentifier(\"spiffe://x\")"], "contains no names");
        reported("node1", &[], "contains no names, but needs `node1`");
    }

    #[test]
    fn weak_signatures_are_named() {
        let said = of_algorithm(&[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1]);
        assert!(said.to_string().contains("is signed with SHA-1; issue it again"), "{said}");
        let said = of_algorithm(&[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 1]);
        assert!(said.to_string().contains("with SHA-224"), "{said}");
    }

    #[test]
    fn an_alert_is_named_as_in_the_standard() {
        assert_eq!(name(AlertDescription::DecodeError), "alert 50, decode error");
        assert_eq!(name(AlertDescription::from(200)), "alert 200");
    }
}
