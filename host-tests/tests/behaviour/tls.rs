//! Members that are reached over TLS: who is trusted, who is let in, and what is
//! said where it fails.

use host_tests::backup::{BackedUp, Backup};
use host_tests::certs::{Authority, Identity, Key, Leaf, OpenSsl};
use host_tests::etcd::{Etcd, Settings, Version};
use host_tests::target::Target;
use host_tests::tls_front::TlsFront;
use plakar_connector::{ErrorKind, names};
use std::io::Read;
use std::net::TcpListener;
use std::time::Duration;

const HERE: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// What stands for the address of a member's node.
const NODE: &str = "127.0.0.2";

/// What carries the calls; each meets TLS in another way.
const TRANSPORTS: [&str; 2] = ["transport=grpc", "transport=gateway"];

/// A cluster's authority and a member that serves with this certificate of it.
fn member(leaf: Leaf) -> (Authority, Etcd) {
    let authority = Authority::new();
    let settings = Settings::default().secure(&authority.issue(leaf));
    let etcd = Etcd::start_with(Version::V3_6_14, settings);
    (authority, etcd)
}

/// The same, and it lets in only whom the authority vouches for.
fn guarded_member(version: Version) -> (Authority, Etcd) {
    let authority = Authority::new();
    let server = authority.issue(Leaf::server(&HERE).key(Key::RsaPkcs1));
    let settings = Settings::default().secure(&server).client_auth(&authority);
    let etcd = Etcd::start_with(version, settings);
    (authority, etcd)
}

/// The same with nothing but TLS, at its node's address too, as kubeadm has it.
fn kubeadms_member(version: Version, leaf: Leaf) -> (Authority, Etcd, [String; 2]) {
    let authority = Authority::new();
    let server = authority.issue(leaf.key(Key::RsaPkcs1));
    let settings = Settings::default().only_secure(&server).client_auth(&authority);
    let etcd = Etcd::start_with(version, settings);
    let here = etcd.secure_endpoint();
    let node = here.replace("127.0.0.1", NODE);
    (authority, etcd, [here, node])
}

/// A backup with these options over each transport works.
#[track_caller]
fn backs_up(etcd: &Etcd, options: &[String]) {
    for transport in TRANSPORTS {
        backs_up_over(transport, &etcd.secure_endpoint(), options);
    }
}

/// A backup with these options over this transport works.
#[track_caller]
fn backs_up_over(transport: &str, endpoint: &str, options: &[String]) {
    let options = [options, &[transport.into()]].concat();
    let BackedUp { outcome, target } =
        Backup::of(format!("etcd+https://{endpoint}")).options(&options).run();
    outcome.assert_ok();
    target.assert_whole_backup();
    assert_eq!(target.manifest()["endpoint"], endpoint);
}

/// A backup with these options over each transport fails at once, and says this.
#[track_caller]
fn is_refused(etcd: &Etcd, options: &[String], words: &[&str]) {
    for transport in TRANSPORTS {
        let options = [options, &[transport.into()]].concat();
        let BackedUp { outcome, target } =
            Backup::of(etcd.secure_location()).options(&options).run();
        let place = format!("`{}`: ", etcd.secure_endpoint());
        outcome.assert_failed(ErrorKind::Unreachable, &[&place, "tls: "]);
        outcome.assert_failed(ErrorKind::Unreachable, words);
        target.assert_nothing_left();
    }
}

/// Options that are wrong by themselves are refused before anything is contacted.
#[track_caller]
fn is_bad_input(options: &[String], words: &[&str]) {
    // A client that connects would hang here for as long as the test runs.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let location = format!("etcd+https://{}", silent.local_addr().expect("an address"));
    let BackedUp { outcome, target } = Backup::of(location).options(options).run();
    outcome.assert_failed(ErrorKind::InvalidConfig, words);
    target.assert_nothing_left();
    silent.set_nonblocking(true).expect("a socket");
    assert!(silent.accept().is_err(), "something was contacted: {outcome}");
}

fn identified_by(authority: &Authority, identity: &Identity) -> Vec<String> {
    [&[authority.option()], &identity.options()[..]].concat()
}

#[test]
fn a_cluster_like_kubeadms_is_backed_up_whatever_its_version() {
    for version in Version::ALL {
        let (authority, etcd) = guarded_member(version);
        etcd.put("a", "b");
        let client = authority.issue(Leaf::client(Some("backup")).key(Key::RsaPkcs1));
        backs_up(&etcd, &identified_by(&authority, &client));
    }
}

#[test]
fn a_member_that_serves_nothing_but_tls_is_backed_up_at_each_of_its_addresses() {
    for version in Version::ALL {
        let leaf = Leaf::server(&[&HERE[..], &[NODE]].concat());
        let (authority, etcd, endpoints) = kubeadms_member(version, leaf);
        let client = authority.issue(Leaf::client(Some("kube-etcd-healthcheck-client")));
        for endpoint in &endpoints {
            for transport in TRANSPORTS {
                backs_up_over(transport, endpoint, &identified_by(&authority, &client));
            }
        }
        etcd.assert_snapshots_ended(4, Duration::from_secs(5));
    }
}

/// etcd's gateway shows the server's certificate to etcd as its own.
#[test]
fn a_server_certificate_unfit_for_clients_breaks_the_gateway_and_nothing_else() {
    for version in Version::ALL {
        let leaf = Leaf::server(&[&HERE[..], &[NODE]].concat()).without_client_usage();
        let (authority, etcd, [endpoint, _]) = kubeadms_member(version, leaf);
        let client = authority.issue(Leaf::client(Some("kube-etcd-healthcheck-client")));
        let options = identified_by(&authority, &client);
        for transport in ["transport=auto", "transport=grpc"] {
            backs_up_over(transport, &endpoint, &options);
        }
        etcd.assert_snapshots_ended(2, Duration::from_secs(5));

        // It says so in other words the first time than later on.
        for _ in 0..3 {
            let gateway = [&options[..], &["transport=gateway".into()]].concat();
            let BackedUp { outcome, target } =
                Backup::of(etcd.secure_location()).options(&gateway).run();
            let place = format!("`{endpoint}`: probe: ");
            let words = [&place, "gateway", "`clientAuth`", "`--client-cert-file`"];
            outcome.assert_failed(ErrorKind::Unreachable, &words);
            target.assert_nothing_left();
        }
    }
}

/// kubeadm's metrics have a port of their own, two away from that for clients.
#[test]
fn a_port_for_metrics_alone_is_not_taken_for_a_clients() {
    let (_authority, etcd, _) = kubeadms_member(Version::V3_6_14, Leaf::server(&HERE));
    for transport in TRANSPORTS {
        let BackedUp { outcome, target } = Backup::of(etcd.location()).option(transport).run();
        assert!([3, 7].contains(&outcome.code), "{outcome}");
        assert!(outcome.says(&format!("`{}`: probe: ", etcd.endpoint())), "{outcome}");
        target.assert_nothing_left();
    }
}

#[test]
fn keys_of_every_format_and_certificates_without_a_common_name_are_taken() {
    let (authority, etcd) = guarded_member(Version::V3_6_14);
    for key in [Key::Ec, Key::EcSec1, Key::Rsa, Key::RsaPkcs1, Key::Ed25519] {
        let client = authority.issue(Leaf::client(None).key(key));
        backs_up(&etcd, &identified_by(&authority, &client));
    }
}

/// P-521 in every version; an authority's certificate from 3.6 on.
#[test]
fn a_certificate_that_etcd_makes_for_itself_is_taken() {
    for version in Version::ALL {
        let etcd = Etcd::start_with(version, Settings::default().auto_tls());
        let own = etcd.own_certificate();
        backs_up(&etcd, &[format!("tls_ca_file={}", own.display())]);
        backs_up(&etcd, &["tls_insecure_skip_verify=true".into()]);
        is_refused(&etcd, &[Authority::new().option()], &["authority that is not trusted here"]);
    }
}

/// As everybody makes one in a hurry: it says that it is an authority's.
#[test]
fn a_self_signed_certificate_is_taken_when_it_is_trusted_itself() {
    for (key, version) in [("-newkey rsa:2048", Version::V3_4_23), ("-key ca.key", Version::V3_7_1)]
    {
        let openssl = OpenSsl::new();
        openssl.run(&format!(
            "req -x509 {key} -nodes -keyout own.key -out own.crt -subj /CN=etcd -days 9 \
             -addext subjectAltName=IP:127.0.0.1"
        ));
        if key == "-key ca.key" {
            openssl.write("own.key", &openssl.read("ca.key"));
        }
        let etcd = Etcd::start_with(version, Settings::default().secure(&openssl.identity("own")));
        backs_up(&etcd, &[openssl.trusts("own.crt")]);
        is_refused(
            &etcd,
            &[openssl.trusts("own.crt"), "tls_server_name=node1".into()],
            &["is for `127.0.0.1`, and not for `node1`"],
        );
    }
}

#[test]
fn a_servers_own_certificate_or_one_of_an_authority_is_taken() {
    for basic in ["CA:TRUE", "CA:FALSE"] {
        let openssl = OpenSsl::new();
        openssl.run("ecparam -name secp384r1 -genkey -noout -out leaf.key");
        let leaf = openssl.issue(
            "leaf",
            &format!(
                "subjectAltName=IP:127.0.0.1\nbasicConstraints=critical,{basic}\n\
                 certificatePolicies=critical,1.2.3.4\n"
            ),
        );
        let etcd = Etcd::start_with(Version::V3_6_14, Settings::default().secure(&leaf));
        backs_up(&etcd, &[openssl.trusts("ca.crt")]);
        backs_up(&etcd, &[openssl.trusts("leaf.crt")]);
    }
}

#[test]
fn every_curve_and_digest_of_etcds_own_tools_is_taken() {
    for (curve, digest) in
        [("secp521r1", "sha512"), ("prime256v1", "sha512"), ("secp521r1", "sha256")]
    {
        let openssl = OpenSsl::new();
        openssl.run(&format!("ecparam -name {curve} -genkey -noout -out ca.key"));
        openssl
            .run(&format!("req -x509 -{digest} -key ca.key -out ca.crt -days 9 -subj /CN=strong"));
        openssl.run("ecparam -name secp521r1 -genkey -noout -out leaf.key");
        let leaf = openssl.issue("leaf", "subjectAltName=IP:127.0.0.1\n");
        let etcd = Etcd::start_with(Version::V3_6_14, Settings::default().secure(&leaf));
        backs_up(&etcd, &[openssl.trusts("ca.crt")]);
    }
}

/// Which version, extensions and form a client's certificate and key have is for the
/// server to judge.
#[test]
fn client_certificates_and_keys_are_taken_in_every_form() {
    let openssl = OpenSsl::new();
    let generate = |name: &str, curve: &str| {
        openssl.run(&format!("ecparam -name {curve} -genkey -noout -out {name}.key"));
    };
    generate("server", "prime256v1");
    let server = openssl.issue("server", "subjectAltName=IP:127.0.0.1\n");
    let trusted = format!("--trusted-ca-file={}", openssl.path("ca.crt"));
    let settings = || Settings::default().secure(&server).flag("--client-cert-auth").flag(&trusted);
    let options = |client: &Identity| [&[openssl.trusts("ca.crt")], &client.options()[..]].concat();
    generate("v1", "prime256v1");
    let version_1 = openssl.issue("v1", "");
    for version in Version::ALL {
        backs_up(&Etcd::start_with(version, settings()), &options(&version_1));
    }

    let etcd = Etcd::start_with(Version::V3_6_14, settings());
    let lets_in = |client: &Identity| backs_up(&etcd, &options(client));
    generate("p521", "secp521r1");
    lets_in(&openssl.issue("p521", "extendedKeyUsage=clientAuth\n"));
    generate("policies", "secp384r1");
    lets_in(&openssl.issue("policies", "certificatePolicies=critical,1.2.3.4\n"));
    openssl.run("genrsa -out rsa.key 8192");
    lets_in(&openssl.issue("rsa", "extendedKeyUsage=clientAuth\n"));

    // The same key without its public part, with it compressed, in PKCS#8, and under
    // the mark of another form.
    for (name, how) in [
        ("bare", "ec -in v1.key -no_public -out"),
        ("short", "ec -in v1.key -conv_form compressed -out"),
        ("pkcs8", "pkcs8 -topk8 -nocrypt -in v1.key -out"),
    ] {
        openssl.run(&format!("{how} {name}.key"));
        openssl.write(&format!("{name}.crt"), &openssl.read("v1.crt"));
        lets_in(&openssl.identity(name));
    }
    let pkcs8 = String::from_utf8(openssl.read("pkcs8.key")).expect("text");
    openssl.write("pkcs8.key", pkcs8.replace("PRIVATE KEY", "EC PRIVATE KEY").as_bytes());
    lets_in(&openssl.identity("pkcs8"));

    // Comments of the last century, and a mark that some editors leave.
    let cert = [b"\xef\xbb\xbf", &openssl.read("p521.crt")[..], b"caf\xe9\n"].concat();
    openssl.write("p521.crt", &cert);
    lets_in(&openssl.identity("p521"));
}

#[test]
fn a_file_in_another_form_is_named_with_the_command_that_converts_it() {
    let openssl = OpenSsl::new();
    openssl.run("ecparam -name prime256v1 -genkey -noout -out client.key");
    openssl.issue("client", "extendedKeyUsage=clientAuth\n");
    openssl.run("x509 -in ca.crt -outform DER -out ca.der");
    openssl.run("x509 -in ca.crt -trustout -out trusted.pem");
    openssl.run("crl2pkcs7 -nocrl -certfile ca.crt -out ca.p7b");
    openssl.run("crl2pkcs7 -nocrl -certfile ca.crt -outform DER -out ca.p7");
    openssl.run("pkcs12 -export -in client.crt -inkey client.key -passout pass:x -out client.p12");
    openssl.run("pkey -in client.key -outform DER -out key.der");
    openssl.run("ec -in client.key -aes256 -passout pass:x -out legacy.key");
    openssl.run("pkcs8 -topk8 -in client.key -passout pass:x -out encrypted.key");
    let text = String::from_utf8(openssl.read("ca.crt")).expect("text");
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    openssl.write("utf16.pem", &[b"\xff\xfe", &utf16[..]].concat());
    openssl.write("one-line.pem", text.replace('\n', "").as_bytes());
    openssl.write("escaped.pem", text.replace('\n', "\\n").as_bytes());
    for (file, words) in [
        ("ca.der", "`openssl x509 -inform DER -in FILE -out FILE.pem`"),
        ("trusted.pem", "`openssl x509 -in FILE -out FILE.pem`"),
        ("ca.p7b", "`openssl pkcs7 -print_certs -in FILE"),
        ("ca.p7", "`openssl pkcs7 -inform DER -print_certs -in FILE"),
        ("client.p12", "`openssl pkcs12 -in FILE -nodes"),
        ("client.csr", "contains a certificate request"),
        ("client.key", "contains a private key instead of a certificate"),
        ("key.der", "`openssl pkey -inform DER -in FILE"),
        ("utf16.pem", "`iconv -f UTF-16 -t UTF-8 FILE"),
        ("one-line.pem", "its line breaks are missing"),
        ("escaped.pem", "as text instead of line breaks"),
    ] {
        is_bad_input(&[openssl.trusts(file)], &["`tls_ca_file`", words]);
    }
    let cert = format!("tls_cert_file={}", openssl.path("client.crt"));
    for (file, words) in [
        ("legacy.key", "is encrypted"),
        ("encrypted.key", "is encrypted"),
        ("key.der", "`openssl pkey -inform DER -in FILE"),
        ("client.crt", "contains a certificate instead of a private key"),
    ] {
        let key = format!("tls_private_key_file={}", openssl.path(file));
        is_bad_input(&[cert.clone(), key], &["`tls_private_key_file`", words]);
    }
    is_bad_input(
        &[format!("tls_ca={}", openssl.path("ca.crt"))],
        &["`tls_ca` contains a path; use `tls_ca_file`"],
    );
}

/// `webpki` could not read its dates.
#[test]
fn a_client_certificate_of_version_1_out_of_its_time_is_refused_with_the_date() {
    let openssl = OpenSsl::new();
    openssl.run("ecparam -name prime256v1 -genkey -noout -out old.key");
    openssl.run("req -new -key old.key -out old.csr -subj /CN=old");
    openssl.run(
        "x509 -req -in old.csr -out old.crt -CA ca.crt -CAkey ca.key -CAcreateserial -days -1",
    );
    is_bad_input(&openssl.identity("old").options(), &["`tls_cert_file` expired on 20"]);
}

#[test]
fn a_key_that_is_typed_in_place_of_its_path_is_not_shown() {
    let openssl = OpenSsl::new();
    let key = String::from_utf8(openssl.read("ca.key")).expect("text");
    let typed = format!("tls_private_key_file={key}");
    let target = Target::new();
    for verbosity in [&[][..], &["-vv"], &["--json"]] {
        let backup = Backup::of("etcd+https://127.0.0.1:1").arguments(verbosity).option(&typed);
        let outcome = backup.to(&target).wait();
        outcome.assert_failed(
            ErrorKind::InvalidConfig,
            &["`tls_private_key_file` takes the path of a file", "`tls_private_key`"],
        );
        let secret = key.lines().nth(1).expect("a line of the key");
        assert!(!outcome.says(secret), "the key was shown: {outcome}");
    }
}

#[test]
fn weak_keys_and_signatures_are_named() {
    let openssl = OpenSsl::new();
    openssl.run("genrsa -out weak.key 1024");
    let weak = openssl.issue("weak", "subjectAltName=IP:127.0.0.1\n");
    let etcd = Etcd::start_with(Version::V3_6_14, Settings::default().secure(&weak));
    for trust in [openssl.trusts("ca.crt"), "tls_insecure_skip_verify=true".into()] {
        is_refused(&etcd, &[trust], &["an RSA key of 1024 bits", "2048 to 8192 bits"]);
    }

    // By an authority whose key is weak, or with an old digest.
    openssl.run("ecparam -name prime256v1 -genkey -noout -out leaf.key");
    for (generate, digest, words) in [
        (
            "genrsa -out ca.key 1024",
            "sha256",
            "an authority of the server's certificate has an RSA key of 1024",
        ),
        ("ecparam -name prime256v1 -genkey -noout -out ca.key", "sha1", "is signed with SHA-1"),
    ] {
        openssl.run(generate);
        openssl.run("req -x509 -key ca.key -out ca.crt -days 9 -subj /CN=weak-ca");
        openssl.write("leaf.ext", b"subjectAltName=IP:127.0.0.1\n");
        openssl.run("req -new -key leaf.key -out leaf.csr -subj /CN=leaf");
        openssl.run(&format!(
            "x509 -req -{digest} -in leaf.csr -out leaf.crt -CA ca.crt -CAkey ca.key \
             -CAcreateserial -days 9 -extfile leaf.ext"
        ));
        let leaf = Settings::default().secure(&openssl.identity("leaf"));
        let etcd = Etcd::start_with(Version::V3_6_14, leaf);
        is_refused(&etcd, &[openssl.trusts("ca.crt")], &[words]);
    }
}

#[test]
fn a_server_certificate_of_version_1_works_only_unchecked() {
    let openssl = OpenSsl::new();
    openssl.run("ecparam -name prime256v1 -genkey -noout -out old.key");
    let old = openssl.issue("old", "");
    let etcd = Etcd::start_with(Version::V3_6_14, Settings::default().secure(&old));
    is_refused(&etcd, &[openssl.trusts("ca.crt")], &["X.509 version 1, which has no names"]);
    backs_up(&etcd, &["tls_insecure_skip_verify=true".into()]);
}

/// Go refuses them, too.
#[test]
fn a_trusted_certificate_that_may_not_issue_others_is_named() {
    let openssl = OpenSsl::new();
    openssl.run("ecparam -name prime256v1 -genkey -noout -out leaf.key");
    let leaf = openssl.issue("leaf", "subjectAltName=IP:127.0.0.1\n");
    let etcd = Etcd::start_with(Version::V3_6_14, Settings::default().secure(&leaf));
    backs_up(&etcd, &[openssl.trusts("ca.crt")]);
    for (name, extension, words) in [
        ("leaf-only", "basicConstraints=CA:FALSE", "is not an authority's (CA:FALSE)"),
        ("no-sign", "keyUsage=critical,digitalSignature", "without `keyCertSign`"),
        ("clients", "extendedKeyUsage=clientAuth", "without `serverAuth`"),
    ] {
        openssl.run(&format!(
            "req -x509 -key ca.key -out {name}.crt -days 9 -subj /CN=openssl-ca -addext {extension}"
        ));
        is_refused(&etcd, &[openssl.trusts(&format!("{name}.crt"))], &["among `tls_ca`", words]);
    }
}

/// What agrees on HTTP/1.1 alone, as nginx does without `http2`.
#[test]
fn a_front_that_agrees_on_no_http2_says_so_over_grpc_alone() {
    let authority = Authority::new();
    let etcd = Etcd::start(Version::V3_6_14);
    let server = authority.issue(Leaf::server(&HERE));
    let front = TlsFront::start(&server, etcd.endpoint(), &["http/1.1"]);
    let grpc = [authority.option(), "transport=grpc".into()];
    let BackedUp { outcome, target } = Backup::of(front.location()).options(&grpc).run();
    outcome.assert_failed(ErrorKind::Unreachable, &[&front.endpoint(), names::NO_HTTP2]);
    target.assert_nothing_left();
    backs_up_over("transport=gateway", &front.endpoint(), &[authority.option()]);
}

#[test]
fn a_front_that_agrees_on_no_http2_is_spoken_to_over_the_gateway() {
    let authority = Authority::new();
    let server = authority.issue(Leaf::server(&HERE));
    for version in Version::ALL {
        let etcd = Etcd::start(version);
        let front = TlsFront::start(&server, etcd.endpoint(), &["http/1.1"]);
        Backup::of(front.location()).option(authority.option()).ping().wait().assert_ok();
        backs_up_over("transport=auto", &front.endpoint(), &[authority.option()]);
    }
}

#[test]
fn a_server_has_to_hold_the_key_of_its_certificate() {
    let authority = Authority::new();
    let etcd = Etcd::start(Version::V3_6_14);
    let openssl = OpenSsl::new();
    let issue = |name: &str, extensions: &str| {
        openssl.run(&format!("ecparam -name secp521r1 -genkey -noout -out {name}.key"));
        openssl.issue(name, extensions)
    };
    let checked = [openssl.trusts("ca.crt")];
    let pinned = [openssl.trusts("good.crt")];
    let unchecked = ["tls_insecure_skip_verify=true".to_owned()];
    let good = issue("good", "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:TRUE\n");
    let version_1 = issue("old", "");
    // Of another curve, which another check finds.
    let other_kind = authority.issue(Leaf::server(&HERE)).key;
    for start in [TlsFront::start, TlsFront::start_old] {
        for (server, options, other) in [
            (&good, &checked[..], &version_1.key),
            (&good, &pinned, &version_1.key),
            (&good, &unchecked, &version_1.key),
            (&version_1, &unchecked, &good.key),
        ] {
            let honest = start(server, etcd.endpoint(), &["h2", "http/1.1"]);
            backs_up_over("transport=grpc", &honest.endpoint(), options);
            for key in [other, &other_kind] {
                let thief = Identity { cert: server.cert.clone(), key: key.clone() };
                let thief = start(&thief, etcd.endpoint(), &["h2", "http/1.1"]);
                for transport in TRANSPORTS {
                    let options = [options, &[transport.into()]].concat();
                    let BackedUp { outcome, target } =
                        Backup::of(thief.location()).options(&options).run();
                    outcome
                        .assert_failed(ErrorKind::Unreachable, &["tls: ", "does not have the key"]);
                    target.assert_nothing_left();
                }
            }
        }
    }
}

/// Where nothing is agreed upon, whatever is spoken works.
#[test]
fn a_front_that_agrees_on_nothing_is_spoken_to_in_any_way() {
    let authority = Authority::new();
    let etcd = Etcd::start(Version::V3_6_14);
    let server = authority.issue(Leaf::server(&HERE));
    let front = TlsFront::start(&server, etcd.endpoint(), &[]);
    for transport in ["transport=auto", "transport=grpc", "transport=gateway"] {
        backs_up_over(transport, &front.endpoint(), &[authority.option()]);
    }
}

#[test]
fn a_file_of_trusted_certificates_that_is_not_there_is_named() {
    let openssl = OpenSsl::new();
    openssl.run("ecparam -name prime256v1 -genkey -noout -out leaf.key");
    let leaf = openssl.issue("leaf", "subjectAltName=IP:127.0.0.1\n");
    let etcd = Etcd::start_with(Version::V3_6_14, Settings::default().secure(&leaf));
    let ping = || Backup::of(etcd.secure_location()).ping();
    ping().env("SSL_CERT_FILE", &openssl.path("ca.crt")).wait().assert_ok();
    ping()
        .env("SSL_CERT_FILE", "/no/such")
        .wait()
        .assert_failed(ErrorKind::InvalidConfig, &["`SSL_CERT_FILE`", "`/no/such` cannot be read"]);
}

/// The variables are for browsers and the like; etcd is never behind such a proxy.
#[test]
fn proxies_variables_are_not_used() {
    let (authority, etcd) = member(Leaf::server(&HERE));
    let proxy = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", proxy.local_addr().expect("an address"));
    for location in [etcd.location(), etcd.secure_location()] {
        let trust = authority.option();
        let trust = if location.contains("https") { &["-o", trust.as_str()][..] } else { &[] };
        let mut ping = Backup::of(location).arguments(trust).ping();
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "GRPC_PROXY"] {
            ping = ping.env(name, &url).env(&name.to_lowercase(), &url);
        }
        ping.wait().assert_ok();
    }
    proxy.set_nonblocking(true).expect("a socket");
    assert!(proxy.accept().is_err(), "the proxy was asked");
}

#[test]
fn certificates_and_keys_may_be_given_as_text() {
    let (authority, etcd) = guarded_member(Version::V3_6_14);
    let client = authority.issue(Leaf::client(Some("backup")));
    let text = |path: &str| std::fs::read_to_string(path).expect("a file");
    let key = text(&client.key);
    let config = authority.write(
        "config.toml",
        &format!(
            "tls_ca = '''{}'''\ntls_cert = '''{}'''\ntls_private_key = '''{key}'''\n",
            text(&authority.file()),
            text(&client.cert),
        ),
    );
    let target = Target::new();
    let more = ["--config", config.as_str(), "-vv"];
    let outcome = Backup::of(etcd.secure_location()).arguments(more).to(&target).wait();
    outcome.assert_ok();
    assert!(outcome.says("`chmod 600` on it"), "others may read the key: {outcome}");
    let secret = key.lines().nth(1).expect("a line of the key");
    assert!(!outcome.says(secret), "the key was shown: {outcome}");
}

#[test]
fn a_server_of_an_unknown_authority_is_not_believed() {
    let (authority, etcd) = member(Leaf::server(&HERE));
    is_refused(&etcd, &[], &["an authority that is not trusted here", "`tls_ca_file`"]);
    // Another authority of the same name, as after a cluster was set up again.
    let twin = Authority::new();
    is_refused(&etcd, &[twin.option()], &["was not signed by the authority", "older"]);
    backs_up(&etcd, &[authority.option()]);
}

#[test]
fn a_server_of_another_name_is_not_believed() {
    let (authority, etcd) = member(Leaf::server(&["node1.example", "10.0.0.1"]));
    is_refused(
        &etcd,
        &[authority.option()],
        &["is for `node1.example`, `10.0.0.1`, and not for `127.0.0.1`", "`tls_server_name`"],
    );
    backs_up(&etcd, &[authority.option(), "tls_server_name=node1.example".into()]);
    backs_up(&etcd, &[authority.option(), "tls_server_name=10.0.0.1".into()]);
}

#[test]
fn a_server_without_any_name_is_not_believed() {
    let (authority, etcd) = member(Leaf::server(&[]));
    is_refused(&etcd, &[authority.option()], &["contains no names", "`127.0.0.1`"]);
}

#[test]
fn a_server_out_of_its_time_is_not_believed() {
    let (authority, etcd) = member(Leaf::server(&HERE).valid(2000, 2001));
    is_refused(&etcd, &[authority.option()], &["expired on 2001-01-01T00:00:00Z", "renew it"]);
    let (authority, etcd) = member(Leaf::server(&HERE).valid(2900, 3000));
    is_refused(&etcd, &[authority.option()], &["not valid before 2900-01-01", "clocks"]);
}

#[test]
fn skipping_verification_is_warned_of_on_every_run() {
    let (_authority, etcd) = member(Leaf::server(&["elsewhere"]).valid(2000, 2001));
    let BackedUp { outcome, target } =
        Backup::of(etcd.secure_location()).option("tls_insecure_skip_verify=true").run();
    outcome.assert_ok();
    target.assert_whole_backup();
    assert!(outcome.says("the server's certificate is not verified"), "{outcome}");
}

#[test]
fn a_server_that_misses_a_client_certificate_says_so() {
    let (authority, etcd) = guarded_member(Version::V3_6_14);
    is_refused(
        &etcd,
        &[authority.option()],
        &["requires a client certificate", "`tls_cert_file` and `tls_private_key_file`"],
    );
}

#[test]
fn a_server_that_refuses_a_client_certificate_says_why() {
    let (authority, etcd) = guarded_member(Version::V3_6_14);
    let elsewhere = Authority::new();
    let other = elsewhere.issue(Leaf::client(Some("backup")));
    is_refused(
        &etcd,
        &identified_by(&authority, &other),
        &["does not trust the authority", "client"],
    );
    let unfit = authority.issue(Leaf::client(Some("backup")).without_client_usage());
    is_refused(
        &etcd,
        &identified_by(&authority, &unfit),
        &["rejected the client certificate", "`clientAuth`"],
    );
}

#[test]
fn plain_and_secure_are_distinguished() {
    let (authority, etcd) = member(Leaf::server(&HERE));
    let BackedUp { outcome, .. } =
        Backup::of(format!("etcd+https://{}", etcd.endpoint())).option(authority.option()).run();
    outcome.assert_failed(ErrorKind::Unreachable, &["tls: ", "check that this port uses TLS"]);
    let BackedUp { outcome, .. } = Backup::of(format!("etcd://{}", etcd.secure_endpoint())).run();
    outcome.assert_failed(ErrorKind::Unreachable, &["whether it uses TLS"]);
}

#[test]
fn a_handshake_that_stalls_ends_with_the_time_for_connecting() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let location = format!("etcd+https://{}", silent.local_addr().expect("an address"));
    let server = std::thread::spawn(move || {
        let (mut stream, _) = silent.accept().expect("a connection");
        // Reads the greeting, and never sends anything.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let authority = Authority::new();
    let options = [authority.option(), "connect_timeout=300ms".into(), TRANSPORTS[0].into()];
    let BackedUp { outcome, .. } = Backup::of(&location).options(&options).run();
    outcome.assert_failed(ErrorKind::Unreachable, &["no connection within 300ms"]);
    server.join().expect("it only reads");
}

#[test]
fn tls_options_that_cannot_work_are_refused_before_anything_is_contacted() {
    let authority = Authority::new();
    let client = authority.issue(Leaf::client(Some("backup")));
    let other = authority.issue(Leaf::client(Some("other")));
    let old = authority.issue(Leaf::client(Some("backup")).valid(2000, 2001));
    let option = |name: &str, value: &str| format!("{name}={value}");
    let cert = option("tls_cert_file", &client.cert);
    let empty = authority.write("empty", "");
    is_bad_input(std::slice::from_ref(&cert), &["`tls_cert_file` needs its key"]);
    is_bad_input(
        &[cert, option("tls_private_key_file", &other.key)],
        &["`tls_private_key_file` is not the key of", "`tls_cert_file`"],
    );
    is_bad_input(&old.options(), &["`tls_cert_file` expired on 2001-01-01"]);
    is_bad_input(&[option("tls_ca_file", &client.key)], &["contains a private key instead"]);
    is_bad_input(&[option("tls_ca_file", &empty)], &["is empty"]);
    is_bad_input(&[authority.option(), "tls_ca=x".into()], &["exclude each other"]);
    is_bad_input(&["tls_skip_verify=true".into()], &["unknown option `tls_skip_verify`"]);
    let target = Target::new();
    Backup::of("etcd://127.0.0.1:1").option(authority.option()).to(&target).wait().assert_failed(
        ErrorKind::InvalidConfig,
        &["option `tls_ca_file`: no endpoint uses TLS", "`etcd+https://`"],
    );
}

/// etcd's gateway asks as itself, with its own certificate, so it has to refuse
/// whom a client's CommonName would log in.
#[test]
fn a_common_name_is_a_login_over_grpc_and_refused_by_the_gateway() {
    for version in [Version::V3_5_33, Version::V3_6_14] {
        let (authority, etcd) = guarded_member(version);
        etcd.enable_authentication("a password");
        let named = identified_by(&authority, &authority.issue(Leaf::client(Some("root"))));
        for (proof, is_known) in
            [("proof=off", serde_json::Value::Null), ("proof=auto", true.into())]
        {
            let options = [&named[..], &[proof.into()]].concat();
            let BackedUp { outcome, target } =
                Backup::of(etcd.secure_location()).options(&options).run();
            outcome.assert_ok();
            target.assert_whole_backup();
            assert_eq!(target.manifest()["transport"], "grpc");
            assert_eq!(target.manifest()["auth_enabled"], is_known);
        }

        let gateway = [&named[..], &["transport=gateway".into()]].concat();
        let BackedUp { outcome, target } =
            Backup::of(etcd.secure_location()).options(&gateway).run();
        outcome.assert_failed(ErrorKind::Unsupported, &[&etcd.secure_endpoint(), "CommonName"]);
        target.assert_nothing_left();

        let nameless = identified_by(&authority, &authority.issue(Leaf::client(None)));
        let login = ["transport=gateway", "username=root", "password=a password"].map(String::from);
        let BackedUp { outcome, target } =
            Backup::of(etcd.secure_location()).options(&nameless).options(&login).run();
        outcome.assert_ok();
        assert_eq!(target.manifest()["auth_enabled"], true);
    }
}

/// Over gRPC a client certificate is a login, be its CommonName a user or not. What
/// `ping` says of it is what a backup comes to, and a password beside it counts.
#[test]
fn ping_and_backup_report_a_common_name_without_the_role_root() {
    for version in Version::ALL {
        let (authority, etcd) = guarded_member(version);
        etcd.put("a", "b");
        etcd.enable_authentication("a password");
        let login = ["username=backup", "password=a password"].map(String::from);
        for (name, kind) in [
            (Some("nobody"), ErrorKind::Unauthenticated),
            (Some("reader"), ErrorKind::PermissionDenied),
            (None, ErrorKind::Unauthenticated),
        ] {
            let options = identified_by(&authority, &authority.issue(Leaf::client(name)));
            let location = etcd.secure_location();
            let place = etcd.secure_endpoint();
            let backup = Backup::of(&location).options(&options);
            backup.ping().wait().assert_failed(kind, &[&place]);
            let BackedUp { outcome, target } = backup.run();
            outcome.assert_failed(kind, &[&place, "; "]);
            assert!(name != Some("nobody") || outcome.says("CommonName"), "{version}: {outcome}");
            target.assert_nothing_left();

            let options = [&options[..], &login].concat();
            let BackedUp { outcome, target } = Backup::of(&location).options(&options).run();
            outcome.assert_ok();
            let manifest = target.manifest();
            assert_eq!(manifest["member"]["role"], "leader", "{version}: {manifest}");
            assert!(manifest["revision"]["before"].is_u64(), "{version}: {manifest}");
        }
    }
}
