//! Native gRPC where it can be had, the gateway where it cannot.

use crate::attempt::Attempt;
use host_tests::backup::{BackedUp, Backup};
use host_tests::database::database;
use host_tests::etcd::{Etcd, Settings, Version, free_port};
use host_tests::gateway::{Member, Response};
use host_tests::target::Target;
use plakar_connector::ErrorKind;
use serde_json::Value;
use std::process::Command;

fn over(transport: &str, location: &str) -> BackedUp {
    Backup::of(location).option(format!("transport={transport}")).run()
}

#[track_caller]
fn assert_backed_up_over(transport: &str, BackedUp { outcome, target }: &BackedUp) {
    outcome.assert_ok();
    target.assert_whole_backup();
    assert_eq!(target.manifest()["transport"], transport, "{outcome}");
}

#[test]
fn native_grpc_is_preferred_and_either_can_be_asked_for() {
    for version in Version::ALL {
        let etcd = Etcd::start(version);
        assert_backed_up_over("grpc", &over("auto", &etcd.location()));
        assert_backed_up_over("grpc", &over("grpc", &etcd.location()));
        assert_backed_up_over("gateway", &over("gateway", &etcd.location()));
    }
}

/// The manifest less what two backups of the same data cannot have in common, and
/// the guide.
fn lasting(target: &Target) -> (Value, String) {
    let mut manifest = target.manifest();
    let created_at = manifest["created_at"].take();
    let created_at = created_at.as_str().expect("a time");
    let dump = &mut manifest["dump"];
    let sha256 = dump["sha256"].take();
    let sha256 = sha256.as_str().expect("a digest");
    for passing in [dump["duration_ms"].take(), manifest["transport"].take()] {
        assert_ne!(passing, Value::Null, "{manifest}");
    }
    // How the members were asked: the gateway of 3.4 has no HashKV.
    for passing in ["proof", "verified"] {
        assert_ne!(manifest[passing].take(), Value::Null);
    }
    let guide = target.guide().replace(created_at, "then").replace(sha256, "digest");
    let (compared, rest): (Vec<&str>, Vec<&str>) =
        guide.lines().partition(|line| line.contains("held the same keys"));
    assert_eq!(compared.len(), 1, "{guide}");
    (manifest, rest.join("\n"))
}

/// What the version's own tool prints of a dump, including a hash over its content.
fn content(version: Version, target: &Target) -> Value {
    let mut tool = Command::new(version.restorer());
    tool.args(["snapshot", "status", "-w", "json"]).arg(target.dump());
    let output = tool.output().expect("it can be run");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// In how many pages two dumps differ.
fn differences(one: &[u8], other: &[u8]) -> usize {
    assert_eq!(one.len(), other.len());
    one.chunks(4096).zip(other.chunks(4096)).filter(|(one, other)| one != other).count()
}

#[test]
fn both_transports_bring_the_same_dump_and_report_the_same() {
    for version in Version::ALL {
        let etcd = Etcd::start(version);
        etcd.put_many("config", 2000, 1000);
        etcd.delete("config/00000007");
        etcd.compact(2);
        etcd.settle();
        // Commits what the member has just written, which may add a page.
        over("grpc", &etcd.location()).assert_ok();
        let (grpc, gateway) = (over("grpc", &etcd.location()), over("gateway", &etcd.location()));
        assert_backed_up_over("grpc", &grpc);
        assert_backed_up_over("gateway", &gateway);
        assert_eq!(
            content(version, &grpc.target),
            content(version, &gateway.target),
            "etcd {version}"
        );
        let differing = differences(&grpc.target.dump_bytes(), &gateway.target.dump_bytes());
        // From 3.5 on every snapshot is a commit of its own, which no two dumps share,
        // not even over one transport: bbolt's two meta pages, the few that it wrote
        // again, and the digest.
        assert!(differing <= if version == Version::V3_4_23 { 0 } else { 8 }, "{differing} pages");
        assert_eq!(lasting(&grpc.target), lasting(&gateway.target), "etcd {version}");
    }
}

#[test]
fn a_member_whose_gateway_is_off_is_backed_up_over_grpc() {
    let etcd =
        Etcd::start_with(Version::V3_6_14, Settings::default().flag("--enable-grpc-gateway=false"));
    assert_backed_up_over("grpc", &over("auto", &etcd.location()));
}

/// `--listen-client-http-urls` gives each transport a port of its own.
#[test]
fn a_port_for_one_transport_alone_is_backed_up_over_that_one() {
    let http = free_port();
    let etcd = Etcd::start_with(Version::V3_6_14, Settings::default().http_at(http));
    assert_backed_up_over("grpc", &over("auto", &etcd.location()));
    let location = format!("etcd://127.0.0.1:{http}");
    assert_backed_up_over("gateway", &over("auto", &location));

    let BackedUp { outcome, target } = over("gateway", &etcd.location());
    let words = [&format!("`{}`: probe: ", etcd.endpoint()), "client port"];
    outcome.assert_failed(ErrorKind::Unreachable, &words);
    target.assert_nothing_left();
    let BackedUp { outcome, target } = over("grpc", &location);
    assert_ne!(outcome.code, 0, "{outcome}");
    assert!(outcome.says(&format!("`127.0.0.1:{http}`: probe: ")), "{outcome}");
    target.assert_nothing_left();
}

/// Servers and proxies that know HTTP/1.1 alone, each refusing in its own way.
#[test]
fn where_grpc_finds_no_way_the_gateway_is_asked() {
    let database = database(2);
    for refusal in [
        Response::new(400, "text/plain", "bad request"),
        Response::new(404, "text/plain", "not found"),
        Response::new(426, "text/plain", "upgrade required"),
        Response::new(505, "text/plain", "HTTP version not supported"),
        Response::raw([]),
    ] {
        let attempt = Attempt::of(Member::with(&database).on("*", refusal), &["transport=auto"]);
        attempt.assert_backed_up(&database);
        assert_eq!(attempt.target.manifest()["transport"], "gateway");
    }
}

#[test]
fn a_server_that_does_not_respond_to_http_2_is_left_within_connect_timeout() {
    let database = database(2);
    let member = Member::with(&database).on("*", Response::nothing());
    let attempt = Attempt::of(member, &["transport=auto", "connect_timeout=1s"]);
    assert!(attempt.outcome.elapsed.as_secs() < 8, "{}", attempt.outcome);
    match attempt.outcome.code {
        0 => attempt.assert_backed_up(&database),
        _ => attempt.assert_refused(ErrorKind::TimedOut, "probe", &["`connect_timeout`"]),
    }
}

#[test]
fn where_grpc_was_asked_for_nothing_else_is_tried() {
    let attempt = Attempt::of(Member::with(&database(2)), &["transport=grpc"]);
    assert_ne!(attempt.outcome.code, 0, "{}", attempt.outcome);
    attempt.target.assert_nothing_left();
    assert!(attempt.gateway.requests().iter().all(|request| request.method == "PRI"));
}
