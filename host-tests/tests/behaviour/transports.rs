//! Native gRPC where it can be had, the gateway where it cannot.

use crate::attempt::Attempt;
use host_tests::database::database;
use host_tests::etcd::{Etcd, Settings, Version, free_port};
use host_tests::gateway::{Answer, Member};
use host_tests::run::{Outcome, Run};
use host_tests::target::Target;
use plakar_connector::Kind;

fn back_up(location: &str, transport: &str) -> (Outcome, Target) {
    let target = Target::new();
    let option = format!("transport={transport}");
    (Run::backup(location, &target.argument(), &["-o", &option]).wait(), target)
}

#[track_caller]
fn assert_backed_up_over(transport: &str, (outcome, target): &(Outcome, Target)) {
    outcome.assert_ok();
    target.assert_whole_backup();
    assert_eq!(target.manifest()["transport"], transport, "{outcome}");
}

#[test]
fn native_grpc_is_preferred_and_either_can_be_asked_for() {
    for version in Version::ALL {
        let etcd = Etcd::start(version);
        assert_backed_up_over("grpc", &back_up(&etcd.location(), "auto"));
        assert_backed_up_over("grpc", &back_up(&etcd.location(), "grpc"));
        assert_backed_up_over("gateway", &back_up(&etcd.location(), "gateway"));
    }
}

#[test]
fn a_member_whose_gateway_is_off_is_backed_up_over_grpc() {
    let etcd =
        Etcd::start_with(Version::V3_6_14, Settings::default().flag("--enable-grpc-gateway=false"));
    assert_backed_up_over("grpc", &back_up(&etcd.location(), "auto"));
}

/// `--listen-client-http-urls` gives each transport a port of its own.
#[test]
fn a_port_for_one_transport_alone_is_backed_up_over_that_one() {
    let http = free_port();
    let etcd = Etcd::start_with(Version::V3_6_14, Settings::default().http_at(http));
    assert_backed_up_over("grpc", &back_up(&etcd.location(), "auto"));
    let location = format!("etcd://127.0.0.1:{http}");
    assert_backed_up_over("gateway", &back_up(&location, "auto"));

    let (outcome, target) = back_up(&etcd.location(), "gateway");
    let words = [&format!("`{}`: probe: ", etcd.endpoint()), "client port"];
    outcome.assert_failed(Kind::Unreachable, &words);
    target.assert_nothing_left();
    let (outcome, target) = back_up(&location, "grpc");
    assert_ne!(outcome.code, 0, "{outcome}");
    assert!(outcome.says(&format!("`127.0.0.1:{http}`: probe: ")), "{outcome}");
    target.assert_nothing_left();
}

/// Servers and proxies that know HTTP/1.1 alone, each refusing in its own way.
#[test]
fn where_grpc_finds_no_way_the_gateway_is_asked() {
    let database = database(2);
    for refusal in [
        Answer::new(400, "text/plain", "bad request"),
        Answer::new(404, "text/plain", "not found"),
        Answer::new(426, "text/plain", "upgrade required"),
        Answer::new(505, "text/plain", "HTTP version not supported"),
        Answer::raw([]),
    ] {
        let attempt = Attempt::of(Member::with(&database).on("*", refusal), &["transport=auto"]);
        attempt.assert_backed_up(&database);
        assert_eq!(attempt.target.manifest()["transport"], "gateway");
    }
}

#[test]
fn a_server_that_answers_nothing_to_http_2_is_left_within_connect_timeout() {
    let database = database(2);
    let member = Member::with(&database).on("*", Answer::nothing());
    let attempt = Attempt::of(member, &["transport=auto", "connect_timeout=1s"]);
    assert!(attempt.outcome.elapsed.as_secs() < 8, "{}", attempt.outcome);
    match attempt.outcome.code {
        0 => attempt.assert_backed_up(&database),
        _ => attempt.assert_refused(Kind::TimedOut, "probe", &["`connect_timeout`"]),
    }
}

#[test]
fn where_grpc_was_asked_for_nothing_else_is_tried() {
    let attempt = Attempt::of(Member::with(&database(2)), &["transport=grpc"]);
    assert_ne!(attempt.outcome.code, 0, "{}", attempt.outcome);
    attempt.target.assert_nothing_left();
    assert!(attempt.gateway.requests().iter().all(|request| request.method == "PRI"));
}
