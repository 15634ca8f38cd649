//! What is recorded of a member, and what is trusted.

use super::*;

#[test]
fn a_healthy_member_is_recorded_as_it_is() {
    for transport in BOTH {
        let network = Scripted::default();
        member(&network, "a", transport, 2);
        let manifest = back_up(&network, transport, "a").expect("a backup");
        assert_eq!(manifest["member"], json!({ "id": "2", "name": "m2", "role": "follower" }));
        assert_eq!(manifest["cluster_id"], "1");
        assert_eq!(manifest["choice"], "follower, the only usable member");
        assert_eq!(manifest["revision"], json!({ "before": 42, "after": 42, "exact": 42 }));
        assert_eq!(manifest["raft"], json!({ "term": 3, "applied_index": 100 }));
        assert_eq!(manifest["transport"], transport.to_string());
        assert_eq!(manifest["etcd_version"], "3.6.14");
        for none in ["alarms", "warnings", "status_errors", "endpoints_rejected"] {
            assert_eq!(manifest[none], json!([]), "{none}");
        }
        assert!(ping(&network, transport, &[]).is_ok());
    }
}

/// The corruption exists before the alarm is raised.
#[test]
fn a_corrupt_alarm_of_its_own_fails_the_backup_whenever_it_is_reported() {
    for transport in BOTH {
        for first in [0, 1, 5] {
            let network = Scripted::default();
            member(&network, "a", transport, 2);
            let well = transport.status(&status(2)).over(1);
            let mut turns = vec![well; first];
            turns.push(transport.status(&troubled(2, &["memberID:2  alarm:CORRUPT"])).over(1));
            network.turns("a", transport.paths().status, turns);
            refused(back_up(&network, transport, "a"), ErrorKind::Corrupt, &["CORRUPT", "replace"]);
        }
        // Only after the snapshot: all earlier responses are healthy.
        let network = Scripted::default();
        member(&network, "a", transport, 2);
        let begun = std::rc::Rc::new(std::cell::Cell::new(false));
        let (begins, asked) = (begun.clone(), begun);
        network.on("a", transport.paths().snapshot, move |_| {
            begins.set(true);
            Ok(transport.snapshot().over(1))
        });
        network.on("a", transport.paths().status, move |_| {
            let errors: &[&str] = if asked.get() { &["memberID:2 alarm:CORRUPT "] } else { &[] };
            Ok(transport.status(&troubled(2, errors)).over(1))
        });
        refused(back_up(&network, transport, "a"), ErrorKind::Corrupt, &["CORRUPT"]);
    }
}

#[test]
fn errors_listed_before_or_after_the_snapshot_are_recorded_and_reported() {
    for transport in BOTH {
        let network = Scripted::default();
        member(&network, "a", transport, 2);
        let before = troubled(2, &["memberID:7 alarm:CORRUPT ", "disk is slow"]);
        let after = troubled(2, &["alarm:CORRUPT ", "memberID:2 alarm:NOSPACE ", "disk is slow"]);
        let mut turns = vec![transport.status(&before).over(1); 1 + again(transport)];
        turns.push(transport.status(&after).over(1));
        network.turns("a", transport.paths().status, turns);
        let manifest = back_up(&network, transport, "a").expect("a backup");
        assert_eq!(
            manifest["alarms"],
            json!([{ "member_id": "7", "alarm": "CORRUPT" }, { "member_id": "0", "alarm": "CORRUPT" },
                   { "member_id": "2", "alarm": "NOSPACE" }])
        );
        assert_eq!(manifest["status_errors"], json!(["disk is slow"]));
        for words in ["for member 7", "whole cluster", "read-only", "`disk is slow`"] {
            assert!(warned(&manifest, words), "{manifest}");
        }
        assert_eq!(manifest["warnings"].as_array().map(Vec::len), Some(4), "none twice");
    }
}

#[test]
fn a_leader_that_is_lost_meanwhile_gives_a_warning() {
    let network = Scripted::default();
    member(&network, "a", Transport::Grpc, 2);
    let lost = Status { leader: 0, ..troubled(2, &["etcdserver: no leader"]) };
    let mut turns = vec![Transport::Grpc.status(&status(2)).over(1); 1 + again(Transport::Grpc)];
    turns.push(Transport::Grpc.status(&lost).over(1));
    network.turns("a", GRPC.status, turns);
    let manifest = back_up(&network, Transport::Grpc, "a").expect("a backup");
    assert!(warned(&manifest, "has no leader"), "{manifest}");
    assert_eq!(manifest["status_errors"], json!([]));
    assert_eq!(manifest["member"]["role"], "follower", "that is what it was");
}

#[test]
fn a_snapshot_on_a_separate_connection_is_proven_but_its_member_unknown() {
    for transport in BOTH {
        let network = Scripted::default();
        member(&network, "a", transport, 2);
        network.reply("a", transport.paths().snapshot, transport.snapshot().over(2));
        let manifest = back_up(&network, transport, "a").expect("a backup");
        assert_eq!(manifest["member"], Value::Null);
        assert_eq!(manifest["choice"], Value::Null);
        assert_eq!(manifest["revision"], json!({ "before": null, "after": null, "exact": 42 }));
        assert_eq!(manifest["raft"], json!({ "term": null, "applied_index": null }));
        assert_eq!(manifest["cluster_id"], "1", "all that responded are of it");
        assert!(warned(&manifest, "it is unknown which member responds here"), "{manifest}");
        assert!(ping(&network, transport, &[]).is_ok());
    }
}

/// A proxy may pass a call to another member by the call's name: then all other
/// responses are one member's, and the snapshot is another's.
#[test]
fn a_snapshot_that_a_proxy_passed_on_is_of_an_unknown_member() {
    for transport in BOTH {
        for name in ["server", "Via", "x-envoy-upstream-service-time"] {
            let network = Scripted::default();
            member(&network, "a", transport, 2);
            let mut passed_on = transport.snapshot().over(1);
            passed_on.head.headers.push((name.into(), b"proxy/1.0".to_vec()));
            network.reply("a", transport.paths().snapshot, passed_on);
            let manifest = back_up(&network, transport, "a").expect("a backup");
            assert_eq!(manifest["member"]["id"], "2", "there is but one");

            let members = [2, 3].map(|id| Member { id, ..Member::default() });
            let list = transport.members(Some(header(2)), &members).over(1);
            network.reply("a", transport.paths().members, list);
            let manifest = back_up(&network, transport, "a").expect("a backup");
            assert_eq!(manifest["member"], Value::Null, "{name}");
            assert!(warned(&manifest, "an HTTP proxy is in between"), "{manifest}");
            assert!(ping(&network, transport, &[]).is_ok());
        }
    }
}

#[test]
fn a_snapshot_of_another_size_is_of_an_unknown_member() {
    // The sizes that the member reported before and after; the snapshot has 1536 bytes.
    for (before, after, is_known) in [
        (0, 0, true),
        (1536, 1536, true),
        (1000, 1000, false),
        (2000, 2000, false),
        (1000, 2000, true),
        (1536, 0, true),
        (0, 1536, true),
        (1537, 2000, false),
        (1000, 1535, false),
        (1537, 0, false),
        // It was defragmented meanwhile.
        (4096, 512, true),
    ] {
        for transport in BOTH {
            let network = Scripted::default();
            member(&network, "a", transport, 2);
            let asked = network.clone();
            network.on("a", transport.paths().status, move |_| {
                let begun = asked.count("a", transport.paths().snapshot) > 0;
                let db_size = if begun { after } else { before };
                Ok(transport.status(&Status { db_size, ..status(2) }).over(1))
            });
            let manifest = back_up(&network, transport, "a").expect("a backup");
            assert_eq!(manifest["member"].is_object(), is_known, "{before} {after}");
            assert_eq!(warned(&manifest, "does not have the size"), !is_known, "{manifest}");
        }
    }
}

/// A member that lags or is partitioned receives an alarm later than the others.
#[test]
fn what_another_member_reports_of_a_member_is_used() {
    for transport in BOTH {
        let network = Scripted::default();
        member(&network, "a", transport, 2);
        member(&network, "b", transport, 3);
        let reported = ["memberID:2 alarm:CORRUPT ", "alarm:CORRUPT ", "memberID:2 alarm:NOSPACE "];
        network.reply(
            "b",
            transport.paths().status,
            transport.status(&troubled(3, &reported)).over(1),
        );
        let manifest = back_up(&network, transport, "a,b").expect("a backup of the other one");
        assert_eq!(manifest["endpoint"], "b:2379");
        let rejected = manifest["endpoints_rejected"].to_string();
        assert!(rejected.contains("a:2379") && rejected.contains("CORRUPT"), "{rejected}");
        // Its snapshot fails.
        network.reply("b", transport.paths().snapshot, transport.refusal(13, "disk on fire"));
        refused(back_up(&network, transport, "a,b"), ErrorKind::Corrupt, &["`a:2379`", "CORRUPT"]);

        // Alarms of the whole cluster, and of a member out of space.
        network.reply("b", transport.paths().snapshot, transport.snapshot().over(1));
        let reported = ["alarm:CORRUPT ", "memberID:3 alarm:NOSPACE "];
        network.reply(
            "b",
            transport.paths().status,
            transport.status(&troubled(3, &reported)).over(1),
        );
        let manifest = back_up(&network, transport, "a,b").expect("a backup");
        assert_eq!(manifest["endpoint"], "a:2379", "it is not out of space");
        assert_eq!(manifest["alarms"].as_array().map(Vec::len), Some(2), "{manifest}");
        assert!(warned(&manifest, "CORRUPT is on for the whole cluster"), "{manifest}");
    }
}

#[test]
fn a_cluster_that_is_reported_corrupt_afterwards_fails_the_backup() {
    for transport in BOTH {
        let network = Scripted::default();
        member(&network, "a", transport, 2);
        let begun = std::rc::Rc::new(std::cell::Cell::new(false));
        let (begins, asked) = (begun.clone(), begun);
        network.on("a", transport.paths().snapshot, move |_| {
            begins.set(true);
            Ok(transport.snapshot().over(1))
        });
        network.on("a", transport.paths().status, move |_| {
            Ok(if asked.get() {
                transport.refusal(15, "etcdserver: corrupt cluster")
            } else {
                transport.status(&status(2)).over(1)
            })
        });
        refused(back_up(&network, transport, "a"), ErrorKind::Corrupt, &["CORRUPT", "HashKV"]);
    }
}

#[test]
fn a_password_over_plain_http_gives_a_warning() {
    for transport in BOTH {
        for (tls, login, is_warned) in
            [(false, &LOGIN[..], true), (true, &LOGIN[..], false), (false, &[], false)]
        {
            let network = Scripted::default();
            member(&network, "a", transport, 2);
            network.reply("a", transport.paths().login, transport.token("a-token"));
            let mut options = options(&transport.to_string(), "a", login);
            options.endpoints[0].tls = tls;
            let manifest = backed_up(&network, &options).expect("a backup");
            assert_eq!(warned(&manifest, "the password is sent over plain HTTP"), is_warned);
        }
    }
}

/// It may have been the corrupt one.
#[test]
fn an_unknown_member_is_not_trusted_while_any_member_is_corrupt() {
    for transport in BOTH {
        let network = Scripted::default();
        member(&network, "a", transport, 2);
        let corrupt = transport.status(&troubled(2, &["memberID:7 alarm:CORRUPT "])).over(1);
        network.reply("a", transport.paths().status, corrupt);
        assert!(back_up(&network, transport, "a").is_ok(), "member 2 sent it, and 7 is corrupt");
        network.reply("a", transport.paths().snapshot, transport.snapshot().over(2));
        let words = ["member 7", "unknown", "`endpoints`"];
        refused(back_up(&network, transport, "a"), ErrorKind::Corrupt, &words);
        refused(ping(&network, transport, &[]), ErrorKind::Corrupt, &words);
    }
}

#[test]
fn a_connection_may_be_identified_after_the_snapshot() {
    let network = Scripted::default();
    member(&network, "a", Transport::Grpc, 2);
    let mut turns = vec![Transport::Grpc.status(&status(2)).over(1); 1 + again(Transport::Grpc)];
    turns.push(Transport::Grpc.status(&status(2)).over(2));
    network.turns("a", GRPC.status, turns);
    network.reply("a", GRPC.snapshot, Transport::Grpc.snapshot().over(2));
    let manifest = back_up(&network, Transport::Grpc, "a").expect("a backup");
    assert_eq!(manifest["member"]["id"], "2");
}

/// `etcd grpc-proxy` lists itself as the only member, and does not report who responds.
#[test]
fn behind_a_grpc_proxy_member_and_members_are_unknown() {
    for transport in BOTH {
        for reported in [None, Some(Header::default())] {
            let network = Scripted::default();
            member(&network, "a", transport, 2);
            let itself = Member { name: "proxy-host".into(), ..Member::default() };
            let list = transport.members(reported, &[itself]).over(1);
            network.reply("a", transport.paths().members, list);
            let manifest = back_up(&network, transport, "a").expect("a backup");
            assert_eq!((&manifest["member"], &manifest["members"]), (&Value::Null, &Value::Null));
            assert!(warned(&manifest, "grpc-proxy"), "{manifest}");
        }
    }
}

#[test]
fn another_member_at_the_same_endpoint_is_detected_by_repeated_requests() {
    for transport in BOTH {
        let again = again(transport);
        for turn in [1, again, again + 1, again + 2, 2 * again + 1] {
            let network = Scripted::default();
            member(&network, "a", transport, 2);
            let mut turns = vec![transport.status(&status(2)).over(1); turn];
            turns.push(transport.status(&status(3)).over(1));
            network.turns("a", transport.paths().status, turns);
            let words = ["is of member 3 now", "of member 2 before", "`endpoints`"];
            refused(back_up(&network, transport, "a"), ErrorKind::Other, &words);
            // Detected before the snapshot, none is wasted; and the next member is used.
            let asked_before = turn < again + 1;
            assert_eq!(network.count("a", transport.paths().snapshot) == 0, asked_before);
        }
    }
}

#[test]
fn a_second_cluster_is_detected_whichever_endpoint_reports_it() {
    let other = Header { cluster_id: 8, ..header(2) };
    let network = Scripted::default();
    member(&network, "a", Transport::Grpc, 2);
    network.reply("a", GRPC.members, Transport::Grpc.members(Some(other), &[]).over(1));
    let words = ["is of cluster 8 now", "of cluster 1 before"];
    refused(back_up(&network, Transport::Grpc, "a"), ErrorKind::Other, &words);

    // A response that names its cluster but not its member.
    let nobody = Header { cluster_id: 8, ..Header::default() };
    network.reply("a", GRPC.members, Transport::Grpc.members(Some(nobody), &[]).over(1));
    refused(back_up(&network, Transport::Grpc, "a"), ErrorKind::Other, &words);

    // A member that cannot be used for other reasons.
    let network = Scripted::default();
    member(&network, "a", Transport::Grpc, 2);
    let corrupt = troubled(3, &["memberID:3 alarm:CORRUPT "]);
    let corrupt = Status { header: Some(Header { cluster_id: 8, ..header(3) }), ..corrupt };
    network.reply("b", GRPC.status, Transport::Grpc.status(&corrupt).over(2));
    let two = ["`a:2379` belongs to cluster 1", "`b:2379` to cluster 8"];
    refused(back_up(&network, Transport::Grpc, "a,b"), ErrorKind::Other, &two);

    // A status that this user is not permitted to read, at an endpoint of another cluster.
    let network = Scripted::default();
    member(&network, "a", Transport::Grpc, 2);
    member(&network, "b", Transport::Grpc, 3);
    let denied = Transport::Grpc.refusal(7, "etcdserver: permission denied");
    network.reply("a", GRPC.snapshot, Transport::Grpc.refusal(13, "disk on fire"));
    network.reply("b", GRPC.status, denied);
    network.reply("b", GRPC.members, Transport::Grpc.members(Some(other), &[]).over(1));
    refused(back_up(&network, Transport::Grpc, "a,b"), ErrorKind::Other, &words);
}

#[test]
fn a_member_that_was_created_again_is_not_the_same() {
    let changed = [
        Status { header: Some(Header { revision: 7, ..header(2) }), ..status(2) },
        Status { header: Some(Header { raft_term: 2, ..header(2) }), ..status(2) },
        Status { raft_applied_index: 5, ..status(2) },
    ];
    for (after, what) in changed.iter().zip(["revision", "raft term", "applied index"]) {
        let network = Scripted::default();
        member(&network, "a", Transport::Grpc, 2);
        let mut turns =
            vec![Transport::Grpc.status(&status(2)).over(1); 1 + again(Transport::Grpc)];
        turns.push(Transport::Grpc.status(after).over(1));
        network.turns("a", GRPC.status, turns);
        let words = [what, "went back"];
        refused(back_up(&network, Transport::Grpc, "a"), ErrorKind::Other, &words);
    }
}

#[test]
fn a_member_list_that_is_too_long_is_left_out_without_an_error() {
    for transport in BOTH {
        let network = Scripted::default();
        member(&network, "a", transport, 2);
        let members: Vec<Member> =
            (1..=20_000).map(|id| Member { id, ..Member::default() }).collect();
        let list = transport.members(Some(header(2)), &members).over(1);
        network.reply("a", transport.paths().members, list);
        let manifest = back_up(&network, transport, "a").expect("a backup");
        assert_eq!(manifest["members"], Value::Null);
        assert_eq!(manifest["member"], json!({ "id": "2", "name": null, "role": "follower" }));
    }
}

#[test]
fn without_a_status_afterwards_the_last_revision_is_unknown() {
    let network = Scripted::default();
    member(&network, "a", Transport::Grpc, 2);
    let asked = network.clone();
    network.on("a", GRPC.status, move |_| match asked.count("a", GRPC.snapshot) {
        0 => Ok(Transport::Grpc.status(&status(2)).over(1)),
        _ => Err(NetworkError::ReadTimeout),
    });
    let manifest = back_up(&network, Transport::Grpc, "a").expect("a backup");
    assert_eq!(manifest["revision"], json!({ "before": 42, "after": null, "exact": 42 }));
    assert_eq!(manifest["member"]["id"], "2");
    assert!(warned(&manifest, "no status after the snapshot"), "{manifest}");
}

/// A status without a member id does not show a role either, and zero is not a
/// number that was reported.
#[test]
fn fields_that_a_status_leaves_out_are_unknown() {
    for transport in BOTH {
        let network = Scripted::default();
        member(&network, "a", transport, 9);
        let silent = Status { header: None, raft_applied_index: 0, ..status(9) };
        network.reply("a", transport.paths().status, transport.status(&silent).over(1));
        let manifest = back_up(&network, transport, "a").expect("a backup");
        let of_the_list = json!({ "id": "9", "name": "m9", "role": "unknown" });
        assert_eq!(manifest["member"], of_the_list);
        assert_eq!(manifest["revision"], json!({ "before": null, "after": null, "exact": 42 }));
        assert_eq!(manifest["raft"], json!({ "term": null, "applied_index": null }));
    }
}

#[test]
fn a_version_is_requested_if_the_status_does_not_report_it() {
    let network = Scripted::default();
    member(&network, "a", Transport::Grpc, 2);
    network.reply("a", GRPC.status, Transport::Grpc.refusal(7, "etcdserver: permission denied"));
    for (reported, version) in [("3.5.28", "3.5.28"), ("3.5\u{1b}[31m", "")] {
        network.json("a", "/version", 200, json!({ "etcdserver": reported }).to_string());
        let manifest = back_up(&network, Transport::Grpc, "a").expect("a backup");
        assert_eq!(manifest["etcd_version"], version);
    }
}

/// Every etcd reports its id; another program in its place may not.
#[test]
fn what_a_status_does_not_report_is_recorded_as_unknown() {
    for transport in BOTH {
        let network = Scripted::default();
        member(&network, "a", transport, 2);
        let nobodys = Status { header: None, raft_applied_index: 0, ..status(2) };
        network.reply("a", transport.paths().status, transport.status(&nobodys).over(1));
        let denied = transport.refusal(7, "etcdserver: permission denied");
        network.reply("a", transport.paths().members, denied);
        let manifest = back_up(&network, transport, "a").expect("a backup");
        assert_eq!(manifest["member"], json!({ "id": null, "name": null, "role": "unknown" }));
        assert_eq!(manifest["revision"], json!({ "before": null, "after": null, "exact": 42 }));
        assert_eq!(manifest["raft"], json!({ "term": null, "applied_index": null }));
        assert_eq!(manifest["cluster_id"], Value::Null);
    }
}
