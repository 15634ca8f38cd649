//! Refusals and streams that arrive in pieces, late or never.

use super::*;

/// Each piece arrives in time, but the response is never complete.
#[test]
fn a_slow_refusal_ends_with_the_run() {
    let network = Scripted::default();
    member(&network, "a", Transport::Gateway, 2);
    network.on("a", GATEWAY.snapshot, |_| {
        let over = std::time::Instant::now() + std::time::Duration::from_millis(30);
        while std::time::Instant::now() < over {
            std::hint::spin_loop();
        }
        Ok((json_head(500), vec![Ok(b" ".to_vec()); 10]))
    });
    let short = options("gateway", "a", &[("max_duration", "20ms")]);
    refused(backed_up(&network, &short), ErrorKind::TimedOut, &["`max_duration`"]);
}

#[test]
fn a_slow_start_is_given_up_for_the_next_member() {
    for (transport, status, what) in [
        (Transport::Gateway, 500, "refusal"),
        (Transport::Gateway, 200, "first message"),
        (Transport::Grpc, 200, "first message"),
    ] {
        let network = Scripted::default();
        member(&network, "a", transport, 2);
        let head = match transport {
            Transport::Gateway => json_head(status),
            Transport::Grpc => transport.snapshot().head,
        };
        // The head of a gRPC message of 4096 bytes, or the white space before JSON.
        let begin: &[u8] =
            if transport == Transport::Grpc { &[0, 0, 0, 16, 0] } else { &[b' '; 1000] };
        network.reply("a", transport.paths().snapshot, Reply::dripping(head, begin));
        let words = [what, "not complete after 80ms", "`stall_timeout`"];
        let short =
            |endpoints| options(&transport.to_string(), endpoints, &[("stall_timeout", "20ms")]);
        refused(backed_up(&network, &short("a")), ErrorKind::TimedOut, &words);
        let ping = Session::new(network.clone(), short("a"), |_| {}).ping();
        refused(ping, ErrorKind::TimedOut, &words);
        member(&network, "b", transport, 3);
        let manifest = backed_up(&network, &short("a,b")).expect("a backup of the other one");
        assert_eq!(manifest["endpoint"], "b:2379");
    }
}

#[test]
fn a_refusal_is_read_only_up_to_the_limit_of_a_response() {
    let network = Scripted::default();
    member(&network, "a", Transport::Gateway, 2);
    let endless = vec![Ok(vec![b'x'; 600 << 10]); 3];
    let then_cut = endless.into_iter().chain([Err(NetworkError::Cut("cut".into()))]).collect();
    network.reply("a", GATEWAY.snapshot, (json_head(500), then_cut).into());
    refused(back_up(&network, Transport::Gateway, "a"), ErrorKind::Other, &["status 500", "xxx…"]);
}

#[test]
fn a_stream_that_a_time_limit_ended_reports_whose_limit() {
    for (limit, kind, words) in [
        ("1h", ErrorKind::Interrupted, "a time limit of etcd or of a proxy ended the stream after"),
        ("30ms", ErrorKind::TimedOut, "`max_duration`"),
    ] {
        let network = Scripted::default();
        member(&network, "a", Transport::Grpc, 2);
        let Reply { head, pieces, .. } = Transport::Grpc.snapshot();
        let ended = Reply::grpc_refusal_in_trailers("4", "stream timeout");
        network.reply(
            "a",
            GRPC.snapshot,
            Reply { trailers: ended.trailers, ..(head, pieces).into() }.over(1),
        );
        let options = options("grpc", "a", &[("max_duration", limit)]);
        refused(backed_up(&network, &options), kind, &[words]);
    }
}

#[test]
fn a_refusal_that_arrives_in_pieces_is_read_whole() {
    let network = Scripted::default();
    member(&network, "a", Transport::Gateway, 2);
    let pieces = [r#"{"code":7,"#, r#""message":"etcdserver: permission denied"}"#];
    let pieces = pieces.map(|piece| Ok(piece.into())).to_vec();
    network.reply("a", GATEWAY.snapshot, (json_head(403), pieces).into());
    let words = ["role `root`"];
    refused(back_up(&network, Transport::Gateway, "a"), ErrorKind::PermissionDenied, &words);
}

/// A caller that continues after a failure gets the same failure.
#[test]
fn a_failed_import_stays_failed() {
    let network = Scripted::default();
    member(&network, "a", Transport::Grpc, 2);
    let mut turns = vec![Transport::Grpc.status(&status(2)).over(1); 1 + again(Transport::Grpc)];
    turns.push(Transport::Grpc.status(&status(3)).over(1));
    turns.push(Transport::Grpc.status(&status(2)).over(1));
    network.turns("a", GRPC.status, turns);
    let mut import = Import::new(network.clone(), options("grpc", "a", &[]), |_| {});
    while let Step::Record(record) = import.advance().expect("a record") {
        let mut size = 0;
        if let Some(mut reader) = record.content {
            while let Some(piece) = reader.read(1 << 20).expect("a dump") {
                size += piece.len() as u64;
            }
            import.acknowledge(record.id, Fate::Stored(size));
            break;
        }
    }
    for _ in 0..2 {
        refused(import.advance(), ErrorKind::Other, &["is of member 3 now"]);
    }
    refused(import.finish(), ErrorKind::Other, &["is of member 3 now"]);
    // What was stored and verified is still known.
    let facts: Vec<_> = import.facts().into_iter().map(|(name, _)| name).collect();
    assert!(facts.contains(&"sha256") && !facts.contains(&"revision"), "{facts:?}");
}

#[test]
fn an_exchange_ends_within_its_limit_and_the_run() {
    for (max_duration, probe, stall) in [("1h", 5, 30), ("2s", 2, 2)] {
        let network = Scripted::default();
        let seen = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        for (path, reply) in [
            (GRPC.status, Transport::Grpc.status(&status(2)).over(1)),
            (GRPC.members, Transport::Grpc.members(Some(header(2)), &[]).over(1)),
            (GRPC.login, Transport::Grpc.token("a-token")),
            (GRPC.snapshot, Transport::Grpc.snapshot().over(1)),
        ] {
            let seen = seen.clone();
            network.on("a", path, move |request| {
                seen.borrow_mut().push((path, request.timeouts));
                Ok(reply.clone())
            });
        }
        let limits = [("max_duration", max_duration), LOGIN[0], LOGIN[1]];
        backed_up(&network, &options("grpc", "a", &limits)).expect("a backup");
        for (path, timeouts) in seen.take() {
            let wait = if path == GRPC.snapshot { stall } else { probe };
            for (limit, expected) in [
                (timeouts.connect, probe),
                (timeouts.first_byte, wait),
                (timeouts.between_bytes, wait),
            ] {
                assert_eq!(limit.as_secs_f64().round() as u64, expected, "{path}: {timeouts:?}");
            }
        }
    }
}
