//! The options `tls_*`: whom the host trusts, and who it is to a server.
//!
//! They are checked as far as that goes without a server. No key is kept in a
//! form that could be printed.

use super::options::{Given, Options};
use crate::{Description, Error, OptionDescription, OptionKind};
use plakar_connector::names::{FILE_SUFFIX, TLS_PREFIX, unknown_option};
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::time::{Duration, UNIX_EPOCH};
use webpki::{EndEntityCert, KeyUsage};

const CA: &str = "tls_ca";
const CERT: &str = "tls_cert";
const PRIVATE_KEY: &str = "tls_private_key";
const SERVER_NAME: &str = "tls_server_name";
const SKIP_VERIFY: &str = "tls_insecure_skip_verify";

/// Those whose value is PEM, and may stand in a file.
pub(super) const PEM: [&str; 3] = [CA, CERT, PRIVATE_KEY];

/// The options, described as a connector describes its own.
pub fn options() -> [OptionDescription; 5] {
    let option = |name: &str, kind, help: &str| OptionDescription {
        name: name.into(),
        kind,
        secret: name == PRIVATE_KEY,
        help: help.into(),
        default: None,
    };
    [
        option(
            CA,
            OptionKind::Text,
            "certificates of the authorities to trust, in PEM, instead of this machine's",
        ),
        option(
            CERT,
            OptionKind::Text,
            "certificate to show to the server, in PEM, with its intermediates",
        ),
        option(PRIVATE_KEY, OptionKind::Text, "private key of `tls_cert`, in PEM"),
        option(
            SERVER_NAME,
            OptionKind::Text,
            "name to expect in the server's certificate, instead of the endpoint's host",
        ),
        OptionDescription {
            default: Some("false".into()),
            ..option(SKIP_VERIFY, OptionKind::Boolean, "believe whoever answers; warns every time")
        },
    ]
}

/// How connections are secured.
pub struct Tls {
    /// The authorities to trust; those of this machine where none are given.
    pub authorities: Option<RootCertStore>,
    /// What to show to a server that asks who this is.
    pub certificate: Option<CertifiedKey>,
    /// What to look for in the server's certificate instead of the endpoint's host.
    pub server_name: Option<ServerName<'static>>,
    /// Whether the server's certificate is checked at all.
    pub verify: bool,
}

/// Shows what there is, and no content.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("authorities", &self.authorities.as_ref().map(RootCertStore::len))
            .field("certificate", &self.certificate.is_some())
            .field("server_name", &self.server_name)
            .field("verify", &self.verify)
            .finish()
    }
}

impl Tls {
    /// Reads the options of a run; `secure` says whether it is granted an
    /// authority over TLS. None where it is not.
    pub fn read(
        description: &Description,
        options: &Options,
        secure: bool,
    ) -> Result<Option<Self>, Error> {
        let typed = || options.names().filter(|name| name.starts_with(TLS_PREFIX));
        let known = names();
        if let Some(name) = typed().find(|name| !known.iter().any(|known| known == name)) {
            return Err(Error::invalid(unknown_option(name, known.iter().map(String::as_str))));
        }
        match typed().next() {
            None if !secure => Ok(None),
            Some(name) if !secure => Err(Error::invalid(format!(
                "option `{name}`: no endpoint is reached over TLS; {}",
                match description.protocols.iter().find(|protocol| protocol.tls) {
                    Some(protocol) => format!("use `{}://`, or leave it out", protocol.name),
                    None => "this connector has no protocol with it: leave it out".into(),
                }
            ))),
            _ => Ok(Some(Self {
                authorities: options.given(CA)?.map(authorities).transpose()?,
                certificate: certificate(options)?,
                server_name: options.get(SERVER_NAME).map(server_name).transpose()?,
                verify: !skip_verify(options)?,
            })),
        }
    }

    /// What the user must hear each time.
    pub fn warning(&self) -> Option<&'static str> {
        (!self.verify).then_some(
            "the server's certificate is not checked, because of `tls_insecure_skip_verify`: \
             whoever answers is believed, and is sent the credentials",
        )
    }
}

/// Every name that may be typed.
fn names() -> Vec<String> {
    let own = options().into_iter().map(|option| option.name);
    own.chain(PEM.iter().map(|name| format!("{name}{FILE_SUFFIX}"))).collect()
}

fn authorities(given: Given) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(&given)? {
        store
            .add(certificate)
            .map_err(|_| refuse(&given, "holds a certificate that cannot be read"))?;
    }
    Ok(store)
}

fn certificate(options: &Options) -> Result<Option<CertifiedKey>, Error> {
    let (cert, key) = match (options.given(CERT)?, options.given(PRIVATE_KEY)?) {
        (None, None) => return Ok(None),
        (Some(cert), Some(key)) => (cert, key),
        (Some(cert), None) => {
            return Err(refuse(
                &cert,
                &format!("needs its key: give `{PRIVATE_KEY}{FILE_SUFFIX}` too"),
            ));
        }
        (None, Some(key)) => {
            return Err(refuse(
                &key,
                &format!("needs its certificate: give `{CERT}{FILE_SUFFIX}` too"),
            ));
        }
    };
    let chain = certificates(&cert)?;
    in_force(&cert, &chain[0])?;
    let provider = ring::default_provider();
    let private = private_key(&key)?;
    let private = provider.key_provider.load_private_key(private).map_err(|_| {
        refuse(
            &key,
            "holds a private key that cannot be used; RSA with 2048 to 8192 bits, \
             ECDSA on P-256 or P-384 and Ed25519 can",
        )
    })?;
    let certified = CertifiedKey::new(chain, private);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
            Ok(Some(certified))
        }
        Err(_) => Err(refuse(
            &key,
            &format!("is not the key of the first certificate in `{}`", cert.name),
        )),
    }
}

/// Refuses a certificate that every server would refuse today.
fn in_force(given: &Given, certificate: &CertificateDer<'_>) -> Result<(), Error> {
    let unreadable = |_| refuse(given, "holds a certificate that cannot be read");
    let certificate = EndEntityCert::try_from(certificate).map_err(unreadable)?;
    // Which authority vouches for it is the server's business, so there is none
    // here and the check must fail; but time is looked at first.
    let algorithms = webpki::ALL_VERIFICATION_ALGS;
    let usage = KeyUsage::client_auth();
    match certificate.verify_for_usage(algorithms, &[], &[], UnixTime::now(), usage, None, None) {
        Err(webpki::Error::CertExpired { not_after, .. }) => {
            Err(refuse(given, &format!("expired on {}: renew it", date(not_after))))
        }
        Err(webpki::Error::CertNotValidYet { not_before, .. }) => Err(refuse(
            given,
            &format!("is not valid before {}: check this machine's clock", date(not_before)),
        )),
        _ => Ok(()),
    }
}

/// As people read it, in UTC.
pub(crate) fn date(time: UnixTime) -> String {
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(time.as_secs()));
    time.map_or("a day beyond all calendars".into(), |time| {
        humantime::format_rfc3339_seconds(time).to_string()
    })
}

fn certificates(given: &Given) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates: Vec<_> = sections(given)?
        .into_iter()
        .filter_map(|(kind, der)| CertificateDer::from_pem(kind, der))
        .collect();
    match certificates.is_empty() {
        false => Ok(certificates),
        true if given.value.contains("PRIVATE KEY-----") => {
            Err(refuse(given, "holds a private key where a certificate belongs"))
        }
        true => Err(refuse(given, "holds no certificate in PEM")),
    }
}

fn private_key(given: &Given) -> Result<PrivateKeyDer<'static>, Error> {
    let mut keys =
        sections(given)?.into_iter().filter_map(|(kind, der)| PrivateKeyDer::from_pem(kind, der));
    // The two marks of an encrypted key, those of PKCS#8 and of PKCS#1.
    if ["ENCRYPTED PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED"]
        .iter()
        .any(|mark| given.value.contains(mark))
    {
        return Err(refuse(
            given,
            "is encrypted, and nobody is here to type its passphrase: decrypt it",
        ));
    }
    match keys.next() {
        Some(key) => Ok(key),
        None if given.value.contains("CERTIFICATE-----") => {
            Err(refuse(given, "holds a certificate where a private key belongs"))
        }
        None => Err(refuse(given, "holds no private key in PEM")),
    }
}

fn sections(given: &Given) -> Result<Vec<(SectionKind, Vec<u8>)>, Error> {
    PemObject::pem_slice_iter(given.value.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| refuse(given, "is damaged: its PEM cannot be decoded"))
}

fn server_name(text: &str) -> Result<ServerName<'static>, Error> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    ServerName::try_from(bare.to_owned()).map_err(|_| {
        Error::invalid(format!(
            "option `{SERVER_NAME}`: `{text}` is neither a DNS name nor an address; \
             write it without a scheme and a port"
        ))
    })
}

fn skip_verify(options: &Options) -> Result<bool, Error> {
    match options.get(SKIP_VERIFY) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Error::invalid(format!("option `{SKIP_VERIFY}`: write `true` or `false`"))),
    }
}

/// Names the option and never its value.
fn refuse(given: &Given, reason: &str) -> Error {
    Error::invalid(format!("option `{}` {reason}", given.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Protocol;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    fn connector() -> Description {
        let protocol = |name: &str, tls| Protocol { name: name.into(), tls, default_port: 1 };
        Description {
            name: "test".into(),
            version: "0.1.0".into(),
            summary: String::new(),
            kind: "test".into(),
            protocols: vec![protocol("test", false), protocol("test+https", true)],
            options: Vec::new(),
        }
    }

    fn read(pairs: &[(&str, &str)]) -> Result<Option<Tls>, Error> {
        read_for(pairs, true)
    }

    fn read_for(pairs: &[(&str, &str)], secure: bool) -> Result<Option<Tls>, Error> {
        let mut options = Options::default();
        pairs.iter().for_each(|(name, value)| options.set(*name, *value));
        Tls::read(&connector(), &options, secure)
    }

    #[track_caller]
    fn refused(pairs: &[(&str, &str)], words: &str) {
        let error = read(pairs).expect_err("refused");
        assert_eq!(error.fault().exit_code(), 2, "{error}");
        let said = error.to_string();
        assert!(said.contains(words), "{said}");
        assert!(!said.contains("-----"), "{said}");
    }

    /// A certificate and its key.
    fn issue(from: i32, until: i32) -> (String, String) {
        let mut params = CertificateParams::new(["client".to_owned()]).expect("names");
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().expect("a key");
        (params.self_signed(&key).expect("signed").pem(), key.serialize_pem())
    }

    #[test]
    fn a_certificate_and_its_key_are_taken_and_never_shown() {
        let (cert, key) = issue(2000, 4000);
        let tls = read(&[("tls_ca", &cert), ("tls_cert", &cert), ("tls_private_key", &key)])
            .expect("good")
            .expect("secure");
        assert_eq!(tls.authorities.as_ref().map(RootCertStore::len), Some(1));
        assert!(tls.certificate.is_some() && tls.verify && tls.warning().is_none());
        let shown = format!("{tls:?}");
        assert!(shown.contains("certificate: true") && shown.len() < 120, "{shown}");
    }

    #[test]
    fn one_half_of_a_pair_asks_for_the_other() {
        let (cert, key) = issue(2000, 4000);
        refused(&[("tls_cert", &cert)], "`tls_cert` needs its key: give `tls_private_key_file`");
        refused(&[("tls_private_key", &key)], "needs its certificate: give `tls_cert_file`");
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let ((cert, _), (_, key)) = (issue(2000, 4000), issue(2000, 4000));
        refused(
            &[("tls_cert", &cert), ("tls_private_key", &key)],
            "`tls_private_key` is not the key of the first certificate in `tls_cert`",
        );
    }

    #[test]
    fn a_certificate_out_of_its_time_is_refused_with_the_date() {
        let (cert, key) = issue(2000, 2001);
        refused(
            &[("tls_cert", &cert), ("tls_private_key", &key)],
            "`tls_cert` expired on 2001-01-01T00:00:00Z",
        );
        let (cert, key) = issue(3000, 3001);
        refused(
            &[("tls_cert", &cert), ("tls_private_key", &key)],
            "`tls_cert` is not valid before 3000-01-01T00:00:00Z",
        );
    }

    #[test]
    fn what_is_not_the_expected_pem_says_what_it_is() {
        let (cert, key) = issue(2000, 4000);
        let encrypted =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let damaged = cert.replace('M', "!");
        let empty = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
        let no_key = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n";
        refused(&[("tls_ca", "")], "`tls_ca` holds no certificate in PEM");
        refused(&[("tls_ca", &key)], "holds a private key where a certificate belongs");
        refused(&[("tls_ca", &damaged)], "`tls_ca` is damaged");
        refused(&[("tls_ca", empty)], "`tls_ca` holds a certificate that cannot be read");
        for (bad, words) in [
            (cert.as_str(), "holds a certificate where a private key belongs"),
            ("nonsense", "holds no private key in PEM"),
            (encrypted, "`tls_private_key` is encrypted"),
            (no_key, "holds a private key that cannot be used"),
        ] {
            refused(&[("tls_cert", &cert), ("tls_private_key", bad)], words);
        }
    }

    #[test]
    fn an_option_and_its_file_exclude_each_other() {
        refused(&[("tls_ca", "x"), ("tls_ca_file", "y")], "`tls_ca` and `tls_ca_file` exclude");
        refused(&[("tls_ca_file", "/no/such")], "`/no/such` cannot be opened");
    }

    #[test]
    fn unknown_names_and_bad_values_are_refused() {
        refused(&[("tls_cart", "x")], "did you mean `tls_cert`?");
        refused(&[("tls_insecure_skip_verify", "yes")], "write `true` or `false`");
        refused(&[("tls_server_name", "https://node1")], "neither a DNS name nor an address");
    }

    #[test]
    fn a_server_name_may_be_an_address_in_brackets() {
        let tls = read(&[("tls_server_name", "[::1]")]).expect("good").expect("secure");
        assert!(matches!(tls.server_name, Some(ServerName::IpAddress(_))));
    }

    #[test]
    fn options_without_an_endpoint_over_tls_are_refused() {
        let said = read_for(&[("tls_ca", "x")], false).expect_err("refused").to_string();
        assert!(said.contains("`tls_ca`") && said.contains("`test+https://`"), "{said}");
        assert!(read_for(&[], false).expect("good").is_none());
    }

    #[test]
    fn whoever_believes_anybody_is_warned() {
        let tls = read(&[("tls_insecure_skip_verify", "true")]).expect("good").expect("secure");
        assert!(tls.warning().is_some());
    }
}
