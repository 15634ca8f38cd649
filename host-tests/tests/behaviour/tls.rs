//! Members that are reached over TLS: who is trusted, who is let in, and what is
//! said where it fails.

use host_tests::certs::{Authority, Identity, Key, Leaf};
use host_tests::etcd::{Etcd, Settings, Version};
use host_tests::run::{Outcome, Run};
use host_tests::target::Target;
use plakar_connector::Kind;
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

fn backup(location: &str, options: &[String]) -> (Outcome, Target) {
    let target = Target::new();
    let more: Vec<&str> = options.iter().flat_map(|option| ["-o", option.as_str()]).collect();
    (Run::backup(location, &target.argument(), &more).wait(), target)
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
    let (outcome, target) = backup(&format!("etcd+https://{endpoint}"), &options);
    outcome.assert_ok();
    target.assert_whole_backup();
    assert_eq!(target.manifest()["endpoint"], endpoint);
}

/// A backup with these options over each transport fails at once, and says this.
#[track_caller]
fn is_refused(etcd: &Etcd, options: &[String], words: &[&str]) {
    for transport in TRANSPORTS {
        let options = [options, &[transport.into()]].concat();
        let (outcome, target) = backup(&etcd.secure_location(), &options);
        let place = format!("`{}`: ", etcd.secure_endpoint());
        outcome.assert_failed(Kind::Unreachable, &[&place, "tls: "]);
        outcome.assert_failed(Kind::Unreachable, words);
        target.assert_nothing_left();
    }
}

/// Options that are wrong by themselves are refused before anything is contacted.
#[track_caller]
fn is_bad_input(options: &[String], words: &[&str]) {
    // Whoever connects would hang here for as long as the test runs.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let location = format!("etcd+https://{}", silent.local_addr().expect("an address"));
    let (outcome, target) = backup(&location, options);
    outcome.assert_failed(Kind::InvalidConfig, words);
    target.assert_nothing_left();
    silent.set_nonblocking(true).expect("a socket");
    assert!(silent.accept().is_err(), "something was contacted: {outcome}");
}

fn shown(authority: &Authority, identity: &Identity) -> Vec<String> {
    [&[authority.option()], &identity.options()[..]].concat()
}

#[test]
fn a_cluster_like_kubeadms_is_backed_up_whatever_its_version() {
    for version in Version::ALL {
        let (authority, etcd) = guarded_member(version);
        etcd.put("a", "b");
        let client = authority.issue(Leaf::client(Some("backup")).key(Key::RsaPkcs1));
        backs_up(&etcd, &shown(&authority, &client));
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
                backs_up_over(transport, endpoint, &shown(&authority, &client));
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
        let options = shown(&authority, &client);
        for transport in ["transport=auto", "transport=grpc"] {
            backs_up_over(transport, &endpoint, &options);
        }
        etcd.assert_snapshots_ended(2, Duration::from_secs(5));

        // It says so in other words the first time than later on.
        for _ in 0..3 {
            let gateway = [&options[..], &["transport=gateway".into()]].concat();
            let (outcome, target) = backup(&etcd.secure_location(), &gateway);
            let place = format!("`{endpoint}`: probe: ");
            let words = [&place, "gateway", "`clientAuth`", "`--client-cert-file`"];
            outcome.assert_failed(Kind::Unreachable, &words);
            target.assert_nothing_left();
        }
    }
}

/// kubeadm's metrics have a port of their own, two away from that for clients.
#[test]
fn a_port_for_metrics_alone_is_not_taken_for_a_clients() {
    let (_authority, etcd, _) = kubeadms_member(Version::V3_6_14, Leaf::server(&HERE));
    for transport in TRANSPORTS {
        let (outcome, target) = backup(&etcd.location(), &[transport.into()]);
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
        backs_up(&etcd, &shown(&authority, &client));
    }
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
    let outcome = Run::backup(&etcd.secure_location(), &target.argument(), &more).wait();
    outcome.assert_ok();
    assert!(outcome.says("`chmod 600` it"), "others may read the key: {outcome}");
    let secret = key.lines().nth(1).expect("a line of the key");
    assert!(!outcome.says(secret), "the key was shown: {outcome}");
}

#[test]
fn a_server_of_an_unknown_authority_is_not_believed() {
    let (authority, etcd) = member(Leaf::server(&HERE));
    is_refused(&etcd, &[], &["an authority that is not trusted here", "`tls_ca_file`"]);
    // Another authority of the same name, as after a cluster was set up anew.
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
    is_refused(&etcd, &[authority.option()], &["holds no names", "`127.0.0.1`"]);
}

#[test]
fn a_server_out_of_its_time_is_not_believed() {
    let (authority, etcd) = member(Leaf::server(&HERE).valid(2000, 2001));
    is_refused(&etcd, &[authority.option()], &["expired on 2001-01-01T00:00:00Z", "renew it"]);
    let (authority, etcd) = member(Leaf::server(&HERE).valid(2900, 3000));
    is_refused(&etcd, &[authority.option()], &["not valid before 2900-01-01", "clocks"]);
}

#[test]
fn whoever_skips_the_check_is_warned_each_time() {
    let (_authority, etcd) = member(Leaf::server(&["elsewhere"]).valid(2000, 2001));
    let (outcome, target) =
        backup(&etcd.secure_location(), &["tls_insecure_skip_verify=true".into()]);
    outcome.assert_ok();
    target.assert_whole_backup();
    assert!(outcome.says("the server's certificate is not checked"), "{outcome}");
}

#[test]
fn a_server_that_misses_a_client_certificate_says_so() {
    let (authority, etcd) = guarded_member(Version::V3_6_14);
    is_refused(
        &etcd,
        &[authority.option()],
        &["wants a client certificate", "`tls_cert_file` and `tls_private_key_file`"],
    );
}

#[test]
fn a_server_that_refuses_a_client_certificate_says_why() {
    let (authority, etcd) = guarded_member(Version::V3_6_14);
    let elsewhere = Authority::new();
    let stranger = elsewhere.issue(Leaf::client(Some("backup")));
    is_refused(&etcd, &shown(&authority, &stranger), &["does not trust the authority", "client"]);
    let unfit = authority.issue(Leaf::client(Some("backup")).without_client_usage());
    is_refused(
        &etcd,
        &shown(&authority, &unfit),
        &["refused the client certificate", "`clientAuth`"],
    );
}

#[test]
fn plain_and_secure_are_told_apart() {
    let (authority, etcd) = member(Leaf::server(&HERE));
    let (outcome, _) = backup(&format!("etcd+https://{}", etcd.endpoint()), &[authority.option()]);
    outcome.assert_failed(Kind::Unreachable, &["tls: ", "check that this port is one for TLS"]);
    let (outcome, _) = backup(&format!("etcd://{}", etcd.secure_endpoint()), &[]);
    outcome.assert_failed(Kind::Unreachable, &["whether it wants TLS"]);
}

#[test]
fn a_handshake_that_stalls_ends_with_the_time_for_connecting() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let location = format!("etcd+https://{}", silent.local_addr().expect("an address"));
    let server = std::thread::spawn(move || {
        let (mut stream, _) = silent.accept().expect("a connection");
        // Takes the greeting, and never answers it.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let authority = Authority::new();
    let options = [authority.option(), "connect_timeout=300ms".into(), TRANSPORTS[0].into()];
    let (outcome, _) = backup(&location, &options);
    outcome.assert_failed(Kind::Unreachable, &["no connection within 300ms"]);
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
    is_bad_input(&[option("tls_ca_file", &client.key)], &["holds a private key where"]);
    is_bad_input(&[option("tls_ca_file", &empty)], &["is empty"]);
    is_bad_input(&[authority.option(), "tls_ca=x".into()], &["exclude each other"]);
    is_bad_input(&["tls_skip_verify=true".into()], &["unknown option `tls_skip_verify`"]);
    let target = Target::new();
    let options = ["-o", &authority.option()];
    Run::backup("etcd://127.0.0.1:1", &target.argument(), &options).wait().assert_failed(
        Kind::InvalidConfig,
        &["option `tls_ca_file`: no endpoint is reached over TLS", "`etcd+https://`"],
    );
}

/// etcd's gateway asks as itself, with its own certificate, so it has to refuse
/// whom a client's CommonName would log in.
#[test]
fn a_common_name_is_a_login_over_grpc_and_refused_by_the_gateway() {
    for version in [Version::V3_5_33, Version::V3_6_14] {
        let (authority, etcd) = guarded_member(version);
        etcd.enable_authentication("a password");
        let named = shown(&authority, &authority.issue(Leaf::client(Some("root"))));
        let (outcome, target) = backup(&etcd.secure_location(), &named);
        outcome.assert_ok();
        target.assert_whole_backup();
        assert_eq!(target.manifest()["transport"], "grpc");
        assert_eq!(target.manifest()["auth_enabled"], serde_json::Value::Null);

        let gateway = [&named[..], &["transport=gateway".into()]].concat();
        let (outcome, target) = backup(&etcd.secure_location(), &gateway);
        outcome.assert_failed(Kind::Unsupported, &[&etcd.secure_endpoint(), "CommonName"]);
        target.assert_nothing_left();

        let nameless = shown(&authority, &authority.issue(Leaf::client(None)));
        let login = ["transport=gateway", "username=root", "password=a password"].map(String::from);
        let (outcome, target) = backup(&etcd.secure_location(), &[&nameless[..], &login].concat());
        outcome.assert_ok();
        assert_eq!(target.manifest()["auth_enabled"], true);
    }
}
