//! The same rules over native gRPC: how the bytes are framed, and how a call ends.

use host_tests::backup::{BackedUp, Backup};
use host_tests::database::{PAGE, database, dump};
use host_tests::gateway::{Message, Stream};
use host_tests::grpc::{End, GrpcServer, Snapshot};
use plakar_connector::ErrorKind;
use std::time::Duration;

fn stream() -> Stream {
    Stream::cut_into(&database(12), 2 * PAGE)
}

fn back_up(snapshot: Snapshot, options: &[&str]) -> (GrpcServer, BackedUp) {
    let server = GrpcServer::start(snapshot);
    let backup = Backup::of(server.location()).option("transport=grpc").options(options).run();
    (server, backup)
}

#[track_caller]
fn refused(snapshot: Snapshot, kind: ErrorKind, words: &[&str]) {
    let (server, BackedUp { outcome, target }) = back_up(snapshot, &["stall_timeout=1s"]);
    let place = format!("`{}`: snapshot: ", server.endpoint());
    outcome.assert_failed(kind, &[&place]).assert_failed(kind, words);
    target.assert_nothing_left();
    assert!(outcome.elapsed < Duration::from_secs(10), "{outcome}");
}

/// Breaks a good stream, and has the backup refused.
#[track_caller]
fn broken(kind: ErrorKind, words: &[&str], change: impl FnOnce(&mut Stream)) {
    let mut stream = stream();
    change(&mut stream);
    refused(Snapshot::of(&stream), kind, words);
}

#[test]
fn a_stream_is_read_however_it_is_cut() {
    for message in [1, 511, PAGE, 6 * PAGE] {
        for piece in [1, 5, 1000, 1 << 20] {
            // A byte to a frame for every byte of a message each would take minutes.
            if message * piece == 1 {
                continue;
            }
            // Some ten thousand frames of a few bytes are an attack to the host's HTTP/2,
            // if they come faster than they are read; etcd's hold kilobytes.
            let database = database(if message.min(piece) == 1 { 1 } else { 6 });
            let stream = Stream::cut_into(&database, message).joined_after(200);
            println!("messages of {message} bytes in frames of {piece}");
            let (_, BackedUp { outcome, target }) =
                back_up(Snapshot::of(&stream).in_pieces_of(piece), &[]);
            outcome.assert_ok();
            target.assert_whole_backup();
            assert!(target.dump_bytes() == dump(&database));
            assert_eq!(target.manifest()["transport"], "grpc");
        }
    }
}

#[test]
fn the_rules_of_the_content_hold_here_too() {
    broken(ErrorKind::Corrupt, &["SHA-256"], |stream| stream.digest()[31] ^= 1);
    broken(ErrorKind::Corrupt, &["SHA-256"], |stream| stream.messages[3].blob[100] ^= 0x80);
    broken(ErrorKind::Interrupted, &["digest"], |stream| drop(stream.messages.pop()));
    broken(ErrorKind::Corrupt, &["31 bytes"], |stream| stream.digest().truncate(31));
    broken(ErrorKind::Corrupt, &["33 bytes"], |stream| stream.digest().push(0));
    broken(ErrorKind::Corrupt, &["remaining bytes is wrong"], |stream| {
        drop(stream.messages.remove(2))
    });
    broken(ErrorKind::Corrupt, &["remaining bytes is wrong"], |stream| stream.messages.swap(2, 3));
    broken(ErrorKind::Corrupt, &["digest"], |stream| {
        stream.messages.push(Message { remaining_bytes: 0, blob: vec![0; 32] });
    });
    broken(ErrorKind::Interrupted, &[], |stream| stream.messages.clear());
}

#[test]
fn the_endless_stream_of_a_member_that_cannot_read_its_disk_is_left_at_once() {
    let mut stream = stream();
    stream.messages.truncate(2);
    let endless = Snapshot::empty_message(stream.messages[1].remaining_bytes);
    let snapshot = Snapshot::of(&stream).ending(End::Forever(endless));
    refused(snapshot, ErrorKind::Interrupted, &["cannot read its database"]);
}

/// Every byte came and the digest is right: only the status says whether the
/// call did what it was asked for.
#[test]
fn a_whole_snapshot_without_a_good_status_commits_nothing() {
    for (end, kind, words) in [
        (End::status(13, "disk on fire"), ErrorKind::Interrupted, &["`disk on fire`"][..]),
        (
            End::status(14, "transport is closing"),
            ErrorKind::Interrupted,
            &["transport is closing"],
        ),
        // Another's time limit: ours is an hour.
        (
            End::status(4, "stream timeout"),
            ErrorKind::Interrupted,
            &["time limit", "`stream timeout`"],
        ),
        (End::NoTrailers, ErrorKind::Interrupted, &["status"]),
        (End::Reset, ErrorKind::Interrupted, &[]),
        (End::Cut, ErrorKind::Interrupted, &[]),
        (End::Silence, ErrorKind::TimedOut, &["sent nothing for 1s", "`stall_timeout`"]),
    ] {
        refused(Snapshot::of(&stream()).ending(end), kind, words);
    }
}

#[test]
fn a_stream_that_ends_early_commits_nothing_whatever_its_status() {
    let mut half = stream();
    half.messages.truncate(3);
    for (end, kind) in [
        (End::OK, ErrorKind::Interrupted),
        (End::status(13, "disk on fire"), ErrorKind::Interrupted),
        (End::NoTrailers, ErrorKind::Interrupted),
        (End::Reset, ErrorKind::Interrupted),
        (End::Cut, ErrorKind::Interrupted),
        (End::Silence, ErrorKind::TimedOut),
    ] {
        refused(Snapshot::of(&half).ending(end), kind, &[]);
    }
}

#[test]
fn silence_before_the_first_byte_ends_a_backup_after_stall_timeout() {
    refused(
        Snapshot::with_body(Vec::new()).ending(End::Silence),
        ErrorKind::TimedOut,
        &["sent nothing for 1s"],
    );
}

#[test]
fn a_message_that_breaks_off_commits_nothing() {
    let mut body = Snapshot::of(&stream()).body;
    for cut in [1, 20, 40] {
        body.truncate(body.len() - cut);
        refused(Snapshot::with_body(body.clone()), ErrorKind::Interrupted, &[]);
    }
}

#[test]
fn frames_that_are_none_of_etcds_commit_nothing() {
    let good = Snapshot::of(&stream()).body;
    let mut compressed = good.clone();
    compressed[0] = 1;
    refused(Snapshot::with_body(compressed), ErrorKind::Unsupported, &["compressed"]);
    let gzip = Snapshot::of(&stream()).header("grpc-encoding", "gzip");
    refused(gzip, ErrorKind::Unsupported, &["gzip"]);
    let mut long = good.clone();
    long[1] = 0xFF;
    refused(Snapshot::with_body(long), ErrorKind::Corrupt, &["longer than"]);
    let mut no_protobuf = good;
    no_protobuf[5] = 0xFF;
    refused(Snapshot::with_body(no_protobuf), ErrorKind::Corrupt, &[]);
}

#[test]
fn a_message_of_more_than_a_mebibyte_commits_nothing() {
    let stream = Stream::cut_into(&database(512), 2 << 20);
    refused(Snapshot::of(&stream), ErrorKind::Corrupt, &["longer than"]);
}

#[test]
fn refusals_are_reported_with_their_remedy_in_every_version() {
    for (code, message, kind, words) in [
        (2, "auth: user name is empty", ErrorKind::Unauthenticated, "`username`"),
        (3, "etcdserver: user name is empty", ErrorKind::Unauthenticated, "`username`"),
        (16, "etcdserver: invalid auth token", ErrorKind::Unauthenticated, "token"),
        (2, "auth: permission denied", ErrorKind::PermissionDenied, "`root`"),
        (7, "etcdserver: permission denied", ErrorKind::PermissionDenied, "`root`"),
        (14, "etcdserver: leader changed", ErrorKind::Unreachable, "`etcdserver: leader changed`"),
        (2, "odd%3A %C3%A9%0A", ErrorKind::Other, "odd: é"),
    ] {
        for end in [End::TrailersOnly(code, message), End::status(code, message)] {
            let snapshot = Snapshot::with_body(Vec::new()).ending(end);
            let (server, BackedUp { outcome, target }) = back_up(snapshot, &[]);
            let place = format!("`{}`: snapshot: ", server.endpoint());
            // In the trailers, the stream had begun already.
            if kind == ErrorKind::Unreachable || kind == ErrorKind::Other {
                assert!([kind.exit_code(), 8].contains(&(outcome.code as u8)), "{outcome}");
            } else {
                outcome.assert_failed(kind, &[]);
            }
            assert!(outcome.says(&place) && outcome.says(words), "{outcome}");
            target.assert_nothing_left();
        }
    }
}

#[test]
fn what_a_call_needs_is_in_its_head() {
    let (server, BackedUp { outcome, .. }) =
        back_up(Snapshot::of(&stream()), &["max_duration=90s"]);
    outcome.assert_ok();
    let requests = server.requests();
    let snapshots: Vec<_> = requests
        .iter()
        .filter(|r| r.uri().path() == "/etcdserverpb.Maintenance/Snapshot")
        .collect();
    assert_eq!(snapshots.len(), 1);
    let header = |name| snapshots[0].headers().get(name).and_then(|value| value.to_str().ok());
    assert_eq!(snapshots[0].method(), "POST");
    assert_eq!(header("content-type"), Some("application/grpc"));
    assert_eq!(header("te"), Some("trailers"));
    assert_eq!(header("accept-encoding"), None);
    assert_eq!(header("grpc-accept-encoding"), None, "compression costs the member");
    assert_eq!(header("token"), None);
    let budget = header("grpc-timeout").and_then(|t| t.strip_suffix('m')).expect("milliseconds");
    assert!((60_000..=90_000).contains(&budget.parse().unwrap_or(0)), "{budget}");
    for request in &requests {
        let allowed = [
            "Maintenance/Snapshot",
            "Maintenance/Status",
            "Cluster/MemberList",
            "Maintenance/HashKV",
        ];
        assert!(allowed.iter().any(|call| request.uri().path().ends_with(call)), "{request:?}");
    }
}
