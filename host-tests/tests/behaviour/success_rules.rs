//! A stream that breaks one rule is no backup: the exit code says so, the message
//! says where and why, and nothing is left behind.

use crate::attempt::{Attempt, snapshot_is_refused};
use host_tests::database::{PAGE, database};
use host_tests::etcd::GatewayStyle;
use host_tests::gateway::{Member, Message, Response, Stream, join};
use plakar_connector::ErrorKind;
use std::time::Duration;

/// Six messages of two pages each, and the digest.
fn stream() -> Stream {
    Stream::cut_into(&database(12), 2 * PAGE)
}

/// Breaks a good stream, and has the backup refused.
#[track_caller]
fn broken(kind: ErrorKind, words: &[&str], change: impl FnOnce(&mut Stream)) {
    let mut stream = stream();
    change(&mut stream);
    snapshot_is_refused(Response::stream(stream.body()), kind, words);
}

/// Breaks the text of a good stream, and has the backup refused.
#[track_caller]
fn broken_text(kind: ErrorKind, words: &[&str], change: impl FnOnce(&mut Vec<String>)) {
    let mut lines = stream().lines();
    change(&mut lines);
    snapshot_is_refused(Response::stream(join(&lines)), kind, words);
}

#[test]
fn a_wrong_digest_commits_nothing() {
    broken(ErrorKind::Corrupt, &["SHA-256"], |stream| stream.digest()[31] ^= 1);
}

#[test]
fn a_flipped_bit_commits_nothing() {
    broken(ErrorKind::Corrupt, &["SHA-256"], |stream| stream.messages[3].blob[100] ^= 0x80);
}

#[test]
fn a_stream_without_its_digest_commits_nothing() {
    broken(ErrorKind::Interrupted, &["digest"], |stream| drop(stream.messages.pop()));
}

#[test]
fn a_digest_of_31_bytes_commits_nothing() {
    broken(ErrorKind::Corrupt, &["31 bytes"], |stream| stream.digest().truncate(31));
}

#[test]
fn a_digest_of_33_bytes_commits_nothing() {
    broken(ErrorKind::Corrupt, &["33 bytes"], |stream| stream.digest().push(0));
}

#[test]
fn an_empty_digest_commits_nothing() {
    broken(ErrorKind::Corrupt, &["digest"], |stream| stream.digest().clear());
}

#[test]
fn a_digest_beside_remaining_bytes_commits_nothing() {
    broken(ErrorKind::Corrupt, &["digest"], |stream| stream.messages[6].remaining_bytes = 512);
}

#[test]
fn a_message_after_the_digest_commits_nothing() {
    for blob in [vec![], vec![0; 32], vec![7; PAGE]] {
        broken(ErrorKind::Corrupt, &["digest"], |stream| {
            stream.messages.push(Message { remaining_bytes: 0, blob });
        });
    }
}

#[test]
fn a_second_snapshot_after_the_first_commits_nothing() {
    broken(ErrorKind::Corrupt, &["digest"], |s| s.messages.extend(stream().messages));
}

#[test]
fn garbage_after_the_digest_commits_nothing() {
    for garbage in ["hello", "}", "[]", "null", "\u{0}"] {
        broken_text(ErrorKind::Corrupt, &[], |lines| lines.push(garbage.into()));
    }
}

#[test]
fn a_blob_longer_than_announced_commits_nothing() {
    broken(ErrorKind::Corrupt, &["remaining bytes is wrong"], |stream| {
        stream.messages[2].blob.extend([0; PAGE])
    });
}

#[test]
fn more_bytes_than_announced_commit_nothing() {
    broken(ErrorKind::Corrupt, &["more bytes"], |stream| stream.messages[5].blob.extend([0; PAGE]));
}

#[test]
fn a_blob_shorter_than_announced_commits_nothing() {
    broken(ErrorKind::Corrupt, &["remaining bytes is wrong"], |stream| {
        stream.messages[2].blob.truncate(PAGE)
    });
}

#[test]
fn remaining_bytes_that_rise_commit_nothing() {
    broken(ErrorKind::Corrupt, &["remaining bytes is wrong"], |stream| {
        stream.messages[2].remaining_bytes += 8 * PAGE as u64
    });
}

#[test]
fn remaining_bytes_that_do_not_fall_commit_nothing() {
    broken(ErrorKind::Corrupt, &["remaining bytes is wrong"], |stream| {
        stream.messages[2].remaining_bytes = stream.messages[1].remaining_bytes;
    });
}

#[test]
fn remaining_bytes_that_are_left_out_too_early_commit_nothing() {
    broken(ErrorKind::Corrupt, &["remaining bytes is wrong"], |stream| {
        stream.messages[2].remaining_bytes = 0
    });
}

#[test]
fn a_message_that_is_missing_commits_nothing() {
    broken(ErrorKind::Corrupt, &["remaining bytes is wrong"], |stream| {
        drop(stream.messages.remove(2))
    });
}

#[test]
fn a_message_that_comes_twice_commits_nothing() {
    broken(ErrorKind::Corrupt, &["remaining bytes is wrong"], |stream| {
        let message = stream.messages[2].clone();
        stream.messages.insert(3, message);
    });
}

#[test]
fn messages_in_another_order_commit_nothing() {
    broken(ErrorKind::Corrupt, &["remaining bytes is wrong"], |stream| stream.messages.swap(2, 3));
}

#[test]
fn less_than_the_announced_total_commits_nothing() {
    broken(ErrorKind::Corrupt, &[], |stream| stream.messages[0].remaining_bytes += PAGE as u64);
}

#[test]
fn an_impossible_total_commits_nothing() {
    broken(ErrorKind::Corrupt, &[], |stream| stream.messages[0].remaining_bytes = u64::MAX);
}

#[test]
fn a_stream_without_messages_commits_nothing() {
    broken(ErrorKind::Interrupted, &[], |stream| stream.messages.clear());
}

#[test]
fn a_digest_alone_commits_nothing() {
    broken(ErrorKind::Corrupt, &[], |stream| drop(stream.messages.drain(..6)));
}

#[test]
fn an_empty_blob_while_bytes_remain_commits_nothing() {
    broken(ErrorKind::Interrupted, &["cannot read its database", "disk"], |stream| {
        stream.messages[2].blob.clear();
        stream.messages[2].remaining_bytes = stream.messages[1].remaining_bytes;
    });
}

#[test]
fn the_endless_stream_of_a_member_that_cannot_read_its_disk_is_left_at_once() {
    let mut lines = stream().lines();
    lines.truncate(2);
    let endless = r#"{"result":{"remaining_bytes":"32768"}}"#;
    let response = Response::stream(join(&lines)).then_forever(format!("{endless}\n"));
    let attempt = Attempt::of(Member::with(&database(2)).snapshot(response), &[]);
    attempt.assert_refused(ErrorKind::Interrupted, "snapshot", &["cannot read its database"]);
    assert!(attempt.outcome.elapsed < Duration::from_secs(10), "{}", attempt.outcome);
}

#[test]
fn a_stream_of_white_space_ends_with_the_run_s_time() {
    let response = Response::stream(stream().lines()[0].clone()).then_forever(" \n");
    let attempt = Attempt::of(Member::with(&database(2)).snapshot(response), &["max_duration=2s"]);
    attempt.outcome.assert_failed(ErrorKind::TimedOut, &["max_duration"]);
    attempt.target.assert_nothing_left();
}

#[test]
fn a_stream_that_drips_ends_with_the_run_s_time() {
    let response =
        Response::stream(stream().body()).in_chunks_of(1).pausing(Duration::from_millis(100));
    let member = Member::with(&database(2)).snapshot(response);
    let attempt = Attempt::of(member, &["max_duration=2s", "stall_timeout=1s"]);
    attempt.outcome.assert_failed(ErrorKind::TimedOut, &["max_duration"]);
    attempt.target.assert_nothing_left();
    assert!(attempt.outcome.elapsed < Duration::from_secs(10), "{}", attempt.outcome);
}

#[test]
fn an_endless_line_is_refused_in_bounded_memory() {
    let response = Response::stream(r#"{"result":{"blob":""#).then_forever([b'A'; 8192]);
    let attempt = Attempt::of(Member::with(&database(2)).snapshot(response), &[]);
    attempt.assert_refused(ErrorKind::Corrupt, "snapshot", &[]);
    assert!(attempt.outcome.peak_memory < 200 << 20, "{} bytes", attempt.outcome.peak_memory);
}

#[test]
fn a_line_of_more_than_a_mebibyte_commits_nothing() {
    let stream = Stream::cut_into(&database(512), 2 << 20);
    snapshot_is_refused(Response::stream(stream.body()), ErrorKind::Corrupt, &[]);
}

#[test]
fn deeply_nested_json_commits_nothing() {
    let nested = format!(r#"{{"result":{{"x":{}{}}}}}"#, "[".repeat(300_000), "]".repeat(300_000));
    broken_text(ErrorKind::Corrupt, &[], |lines| lines.insert(2, nested));
}

#[test]
fn bad_base64_commits_nothing() {
    for (good, bad) in
        [("\"blob\":\"", "\"blob\":\"*"), ("\"blob\":\"", "\"blob\":\"AB=A"), ("=", "")]
    {
        broken_text(ErrorKind::Corrupt, &["base64"], |lines| {
            let line = lines.iter_mut().rfind(|line| line.contains(good)).expect("such a line");
            *line = line.replacen(good, bad, 1);
        });
    }
}

#[test]
fn json_that_breaks_off_commits_nothing() {
    broken_text(ErrorKind::Interrupted, &["middle of a message"], |lines| lines[2].truncate(1000));
}

#[test]
fn json_of_another_kind_commits_nothing() {
    for line in [
        "{}",
        r#"{"result":null}"#,
        r#"{"result":[]}"#,
        r#"{"result":"blob"}"#,
        r#"{"result":{"remaining_bytes":"-1","blob":"AAAA"}}"#,
        r#"{"result":{"remaining_bytes":"1e3","blob":"AAAA"}}"#,
        r#"{"result":{"blob":["AAAA"]}}"#,
    ] {
        broken_text(ErrorKind::Corrupt, &[], |lines| lines[2] = line.into());
    }
}

#[test]
fn invalid_utf_8_commits_nothing() {
    let mut body = stream().body();
    body[20] = 0xFF;
    snapshot_is_refused(Response::stream(body), ErrorKind::Corrupt, &[]);
}

/// An error as a gateway of this style writes it into a stream.
fn error_line(style: GatewayStyle, code: u32, message: &str) -> String {
    match style {
        GatewayStyle::V1 => format!(
            r#"{{"error":{{"grpc_code":{code},"http_code":500,"message":"{message}","http_status":"Internal Server Error"}}}}"#
        ),
        GatewayStyle::V2 => format!(r#"{{"error":{{"code":{code},"message":"{message}"}}}}"#),
    }
}

#[test]
fn an_error_in_the_stream_commits_nothing_wherever_it_stands() {
    for style in [GatewayStyle::V1, GatewayStyle::V2] {
        for at in [0, 3, 6, 7] {
            broken_text(ErrorKind::Interrupted, &["`disk on fire`"], |lines| {
                lines.insert(at, error_line(style, 13, "disk on fire"));
            });
        }
    }
}

#[test]
fn an_error_at_the_end_commits_nothing_even_without_newline() {
    for style in [GatewayStyle::V1, GatewayStyle::V2] {
        for after in [4, 7] {
            let mut body = join(&stream().lines()[..after]);
            body.extend(
                error_line(style, 14, "closing transport due to: connection error").bytes(),
            );
            snapshot_is_refused(
                Response::stream(body),
                ErrorKind::Interrupted,
                &["closing transport"],
            );
        }
    }
}

#[test]
fn a_time_limit_of_others_is_not_reported_as_ours() {
    for (style, message) in [
        (GatewayStyle::V1, "stream terminated by RST_STREAM with error code: CANCEL"),
        (GatewayStyle::V2, "context deadline exceeded"),
    ] {
        broken_text(
            ErrorKind::Interrupted,
            &["time limit of etcd or of a proxy", message],
            |lines| {
                lines.truncate(3);
                lines.push(error_line(style, 4, message));
            },
        );
    }
}

#[test]
fn a_message_that_is_both_result_and_error_commits_nothing() {
    broken_text(ErrorKind::Interrupted, &["`both`"], |lines| {
        lines[2] = lines[2].replacen('{', r#"{"error":{"code":13,"message":"both"},"#, 1);
    });
}

#[test]
fn a_connection_cut_at_the_end_of_a_line_commits_nothing() {
    let body = join(&stream().lines()[..3]);
    snapshot_is_refused(Response::stream(body).then_cut(), ErrorKind::Interrupted, &["cut"]);
}

#[test]
fn a_connection_cut_in_the_middle_of_a_line_commits_nothing() {
    let body = stream().body();
    let half = body[..body.len() / 2].to_vec();
    snapshot_is_refused(Response::stream(half).then_cut(), ErrorKind::Interrupted, &["cut"]);
}

#[test]
fn a_connection_cut_before_the_first_byte_commits_nothing() {
    snapshot_is_refused(Response::stream([]).then_cut(), ErrorKind::Interrupted, &["cut"]);
}

/// Every byte came and the digest is right; but whether an error would have
/// followed, nobody knows.
#[test]
fn a_connection_cut_after_the_digest_commits_nothing() {
    let whole = Response::stream(stream().body()).then_cut();
    snapshot_is_refused(whole, ErrorKind::Interrupted, &["cut"]);
}

#[test]
fn a_connection_reset_in_the_middle_commits_nothing() {
    let body = join(&stream().lines()[..3]);
    snapshot_is_refused(Response::stream(body).then_reset(), ErrorKind::Interrupted, &[]);
}

#[test]
fn a_body_shorter_than_its_content_length_commits_nothing() {
    let body = stream().body();
    let announced = body.len() + 1;
    let response = Response::stream(body).announcing(announced).then_cut();
    snapshot_is_refused(response, ErrorKind::Interrupted, &["cut"]);
}

#[test]
fn a_body_of_unknown_length_that_ends_early_commits_nothing() {
    let body = join(&stream().lines()[..3]);
    snapshot_is_refused(Response::stream(body).until_closed(), ErrorKind::Interrupted, &[]);
}

#[test]
fn a_broken_chunk_commits_nothing() {
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = String::from_utf8(stream().body()).expect("JSON is UTF-8");
    let raw = format!("{head}{:x}\r\n{body}\r\nzz\r\n", body.len());
    snapshot_is_refused(Response::raw(raw), ErrorKind::Interrupted, &[]);
}

#[test]
fn a_database_that_is_not_a_whole_number_of_pages_commits_nothing() {
    let database = &database(3)[..3 * PAGE - 100];
    snapshot_is_refused(
        Response::stream(Stream::of(database).body()),
        ErrorKind::Corrupt,
        &["size for a database"],
    );
}

#[test]
fn what_is_not_a_bbolt_database_commits_nothing() {
    let mut database = database(3);
    database[16] ^= 1;
    snapshot_is_refused(
        Response::stream(Stream::of(&database).body()),
        ErrorKind::Corrupt,
        &["bbolt"],
    );
}

#[test]
fn an_empty_database_commits_nothing() {
    snapshot_is_refused(Response::stream(Stream::of(&[]).body()), ErrorKind::Corrupt, &[]);
}

/// Silence at each place where a server can fall silent.
#[test]
fn silence_ends_a_backup_after_stall_timeout() {
    let whole = stream().body();
    let half = whole[..whole.len() / 2].to_vec();
    for (place, response) in [
        ("before the head", Response::nothing()),
        ("before the first byte", Response::stream([]).then_silence()),
        ("in the middle", Response::stream(half).then_silence()),
        ("after the digest", Response::stream(whole).then_silence()),
    ] {
        let member = Member::with(&database(2)).snapshot(response);
        let attempt = Attempt::of(member, &["stall_timeout=1s"]);
        attempt.assert_refused(
            ErrorKind::TimedOut,
            "snapshot",
            &["sent nothing for 1s", "stall_timeout"],
        );
        assert!(attempt.outcome.elapsed < Duration::from_secs(6), "{place}: {}", attempt.outcome);
    }
}
