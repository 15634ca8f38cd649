//! What a file of certificates or keys contains, and how to convert what cannot be used.
//! Nothing in a file is ignored silently.

use super::refuse;
use super::x509::{Certificate, is_sequence};
use crate::Error;
use crate::options::Given;
use plakar_connector::names::FILE_SUFFIX;
use plakar_connector::text::escaped;
use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";

/// Returns the certificates, in their order; at least one.
pub(super) fn certificates(given: &Given) -> Result<Vec<CertificateDer<'static>>, Error> {
    let sections = sections(given)?;
    let mut certificates = Vec::new();
    for section in &sections {
        match section.label {
            "CERTIFICATE" | "X509 CERTIFICATE" => {
                let number = certificates.len() + 1;
                let der = section.decode("CERTIFICATE").ok_or_else(|| {
                    refuse(given, &format!("is damaged: certificate {number} in it is not base64"))
                })?;
                if Certificate::read(&der).is_none() {
                    return Err(refuse(
                        given,
                        &format!("is damaged: certificate {number} in it cannot be read"),
                    ));
                }
                certificates.push(CertificateDer::from(der));
            }
            "TRUSTED CERTIFICATE" => {
                return Err(refuse(given, "contains a certificate in OpenSSL's own format")
                    .remedy("convert it: `openssl x509 -in FILE -out FILE.pem`"));
            }
            "PKCS7" | "CMS" => {
                return Err(refuse(given, "is a PKCS#7 file")
                    .remedy("convert it: `openssl pkcs7 -print_certs -in FILE -out FILE.pem`"));
            }
            "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => {
                return Err(refuse(given, "contains a certificate request")
                    .remedy("use the certificate that was issued for it"));
            }
            "X509 CRL" => {
                return Err(refuse(given, "contains a revocation list, which is not supported")
                    .remedy("remove it"));
            }
            label if is_beside(label) || is_key(label) => {}
            label => return Err(unknown(given, label)),
        }
    }
    if !certificates.is_empty() {
        return Ok(certificates);
    }
    Err(if sections.iter().any(|section| is_key(section.label)) {
        refuse(given, "contains a private key instead of a certificate")
    } else {
        refuse(given, "contains no certificate in PEM")
    })
}

/// Returns the private keys, in their order; at least one.
pub(super) fn private_keys(given: &Given) -> Result<Vec<PrivateKeyDer<'static>>, Error> {
    let sections = sections(given)?;
    let mut keys = Vec::new();
    for section in &sections {
        match section.label {
            _ if section.is_encrypted() => {
                return Err(refuse(
                    given,
                    "is encrypted, and cannot be used without its passphrase",
                )
                .remedy("decrypt it: `openssl pkey -in FILE -out FILE.key`"));
            }
            "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => {
                let der = section
                    .decode(section.label)
                    .ok_or_else(|| refuse(given, "is damaged: the key in it is not base64"))?;
                // The label does not matter, because some tools write the wrong one.
                let key = PrivateKeyDer::try_from(der)
                    .map_err(|_| refuse(given, "is damaged: the key in it cannot be read"))?;
                keys.push(key);
            }
            "OPENSSH PRIVATE KEY" => {
                return Err(refuse(given, "is an OpenSSH key")
                    .remedy("convert it: `ssh-keygen -p -m PEM -f FILE`"));
            }
            label if is_beside(label) || is_certificate(label) => {}
            label => return Err(unknown(given, label)),
        }
    }
    if !keys.is_empty() {
        return Ok(keys);
    }
    let holds = |kind: fn(&str) -> bool| sections.iter().any(|section| kind(section.label));
    Err(match (holds(is_certificate), holds(|label| label.ends_with("PUBLIC KEY"))) {
        (true, _) => refuse(given, "contains a certificate instead of a private key"),
        (_, true) => refuse(given, "contains a public key instead of a private key"),
        _ => refuse(given, "contains no private key in PEM"),
    })
}

fn is_certificate(label: &str) -> bool {
    ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"].contains(&label)
}

fn is_key(label: &str) -> bool {
    label.ends_with("PRIVATE KEY")
}

/// Returns whether tools write this beside certificates and keys, and it is not needed.
fn is_beside(label: &str) -> bool {
    label.ends_with(" PARAMETERS") || label.ends_with("PUBLIC KEY")
}

fn unknown(given: &Given, label: &str) -> Error {
    refuse(given, &format!("contains a section `{}`, which is not supported", escaped(label, 64)))
        .remedy("remove it")
}

/// What is between a `-----BEGIN` line and its `-----END` line.
struct Section<'a> {
    label: &'a str,
    body: &'a str,
}

impl Section<'_> {
    /// Checks for either mark of an encrypted key: that of PKCS#8, or a header (RFC 1421,
    /// 4.6.1.1).
    fn is_encrypted(&self) -> bool {
        self.label == "ENCRYPTED PRIVATE KEY"
            || is_key(self.label)
                && self.body.contains("Proc-Type:")
                && self.body.contains("ENCRYPTED")
    }

    /// Decodes the body as that of a section of this kind; `None` if it is not base64.
    fn decode(&self, kind: &str) -> Option<Vec<u8>> {
        let lines: Vec<&str> = self.body.split(['\n', '\r']).map(str::trim).collect();
        let pem = format!("{BEGIN}{kind}-----\n{}\n{END}{kind}-----\n", lines.join("\n"));
        let (_, der) = <(SectionKind, Vec<u8>)>::from_pem_slice(pem.as_bytes()).ok()?;
        (!der.is_empty()).then_some(der)
    }
}

/// Returns every section. A comment between sections may be in any encoding.
fn sections(given: &Given) -> Result<Vec<Section<'_>>, Error> {
    let text = given.text.as_str();
    let marks = text.matches(BEGIN).count();
    if marks == 0 {
        return Err(what_else(given));
    }
    let damaged = |what: &str| refuse(given, &format!("is damaged: {what}"));
    if text.matches(END).count() != marks {
        return Err(damaged("the numbers of `-----BEGIN` and `-----END` differ")
            .remedy("a part may be missing"));
    }
    let mut sections = Vec::new();
    for piece in text.split(BEGIN).skip(1) {
        let (label, rest) = piece
            .split_once("-----")
            .ok_or_else(|| damaged("a `-----BEGIN` line is incomplete"))?;
        let end = format!("{END}{label}-----");
        let (body, _) = rest.split_once(&end).ok_or_else(|| {
            damaged("a `-----BEGIN` does not match its `-----END`").remedy("a part may be missing")
        })?;
        if !body.trim_start_matches([' ', '\t']).starts_with(['\n', '\r']) {
            return Err(if body.contains("\\n") {
                damaged("it has `\\n` as text instead of line breaks")
                    .remedy("convert it: `printf '%b' \"$TEXT\" > FILE`, and use the file")
            } else {
                damaged("its line breaks are missing").remedy(AS_ISSUED)
            });
        }
        sections.push(Section { label, body });
    }
    Ok(sections)
}

const AS_ISSUED: &str = "use the file as it was issued";

/// The error that says what it is, if it is not PEM.
fn what_else(given: &Given) -> Error {
    let der = given.bytes.as_slice();
    let text = given.text.trim();
    let convert = |what: &str, command: &str| {
        refuse(given, &format!("is {what}")).remedy(format!("convert it: `{command}`"))
    };
    let holds = |part: &[u8]| der.windows(part.len()).take(64).any(|window| window == part);
    if der.starts_with(&[0xff, 0xfe])
        || der.starts_with(&[0xfe, 0xff])
        || der.starts_with(b"-\0-\0")
    {
        return convert("UTF-16", "iconv -f UTF-16 -t UTF-8 FILE > FILE.pem");
    }
    // Some tools write PKCS#12 without the length in its header.
    if is_sequence(der) || der.starts_with(&[0x30, 0x80]) {
        return match () {
            _ if Certificate::read(der).is_some() => {
                convert("a certificate in DER", "openssl x509 -inform DER -in FILE -out FILE.pem")
            }
            // `data` and `signedData` (RFC 2315).
            _ if holds(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2])
                && !der.get(..12).is_some_and(|head| head.ends_with(&[2, 1, 3])) =>
            {
                convert(
                    "a PKCS#7 file in DER",
                    "openssl pkcs7 -inform DER -print_certs -in FILE -out FILE.pem",
                )
            }
            _ if holds(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7]) => {
                convert("a PKCS#12 file", "openssl pkcs12 -in FILE -nodes -out FILE.pem")
            }
            _ if PrivateKeyDer::try_from(der).is_ok() => {
                convert("a private key in DER", "openssl pkey -inform DER -in FILE -out FILE.key")
            }
            _ => refuse(given, "is in DER or another binary form, and not in PEM")
                .remedy("convert it with `openssl`"),
        };
    }
    let is_path = !text.contains(['\n', '\r'])
        && (text.starts_with(['/', '.', '~'])
            || [".pem", ".crt", ".cer", ".key"].iter().any(|end| text.ends_with(end)));
    if is_path && !given.name.ends_with(FILE_SUFFIX) {
        return refuse(given, "contains a path")
            .remedy(format!("use `{}{FILE_SUFFIX}` for it", given.name));
    }
    if text.starts_with("MII") {
        return refuse(given, "has no `-----BEGIN` and `-----END` lines, though it may be base64")
            .remedy(AS_ISSUED);
    }
    refuse(
        given,
        if given.name.contains("key") {
            "contains no private key in PEM"
        } else {
            "contains no certificate in PEM"
        },
    )
}
