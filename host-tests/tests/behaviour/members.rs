//! Which of several endpoints is asked.

use host_tests::backup::{BackedUp, Backup};
use host_tests::database::{database, dump};
use host_tests::etcd::GatewayStyle::V2;
use host_tests::etcd::free_port;
use host_tests::gateway::{Gateway, Member, Response, Stream};
use host_tests::run::Run;
use host_tests::target::Target;
use plakar_connector::ErrorKind;
use serde_json::json;

const SNAPSHOT: &str = "/v3/maintenance/snapshot";

/// Member number `id` of a cluster led by member 1.
fn member(id: u64) -> Member {
    Member::with(&database(2)).numbered(id, 1)
}

/// Backs up from these endpoints, in this order.
fn back_up(endpoints: &[String], options: &[&str]) -> BackedUp {
    Backup::from_endpoints(endpoints).option("transport=gateway").options(options).run()
}

fn endpoints(gateways: &[&Gateway]) -> Vec<String> {
    gateways.iter().map(|gateway| gateway.endpoint()).collect()
}

fn snapshots(gateway: &Gateway) -> usize {
    gateway.requests().iter().filter(|request| request.path == SNAPSHOT).count()
}

#[track_caller]
fn assert_backed_up_from(gateway: &Gateway, BackedUp { outcome, target }: &BackedUp) {
    outcome.assert_ok();
    target.assert_whole_backup();
    assert_eq!(target.manifest()["endpoint"], gateway.endpoint(), "{outcome}");
    assert!(target.dump_bytes() == dump(&database(2)));
    assert_eq!(snapshots(gateway), 1);
}

#[test]
fn a_follower_is_preferred_to_the_leader() {
    let (leader, follower) = (Gateway::start(member(1)), Gateway::start(member(2)));
    let backup = back_up(&endpoints(&[&leader, &follower]), &[]);
    assert_backed_up_from(&follower, &backup);
    assert_eq!(snapshots(&leader), 0);
    assert_eq!(backup.target.manifest()["member"]["role"], "follower");
}

#[test]
fn the_leader_is_preferred_to_a_learner() {
    let leader = Gateway::start(member(1));
    let learner = Gateway::start(member(2).learning());
    assert_backed_up_from(&leader, &back_up(&endpoints(&[&learner, &leader]), &[]));
}

#[test]
fn a_member_without_a_leader_is_the_last_choice_and_a_warning() {
    let alone = Gateway::start(member(2).numbered(2, 0));
    let backup = back_up(&endpoints(&[&alone]), &[]);
    assert_backed_up_from(&alone, &backup);
    assert!(backup.outcome.says("no leader"), "{}", backup.outcome);
    let manifest = backup.target.manifest();
    assert_eq!(manifest["member"]["role"], "leaderless");
    assert!(manifest["warnings"].to_string().contains("no leader"), "{manifest}");
}

#[test]
fn unreachable_endpoints_are_skipped_and_recorded() {
    let reachable = Gateway::start(member(1));
    let dead = format!("127.0.0.1:{}", free_port());
    let backup = back_up(&[dead.clone(), reachable.endpoint()], &[]);
    assert_backed_up_from(&reachable, &backup);
    let rejected = &backup.target.manifest()["endpoints_rejected"];
    assert_eq!(rejected[0]["endpoint"], dead);
    assert!(rejected[0]["reason"].to_string().contains("refused"), "{rejected}");
    // Under plakar the warnings are all that is shown.
    let warning = format!("`{dead}` is not used: connection refused");
    assert!(backup.outcome.stderr.contains(&warning), "{}", backup.outcome);
    let ping = Backup::from_endpoints(&[dead, reachable.endpoint()]).ping().wait();
    ping.assert_ok();
    assert!(ping.stderr.contains(&warning), "{ping}");
}

#[test]
fn a_location_that_is_not_among_the_endpoints_is_reported() {
    let gateway = Gateway::start(member(1));
    let typed = "etcd://127.0.0.1:1";
    let warning = "`127.0.0.1:1`, the location, is not in `endpoints`: it is not used";
    let endpoints = format!("endpoints={}", gateway.endpoint());
    let ours = Backup::of(typed).option(&endpoints).ping().wait();
    let stock = Run::wasmtime(["ping", "-o", &endpoints, typed]).wait();
    for outcome in [ours, stock] {
        outcome.assert_ok();
        assert_eq!(outcome.stderr.matches(warning).count(), 1, "{outcome}");
    }
}

#[test]
fn a_silent_endpoint_is_skipped_within_connect_timeout() {
    let silent = Gateway::start(
        member(2)
            .on("/v3/maintenance/status", Response::nothing())
            .on("/version", Response::nothing()),
    );
    let healthy = Gateway::start(member(1));
    let backup = back_up(&endpoints(&[&silent, &healthy]), &["connect_timeout=1s"]);
    assert_backed_up_from(&healthy, &backup);
    assert!(backup.outcome.elapsed.as_secs() < 8, "{}", backup.outcome);
}

#[test]
fn a_member_with_a_corrupt_alarm_of_its_own_is_never_backed_up() {
    let corrupt = member(2).alarmed(2, "CORRUPT");
    let (corrupt, healthy) = (Gateway::start(corrupt), Gateway::start(member(1)));
    assert_backed_up_from(&healthy, &back_up(&endpoints(&[&corrupt, &healthy]), &[]));
    assert_eq!(snapshots(&corrupt), 0);

    let BackedUp { outcome, target } = back_up(&endpoints(&[&corrupt]), &[]);
    outcome.assert_failed(ErrorKind::Corrupt, &[&corrupt.endpoint(), "CORRUPT"]);
    target.assert_nothing_left();
}

#[test]
fn alarms_of_others_are_warned_of_and_recorded() {
    for alarm in [(0, "CORRUPT"), (9, "CORRUPT"), (2, "NOSPACE")] {
        let gateway = Gateway::start(member(2).alarmed(alarm.0, alarm.1));
        let backup = back_up(&endpoints(&[&gateway]), &[]);
        assert_backed_up_from(&gateway, &backup);
        assert!(backup.outcome.stderr.contains(alarm.1), "{}", backup.outcome);
        let manifest = backup.target.manifest();
        assert_eq!(manifest["alarms"][0]["alarm"], alarm.1);
        let guide = backup.target.guide();
        assert!(guide.contains(&format!("`{}` of ", alarm.1)), "{guide}");
        assert!(guide.contains("\nctl alarm disarm\n"), "{guide}");
    }
}

/// etcd raises it while a backup runs; what it is about was there before.
#[test]
fn a_corrupt_alarm_that_is_raised_meanwhile_fails_the_backup() {
    let status = |alarmed: &str| {
        let errors: Vec<&str> = if alarmed.is_empty() { vec![] } else { vec![alarmed] };
        json!({
            "header": { "cluster_id": "7438200942389488494", "member_id": "2", "revision": "601", "raft_term": "2" },
            "version": "3.6.14", "leader": "1", "raftAppliedIndex": "604", "errors": errors,
        })
    };
    let raised = host_tests::recorded::alarm(host_tests::etcd::Version::V3_6_14, 2, "CORRUPT");
    let responses = [status(""), status(&raised)].map(|status| Response::json(200, &status));
    let gateway = Gateway::start(member(2).on_after_snapshot("/v3/maintenance/status", responses));
    let BackedUp { outcome, target } = back_up(&endpoints(&[&gateway]), &[]);
    outcome.assert_failed(ErrorKind::Corrupt, &[&gateway.endpoint(), "CORRUPT"]);
    target.assert_nothing_left();
    assert_eq!(snapshots(&gateway), 1);
}

#[test]
fn of_members_without_a_leader_the_freshest_is_asked() {
    let leaderless = |id: u64, applied: u64| {
        let status = json!({
            "header": { "cluster_id": "7438200942389488494", "member_id": id.to_string(), "revision": "601", "raft_term": "2" },
            "version": "3.6.14", "raftAppliedIndex": applied.to_string(),
            "errors": [host_tests::recorded::NO_LEADER],
        });
        Gateway::start(member(id).on("/v3/maintenance/status", Response::json(200, &status)))
    };
    let (stale, fresh) = (leaderless(2, 10), leaderless(3, 1_000_000));
    let backup = back_up(&endpoints(&[&stale, &fresh]), &[]);
    backup.outcome.assert_ok();
    assert_eq!(backup.target.manifest()["endpoint"], fresh.endpoint(), "{}", backup.outcome);
}

#[test]
fn a_long_member_list_fails_no_backup() {
    let members: Vec<_> = (1..=20_000)
        .map(|id| json!({ "ID": id.to_string(), "name": format!("m{id}"), "peerURLs": ["http://h:2380"] }))
        .collect();
    let list = json!({ "header": { "cluster_id": "7438200942389488494", "member_id": "2" }, "members": members });
    let long = member(2).on("/v3/cluster/member/list", Response::json(200, &list));
    let gateway = Gateway::start(long);
    let backup = back_up(&endpoints(&[&gateway]), &["proof=off"]);
    backup.outcome.assert_ok();
    backup.target.assert_whole_backup();
    assert_eq!(backup.target.manifest()["members"], serde_json::Value::Null);
    // The pages have their own, and it is not too long.
    let backup = back_up(&endpoints(&[&gateway]), &[]);
    assert_eq!(backup.target.manifest()["members"][0]["name"], "node1");
}

#[test]
fn endpoints_of_two_clusters_are_an_error() {
    let ours = Gateway::start(member(1));
    let theirs = Gateway::start(member(2).of_another_cluster());
    let BackedUp { outcome, target } = back_up(&endpoints(&[&ours, &theirs]), &[]);
    outcome.assert_failed(ErrorKind::Other, &[&ours.endpoint(), &theirs.endpoint(), "cluster"]);
    target.assert_nothing_left();
    assert_eq!(snapshots(&ours) + snapshots(&theirs), 0);
}

#[test]
fn a_snapshot_that_does_not_start_is_taken_elsewhere() {
    let broken = member(2).snapshot(Response::refusal(V2, 500, 2, "disk on fire"));
    let (broken, healthy) = (Gateway::start(broken), Gateway::start(member(1)));
    let backup = back_up(&endpoints(&[&broken, &healthy]), &[]);
    assert_backed_up_from(&healthy, &backup);
    let rejected = &backup.target.manifest()["endpoints_rejected"];
    assert_eq!(rejected[0]["endpoint"], broken.endpoint());
    assert!(rejected[0]["reason"].to_string().contains("disk on fire"), "{rejected}");
}

/// Bytes of two members must never end up in one dump.
#[test]
fn a_snapshot_that_breaks_after_its_first_byte_is_taken_nowhere_else() {
    // More than the connector gathers before it hands out anything.
    let mut body = Stream::of(&database(1000)).body();
    body.truncate(body.len() / 2);
    let cut = Gateway::start(member(2).snapshot(Response::stream(body).then_cut()));
    let healthy = Gateway::start(member(1));
    let BackedUp { outcome, target } = back_up(&endpoints(&[&cut, &healthy]), &[]);
    outcome.assert_failed(ErrorKind::Interrupted, &[&cut.endpoint(), "snapshot"]);
    target.assert_nothing_left();
    assert_eq!(snapshots(&healthy), 0);
}

#[test]
fn a_missing_permission_is_not_tried_around() {
    let denied = member(2).snapshot(Response::refusal(V2, 403, 7, "etcdserver: permission denied"));
    let (denied, other) = (Gateway::start(denied), Gateway::start(member(1)));
    let BackedUp { outcome, target } = back_up(&endpoints(&[&denied, &other]), &[]);
    outcome.assert_failed(ErrorKind::PermissionDenied, &[&denied.endpoint()]);
    target.assert_nothing_left();
    assert_eq!(snapshots(&other), 0);
}

#[test]
fn if_no_endpoint_is_left_the_reason_of_each_is_reported() {
    let page = Response::new(200, "text/html", "<html>");
    let odd = Gateway::start(member(2).on("/v3/maintenance/status", page));
    let dead = format!("127.0.0.1:{}", free_port());
    let BackedUp { outcome, target } = back_up(&[odd.endpoint(), dead.clone()], &[]);
    assert_ne!(outcome.code, 0);
    for words in [odd.endpoint().as_str(), "text/html", dead.as_str(), "refused"] {
        assert!(outcome.says(words), "it does not say `{words}`: {outcome}");
    }
    target.assert_nothing_left();
}

/// A member that wants a login, and gives this token for it.
fn guarded(id: u64, token: &str) -> Member {
    member(id).on(
        "/v3/auth/authenticate",
        Response::json(200, &json!({ "header": { "revision": "2" }, "token": token })),
    )
}

#[test]
fn a_token_never_travels_to_another_endpoint() {
    let first = guarded(2, "token-of-2.1").snapshot(Response::refusal(V2, 500, 2, "disk on fire"));
    let (first, second) = (Gateway::start(first), Gateway::start(guarded(1, "token-of-1.1")));
    let secret = Target::new();
    std::fs::write(secret.path(), "hunter2\n").expect("written");
    let password = format!("password_file={}", secret.argument());
    let backup = back_up(&endpoints(&[&first, &second]), &["username=root", &password]);
    assert_backed_up_from(&second, &backup);
    for (gateway, token) in [(&first, "token-of-2.1"), (&second, "token-of-1.1")] {
        let snapshot =
            gateway.requests().into_iter().find(|r| r.path == SNAPSHOT).expect("it was asked");
        // Raw: `Bearer` is understood by the newest versions only.
        assert_eq!(snapshot.header("authorization"), Some(token));
        for request in gateway.requests() {
            let sent = request.header("authorization");
            assert!(sent.is_none_or(|sent| sent == token), "{sent:?} went to another endpoint");
            let reported = String::from_utf8_lossy(&request.body).contains("hunter2");
            assert_eq!(reported, request.path == "/v3/auth/authenticate", "{}", request.path);
        }
    }
    for word in ["hunter2", "token-of"] {
        assert!(!backup.outcome.says(word), "{}", backup.outcome);
        assert!(!backup.target.manifest().to_string().contains(word));
        assert!(!backup.target.guide().contains(word));
    }
}
