//! What is said when something other than a stream comes: the kind, the place,
//! and what to do about it.

use crate::attempt::{Attempt, snapshot_is_refused};
use host_tests::backup::Backup;
use host_tests::database::database;
use host_tests::etcd::GatewayStyle::{V1, V2};
use host_tests::etcd::free_port;
use host_tests::gateway::{Gateway, Member, Response, unresponsive_port};
use host_tests::target::Target;
use plakar_connector::ErrorKind;
use serde_json::json;
use std::time::Duration;

const STATUS: &str = "/v3/maintenance/status";

/// A member that sends this response for every call of its API.
fn everywhere(response: &Response) -> Member {
    let paths = [STATUS, "/v3/cluster/member/list", "/v3/maintenance/snapshot"];
    paths
        .into_iter()
        .fold(Member::with(&database(2)), |member, path| member.on(path, response.clone()))
}

/// The response is refused, for the snapshot call and for every call.
#[track_caller]
fn refused(response: Response, kind: ErrorKind, words: &[&str]) {
    Attempt::of(everywhere(&response), &[]).assert_refused(kind, "probe", words);
    snapshot_is_refused(response, kind, words);
}

#[test]
fn a_web_page_is_not_taken_for_a_snapshot() {
    refused(
        Response::new(200, "text/html", "<html>welcome</html>"),
        ErrorKind::Other,
        &["text/html", "proxy"],
    );
}

#[test]
fn a_response_without_a_type_is_not_taken_for_a_snapshot() {
    refused(
        Response::raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
        ErrorKind::Other,
        &["type"],
    );
}

#[test]
fn a_member_without_a_gateway_is_an_error_that_names_the_flag() {
    let off = Response::new(404, "text/plain; charset=utf-8", "404 page not found\n");
    refused(off, ErrorKind::Unsupported, &["no JSON gateway", "`--enable-grpc-gateway=false`"]);
}

#[test]
fn a_server_without_etcds_api_is_named_as_such() {
    let v1 = Response::new(404, "text/plain; charset=utf-8", "Not Found\n");
    refused(v1, ErrorKind::Unsupported, &["no etcd v3 API", "client port"]);
    refused(
        Response::refusal(V2, 404, 5, "Not Found"),
        ErrorKind::Unsupported,
        &["no etcd v3 API"],
    );
}

#[test]
fn a_host_that_is_not_whitelisted_is_an_error_that_names_the_flag() {
    let misdirected = Response::new(421, "text/plain", "misdirected\n");
    refused(misdirected, ErrorKind::PermissionDenied, &["`--host-whitelist`"]);
}

#[test]
fn a_member_that_is_not_available_says_why() {
    for style in [V1, V2] {
        let response = Response::refusal(style, 503, 14, "etcdserver: leader changed");
        refused(response, ErrorKind::Unreachable, &["`etcdserver: leader changed`"]);
    }
}

#[test]
fn a_gateway_that_cannot_reach_its_own_port_is_an_error_that_names_the_certificate() {
    let message = "connection error: desc = \"error reading server preface: remote error: tls: \
        bad certificate\"";
    refused(Response::refusal(V2, 503, 14, message), ErrorKind::Unreachable, &["clientAuth"]);
}

#[test]
fn a_redirect_is_not_followed() {
    for status in [301, 302, 307, 308] {
        let elsewhere = Gateway::start(Member::with(&database(2)));
        let url = format!("http://{}/v3/maintenance/snapshot", elsewhere.endpoint());
        let response = Response::new(status, "text/html", "moved").header("Location", &url);
        refused(response, ErrorKind::Unsupported, &["redirect"]);
        assert!(!elsewhere.was_contacted(), "the redirect was followed");
    }
}

#[test]
fn a_compressed_response_is_not_decoded() {
    let response = Response::new(200, "application/json", [0x1f, 0x8b, 8, 0])
        .header("Content-Encoding", "gzip");
    refused(response, ErrorKind::Unsupported, &["gzip", "proxy"]);
}

#[test]
fn something_that_does_not_speak_http_is_named_as_such() {
    // What etcd's gRPC-only port says to HTTP/1.1: an HTTP/2 settings frame.
    let http_2 = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00".to_vec();
    for bytes in
        [http_2, b"220 mail.example ESMTP\r\n".to_vec(), b"\x15\x03\x01\x00\x02\x02\x28".to_vec()]
    {
        Attempt::of(everywhere(&Response::raw(bytes)), &[]).assert_refused(
            ErrorKind::Unreachable,
            "probe",
            &["client port"],
        );
    }
}

#[test]
fn a_connection_closed_without_a_response_is_reported_as_such() {
    Attempt::of(everywhere(&Response::raw([])), &[]).assert_refused(
        ErrorKind::Unreachable,
        "probe",
        &["TLS"],
    );
}

#[test]
fn an_endless_refusal_is_read_in_bounded_memory() {
    let response = Response::stream("no ").status(500, "text/plain").then_forever([b'x'; 8192]);
    for member in [everywhere(&response), Member::with(&database(2)).snapshot(response)] {
        let attempt =
            Attempt::of(member, &["connect_timeout=3s", "stall_timeout=3s", "max_duration=20s"]);
        assert_ne!(attempt.outcome.code, 0);
        attempt.target.assert_nothing_left();
        assert!(attempt.outcome.elapsed < Duration::from_secs(15), "{}", attempt.outcome);
        assert!(attempt.outcome.peak_memory < 200 << 20, "{} bytes", attempt.outcome.peak_memory);
        assert!(attempt.outcome.stderr.len() < 4096, "the refusal is repeated at length");
    }
}

#[test]
fn an_endless_head_is_refused() {
    let response = Response::raw("HTTP/1.1 200 OK\r\nX: ").then_forever([b'x'; 8192]);
    let attempt = Attempt::of(Member::with(&database(2)).snapshot(response), &[]);
    assert_ne!(attempt.outcome.code, 0);
    attempt.target.assert_nothing_left();
    assert!(attempt.outcome.elapsed < Duration::from_secs(20), "{}", attempt.outcome);
}

#[test]
fn control_characters_of_a_server_do_not_reach_the_terminal() {
    let response = Response::refusal(V2, 500, 2, "a\u{1b}[31mred\u{7}\nsecond line");
    let attempt = Attempt::of(Member::with(&database(2)).snapshot(response), &[]);
    attempt.assert_refused(ErrorKind::Other, "snapshot", &["red"]);
    assert!(
        !attempt.outcome.says("\u{1b}") && !attempt.outcome.says("\u{7}"),
        "{}",
        attempt.outcome
    );
}

#[test]
fn a_missing_login_is_an_error_that_names_the_options_in_every_version() {
    for (style, status, code, message) in
        [(V1, 500, 2, "auth: user name is empty"), (V2, 400, 3, "etcdserver: user name is empty")]
    {
        snapshot_is_refused(
            Response::refusal(style, status, code, message),
            ErrorKind::Unauthenticated,
            &["`username`", "`password_file`"],
        );
    }
    // The same as a stream's error, which is how 3.5 words it.
    let stream = json!({ "error": {
        "grpc_code": 2, "http_code": 500, "message": "auth: user name is empty",
        "http_status": "Internal Server Error",
    }});
    snapshot_is_refused(Response::json(500, &stream), ErrorKind::Unauthenticated, &["`username`"]);
}

#[test]
fn a_missing_permission_is_an_error_that_names_the_role_in_every_version() {
    for (style, status, code, message) in
        [(V1, 500, 2, "auth: permission denied"), (V2, 403, 7, "etcdserver: permission denied")]
    {
        snapshot_is_refused(
            Response::refusal(style, status, code, message),
            ErrorKind::PermissionDenied,
            &["`root`"],
        );
    }
}

/// Tries to back up from a location where no fake listens.
#[track_caller]
fn unreachable(location: &str, options: &[&str], words: &[&str]) {
    let target = Target::new();
    let outcome = Backup::of(location).options(options).to(&target).wait();
    outcome.assert_failed(ErrorKind::Unreachable, words);
    assert!(outcome.elapsed < Duration::from_secs(15), "{outcome}");
    target.assert_nothing_left();
}

#[test]
fn a_port_where_nobody_listens_is_refused_by_name() {
    let port = free_port();
    unreachable(
        &format!("etcd://127.0.0.1:{port}"),
        &[],
        &[&format!("`127.0.0.1:{port}`: probe: connection refused; ")],
    );
}

#[test]
fn a_port_behind_a_firewall_is_given_up_after_connect_timeout() {
    let (port, _held) = unresponsive_port();
    unreachable(
        &format!("etcd://127.0.0.1:{port}"),
        &["connect_timeout=1s"],
        &[&format!("`127.0.0.1:{port}`: probe: "), "1s", "`connect_timeout`"],
    );
}

/// By a routing table that says so in each of its ways, or says nothing.
#[test]
fn an_address_without_a_route_is_reported_as_such() {
    for route in ["unreachable", "prohibit", "blackhole", "none"] {
        let target = Target::new();
        let script = r#"ip link set lo up && { [ "$1" = none ] || ip route add "$1" 192.0.2.0/24; } \
            && shift && exec "$@""#;
        let through = ["--map-root-user", "--net", "sh", "-c", script, "sh", route];
        for transport in ["transport=auto", "transport=gateway"] {
            let outcome = Backup::of("etcd://192.0.2.1")
                .option(transport)
                .option("connect_timeout=2s")
                .to(&target)
                .through("unshare", through)
                .wait();
            let words =
                ["`192.0.2.1:2379`: probe: there is no route to this address; ", "firewalls"];
            outcome.assert_failed(ErrorKind::Unreachable, &words);
            target.assert_nothing_left();
        }
    }
}

#[test]
fn a_name_without_address_is_named_as_such() {
    unreachable("etcd://nonexistent.invalid", &[], &["`nonexistent.invalid:2379`: probe: ", "DNS"]);
}
