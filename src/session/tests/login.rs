//! Logins and tokens.

use super::*;

/// Over gRPC a client certificate is a login: if it is not root's, the response is
/// `permission denied` where the status requires root.
#[test]
fn a_login_is_tried_if_it_could_permit_the_status() {
    for transport in BOTH {
        for (code, message) in [
            (7, "etcdserver: permission denied"),
            (3, "etcdserver: user name is empty"),
            (16, "etcdserver: invalid auth token"),
            (9, "etcdserver: user name not found"),
        ] {
            let network = Scripted::default();
            member(&network, "a", transport, 2);
            let paths = transport.paths();
            network.reply("a", paths.login, transport.token("a-token"));
            let message = message.to_string();
            network.on("a", paths.status, move |request| {
                let has_token = request.headers.iter().any(|(_, value)| value == "a-token");
                Ok(if has_token {
                    transport.status(&troubled(2, &["memberID:2 alarm:CORRUPT "])).over(1)
                } else {
                    transport.refusal(code, &message)
                })
            });
            let asked = options(&transport.to_string(), "a", &LOGIN);
            refused(backed_up(&network, &asked), ErrorKind::Corrupt, &["CORRUPT"]);
            assert_eq!(network.count("a", paths.login), 1);
        }
    }
}

#[test]
fn a_status_that_a_login_does_not_permit_is_not_requested_a_third_time() {
    let network = Scripted::default();
    member(&network, "a", Transport::Grpc, 2);
    network.reply("a", GRPC.login, Transport::Grpc.token("a-token"));
    network.reply("a", GRPC.status, Transport::Grpc.refusal(7, "etcdserver: permission denied"));
    let manifest = backed_up(&network, &options("grpc", "a", &LOGIN)).expect("a backup");
    assert_eq!(network.count("a", GRPC.status), 3, "twice before, and once after");
    assert_eq!(network.count("a", GRPC.login), 1);
    assert_eq!(manifest["member"], json!({ "id": "2", "name": "m2", "role": "unknown" }));
    assert_eq!(manifest["cluster_id"], "1", "the member list has it");
    assert_eq!(manifest["auth_enabled"], true);
    assert!(warned(&manifest, "role and revision are unknown"), "{manifest}");
}

/// What the first probe did not return is filled in, and checked, later.
#[test]
fn a_status_that_is_permitted_later_is_checked_too() {
    for (errors, kind) in
        [(&["memberID:2 alarm:CORRUPT "][..], Some(ErrorKind::Corrupt)), (&[], None)]
    {
        let network = Scripted::default();
        member(&network, "a", Transport::Grpc, 2);
        let denied = Transport::Grpc.refusal(7, "etcdserver: permission denied");
        let opened = Transport::Grpc.status(&troubled(2, errors)).over(1);
        network.turns("a", GRPC.status, vec![denied, opened]);
        let outcome = back_up(&network, Transport::Grpc, "a");
        match kind {
            Some(kind) => refused(outcome, kind, &["CORRUPT"]),
            None => assert_eq!(outcome.expect("a backup")["revision"]["after"], 42),
        }
    }
}

#[test]
fn a_login_is_tried_if_it_could_permit_the_snapshot() {
    for (code, message) in [
        (7, "etcdserver: permission denied"),
        (2, "auth: user not found"),
        (16, "etcdserver: invalid auth token"),
    ] {
        let network = Scripted::default();
        member(&network, "a", Transport::Grpc, 2);
        // Authentication was switched on after the first login.
        let off = Transport::Grpc.refusal(9, "etcdserver: authentication is not enabled");
        network.turns("a", GRPC.login, vec![off, Transport::Grpc.token("a-token")]);
        let message = message.to_string();
        network.on("a", GRPC.snapshot, move |request| {
            let has_token = request.headers.iter().any(|(_, value)| value == "a-token");
            Ok(if has_token {
                Transport::Grpc.snapshot().over(1)
            } else {
                Transport::Grpc.refusal(code, &message)
            })
        });
        let manifest = backed_up(&network, &options("grpc", "a", &LOGIN)).expect("a backup");
        assert_eq!(manifest["auth_enabled"], true);
        assert_eq!(network.count("a", GRPC.snapshot), 2);
    }
}

#[test]
fn a_refusal_instead_of_the_first_message_is_reported_as_a_refusal() {
    for (code, message, kind) in [
        ("4", "stream timeout", ErrorKind::Interrupted),
        ("7", "etcdserver: permission denied", ErrorKind::PermissionDenied),
        ("14", "no healthy upstream", ErrorKind::Interrupted),
    ] {
        let network = Scripted::default();
        member(&network, "a", Transport::Grpc, 2);
        network.reply("a", GRPC.snapshot, Reply::grpc_refusal_in_trailers(code, message));
        refused(back_up(&network, Transport::Grpc, "a"), kind, &["`a:2379`: snapshot: "]);
    }
    let network = Scripted::default();
    member(&network, "a", Transport::Grpc, 2);
    network.reply("a", GRPC.login, Transport::Grpc.token("a-token"));
    let refusal = Reply::grpc_refusal_in_trailers("16", "etcdserver: invalid auth token");
    network.turns("a", GRPC.snapshot, vec![refusal, Transport::Grpc.snapshot().over(1)]);
    assert!(backed_up(&network, &options("grpc", "a", &LOGIN)).is_ok(), "it logs in again");
}

#[test]
fn a_token_that_one_member_refuses_concerns_only_that_member() {
    for transport in BOTH {
        let network = Scripted::default();
        for (host, id) in [("a", 2), ("b", 3)] {
            member(&network, host, transport, id);
            network.reply(host, transport.paths().login, transport.token(&format!("token-{host}")));
        }
        let refusal = transport.refusal(16, "etcdserver: invalid auth token");
        network.reply("a", transport.paths().snapshot, refusal);
        let asked = options(&transport.to_string(), "a,b", &LOGIN);
        let manifest = backed_up(&network, &asked).expect("a backup from the other one");
        assert_eq!(manifest["endpoint"], "b:2379");
        assert_eq!(network.count("a", transport.paths().snapshot), 2, "once more with a new token");
    }
}

#[test]
fn if_every_member_would_refuse_only_one_is_asked() {
    for (code, message, kind) in [
        (7, "etcdserver: permission denied", ErrorKind::PermissionDenied),
        (2, "auth: user name is empty", ErrorKind::Unauthenticated),
        (2, "auth: user not found", ErrorKind::Unauthenticated),
    ] {
        let network = Scripted::default();
        for (host, id) in [("a", 2), ("b", 3)] {
            member(&network, host, Transport::Grpc, id);
            network.reply(host, GRPC.snapshot, Transport::Grpc.refusal(code, message));
        }
        refused(back_up(&network, Transport::Grpc, "a,b"), kind, &["`a:2379`: snapshot: "]);
        assert_eq!(network.count("b", GRPC.snapshot), 0);
        refused(ping(&network, Transport::Grpc, &[]), kind, &["`a:2379`: snapshot: "]);
    }
}

#[test]
fn a_token_that_expires_during_the_snapshot_costs_one_more_login() {
    let network = Scripted::default();
    member(&network, "a", Transport::Grpc, 2);
    let tokens = ["one", "two"].map(|token| Transport::Grpc.token(token));
    network.turns("a", GRPC.login, tokens.to_vec());
    let snapshots = network.clone();
    network.on("a", GRPC.status, move |request| {
        let alive = if snapshots.count("a", GRPC.snapshot) == 0 { "one" } else { "two" };
        let token = request.headers.iter().find(|(name, _)| *name == "token");
        Ok(match token {
            Some((_, token)) if token != alive => {
                Transport::Grpc.refusal(16, "etcdserver: invalid auth token")
            }
            _ => Transport::Grpc.status(&status(2)).over(1),
        })
    });
    let manifest = backed_up(&network, &options("grpc", "a", &LOGIN)).expect("a backup");
    assert_eq!(manifest["revision"]["after"], 42);
    assert_eq!(network.count("a", GRPC.login), 2);
}

#[test]
fn a_token_that_etcd_would_not_issue_is_not_sent_back() {
    for transport in BOTH {
        let network = Scripted::default();
        member(&network, "a", transport, 2);
        network.reply("a", transport.paths().login, transport.token("two\nlines"));
        let asked = options(&transport.to_string(), "a", &LOGIN);
        refused(backed_up(&network, &asked), ErrorKind::Corrupt, &["login: ", "the token"]);
    }
}

/// Over gRPC and TLS a client certificate may have been the login; the pages know.
#[test]
fn whether_a_login_was_needed_is_recorded_if_it_is_known() {
    for (transport, tls, login, needed) in [
        (Transport::Grpc, false, false, json!(false)),
        (Transport::Gateway, false, false, json!(false)),
        (Transport::Gateway, true, false, json!(false)),
        (Transport::Grpc, true, false, json!(null)),
        (Transport::Grpc, true, true, json!(true)),
        (Transport::Gateway, false, true, json!(true)),
    ] {
        let network = Scripted::default();
        member(&network, "a", transport, 2);
        network.reply("a", transport.paths().login, transport.token("a-token"));
        let more = if login { &LOGIN[..] } else { &[] };
        let mut asked = options(&transport.to_string(), "a", more);
        asked.endpoints[0].tls = tls;
        let manifest = backed_up(&network, &asked).expect("a backup");
        assert_eq!(manifest["auth_enabled"], login, "the pages say that it is off");
        asked.checks.proof_memory = None;
        let manifest = backed_up(&network, &asked).expect("a backup");
        assert_eq!(manifest["auth_enabled"], needed, "{transport}, TLS {tls}, login {login}");
    }
}
