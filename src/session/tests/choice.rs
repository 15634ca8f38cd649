//! The choice of the member and of the transport.

use super::*;

#[test]
fn an_endpoint_of_several_members_is_left_for_the_next_one() {
    let network = Scripted::default();
    member(&network, "a", Transport::Grpc, 2);
    member(&network, "b", Transport::Grpc, 5);
    let turns = [2, 3].map(|id| Transport::Grpc.status(&status(id)).over(1));
    network.turns("a", GRPC.status, turns.to_vec());
    let manifest = back_up(&network, Transport::Grpc, "a,b").expect("a backup");
    assert_eq!(manifest["endpoint"], "b:2379");
    assert!(manifest["endpoints_rejected"].to_string().contains("is of member 3 now"));
}

#[test]
fn ping_begins_a_snapshot_and_reads_only_its_beginning() {
    for transport in BOTH {
        let network = Scripted::default();
        member(&network, "a", transport, 2);
        ping(&network, transport, &[]).expect("a yes");
        assert_eq!(network.count("a", transport.paths().snapshot), 1);
        for (reply, kind) in [
            (transport.refusal(7, "etcdserver: permission denied"), ErrorKind::PermissionDenied),
            (transport.refusal(3, "etcdserver: user name is empty"), ErrorKind::Unauthenticated),
            (Reply::page(502), ErrorKind::Unreachable),
        ] {
            network.reply("a", transport.paths().snapshot, reply);
            refused(ping(&network, transport, &[]), kind, &["`a:2379`: snapshot: "]);
        }
        network.on("a", transport.paths().snapshot, |_| Err::<Reply, _>(NetworkError::ReadTimeout));
        refused(ping(&network, transport, &[]), ErrorKind::TimedOut, &["`stall_timeout`"]);
    }
}

#[test]
fn if_grpc_does_not_work_the_gateway_is_used() {
    let no_ways = [
        Err(NetworkError::Protocol("protocol error".into())),
        Err(NetworkError::Cut("reset".into())),
        Err(NetworkError::Tls(format!("{NO_HTTP2}; use another port"))),
        Ok(Reply::page(404)),
        Ok(Reply::page(200)),
    ];
    for no_way in no_ways {
        let network = Scripted::default();
        member(&network, "a", Transport::Gateway, 2);
        let response = no_way.clone();
        network.on("a", GRPC.status, move |_| response.clone());
        let manifest = backed_up(&network, &options("auto", "a", &[])).expect("a backup");
        assert_eq!(manifest["transport"], "gateway");
        // With `transport=grpc` gRPC is used, or an error says why not.
        let error = backed_up(&network, &options("grpc", "a", &[])).expect_err("no way");
        assert!(error.to_string().contains("`transport=gateway`"), "{error}");
    }
}

#[test]
fn a_failure_that_is_not_a_missing_http2_does_not_lead_to_the_gateway() {
    for (response, kind) in [
        (Ok(Reply::page(502)), ErrorKind::Unreachable),
        (Ok(Reply::page(503)), ErrorKind::Unreachable),
        (Ok(Reply::page(429)), ErrorKind::Unreachable),
        (Ok(Reply::page(504)), ErrorKind::TimedOut),
        (Ok(Reply::page(408)), ErrorKind::TimedOut),
        (Ok(Reply::page(401)), ErrorKind::Unauthenticated),
        (Ok(Reply::page(403)), ErrorKind::PermissionDenied),
        (Ok(Reply::grpc_refusal("12", "unknown service")), ErrorKind::Unsupported),
        (Ok(Reply::grpc_refusal("16", "Jwt is missing")), ErrorKind::Unauthenticated),
        (Ok(Reply::grpc_refusal("7", "RBAC: access denied")), ErrorKind::PermissionDenied),
        (Err(NetworkError::Refused), ErrorKind::Unreachable),
        (Err(NetworkError::ReadTimeout), ErrorKind::TimedOut),
        (Err(NetworkError::Tls("tls: expired; renew it".into())), ErrorKind::Unreachable),
    ] {
        let network = Scripted::default();
        member(&network, "a", Transport::Gateway, 2);
        network.on("a", GRPC.status, move |_| response.clone());
        refused(backed_up(&network, &options("auto", "a", &[])), kind, &["`a:2379`: probe: "]);
        assert_eq!(network.count("a", GATEWAY.status), 0);
    }
}

#[test]
fn if_both_transports_fail_both_reasons_are_reported() {
    let network = Scripted::default();
    network.on("a", GRPC.status, |_| Err::<Reply, _>(NetworkError::Protocol("frame".into())));
    network.on("a", GATEWAY.status, |_| Err::<Reply, _>(NetworkError::Cut("reset".into())));
    let auto = options("auto", "a", &[]);
    let words = [
        "neither",
        "gRPC: the server does not speak HTTP/2 (frame), gateway: the connection was closed \
            (reset)",
    ];
    refused(backed_up(&network, &auto), ErrorKind::Unreachable, &words);
    // Neither reason recommends the transport that has failed.
    let error = backed_up(&network, &auto).expect_err("no way").to_string();
    assert!(
        error.ends_with(
            "; check that this is etcd's client port, whether it uses TLS, and what is in between"
        ),
        "{error}"
    );
    network.reply("a", GRPC.status, Reply::page(404));
    let error = backed_up(&network, &auto).expect_err("no way").to_string();
    assert!(
        error.contains("gRPC: the response is not gRPC") && !error.contains("`transport="),
        "{error}"
    );
    network.on("a", GRPC.status, |_| Err::<Reply, _>(NetworkError::Protocol("frame".into())));
    // If there was a response, it says more.
    network.reply("a", GATEWAY.status, Reply::page(502));
    let words = ["gateway: a proxy", "gRPC: the server", "; check that etcd is running behind it"];
    refused(backed_up(&network, &auto), ErrorKind::Unreachable, &words);
    // What can be fixed comes first.
    network.reply("a", GATEWAY.status, Reply::page(401));
    let words =
        ["neither", "gateway: a proxy", "gRPC: the server", "; connect to the member itself"];
    refused(backed_up(&network, &auto), ErrorKind::Unauthenticated, &words);
    // If etcd itself responds, the transport works.
    let guarded = Transport::Gateway.refusal(3, "etcdserver: user name is empty");
    network.reply("a", GATEWAY.status, guarded);
    let error = backed_up(&network, &auto).expect_err("a login is wanted");
    assert_eq!(error.kind, ErrorKind::Unauthenticated);
    assert!(!error.to_string().contains("gRPC"), "{error}");
}

#[test]
fn of_several_endpoints_the_reason_that_can_be_fixed_comes_first() {
    let network = Scripted::default();
    network.on("a", GRPC.status, |_| Err::<Reply, _>(NetworkError::Refused));
    network.reply("b", GRPC.status, Transport::Grpc.refusal(3, "etcdserver: user name is empty"));
    let words = [
        "`b:2379`: this cluster requires a login, `a:2379`: connection refused",
        "; set `username` and `password_file`",
    ];
    refused(back_up(&network, Transport::Grpc, "a,b"), ErrorKind::Unauthenticated, &words);
}

#[test]
fn a_refused_snapshot_is_reported_and_the_next_member_is_used() {
    for (reply, kind, words) in [
        (Reply::page(504), ErrorKind::TimedOut, "proxy"),
        (Reply::grpc_refusal("13", "disk on fire"), ErrorKind::Other, "INTERNAL"),
        (Reply::page(404), ErrorKind::Unsupported, "not gRPC"),
    ] {
        let network = Scripted::default();
        member(&network, "a", Transport::Grpc, 2);
        network.reply("a", GRPC.snapshot, reply);
        refused(back_up(&network, Transport::Grpc, "a"), kind, &["`a:2379`: snapshot: ", words]);
        member(&network, "b", Transport::Grpc, 3);
        let manifest = back_up(&network, Transport::Grpc, "a,b").expect("a backup");
        assert_eq!(manifest["endpoint"], "b:2379");
    }
}

#[test]
fn a_warning_says_that_another_member_is_tried_if_there_is_one() {
    for (endpoints, tried) in [("a,b", 1), ("a", 0)] {
        let network = Scripted::default();
        member(&network, "a", Transport::Grpc, 2);
        member(&network, "b", Transport::Grpc, 3);
        network.reply("a", GRPC.snapshot, Transport::Grpc.refusal(13, "disk on fire"));
        let warn = |line: &str| LINES.with_borrow_mut(|reported| reported.push(line.into()));
        let options = options("grpc", endpoints, &[]);
        let ping = Session::new(network, options, warn).ping();
        assert_eq!(ping.is_ok(), tried == 1);
        let reported = LINES.take();
        let lines = reported.iter().filter(|line| line.ends_with("; trying the next member"));
        assert_eq!(lines.count(), tried, "{reported:?}");
    }
}
