//! The options `tls_*`: which servers the host trusts, and how it identifies itself.
//!
//! | module | what it decides |
//! | --- | --- |
//! | `declared` | which options there are |
//! | `pem` | what a file of certificates or keys contains |
//! | `trust` | whether a server's certificate is accepted |
//! | `refusal` | what a message says if TLS fails |
//! | `x509` | nothing: it reads what a certificate says |
//!
//! The options are checked as far as that is possible without a server. No key is kept in a
//! form that could be printed.

pub(crate) mod declared;
mod pem;
mod refusal;
mod trust;
mod x509;

pub use declared::options;
pub use refusal::{MARK, cut, explain};
pub use trust::{Trust, Verifier};

use crate::options::{Given, Loaded};
use crate::{Description, Error};
use declared::{CA, CERT, PEM, PRIVATE_KEY, SERVER_NAME, SKIP_VERIFY};
use plakar_connector::names::{FILE_SUFFIX, TLS_PREFIX, unknown_option};
use plakar_connector::text::escaped;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use std::fmt;
use x509::{Certificate, date};

/// How connections are secured.
pub struct Tls {
    /// The authorities to trust; those of this machine if none are given.
    pub trust: Option<Trust>,
    /// The certificate to show to a server that asks for one.
    pub certificate: Option<CertifiedKey>,
    /// What to look for in the server's certificate instead of the endpoint's host.
    pub server_name: Option<ServerName<'static>>,
    /// Whether the server's certificate is checked at all.
    pub verify: bool,
}

/// Shows which parts are set, but not their content.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("trust", &self.trust)
            .field("certificate", &self.certificate.is_some())
            .field("server_name", &self.server_name)
            .field("verify", &self.verify)
            .finish()
    }
}

impl Tls {
    /// Reads the options of a run; `secure` says whether it is granted an authority over
    /// TLS. If it is not, returns `None`, or an error if an option was typed.
    pub fn read(
        description: &Description,
        options: &Loaded,
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
                "option `{name}`: no endpoint uses TLS"
            ))
            .remedy(
                match description.protocols.iter().find(|protocol| protocol.tls) {
                    Some(protocol) => format!("use `{}://`, or remove the option", protocol.name),
                    None => "this connector has no protocol with TLS: remove the option".into(),
                },
            )),
            _ => Ok(Some(Self {
                trust: options.pem(CA)?.map(trust).transpose()?,
                certificate: certificate(options)?,
                server_name: options.get(SERVER_NAME).map(server_name).transpose()?,
                verify: !skip_verify(options)?,
            })),
        }
    }

    /// Returns the warning that the user gets on every run, if any.
    pub fn warning(&self) -> Option<&'static str> {
        (!self.verify).then_some(
            "the server's certificate is not verified, because of `tls_insecure_skip_verify`: \
                any server at that address is trusted, and gets the credentials",
        )
    }
}

/// Returns the implementation of the cryptography. As in Go, a key exchange that quantum
/// computers do not break is preferred.
pub fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}

/// Returns every name that may be typed.
fn names() -> Vec<String> {
    let own = options().into_iter().map(|option| option.name);
    own.chain(PEM.iter().map(|name| format!("{name}{FILE_SUFFIX}"))).collect()
}

fn trust(given: Given) -> Result<Trust, Error> {
    Trust::given(pem::certificates(&given)?, UnixTime::now()).map_err(|number| {
        refuse(&given, &format!("is damaged: certificate {number} in it cannot be read"))
    })
}

fn certificate(options: &Loaded) -> Result<Option<CertifiedKey>, Error> {
    let (cert, key) = match (options.pem(CERT)?, options.pem(PRIVATE_KEY)?) {
        (None, None) => return Ok(None),
        (Some(cert), Some(key)) => (cert, key),
        (Some(cert), None) => {
            return Err(refuse(&cert, "needs its key")
                .remedy(format!("set `{PRIVATE_KEY}{FILE_SUFFIX}` too")));
        }
        (None, Some(key)) => {
            return Err(refuse(&key, "needs its certificate")
                .remedy(format!("set `{CERT}{FILE_SUFFIX}` too")));
        }
    };
    let chain = pem::certificates(&cert)?;
    // Anything else about it, such as version 1 or unknown extensions, is for the server to
    // judge.
    let own = Certificate::read(&chain[0])
        .ok_or_else(|| refuse(&cert, "contains a certificate that cannot be read"))?;
    in_force(&cert, &own)?;
    let provider = provider().key_provider;
    let mut usable = false;
    for private in pem::private_keys(&key)? {
        let Ok(private) = provider.load_private_key(private) else { continue };
        usable = true;
        // A file may contain several keys; some kinds do not contain their public part.
        if private.public_key().is_none_or(|public| public.as_ref() == own.key()) {
            return Ok(Some(CertifiedKey::new(chain, private)));
        }
    }
    Err(if usable {
        refuse(&key, &format!("is not the key of the first certificate in `{}`", cert.name))
    } else {
        refuse(&key, "contains a private key that is not supported")
            .remedy("use RSA with 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521, or Ed25519")
    })
}

/// Refuses a certificate that every server would refuse today.
fn in_force(given: &Given, certificate: &Certificate<'_>) -> Result<(), Error> {
    let now = UnixTime::now();
    match (certificate.not_before, certificate.not_after) {
        (_, Some(end)) if end < now => {
            Err(refuse(given, &format!("expired on {}", date(end))).remedy("renew it"))
        }
        (Some(begin), _) if begin > now => {
            Err(refuse(given, &format!("is not valid before {}", date(begin)))
                .remedy("check this machine's clock"))
        }
        _ => Ok(()),
    }
}

fn server_name(text: &str) -> Result<ServerName<'static>, Error> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    ServerName::try_from(bare.to_owned()).map_err(|_| {
        let what = format!("`{}` is neither a DNS name nor an address", escaped(text, 256));
        Error::invalid(what)
            .at(format_args!("option `{SERVER_NAME}`"))
            .remedy("write it without a scheme and a port")
    })
}

fn skip_verify(options: &Loaded) -> Result<bool, Error> {
    match options.get(SKIP_VERIFY) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Error::invalid("it is neither `true` nor `false`")
            .at(format_args!("option `{SKIP_VERIFY}`"))
            .remedy("write `true` or `false`")),
    }
}

/// Returns an error that names the option and never its value.
fn refuse(given: &Given, reason: &str) -> Error {
    Error::invalid(format!("option `{}` {reason}", given.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Protocol;
    use crate::options::tests::load;
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
        let loaded = load(&connector(), pairs)?;
        Tls::read(&connector(), &loaded, secure)
    }

    #[track_caller]
    fn refused(pairs: &[(&str, &str)], words: &str) {
        let error = read(pairs).expect_err("refused");
        assert_eq!(error.fault().exit_code(), 2, "{error}");
        let said = error.to_string();
        assert!(said.contains(words), "{words}: {said}");
        assert!(!said.contains("MI"), "{said}");
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
    fn a_certificate_and_its_key_are_accepted_and_never_shown() {
        let (cert, key) = issue(2000, 4000);
        let tls = read(&[("tls_ca", &cert), ("tls_cert", &cert), ("tls_private_key", &key)])
            .expect("good")
            .expect("secure");
        assert!(tls.certificate.is_some() && tls.verify && tls.warning().is_none());
        let shown = format!("{tls:?}");
        assert!(shown.contains("1 of `tls_ca`") && shown.contains("certificate: true"), "{shown}");
        assert!(shown.len() < 130, "{shown}");
    }

    #[test]
    fn a_post_quantum_key_exchange_is_preferred() {
        let first = provider().kx_groups.first().map(|group| group.name());
        assert_eq!(first, Some(rustls::NamedGroup::X25519MLKEM768));
    }

    #[test]
    fn a_certificate_and_its_key_require_each_other() {
        let (cert, key) = issue(2000, 4000);
        refused(&[("tls_cert", &cert)], "`tls_cert` needs its key; set `tls_private_key_file`");
        refused(&[("tls_private_key", &key)], "needs its certificate; set `tls_cert_file`");
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
    fn a_certificate_outside_its_validity_is_refused_with_the_date() {
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

    /// Returns a PEM section with this label and body.
    fn marked(label: &str, body: &str) -> String {
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    }

    fn body(pem: &str) -> String {
        let lines: Vec<&str> = pem.lines().filter(|line| !line.starts_with('-')).collect();
        lines.join("\n")
    }

    #[test]
    fn the_error_about_unexpected_pem_says_what_it_is() {
        let (cert, key) = issue(2000, 4000);
        let (cert_body, key_body) = (body(&cert), body(&key));
        let legacy = marked(
            "RSA PRIVATE KEY",
            &format!("Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n{key_body}"),
        );
        let ca = |text: &str, words: &str| refused(&[("tls_ca", text)], words);
        ca("", "`tls_ca` contains no certificate in PEM");
        ca("/etc/ca.pem", "`tls_ca` contains a path; use `tls_ca_file`");
        ca("ca.crt", "`tls_ca` contains a path");
        ca(&cert_body, "has no `-----BEGIN` and `-----END` lines");
        ca(&key, "contains a private key instead of a certificate");
        ca(&cert.replace('M', "!"), "`tls_ca` is damaged: certificate 1 in it is not base64");
        ca(&marked("CERTIFICATE", "AA=="), "certificate 1 in it cannot be read");
        ca(
            &format!("{cert}{}", marked("CERTIFICATE", "MAA=")),
            "certificate 2 in it cannot be read",
        );
        ca(&cert[..cert.len() / 2], "a part may be missing");
        ca(&format!("{}{cert}", &cert[cert.len() / 2..]), "a part may be missing");
        ca(&cert.replace('\n', ""), "its line breaks are missing");
        ca(&cert.replace('\n', " "), "its line breaks are missing");
        ca(&cert.replace('\n', "\\n"), "`\\n` as text instead of line breaks");
        ca(&marked("TRUSTED CERTIFICATE", &cert_body), "`openssl x509 -in FILE");
        ca(&marked("PKCS7", &cert_body), "`openssl pkcs7 -print_certs");
        ca(&marked("CERTIFICATE REQUEST", &cert_body), "contains a certificate request");
        ca(&format!("{cert}{}", marked("X509 CRL", &cert_body)), "contains a revocation list");
        ca(&format!("{cert}{}", marked("GIFT", &cert_body)), "contains a section `GIFT`");
        for (bad, words) in [
            (cert.as_str(), "contains a certificate instead of a private key"),
            ("nonsense", "contains no private key in PEM"),
            (&marked("ENCRYPTED PRIVATE KEY", "AA=="), "`tls_private_key` is encrypted"),
            (&legacy, "`tls_private_key` is encrypted"),
            (&legacy, "`openssl pkey -in FILE"),
            (&marked("PRIVATE KEY", "AA=="), "is damaged: the key in it cannot be read"),
            (
                &marked("PRIVATE KEY", "MAYCAQAwAQA="),
                "contains a private key that is not supported",
            ),
            (&marked("OPENSSH PRIVATE KEY", &key_body), "`ssh-keygen -p -m PEM -f FILE`"),
            (&marked("PUBLIC KEY", &key_body), "contains a public key instead of a private key"),
            (&key.replace('\n', ""), "its line breaks are missing"),
        ] {
            refused(&[("tls_cert", &cert), ("tls_private_key", bad)], words);
        }
    }

    #[test]
    fn nothing_in_a_file_is_ignored_silently() {
        let (one, key) = issue(2000, 4000);
        let (two, _) = issue(2000, 4000);
        let bom = "\u{feff}";
        let indented: String = one.lines().map(|line| format!("\t {line}\n")).collect();
        for (text, certificates) in [
            (format!("{bom}{one}"), 1),
            (format!("{bom}{one}{bom}{two}"), 2),
            (format!("{}{two}", one.trim_end()), 2),
            (one.replace('\n', "\r\n"), 1),
            (one.replace('\n', "\r"), 1),
            (indented, 1),
            (marked("X509 CERTIFICATE", &body(&one)), 1),
            (format!("{key}{one}{}", marked("EC PARAMETERS", "BggqhkjOPQMBBw==")), 1),
            (format!("subject=CN = caf\u{fffd}\n{one}# the end"), 1),
        ] {
            let tls = read(&[("tls_ca", &text)]).unwrap_or_else(|e| panic!("{e}: {text}"));
            let shown = format!("{tls:?}");
            assert!(shown.contains(&format!("{certificates} of `tls_ca`")), "{shown}: {text}");
        }
    }

    #[test]
    fn a_key_is_found_beside_other_content() {
        let ((cert, key), (_, other)) = (issue(2000, 4000), issue(2000, 4000));
        for keys in [format!("{cert}{key}"), format!("{key}{other}"), format!("{other}{key}")] {
            let tls = read(&[("tls_cert", &cert), ("tls_private_key", &keys)]).expect("good");
            assert!(tls.expect("secure").certificate.is_some());
        }
        // With the label of another format.
        let marked = marked("EC PRIVATE KEY", &body(&key));
        read(&[("tls_cert", &cert), ("tls_private_key", &marked)]).expect("good");
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
    fn skipping_verification_is_warned_of() {
        let tls = read(&[("tls_insecure_skip_verify", "true")]).expect("good").expect("secure");
        assert!(tls.warning().is_some());
    }
}
