//! Servers that drip: each piece comes in time, and the whole never does. Every run
//! ends all the same, under stock `wasmtime` as in our sandbox.

use host_tests::backup::Backup;
use host_tests::database::database;
use host_tests::etcd::GatewayStyle;
use host_tests::gateway::{Gateway, Member, Response, Stream};
use host_tests::run::{Outcome, Run};
use host_tests::target::Target;
use plakar_connector::ErrorKind;
use serde_json::json;
use std::time::Duration;

const STATUS: &str = "/v3/maintenance/status";
const MEMBERS: &str = "/v3/cluster/member/list";
const LOGIN: &str = "/v3/auth/authenticate";
const SNAPSHOT: &str = "/v3/maintenance/snapshot";

/// So short that no limit on silence ever holds.
const PAUSE: Duration = Duration::from_millis(100);

/// The time of the run, and what ends are given on a busy machine.
const BOUND: Duration = Duration::from_secs(8 + 6);

const OPTIONS: [&str; 12] = [
    "-o",
    "transport=gateway",
    "-o",
    "connect_timeout=1s",
    "-o",
    "stall_timeout=1s",
    "-o",
    "max_duration=8s",
    "-o",
    "username=root",
    "-o",
    "password=hunter2",
];

/// A head that takes a minute.
fn head(status: u16) -> Response {
    let filler = "x".repeat(600);
    Response::raw(format!("HTTP/1.1 {status} Whatever\r\nX: {filler}"))
        .then_silence()
        .pausing(PAUSE)
}

/// A body that takes a minute, after a head that comes at once.
fn body(status: u16) -> Response {
    let body = vec![b' '; 600];
    Response::new(status, "application/json", body).in_chunks_of(1).pausing(PAUSE)
}

fn member() -> Member {
    let token = Response::json(200, &json!({ "token": "a-token" }));
    Member::with(&database(2)).on(LOGIN, token)
}

/// A backup under each host, and a ping under each.
fn runs(member: impl Fn() -> Member) -> [(Outcome, Gateway); 4] {
    let run = |start: &dyn Fn(&str) -> Outcome| {
        let gateway = Gateway::start(member());
        let outcome = start(&gateway.location());
        assert!(outcome.elapsed < BOUND, "it took too long: {outcome}");
        (outcome, gateway)
    };
    [
        run(&|location| {
            let target = Target::new();
            let outcome = Backup::of(location).arguments(OPTIONS).to(&target).wait();
            if outcome.code != 0 {
                target.assert_nothing_left();
            }
            outcome
        }),
        run(&|location| Run::wasmtime(["backup", location]).args(OPTIONS).wait()),
        run(&|location| Backup::of(location).arguments(OPTIONS).ping().wait()),
        run(&|location| Run::wasmtime(["ping", location]).args(OPTIONS).wait()),
    ]
}

#[track_caller]
fn ends(path: &str, drip: &Response, stage: &str, words: &[&str]) {
    for (outcome, gateway) in runs(|| member().on(path, drip.clone())) {
        let place = format!("`{}`: {stage}: ", gateway.endpoint());
        outcome
            .assert_failed(ErrorKind::TimedOut, &[&place])
            .assert_failed(ErrorKind::TimedOut, words);
    }
}

#[test]
fn a_status_that_drips_ends_a_run() {
    ends(STATUS, &head(200), "probe", &["1s", "`connect_timeout`"]);
    for status in [200, 503] {
        ends(STATUS, &body(status), "probe", &["no complete response arrived within 1s"]);
    }
}

#[test]
fn a_login_that_drips_ends_a_run() {
    ends(LOGIN, &head(200), "login", &["`connect_timeout`"]);
    for status in [200, 400] {
        ends(LOGIN, &body(status), "login", &["no complete response arrived within 1s"]);
    }
}

#[test]
fn a_snapshot_that_drips_before_its_first_message_ends_a_run() {
    ends(SNAPSHOT, &head(200), "snapshot", &["`stall_timeout`"]);
    let words = ["the first message arrived in pieces", "after 4s", "`stall_timeout`"];
    ends(SNAPSHOT, &body(200), "snapshot", &words);
    let words = ["the refusal arrived in pieces", "after 4s", "`stall_timeout`"];
    ends(SNAPSHOT, &body(500), "snapshot", &words);
}

#[test]
fn a_snapshot_that_drips_after_its_first_message_ends_with_the_run_s_time() {
    let first = Stream { style: GatewayStyle::V2, ..Stream::of(&database(2)) }.lines()[0].clone();
    let drip = Response::stream(first).then_forever(" ").pausing(PAUSE);
    let [(sandbox, _), (stock, gateway), ..] = runs(|| member().snapshot(drip.clone()));
    // The sandbox has the same limit, and may be the first to find it used up.
    sandbox.assert_failed(ErrorKind::TimedOut, &["`max_duration`"]);
    let place = format!("`{}`: snapshot: ", gateway.endpoint());
    stock.assert_failed(ErrorKind::TimedOut, &[&place, "`max_duration`"]);
}

/// Neither is needed for a backup.
#[test]
fn what_drips_beside_a_snapshot_fails_no_backup() {
    for drip in [head(200), body(200)] {
        for (outcome, _) in runs(|| member().on(MEMBERS, drip.clone())) {
            outcome.assert_ok();
        }
        let status = json!({
            "header": { "cluster_id": "7438200942389488494", "member_id": "11", "revision": "601" },
            "version": "3.6.14", "leader": "11",
        });
        let responses = [Response::json(200, &status), drip];
        for (outcome, _) in runs(|| member().on_after_snapshot(STATUS, responses.clone())) {
            outcome.assert_ok();
            assert!(outcome.says("no status after the snapshot"), "{outcome}");
        }
    }
}
