//! The TLS client, and its failures in words.

use super::error;
use crate::Error;
use crate::policy::tls::{Tls, date};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, InvalidMessage,
    RootCertStore, SignatureScheme,
};
use std::sync::Arc;

/// The configuration for these connections; where there are none over TLS, one
/// that trusts nobody.
pub(super) fn config(tls: Option<&Tls>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::unsupported(format!("TLS cannot be set up: {error}")))?;
    let Some(tls) = tls else {
        return Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
    };
    let builder = match tls.verify {
        false => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider)))
        }
        true => {
            let authorities = match &tls.authorities {
                Some(authorities) => authorities.clone(),
                None => of_this_machine()?,
            };
            let verifier =
                WebPkiServerVerifier::builder_with_provider(Arc::new(authorities), provider)
                    .build()
                    .map_err(|error| Error::invalid(format!("option `tls_ca`: {error}")))?;
            builder.with_webpki_verifier(verifier)
        }
    };
    Ok(match &tls.certificate {
        None => builder.with_no_client_auth(),
        Some(certified) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified.clone())))
        }
    })
}

/// The authorities that this machine's administrator trusts, as other programs
/// take them.
fn of_this_machine() -> Result<RootCertStore, Error> {
    let found = rustls_native_certs::load_native_certs();
    let mut authorities = RootCertStore::empty();
    // What others may have put there need not be readable.
    authorities.add_parsable_certificates(found.certs);
    match authorities.is_empty() {
        false => Ok(authorities),
        true => Err(Error::invalid(
            "this machine has no certificates of authorities to trust; \
             give the server's as `tls_ca_file`",
        )),
    }
}

/// Takes any server's certificate. That the server holds its key is still checked.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// What the text of every TLS failure begins with. A component knows by it that
/// it can pass the text on as it is.
pub(super) const MARK: &str = "tls: ";

/// What went wrong with TLS and what to do about it, where that is what it was.
pub(super) fn told(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    error::find(error).map(explain)
}

fn explain(error: &rustls::Error) -> String {
    let said = match error {
        rustls::Error::InvalidCertificate(fault) => of_certificate(fault),
        rustls::Error::AlertReceived(alert) => of_alert(*alert),
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => NOT_TLS.into(),
        rustls::Error::NoApplicationProtocol => NO_PROTOCOL.into(),
        rustls::Error::PeerIncompatible(_) => NOTHING_IN_COMMON.into(),
        other => format!("{other}; check that nothing but the server itself answers on that port"),
    };
    format!("{MARK}{said}")
}

/// What is said where the server went away before the handshake was done.
pub(super) const CUT: &str = "tls: the server closed the connection during the handshake; \
     check that this port is one for TLS, and look into the server's log";

const NOT_TLS: &str = "the server does not answer in TLS; \
     check that this port is one for TLS, or use the protocol without it";
const NO_PROTOCOL: &str = "the server takes neither HTTP/1.1 nor HTTP/2; \
     check that this is the right port";
const NOTHING_IN_COMMON: &str = "the server takes no TLS version or cipher that this host has; \
     let it take TLS 1.2 with ECDHE, or TLS 1.3";

fn of_certificate(fault: &CertificateError) -> String {
    match fault {
        CertificateError::UnknownIssuer => "the server's certificate is signed by an authority \
             that is not trusted here; give that authority's certificate as `tls_ca_file`"
            .into(),
        CertificateError::BadSignature => "the server's certificate was not signed by the \
             authority that it names; check that `tls_ca_file` holds the server's present \
             authority, and not an older one of the same name"
            .into(),
        CertificateError::ExpiredContext { not_after, .. } => format!(
            "the server's certificate, or its authority's, expired on {}; renew it, \
             or check this machine's clock",
            date(*not_after)
        ),
        CertificateError::NotValidYetContext { not_before, .. } => format!(
            "the server's certificate is not valid before {}; check the clocks of this \
             machine and of the one that issued it",
            date(*not_before)
        ),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let expected = expected.to_str();
            match presented.as_slice() {
                [] => format!(
                    "the server's certificate holds no names, and should hold `{expected}`; \
                     issue one with that subject alternative name"
                ),
                names => format!(
                    "the server's certificate is for {}, and not for `{expected}`; use one of \
                     these names as the endpoint, or give one as `tls_server_name`",
                    names.iter().map(|name| bare(name)).collect::<Vec<_>>().join(", ")
                ),
            }
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the server's certificate is not meant for servers; issue one with the extended key \
             usage `serverAuth`"
                .into()
        }
        other => format!("the server's certificate is refused: {other}; issue another one"),
    }
}

/// rustls names a name as `DnsName("node1")` or `IpAddress(10.0.0.1)`.
fn bare(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    format!("`{}`", inner.unwrap_or(name).trim_matches('"'))
}

fn of_alert(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => "the server wants a client certificate; \
             give `tls_cert_file` and `tls_private_key_file`"
            .into(),
        AlertDescription::BadCertificate => "the server refused the client certificate, or the \
             lack of one; give `tls_cert_file` and `tls_private_key_file`, signed by an \
             authority that the server trusts and with the extended key usage `clientAuth`"
            .into(),
        AlertDescription::UnknownCA => "the server does not trust the authority that signed the \
             client certificate; give a `tls_cert_file` of an authority that it trusts"
            .into(),
        AlertDescription::CertificateExpired => "the server says that the client certificate has \
             expired; renew it, or check the server's clock"
            .into(),
        AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::AccessDenied => format!(
            "the server refused the client certificate (alert {alert:?}); \
             give another `tls_cert_file`, or look into the server's log"
        ),
        AlertDescription::UnrecognisedName => "the server knows no such name; \
             give one that it knows as `tls_server_name`"
            .into(),
        AlertDescription::NoApplicationProtocol => NO_PROTOCOL.into(),
        AlertDescription::HandshakeFailure
        | AlertDescription::ProtocolVersion
        | AlertDescription::InsufficientSecurity => NOTHING_IN_COMMON.into(),
        other => format!("the server broke off (alert {other:?}); look into the server's log"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_is_told_the_right_ones() {
        let error = rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("10.0.0.9").expect("an address"),
            presented: vec!["DnsName(\"node1\")".into(), "IpAddress(10.0.0.1)".into()],
        });
        let said = explain(&error);
        assert!(said.contains("is for `node1`, `10.0.0.1`, and not for `10.0.0.9`"), "{said}");
    }
}
