//! Decides whether a server's certificate is accepted, as Go does for etcd's own tools.
//!
//! `webpki` builds and checks the path; this module contains what differs from it.
//!
//! - A certificate that is byte for byte among the trusted ones needs no signature.
//!   Its dates, its purpose and its names are still checked.
//! - The server's certificate may be an authority's (CA:TRUE), as `openssl req -x509`
//!   and `etcd --auto-tls` make them, may mark policies as critical, and may list
//!   `anyExtendedKeyUsage`.
//! - A trusted certificate may issue others only if it is a valid authority's.
//!
//! For the second point `webpki` gets the certificate without these marks, and the
//! signature is checked over the bytes that the server sent.

use super::refusal::Refusal;
use super::x509::{Certificate, Unfit, date, rsa_bits};
use plakar_connector::Message;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, ServerName,
    SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, PeerMisbehaved, RootCertStore, SignatureScheme,
};
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The RSA keys that are strong enough and supported, in bits.
const RSA_BITS: RangeInclusive<usize> = 2048..=8192;

/// The certificates that are trusted.
#[derive(Clone)]
pub struct Trust {
    /// Those that may issue others.
    anchors: RootCertStore,
    all: Vec<CertificateDer<'static>>,
    /// Their source, for messages.
    from: &'static str,
}

/// The certificates are not secret, but take hundreds of lines.
impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.all.len(), self.from)
    }
}

impl Trust {
    /// Trusts the certificates that an option gave. Fails with the number of the first that
    /// cannot be read, counted from one.
    pub(super) fn given(all: Vec<CertificateDer<'static>>, now: UnixTime) -> Result<Self, usize> {
        let mut anchors = RootCertStore::empty();
        for (index, der) in all.iter().enumerate() {
            let certificate = Certificate::read(der).ok_or(index + 1)?;
            if certificate.vouches(now).is_ok() {
                anchors.add(der.clone()).map_err(|_| index + 1)?;
            }
        }
        Ok(Self { anchors, all, from: "`tls_ca`" })
    }

    /// Trusts the certificates that this machine trusts. Skips those that cannot be read,
    /// because others may have put them there. `None` if none is left.
    pub fn of_machine(all: Vec<CertificateDer<'static>>, now: UnixTime) -> Option<Self> {
        let mut anchors = RootCertStore::empty();
        let all: Vec<_> = all.into_iter().filter(|der| Certificate::read(der).is_some()).collect();
        let vouches = |der: &&CertificateDer<'_>| {
            Certificate::read(der).is_some_and(|c| c.vouches(now).is_ok())
        };
        anchors.add_parsable_certificates(all.iter().filter(vouches).cloned());
        let from = "the certificates that this machine trusts";
        (!all.is_empty()).then_some(Self { anchors, all, from })
    }

    fn verify(
        &self,
        shown: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
        algorithms: &[&'static dyn SignatureVerificationAlgorithm],
    ) -> Result<(), Error> {
        let leaf = Certificate::read(shown).ok_or(CertificateError::BadEncoding)?;
        if leaf.version < 3 {
            return Err(Refusal::error(
                Message::new(format!(
                    "the server's certificate is X.509 version {}, which has no names",
                    leaf.version
                ))
                .remedy("issue one of version 3 with subject alternative names"),
            ));
        }
        strong_enough(leaf.rsa_bits(), "the server's certificate")?;
        let as_leaf = CertificateDer::from(leaf.as_leaf());
        let parsed = ParsedCertificate::try_from(&as_leaf)?;
        if self.all.iter().any(|trusted| trusted == shown) {
            // It needs no issuer, and a missing issuer is reported after all other errors.
            let nobody = RootCertStore::empty();
            match verify_server_cert_signed_by_trust_anchor(&parsed, &nobody, &[], now, &[]) {
                Ok(()) | Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {}
                Err(error) => return Err(error),
            }
        } else {
            self.verify_path(&leaf, &as_leaf, &parsed, others, now, algorithms)?;
        }
        verify_server_name(&parsed, name)
    }

    /// Checks that a path of signatures leads to a trusted authority.
    fn verify_path(
        &self,
        leaf: &Certificate<'_>,
        as_leaf: &CertificateDer<'_>,
        parsed: &ParsedCertificate<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
        algorithms: &[&'static dyn SignatureVerificationAlgorithm],
    ) -> Result<(), Error> {
        let between: Vec<_> = others.iter().filter_map(|der| Certificate::read(der)).collect();
        let rewritten: Vec<_> = between
            .iter()
            .map(|certificate| CertificateDer::from(certificate.as_go_reads_it()))
            .collect();
        let sent = std::iter::once(leaf).chain(&between);
        let read = std::iter::once(as_leaf).chain(&rewritten);
        let sent: Vec<_> = sent
            .zip(read)
            .filter_map(|(sent, read)| Some((Certificate::read(read)?.signed(), sent.signed())))
            .collect();
        let weak = AtomicUsize::new(0);
        let of_sent: Vec<_> = algorithms
            .iter()
            .map(|&algorithm| AsSent { algorithm, sent: &sent, weak: &weak })
            .collect();
        let of_sent: Vec<_> =
            of_sent.iter().map(|one| one as &dyn SignatureVerificationAlgorithm).collect();
        verify_server_cert_signed_by_trust_anchor(parsed, &self.anchors, &rewritten, now, &of_sent)
            .map_err(|error| match &error {
                Error::InvalidCertificate(CertificateError::BadSignature) => {
                    let bits = Some(weak.into_inner()).filter(|bits| *bits > 0);
                    let of = "an authority of the server's certificate";
                    strong_enough(bits, of).err().unwrap_or(error)
                }
                Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                    let path = std::iter::once(leaf).chain(&between);
                    self.unfit(path, now).unwrap_or_else(|| {
                        if leaf.issuer() == leaf.subject() {
                            Refusal::error(Message::new(SELF_SIGNED.0).remedy(SELF_SIGNED.1))
                        } else {
                            error
                        }
                    })
                }
                _ => error,
            })
    }

    /// Returns why a trusted certificate that one of these names as its issuer may not
    /// issue it.
    fn unfit<'a>(
        &self,
        path: impl Iterator<Item = &'a Certificate<'a>>,
        now: UnixTime,
    ) -> Option<Error> {
        let issuers: Vec<_> = path.map(Certificate::issuer).collect();
        let trusted = self.all.iter().filter_map(|der| Certificate::read(der));
        let why = trusted
            .filter(|trusted| issuers.contains(&trusted.subject()))
            .find_map(|trusted| trusted.vouches(now).err())?;
        let (what, remedy) = match why {
            Unfit::Expired(end) => (format!("expired on {}", date(end)), "use a newer one"),
            Unfit::NotYet(begin) => {
                (format!("is not valid before {}", date(begin)), "check this machine's clock")
            }
            Unfit::NoAuthority => (
                "is not an authority's (CA:FALSE)".into(),
                "use the authority's, or the server's current one",
            ),
            Unfit::NoCertSign => {
                ("may not sign certificates (key usage without `keyCertSign`)".into(), ANOTHER)
            }
            Unfit::NotForServers => (
                "is not meant for servers (extended key usage without `serverAuth`)".into(),
                ANOTHER,
            ),
            Unfit::Critical => ("has a critical extension that is unknown here".into(), ANOTHER),
        };
        let from = &self.from;
        let what = format!(
            "the certificate of the authority that signed the server's is among {from}, but {what}"
        );
        Some(Refusal::error(Message::new(what).remedy(remedy)))
    }
}

/// What is wrong with a certificate that no authority has signed, and what to do about it.
const SELF_SIGNED: (&str, &str) = (
    "the server's certificate is signed by itself, an authority that is not trusted here",
    "make sure that it is the server's, and set it as `tls_ca_file`",
);

/// What to do about an authority's certificate that cannot sign.
const ANOTHER: &str = "issue another one for the authority";

fn strong_enough(bits: Option<usize>, whose: &str) -> Result<(), Error> {
    match bits {
        Some(bits) if !RSA_BITS.contains(&bits) => Err(Refusal::error(
            Message::new(format!(
                "{whose} has an RSA key of {bits} bits, and only {} to {} bits are supported",
                RSA_BITS.start(),
                RSA_BITS.end()
            ))
            .remedy("issue one with such a key, or with an ECDSA key"),
        )),
        _ => Ok(()),
    }
}

/// A signature algorithm that checks a certificate as it was sent, although `webpki` has
/// read a rewritten one.
#[derive(Debug)]
struct AsSent<'a> {
    algorithm: &'static dyn SignatureVerificationAlgorithm,
    /// What `webpki` has read, and what was sent.
    sent: &'a [(&'a [u8], &'a [u8])],
    /// The length in bits of an unsupported RSA key that did not verify.
    weak: &'a AtomicUsize,
}

impl SignatureVerificationAlgorithm for AsSent<'_> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let sent = self.sent.iter().find(|(read, _)| *read == message);
        let message = sent.map_or(message, |(_, sent)| sent);
        self.algorithm.verify_signature(public_key, message, signature).inspect_err(|_| {
            if let Some(bits) = rsa_bits(public_key).filter(|bits| !RSA_BITS.contains(bits)) {
                self.weak.store(bits, Ordering::Relaxed);
            }
        })
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature_alg_id()
    }
}

/// Checks servers' certificates against what is trusted; without that, accepts any. Whether
/// the server has the key of its certificate is always checked.
#[derive(Debug)]
pub struct Verifier {
    trust: Option<Trust>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    /// Creates a verifier that accepts what `trust` accepts, or without it every
    /// certificate.
    pub fn new(trust: Option<Trust>, provider: Arc<CryptoProvider>) -> Self {
        Self { trust, provider }
    }

    /// Checks with the key alone, because `webpki` may not be able to read the certificate,
    /// such as one of version 1.
    fn verify_signature(
        &self,
        certificate: &CertificateDer<'_>,
        check: impl FnOnce(&SubjectPublicKeyInfoDer<'_>) -> Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        let certificate = Certificate::read(certificate).ok_or(CertificateError::BadEncoding)?;
        check(&SubjectPublicKeyInfoDer::from(certificate.key())).map_err(|error| match error {
            Error::InvalidCertificate(
                CertificateError::BadSignature
                // The server signs with another kind of key.
                | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. },
            ) => {
                let weak = strong_enough(certificate.rsa_bits(), "the server's certificate");
                weak.err().unwrap_or_else(|| {
                    let message = Message::new(
                        "the server does not have the key of the certificate that it sends",
                    );
                    Refusal::error(
                        message.remedy("check its certificate and key, and any proxy in between"),
                    )
                })
            }
            other => other,
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(trust) = &self.trust {
            let algorithms = self.provider.signature_verification_algorithms.all;
            trust.verify(shown, others, name, now, algorithms)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let supported = self.provider.signature_verification_algorithms;
        // In this version a scheme names the digest, and the key may be on any curve.
        let candidates = supported.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme);
        let (_, candidates) =
            candidates.ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        self.verify_signature(certificate, |key| {
            let key = webpki::RawPublicKeyEntity::try_from(key)
                .map_err(|_| CertificateError::BadEncoding)?;
            let mut results = candidates
                .iter()
                .map(|algorithm| key.verify_signature(*algorithm, message, signed.signature()));
            let other_key = |result: &Result<(), webpki::Error>| {
                matches!(
                    result,
                    Err(webpki::Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_))
                )
            };
            match results.find(|result| !other_key(result)) {
                Some(Ok(())) => Ok(HandshakeSignatureValid::assertion()),
                _ => Err(CertificateError::BadSignature.into()),
            }
        })
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let supported = self.provider.signature_verification_algorithms;
        self.verify_signature(certificate, |key| {
            verify_tls13_signature_with_raw_key(message, key, signed, &supported)
        })
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{explain, provider};
    use super::*;
    use rcgen::{
        BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose,
        GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, date_time_ymd,
    };

    /// 2.5.29.32 with the one policy 2.5.29.32.0, and an unknown extension.
    const POLICIES: (&[u64], &[u8]) =
        (&[2, 5, 29, 32], &[0x30, 8, 0x30, 6, 6, 4, 0x55, 0x1d, 0x20, 0]);
    const UNHEARD: (&[u64], &[u8]) = (&[1, 2, 3, 4], &[5, 0]);

    fn critical((id, content): (&[u64], &[u8])) -> CustomExtension {
        let mut extension = CustomExtension::from_oid_content(id, content.to_vec());
        extension.set_criticality(true);
        extension
    }

    fn server() -> CertificateParams {
        let mut params = CertificateParams::new(["node1".to_owned()]).expect("names");
        params.distinguished_name.push(DnType::CommonName, "server");
        params
    }

    fn authority(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    fn key() -> KeyPair {
        KeyPair::generate().expect("a key")
    }

    fn self_signed(
        params: CertificateParams,
    ) -> (CertificateDer<'static>, Issuer<'static, KeyPair>) {
        let key = key();
        let der = params.self_signed(&key).expect("signed").der().clone();
        (der, Issuer::new(params, key))
    }

    fn issued(params: &CertificateParams, by: &Issuer<'_, KeyPair>) -> CertificateDer<'static> {
        params.signed_by(&key(), by).expect("signed").der().clone()
    }

    /// Checks whether `node1` may show this path if the first are trusted.
    fn shown(
        trusted: &[&CertificateDer<'static>],
        path: &[CertificateDer<'_>],
    ) -> Result<(), String> {
        let trusted = trusted.iter().map(|&der| der.clone()).collect();
        let trust = Trust::given(trusted, UnixTime::now()).expect("certificates");
        let verifier = Verifier::new(Some(trust), Arc::new(provider()));
        let name = ServerName::try_from("node1").expect("a name");
        verifier
            .verify_server_cert(&path[0], &path[1..], &name, &[], UnixTime::now())
            .map(drop)
            .map_err(|error| explain(&error, true).to_string())
    }

    #[track_caller]
    fn refused(trusted: &[&CertificateDer<'static>], path: &[CertificateDer<'_>], words: &str) {
        let said = shown(trusted, path).expect_err("refused");
        assert!(said.contains(words), "{words}: {said}");
    }

    #[test]
    fn a_certificate_that_is_itself_trusted_needs_no_authority() {
        let (_, ca) = self_signed(authority("ca"));
        for is_ca in [IsCa::Ca(BasicConstraints::Unconstrained), IsCa::ExplicitNoCa, IsCa::NoCa] {
            let mut params = server();
            params.is_ca = is_ca;
            let (own, _) = self_signed(params.clone());
            assert_eq!(shown(&[&own], std::slice::from_ref(&own)), Ok(()));
            let leaf = issued(&params, &ca);
            assert_eq!(shown(&[&leaf], std::slice::from_ref(&leaf)), Ok(()));
        }
    }

    #[test]
    fn a_trusted_certificate_is_still_checked() {
        let mut params = server();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let refused_as = |change: fn(&mut CertificateParams), words: &str| {
            let mut params = params.clone();
            change(&mut params);
            let (own, _) = self_signed(params);
            refused(&[&own], std::slice::from_ref(&own), words);
        };
        refused_as(|params| params.not_after = date_time_ymd(2001, 1, 1), "expired on 2001-01-01");
        refused_as(|params| params.not_before = date_time_ymd(3001, 1, 1), "not valid before 3001");
        refused_as(
            |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
            "is not meant for servers",
        );
        refused_as(|params| params.subject_alt_names.clear(), "contains no names");
        refused_as(
            |params| params.custom_extensions = vec![critical(UNHEARD)],
            "critical extension",
        );
        let (own, _) = self_signed(params.clone());
        let (root, _) = self_signed(authority("ca"));
        refused(&[&root], &[own], "is signed by itself");
        // A certificate that only looks like the trusted one.
        let ((trusted, _), (other, _)) = (self_signed(params.clone()), self_signed(params));
        refused(&[&trusted], &[other], "not signed by the authority that it names");
    }

    #[test]
    fn an_authoritys_certificate_may_be_a_servers() {
        let (root, ca) = self_signed(authority("ca"));
        let mut params = server();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(3));
        assert_eq!(shown(&[&root], &[issued(&params, &ca)]), Ok(()));
        let between = authority("between");
        let between_key = key();
        let der = between.signed_by(&between_key, &ca).expect("signed").der().clone();
        let between = Issuer::new(between, between_key);
        assert_eq!(shown(&[&root], &[issued(&params, &between), der.clone()]), Ok(()));
        // The signature is still checked.
        let (_, twin) = self_signed(authority("ca"));
        refused(&[&root], &[issued(&params, &twin)], "not signed by the authority that it names");
        let (_, other) = self_signed(authority("other"));
        refused(&[&root], &[issued(&params, &other), der], "that is not trusted here");
    }

    #[test]
    fn policies_may_be_critical_and_unknown_extensions_may_not() {
        let (root, ca) = self_signed(authority("ca"));
        let mut between = authority("between");
        between.custom_extensions = vec![critical(POLICIES)];
        let between_key = key();
        let der = between.signed_by(&between_key, &ca).expect("signed").der().clone();
        let between = Issuer::new(between, between_key);
        let mut params = server();
        params.custom_extensions = vec![critical(POLICIES)];
        assert_eq!(shown(&[&root], &[issued(&params, &between), der.clone()]), Ok(()));
        params.custom_extensions = vec![critical(UNHEARD)];
        refused(&[&root], &[issued(&params, &ca)], "critical extension");
    }

    #[test]
    fn any_extended_key_usage_allows_servers() {
        let (root, ca) = self_signed(authority("ca"));
        let mut between = authority("between");
        between.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any];
        let between_key = key();
        let der = between.signed_by(&between_key, &ca).expect("signed").der().clone();
        let between = Issuer::new(between, between_key);
        let mut params = server();
        for usages in [
            vec![ExtendedKeyUsagePurpose::Any],
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::Any],
        ] {
            params.extended_key_usages = usages;
            let leaf = issued(&params, &between);
            assert_eq!(shown(&[&root], &[leaf, der.clone()]), Ok(()));
            let (own, _) = self_signed(params.clone());
            assert_eq!(shown(&[&own], std::slice::from_ref(&own)), Ok(()));
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        refused(&[&root], &[issued(&params, &between), der], "is not meant for servers");
    }

    #[test]
    fn a_trusted_certificate_issues_others_only_if_it_is_a_valid_authority() {
        for (change, words) in [
            (
                (|params| params.not_after = date_time_ymd(2001, 1, 1))
                    as fn(&mut CertificateParams),
                "but expired on 2001-01-01",
            ),
            (
                |params| params.not_before = date_time_ymd(3001, 1, 1),
                "but is not valid before 3001",
            ),
            (|params| params.is_ca = IsCa::ExplicitNoCa, "(CA:FALSE)"),
            (|params| params.is_ca = IsCa::NoCa, "(CA:FALSE)"),
            (
                |params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature],
                "without `keyCertSign`",
            ),
            (
                |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
                "without `serverAuth`",
            ),
            (|params| params.custom_extensions = vec![critical(UNHEARD)], "critical extension"),
        ] {
            let mut params = authority("ca");
            change(&mut params);
            let (der, ca) = self_signed(params);
            refused(&[&der], &[issued(&server(), &ca)], words);
        }
        let mut params = authority("ca");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let (der, ca) = self_signed(params);
        assert_eq!(shown(&[&der], &[issued(&server(), &ca)]), Ok(()));
        // The valid authority is found beside an expired one of the same name.
        let mut old = authority("ca");
        old.not_after = date_time_ymd(2001, 1, 1);
        let (old, _) = self_signed(old);
        assert_eq!(shown(&[&old, &der], &[issued(&server(), &ca)]), Ok(()));
    }

    #[test]
    fn constraints_of_an_authority_apply_to_its_servers() {
        let mut params = authority("ca");
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("elsewhere".into())],
            excluded_subtrees: Vec::new(),
        });
        let (root, ca) = self_signed(params);
        refused(&[&root], &[issued(&server(), &ca)], "(name constraints)");
        let mut as_authority = server();
        as_authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        refused(&[&root], &[issued(&as_authority, &ca)], "(name constraints)");
    }

    #[test]
    fn without_verification_any_certificate_is_accepted() {
        let verifier = Verifier::new(None, Arc::new(provider()));
        let name = ServerName::try_from("node1").expect("a name");
        let nonsense = CertificateDer::from(vec![1, 2, 3]);
        assert!(verifier.verify_server_cert(&nonsense, &[], &name, &[], UnixTime::now()).is_ok());
    }

    #[test]
    fn an_unreadable_certificate_of_this_machine_is_skipped() {
        let (root, _) = self_signed(authority("ca"));
        let nonsense = CertificateDer::from(vec![1, 2, 3]);
        assert!(Trust::of_machine(vec![nonsense.clone()], UnixTime::now()).is_none());
        let trust = Trust::of_machine(vec![nonsense.clone(), root.clone()], UnixTime::now());
        assert_eq!(trust.expect("one is left").all.len(), 1);
        assert_eq!(Trust::given(vec![root, nonsense], UnixTime::now()).err(), Some(2));
    }
}
