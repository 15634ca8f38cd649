//! Certificates, good and bad, for servers and clients.

use crate::process::command;
use base64::prelude::{BASE64_STANDARD, Engine};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, PKCS_ED25519, PKCS_RSA_SHA256, date_time_ymd,
};
use std::cell::Cell;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// The files of a certificate and its key.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The path of the certificate, in PEM.
    pub cert: String,
    /// The path of the private key, in PEM.
    pub key: String,
}

impl Identity {
    /// The options that show it to a server.
    pub fn options(&self) -> [String; 2] {
        [format!("tls_cert_file={}", self.cert), format!("tls_private_key_file={}", self.key)]
    }
}

/// How a private key is written.
#[derive(Debug, Clone, Copy)]
pub enum Key {
    /// ECDSA on P-256, in PKCS#8.
    Ec,
    /// The same, in SEC 1.
    EcSec1,
    /// RSA of 2048 bits, in PKCS#8.
    Rsa,
    /// The same, in PKCS#1, as kubeadm writes it.
    RsaPkcs1,
    /// Ed25519, in PKCS#8.
    Ed25519,
}

/// A certificate that is to be issued.
pub struct Leaf {
    params: CertificateParams,
    key: Key,
}

impl Leaf {
    /// A server's: with these names, and usable towards other members as well,
    /// as kubeadm issues it.
    pub fn server(names: &[&str]) -> Leaf {
        let usages = [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        Leaf::new(names, Some("node1"), &usages)
    }

    /// A client's.
    pub fn client(common_name: Option<&str>) -> Leaf {
        Leaf::new(&[], common_name, &[ExtendedKeyUsagePurpose::ClientAuth])
    }

    fn new(names: &[&str], common_name: Option<&str>, usages: &[ExtendedKeyUsagePurpose]) -> Leaf {
        let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
        let mut params = CertificateParams::new(names).expect("names that certificates can hold");
        params.distinguished_name = named("kubeadm:cluster-admins", common_name);
        params.extended_key_usages = usages.to_vec();
        Leaf { params, key: Key::Ec }.valid(2000, 3000)
    }

    /// From the first day of one year to that of another.
    pub fn valid(mut self, from: i32, until: i32) -> Leaf {
        self.params.not_before = date_time_ymd(from, 1, 1);
        self.params.not_after = date_time_ymd(until, 1, 1);
        self
    }

    /// For servers alone.
    pub fn without_client_usage(mut self) -> Leaf {
        self.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self
    }

    /// With a key of this kind.
    pub fn key(self, key: Key) -> Leaf {
        Leaf { key, ..self }
    }
}

/// A certificate authority, and the folder with all that it issued.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    issued: Cell<usize>,
    folder: TempDir,
}

impl Authority {
    /// One that trusts nobody else. All have the same name.
    pub fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name = named("", Some("etcd-ca"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let cert = params.self_signed(&key).expect("a certificate");
        let folder = TempDir::with_prefix("certs-").expect("a temporary directory");
        let issuer = Issuer::new(params, key);
        let authority = Authority { issuer, issued: Cell::new(0), folder };
        authority.write("ca.crt", &cert.pem());
        authority
    }

    /// The path of its own certificate.
    pub fn file(&self) -> String {
        self.path("ca.crt")
    }

    /// The option that trusts it.
    pub fn option(&self) -> String {
        format!("tls_ca_file={}", self.file())
    }

    /// Issues a certificate with a fresh key.
    pub fn issue(&self, leaf: Leaf) -> Identity {
        let (key, pem) = generate(leaf.key);
        let cert = leaf.params.signed_by(&key, &self.issuer).expect("a certificate");
        let number = self.issued.replace(self.issued.get() + 1);
        Identity {
            cert: self.write(&format!("{number}.crt"), &cert.pem()),
            key: self.write(&format!("{number}.key"), &pem),
        }
    }

    /// A file of its own making beside the others; returns its path.
    pub fn write(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        fs::write(&path, content).expect("a temporary directory can be written");
        path
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("a path of letters").into()
    }
}

impl Default for Authority {
    fn default() -> Authority {
        Authority::new()
    }
}

/// A folder where the real `openssl` makes what no library would.
#[derive(Debug)]
pub struct OpenSsl {
    folder: TempDir,
}

impl OpenSsl {
    /// With an authority in `ca.crt` and `ca.key`: ECDSA on P-256.
    pub fn new() -> OpenSsl {
        let folder = TempDir::with_prefix("openssl-").expect("a temporary directory");
        let openssl = OpenSsl { folder };
        openssl.run("ecparam -name prime256v1 -genkey -noout -out ca.key");
        openssl.run("req -x509 -key ca.key -out ca.crt -days 9 -subj /CN=openssl-ca");
        openssl
    }

    /// Runs it with these arguments, none of which holds a blank, in the folder.
    #[track_caller]
    pub fn run(&self, arguments: &str) {
        let mut command = command("openssl");
        command.current_dir(self.folder.path()).args(arguments.split_whitespace());
        let output = command.output().expect("`openssl` is installed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {said}");
    }

    /// Issues `NAME.crt` for the key in `NAME.key` by the authority, with these
    /// extensions, in the words of its configuration files; of version 1 without any.
    #[track_caller]
    pub fn issue(&self, name: &str, extensions: &str) -> Identity {
        self.run(&format!("req -new -key {name}.key -out {name}.csr -subj /CN={name}"));
        let by = "-CA ca.crt -CAkey ca.key -CAcreateserial -days 9";
        let extended = match extensions {
            "" => String::new(),
            text => {
                self.write(&format!("{name}.ext"), text.as_bytes());
                format!("-extfile {name}.ext")
            }
        };
        self.run(&format!("x509 -req -in {name}.csr -out {name}.crt {by} {extended}"));
        self.identity(name)
    }

    /// `NAME.crt` and `NAME.key`.
    pub fn identity(&self, name: &str) -> Identity {
        Identity { cert: self.path(&format!("{name}.crt")), key: self.path(&format!("{name}.key")) }
    }

    /// The path of a file.
    pub fn path(&self, name: &str) -> String {
        self.place(name).to_str().expect("a path of letters").into()
    }

    /// A file's content.
    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.place(name)).expect("it is there")
    }

    /// A file of one's own making; returns its path.
    pub fn write(&self, name: &str, content: &[u8]) -> String {
        fs::write(self.place(name), content).expect("a temporary directory can be written");
        self.path(name)
    }

    /// The option that trusts this file.
    pub fn trusts(&self, name: &str) -> String {
        format!("tls_ca_file={}", self.path(name))
    }

    fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Default for OpenSsl {
    fn default() -> OpenSsl {
        OpenSsl::new()
    }
}

fn named(organization: &str, common_name: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if !organization.is_empty() {
        name.push(DnType::OrganizationName, organization);
    }
    common_name.into_iter().for_each(|common| name.push(DnType::CommonName, common));
    name
}

/// A key, and its PEM.
fn generate(kind: Key) -> (KeyPair, String) {
    let key = match kind {
        Key::Ec | Key::EcSec1 => KeyPair::generate(),
        Key::Ed25519 => KeyPair::generate_for(&PKCS_ED25519),
        Key::Rsa | Key::RsaPkcs1 => KeyPair::generate_for(&PKCS_RSA_SHA256),
    };
    let key = key.expect("a key");
    let pem = match kind {
        Key::Ec | Key::Ed25519 | Key::Rsa => key.serialize_pem(),
        Key::EcSec1 => pem("EC PRIVATE KEY", inner(key.serialized_der())),
        Key::RsaPkcs1 => pem("RSA PRIVATE KEY", inner(key.serialized_der())),
    };
    (key, pem)
}

/// The older format that PKCS#8 wraps: after the version and the algorithm comes
/// an octet string with it (RFC 5958, section 2).
fn inner(pkcs8: &[u8]) -> &[u8] {
    let (sequence, _) = element(pkcs8);
    let (_version, rest) = element(sequence);
    let (_algorithm, rest) = element(rest);
    element(rest).0
}

/// The content of a DER element, and what follows it.
fn element(der: &[u8]) -> (&[u8], &[u8]) {
    let (length, begin) = match der[1] {
        short @ ..0x80 => (usize::from(short), 2),
        long => {
            let digits = usize::from(long & 0x7f);
            let value = der[2..2 + digits].iter().fold(0, |n, &digit| n << 8 | usize::from(digit));
            (value, 2 + digits)
        }
    };
    der[begin..].split_at(length)
}

fn pem(label: &str, der: &[u8]) -> String {
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines(&BASE64_STANDARD.encode(der))
    )
}

fn lines(text: &str) -> String {
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    lines.join("\n")
}
