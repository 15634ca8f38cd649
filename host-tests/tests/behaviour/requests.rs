//! What is asked of a member, and what is not.

use crate::attempt::{Attempt, MORE_THAN_BUFFERS_HOLD};
use host_tests::backup::Backup;
use host_tests::database::database;
use host_tests::etcd::GatewayStyle::V2;
use host_tests::etcd::{Etcd, Version};
use host_tests::gateway::{Member, Request, Response};
use serde_json::{Value, json};
use std::time::Duration;

const SNAPSHOT: &str = "/v3/maintenance/snapshot";

fn requests(options: &[&str]) -> Vec<Request> {
    let attempt = Attempt::of(Member::with(&database(2)), options);
    attempt.outcome.assert_ok();
    attempt.gateway.requests()
}

fn snapshot_request(options: &[&str]) -> Request {
    let mut snapshots: Vec<Request> =
        requests(options).into_iter().filter(|request| request.path == SNAPSHOT).collect();
    assert_eq!(snapshots.len(), 1, "one snapshot is one request: {snapshots:?}");
    snapshots.remove(0)
}

/// A server that knows when to stop frees its read transaction, even if the
/// reader's machine vanishes.
#[test]
fn the_member_gets_the_time_that_a_snapshot_may_take() {
    let request = snapshot_request(&["max_duration=90s"]);
    let budget = request.header("grpc-timeout").expect("a time limit");
    let millis: u64 = budget.strip_suffix('m').and_then(|n| n.parse().ok()).expect("milliseconds");
    assert!((60_000..=90_000).contains(&millis), "{budget}");
    assert!(budget.len() <= 9, "gRPC takes no more than eight digits: {budget}");
}

#[test]
fn the_longest_limit_still_has_eight_digits() {
    let request = snapshot_request(&["max_duration=365d"]);
    let budget = request.header("grpc-timeout").expect("a time limit");
    assert!(budget.len() <= 9, "{budget}");
}

#[test]
fn a_snapshot_is_asked_for_plainly() {
    let request = snapshot_request(&[]);
    assert_eq!(request.method, "POST");
    assert_eq!(serde_json::from_slice::<Value>(&request.body).expect("JSON"), json!({}));
    assert_eq!(request.header("accept-encoding"), None, "compression costs the member");
    assert_eq!(request.header("authorization"), None);
    assert_eq!(request.header("range"), None);
}

#[test]
fn requests_name_the_endpoint_that_was_typed_as_their_host() {
    let attempt = Attempt::of(Member::with(&database(2)), &[]);
    for request in attempt.gateway.requests() {
        assert_eq!(
            request.header("host"),
            Some(attempt.gateway.endpoint().as_str()),
            "{request:?}"
        );
    }
}

/// No compaction, no defragmentation, no write, and nothing that the whole cluster has to agree
/// on; a hash over the whole database once, after the dump, and not where that is unwanted.
#[test]
fn nothing_is_asked_that_costs_or_changes_the_cluster() {
    for (options, hashes) in [(&[][..], 1), (&["proof=off"], 0)] {
        let (mut dumps, mut asked) = (0, 0);
        for request in requests(options) {
            match (request.method.as_str(), request.path.as_str()) {
                ("GET", "/version") => {}
                ("POST", "/v3/maintenance/status" | "/v3/cluster/member/list") => {}
                ("POST", SNAPSHOT) => dumps += 1,
                ("POST", "/v3/maintenance/hashkv") if dumps == 1 => asked += 1,
                _ => panic!("why ask `{} {}`?", request.method, request.path),
            }
        }
        assert_eq!(asked, hashes, "{options:?}");
    }
}

#[test]
fn a_ping_begins_one_snapshot_and_takes_no_more_than_its_beginning() {
    let etcd = Etcd::start(Version::V3_6_14);
    etcd.fill(MORE_THAN_BUFFERS_HOLD);
    for (ended, transport) in [(1, "transport=grpc"), (2, "transport=gateway")] {
        let ping = Backup::of(etcd.location()).option(transport).ping().wait();
        ping.assert_ok();
        etcd.assert_snapshots_ended(ended, Duration::from_secs(5));
        assert!(ping.elapsed < Duration::from_secs(5), "{ping}");
    }
}

/// Status and member list are good to know; a snapshot is what was asked for.
#[test]
fn what_a_member_does_not_report_does_not_stop_a_backup() {
    let paths = ["/v3/maintenance/status", "/v3/cluster/member/list"];
    let denied = Response::refusal(V2, 403, 7, "etcdserver: permission denied");
    let database = database(2);
    let guarded = paths.iter().fold(Member::with(&database), |m, path| m.on(path, denied.clone()));
    let attempt = Attempt::of(guarded, &["proof=off"]);
    attempt.assert_backed_up(&database);
    let manifest = attempt.target.manifest();
    assert_eq!(manifest["members"], Value::Null);
    let unknown = json!({ "before": null, "after": null, "exact": null });
    assert_eq!(manifest["revision"], unknown);
    assert_eq!(manifest["member"]["role"], "unknown");
}

#[test]
fn odd_responses_to_optional_requests_do_not_stop_a_backup() {
    let database = database(2);
    for path in ["/version", "/v3/cluster/member/list"] {
        for response in [
            Response::new(500, "text/plain", "no"),
            Response::new(200, "application/json", "{\"members\":7,\"alarms\":7,\"etcdserver\":7}"),
            Response::new(200, "text/html", "<html>"),
            Response::raw([]),
        ] {
            let attempt = Attempt::of(Member::with(&database).on(path, response), &[]);
            attempt.assert_backed_up(&database);
        }
    }
}

#[test]
fn a_member_list_that_never_comes_is_not_waited_for_for_long() {
    let database = database(2);
    let member = Member::with(&database).on("/v3/cluster/member/list", Response::nothing());
    let attempt = Attempt::of(member, &["connect_timeout=1s"]);
    attempt.assert_backed_up(&database);
    assert!(attempt.outcome.elapsed.as_secs() < 10, "{}", attempt.outcome);
}
