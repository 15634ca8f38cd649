//! The order of the records, and their content.

use super::*;
use crate::net::{NetworkError, Request};
use crate::options::Options;
use crate::scripted::{Reply, Scripted, database, json_head, stream};
use crate::snapshot::verifier::Hashing;
use plakar_connector::ErrorKind;
use plakar_connector::text::is_hidden;
use sha2::{Digest, Sha256};

const STATUS: &str = "/v3/maintenance/status";
const SNAPSHOT: &str = "/v3/maintenance/snapshot";
const AUTHENTICATE: &str = "/v3/auth/authenticate";

fn import(network: &Scripted, endpoints: &str, options: &[(&str, &str)]) -> Import<Scripted> {
    let config: Vec<(String, String)> =
        [("location", "etcd://"), ("endpoints", endpoints), ("transport", "gateway")]
            .iter()
            .chain(options)
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect();
    Import::new(network.clone(), Options::read(&config).expect("options"), |_| {})
}

fn record(import: &mut Import<Scripted>) -> Record<Scripted> {
    match import.advance().expect("a step") {
        Step::Record(record) => record,
        _ => panic!("no record"),
    }
}

fn dump(import: &mut Import<Scripted>) -> Reader<Scripted> {
    assert_eq!(record(import).pathname, "/");
    let dump = record(import);
    assert_eq!(dump.pathname, DUMP);
    dump.content.expect("content")
}

fn read(reader: &mut Reader<Scripted>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(piece) = reader.read(100)? {
        assert!((1..=100).contains(&piece.len()));
        bytes.extend(piece);
    }
    Ok(bytes)
}

#[test]
fn a_reader_that_is_dropped_before_its_end_ends_the_snapshot() {
    let network = Scripted::default();
    network.member("a", 1, 1);
    let mut import = import(&network, "a", &[]);
    let mut reader = dump(&mut import);
    assert!(reader.read(100).expect("bytes").is_some());
    drop(reader);
    assert!(matches!(import.dump.borrow().state, super::reader::DumpState::Failed(_)));
    import.acknowledge(DUMP_ID, Fate::Stored(100));
    assert!(import.advance().is_err());
}

#[test]
fn the_manifest_follows_the_acknowledged_dump_and_the_guide_ends_it() {
    let network = Scripted::default();
    network.member("a", 1, 1);
    let mut import = import(&network, "a", &[]);
    let mut reader = dump(&mut import);
    assert!(matches!(import.advance(), Ok(Step::AwaitingAcknowledgements)));
    let bytes = read(&mut reader).expect("a dump");
    assert_eq!(bytes[..1536], database());
    assert_eq!(reader.size(), Some(1568));
    assert!(matches!(import.advance(), Ok(Step::AwaitingAcknowledgements)));
    import.acknowledge(DUMP_ID, Fate::Stored(1568));
    let manifest = read(&mut record(&mut import).content.expect("content")).expect("a manifest");
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).expect("JSON");
    assert_eq!(manifest["dump"]["bytes"], 1568);
    // What `head -c -32 dump | sha256sum` prints.
    let sha256 = "145e09798a4da431e343c80534eb247c25aa619786e82763bea1bd48058ec4ec";
    assert_eq!(manifest["dump"]["sha256"], sha256);
    assert_eq!(manifest["revision"]["after"], 42);
    assert!(import.finish().is_err(), "there is more");
    assert_eq!(record(&mut import).pathname, GUIDE);
    assert!(matches!(import.advance(), Ok(Step::Finished)));
    assert_eq!(import.finish(), Ok(()));
}

#[test]
fn the_digest_is_compared_either_here_or_by_the_host() {
    let whole = database();
    let mut flipped = whole.clone();
    flipped[700] ^= 1;
    // As etcd would send it if a disk or the network flips a bit.
    let respond = move |_: &Request| {
        let mut body = String::from_utf8(stream(&flipped)).expect("JSON");
        let base64 = |bytes: &[u8]| base64_simd::STANDARD.encode_to_string(bytes);
        let digest = |bytes: &[u8]| base64(&Sha256::digest(bytes));
        body = body.replace(&digest(&flipped), &digest(&whole));
        Ok((json_head(200), vec![Ok(body.into_bytes())]))
    };
    for hashing in [Hashing::Here, Hashing::ByHost] {
        let network = Scripted::default();
        network.member("a", 1, 1);
        network.on("a", SNAPSHOT, respond.clone());
        let config = [("location", "etcd://a"), ("transport", "gateway")]
            .map(|(name, value)| (name.to_string(), value.to_string()));
        let mut options = Options::read(&config).expect("options");
        options.checks.hashing = hashing;
        let mut import = Import::new(network, options, |_| {});
        let mut reader = dump(&mut import);
        assert_eq!(reader.digest(), None, "not before the end");
        match (hashing, read(&mut reader)) {
            (Hashing::Here, Err(error)) => assert_eq!(error.kind, ErrorKind::Corrupt),
            (Hashing::ByHost, Ok(bytes)) => {
                let stated = reader.digest().expect("a digest for the host");
                assert_eq!((stated.bytes, &stated.sha256[..]), (1536, &bytes[1536..]));
                assert_ne!(stated.sha256[..], Sha256::digest(&bytes[..1536])[..]);
                assert!(stated.mismatch.to_string().starts_with("`a:2379`: snapshot: "));
                let facts = import.facts();
                assert!(!facts.iter().any(|(name, _)| *name == "verified"), "{facts:?}");
            }
            (hashing, read) => panic!("{hashing:?}: {read:?}"),
        }
    }
}

#[test]
fn the_snapshot_is_not_requested_before_the_first_read() {
    let network = Scripted::default();
    network.member("a", 1, 1);
    let mut import = import(&network, "a", &[]);
    let mut reader = dump(&mut import);
    assert_eq!(network.count("a", SNAPSHOT), 0);
    reader.read(1).expect("a byte");
    assert_eq!(network.count("a", SNAPSHOT), 1);
}

#[test]
fn a_store_that_kept_another_number_of_bytes_fails_the_import() {
    for fate in [Fate::Stored(1567), Fate::Stored(0)] {
        let network = Scripted::default();
        network.member("a", 1, 1);
        let mut import = import(&network, "a", &[]);
        read(&mut dump(&mut import)).expect("a dump");
        import.acknowledge(DUMP_ID, fate.clone());
        assert!(import.advance().is_err(), "{fate:?}");
    }
}

#[test]
fn a_dump_acknowledged_before_its_end_fails_the_import() {
    let network = Scripted::default();
    network.member("a", 1, 1);
    let mut import = import(&network, "a", &[]);
    let mut reader = dump(&mut import);
    reader.read(100).expect("bytes");
    import.acknowledge(DUMP_ID, Fate::Stored(1568));
    assert!(import.advance().is_err());
}

#[test]
fn a_dry_run_ends_without_a_manifest() {
    let network = Scripted::default();
    network.member("a", 1, 1);
    let mut import = import(&network, "a", &[]);
    drop(dump(&mut import));
    import.acknowledge(DUMP_ID, Fate::Skipped);
    assert!(matches!(import.advance(), Ok(Step::Finished)));
    assert_eq!(network.count("a", SNAPSHOT), 0);
}

#[test]
fn a_dump_that_was_begun_cannot_be_acknowledged_as_skipped() {
    let network = Scripted::default();
    network.member("a", 1, 1);
    let mut import = import(&network, "a", &[]);
    let mut reader = dump(&mut import);
    reader.read(1).expect("a byte");
    import.acknowledge(DUMP_ID, Fate::Skipped);
    let error = import.advance().err().expect("a failure");
    assert!(error.to_string().contains("left out"), "{error}");
}

#[test]
fn a_read_of_zero_bytes_returns_one_and_not_the_end() {
    let network = Scripted::default();
    network.member("a", 1, 1);
    let mut import = import(&network, "a", &[]);
    let mut reader = dump(&mut import);
    assert_eq!(reader.read(0).expect("bytes").map(|bytes| bytes.len()), Some(1));
    read(&mut reader).expect("the rest");
    import.acknowledge(DUMP_ID, Fate::Stored(1568));
    let mut manifest = record(&mut import).content.expect("content");
    assert_eq!(manifest.read(0).expect("bytes").as_deref(), Some(&b"{"[..]));
}

#[test]
fn a_servers_text_is_not_shown_raw_on_a_terminal() {
    let network = Scripted::default();
    network.member("a", 1, 1);
    let name = "m\u{1b}[2J\u{9b}1\u{202e}";
    let list = serde_json::json!({ "header": { "cluster_id": "1", "member_id": "1" },
                                   "members": [{ "ID": "1", "name": name }] });
    network.json("a", "/v3/cluster/member/list", 200, list.to_string());
    let mut import = import(&network, "a", &[]);
    read(&mut dump(&mut import)).expect("a dump");
    import.acknowledge(DUMP_ID, Fate::Stored(1568));
    let manifest = read(&mut record(&mut import).content.expect("content")).expect("it");
    let guide = read(&mut record(&mut import).content.expect("content")).expect("it");
    let facts: Vec<String> = import.facts().into_iter().map(|(_, value)| value).collect();
    for text in
        facts.iter().cloned().chain([manifest, guide].map(|t| String::from_utf8(t).expect("UTF-8")))
    {
        assert!(!text.chars().any(|c| is_hidden(c) && c != '\n'), "{text:?}");
    }
    assert!(facts.contains(&"m [2J 1 ".into()), "{facts:?}");
}

#[test]
fn the_digest_is_returned_only_after_the_proof() {
    let network = Scripted::default();
    network.member("a", 1, 1);
    let whole = stream(&database());
    network.on("a", SNAPSHOT, move |_| {
        Ok((json_head(200), vec![Ok(whole.clone()), Err(NetworkError::Cut("cut".into()))]))
    });
    let mut import = import(&network, "a", &[]);
    let mut reader = dump(&mut import);
    let mut bytes = 0;
    let error = loop {
        match reader.read(100) {
            Ok(piece) => bytes += piece.expect("an error before the end").len(),
            Err(error) => break error,
        }
    };
    assert_eq!((bytes, error.kind), (1536, ErrorKind::Interrupted));
    assert_eq!(reader.read(100), Err(error), "a failure stays one");
}

#[test]
fn a_dump_without_its_manifest_or_guide_is_not_a_backup() {
    for skipped in [DUMP_ID + 1, DUMP_ID + 2] {
        let network = Scripted::default();
        network.member("a", 1, 1);
        let mut import = import(&network, "a", &[]);
        read(&mut dump(&mut import)).expect("a dump");
        import.acknowledge(DUMP_ID, Fate::Stored(1568));
        while let Ok(Step::Record(record)) = import.advance() {
            let fate = if record.id == skipped { Fate::Skipped } else { Fate::Stored(1) };
            import.acknowledge(record.id, fate);
        }
        let error = import.finish().expect_err("a file is missing");
        assert!(error.to_string().contains("left out"), "{error}");
        assert!(!import.facts().iter().any(|(name, _)| *name == "verified"));
    }
}

#[test]
fn a_dump_that_the_store_kept_in_part_is_not_reported_as_verified() {
    let network = Scripted::default();
    network.member("a", 1, 1);
    let mut import = import(&network, "a", &[]);
    read(&mut dump(&mut import)).expect("a dump");
    import.acknowledge(DUMP_ID, Fate::Stored(1567));
    assert!(import.advance().is_err());
    assert!(!import.facts().iter().any(|(name, _)| *name == "verified"));
}

#[test]
fn the_next_member_is_used_if_no_byte_was_returned() {
    let network = Scripted::default();
    network.member("a", 1, 3);
    network.member("b", 2, 3);
    network.on("a", SNAPSHOT, |_| Err::<Reply, _>(NetworkError::Refused));
    let mut import = import(&network, "a,b", &[]);
    let bytes = read(&mut dump(&mut import)).expect("a dump");
    assert_eq!(bytes.len(), 1568);
    let facts = import.facts();
    assert!(facts.contains(&("endpoint", "b:2379".into())));
    assert!(
        facts.iter().any(|(name, value)| *name == "endpoints-rejected" && value.contains("a:2379"))
    );
}

#[test]
fn the_next_member_is_not_used_after_a_byte_was_returned() {
    let network = Scripted::default();
    network.member("a", 1, 3);
    network.member("b", 2, 3);
    let half: Vec<u8> = stream(&database()).into_iter().take(800).collect();
    network.on("a", SNAPSHOT, move |_| {
        Ok((json_head(200), vec![Ok(half.clone()), Err(NetworkError::ReadTimeout)]))
    });
    let mut import = import(&network, "a,b", &[]);
    let error = read(&mut dump(&mut import)).expect_err("a failure");
    assert_eq!(error.kind, ErrorKind::TimedOut);
    assert_eq!(network.count("b", SNAPSHOT), 0);
}

const LOGIN: [(&str, &str); 2] = [("username", "root"), ("password", "hunter2")];

/// A member that requires the token `token-HOST` for everything.
fn guarded(network: &Scripted, host: &'static str, id: u64) {
    network.member(host, id, 3);
    network.json(host, AUTHENTICATE, 200, format!(r#"{{"token":"token-{host}"}}"#));
    for path in [STATUS, SNAPSHOT] {
        let open = Scripted::default();
        open.member(host, id, 3);
        network.on(host, path, move |request: &Request| {
            let token = format!("token-{host}");
            if request.headers.contains(&("authorization", token)) {
                let response = crate::net::Network::send(&open, request.clone());
                let (head, mut body) = response.expect("a response");
                let piece = crate::net::Body::read(&mut body).transpose().expect("a body");
                return Ok((head, vec![piece]));
            }
            let refusal = r#"{"code":3,"message":"etcdserver: user name is empty"}"#;
            Ok((json_head(400), vec![Ok(refusal.into())]))
        });
    }
}

#[test]
fn a_token_is_never_sent_to_another_endpoint() {
    let network = Scripted::default();
    guarded(&network, "a", 1);
    guarded(&network, "b", 2);
    network.on("a", SNAPSHOT, |_| Err::<Reply, _>(NetworkError::Cut("cut".into())));
    let mut import = import(&network, "a,b", &LOGIN);
    read(&mut dump(&mut import)).expect("a dump from b");
    for (host, path, token) in network.asked.borrow().iter() {
        if let Some(token) = token {
            assert_eq!(*token, format!("token-{host}"), "{path}");
        }
    }
    assert_eq!(network.count("b", SNAPSHOT), 1);
}

#[test]
fn a_wrong_password_is_not_tried_at_every_member() {
    let network = Scripted::default();
    for (host, id) in [("a", 1), ("b", 2)] {
        network.member(host, id, 3);
        let refusal = "etcdserver: authentication failed, invalid user ID or password";
        network.json(host, AUTHENTICATE, 400, format!(r#"{{"code":3,"message":"{refusal}"}}"#));
    }
    let error = import(&network, "a,b", &LOGIN).advance().err().expect("a refusal");
    assert_eq!(error.kind, ErrorKind::Unauthenticated);
    assert_eq!(network.count("a", AUTHENTICATE) + network.count("b", AUTHENTICATE), 1);
    assert!(!error.to_string().contains("hunter2"));
}

#[test]
fn a_login_is_ignored_if_authentication_is_off() {
    let network = Scripted::default();
    network.member("a", 1, 1);
    let refusal = r#"{"code":9,"message":"etcdserver: authentication is not enabled"}"#;
    network.json("a", AUTHENTICATE, 400, refusal.into());
    let mut import = import(&network, "a", &LOGIN);
    assert_eq!(read(&mut dump(&mut import)).expect("a dump").len(), 1568);
}

#[test]
fn a_forbidden_status_does_not_stop_a_backup() {
    let network = Scripted::default();
    network.member("a", 1, 1);
    network.json(
        "a",
        STATUS,
        403,
        r#"{"code":7,"message":"etcdserver: permission denied"}"#.into(),
    );
    network.json("a", "/version", 200, r#"{"etcdserver":"3.5.28"}"#.into());
    let mut import = import(&network, "a", &[]);
    assert_eq!(read(&mut dump(&mut import)).expect("a dump").len(), 1568);
    assert!(import.facts().contains(&("etcd-version", "3.5.28".into())));
    assert!(import.facts().contains(&("role", "unknown".into())));
    let is_id = |name: &str| ["member-id", "cluster-id"].contains(&name);
    assert!(!import.facts().iter().any(|(name, _)| is_id(name)), "no one reported one");
}

#[test]
fn a_missing_login_is_reported_before_the_first_record() {
    let network = Scripted::default();
    network.member("a", 1, 1);
    network.json(
        "a",
        STATUS,
        400,
        r#"{"code":3,"message":"etcdserver: user name is empty"}"#.into(),
    );
    let error = import(&network, "a", &[]).advance().err().expect("a refusal");
    assert_eq!(error.kind, ErrorKind::Unauthenticated);
}

#[test]
fn another_member_behind_the_same_name_fails_the_import() {
    let network = Scripted::default();
    network.member("a", 1, 3);
    let list = r#"{"header":{"cluster_id":"1","member_id":"2"}}"#;
    network.json("a", "/v3/cluster/member/list", 200, list.into());
    let error = import(&network, "a", &[]).advance().err().expect("a refusal");
    assert!(error.to_string().contains("several members"), "{error}");
}

#[test]
fn endpoints_of_two_clusters_are_refused() {
    let network = Scripted::default();
    network.member("a", 1, 1);
    let status = r#"{"header":{"cluster_id":"2","member_id":"5"},"leader":"5"}"#;
    network.json("b", STATUS, 200, status.into());
    let error = import(&network, "a,b", &[]).advance().err().expect("a refusal");
    assert!(
        error.to_string().contains("cluster 1") && error.to_string().contains("cluster 2"),
        "{error}"
    );
}

#[test]
fn all_reasons_are_reported_if_no_member_is_left() {
    let network = Scripted::default();
    network.on("a", STATUS, |_| Err::<Reply, _>(NetworkError::Refused));
    network.on("b", STATUS, |_| Err::<Reply, _>(NetworkError::Dns));
    let error = import(&network, "a,b", &[]).advance().err().expect("a refusal").to_string();
    assert!(
        error.contains("`a:2379`: connection refused") && error.contains("`b:2379`"),
        "{error}"
    );
}
