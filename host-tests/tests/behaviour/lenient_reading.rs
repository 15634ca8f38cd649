//! A stream that only looks unusual is a backup: what is said counts, not how it
//! is written or cut.

use crate::attempt::Attempt;
use host_tests::database::{PAGE, database};
use host_tests::etcd::GatewayStyle;
use host_tests::gateway::{Member, Response, Stream, join};

/// Writes a good stream in another way, and has it backed up byte for byte.
#[track_caller]
fn read_all_the_same(response: impl FnOnce(Stream) -> Response) {
    let database = database(12);
    let stream = Stream::cut_into(&database, 2 * PAGE);
    Attempt::of(Member::with(&database).snapshot(response(stream)), &[])
        .assert_backed_up(&database);
}

/// Rewrites every line of a good stream, and has it backed up byte for byte.
#[track_caller]
fn rewritten(rewrite: impl Fn(&str) -> String) {
    read_all_the_same(|stream| {
        let lines: Vec<String> = stream.lines().iter().map(|line| rewrite(line)).collect();
        Response::stream(join(&lines))
    });
}

/// Applies `change` to the base64 text of a line.
fn with_blob(line: &str, change: impl Fn(&str) -> String) -> String {
    let (before, rest) = line.split_once(r#""blob":""#).expect("a blob");
    let (blob, after) = rest.split_once('"').expect("its end");
    format!(r#"{before}"blob":"{}"{after}"#, change(blob))
}

#[test]
fn both_generations_of_gateways_are_read() {
    let database = database(20);
    for style in [GatewayStyle::V1, GatewayStyle::V2] {
        Attempt::of(Member::speaking(style, &database), &[]).assert_backed_up(&database);
    }
}

#[test]
fn every_letter_may_be_escaped() {
    rewritten(|line| {
        with_blob(line, |blob| blob.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect())
    });
}

#[test]
fn slashes_may_be_escaped() {
    rewritten(|line| with_blob(line, |blob| blob.replace('/', "\\/")));
}

#[test]
fn fields_may_come_in_any_order() {
    rewritten(|line| {
        let inner = line
            .strip_prefix(r#"{"result":{"#)
            .and_then(|l| l.strip_suffix("}}"))
            .expect("a result");
        let mut fields: Vec<&str> = inner.split(',').collect();
        fields.reverse();
        format!(r#"{{"result":{{{}}}}}"#, fields.join(","))
    });
}

#[test]
fn unknown_fields_are_left_aside() {
    rewritten(|line| {
        line.replacen(
            r#"{"result":{"#,
            r#"{"new":[{"blob":"!"}],"result":{"header":{"cluster_id":"1"},"later":null,"x":{"y":[1.5e3]},"#,
            1,
        )
    });
}

#[test]
fn numbers_may_be_bare() {
    rewritten(|line| {
        let Some((before, rest)) = line.split_once(r#""remaining_bytes":""#) else {
            return line.into();
        };
        let (number, after) = rest.split_once('"').expect("its end");
        format!(r#"{before}"remaining_bytes":{number}{after}"#)
    });
}

#[test]
fn zero_may_be_written_out() {
    rewritten(|line| {
        if line.contains("remaining_bytes") {
            line.into()
        } else {
            line.replacen(r#"{"result":{"#, r#"{"result":{"remaining_bytes":"0","#, 1)
        }
    });
}

#[test]
fn a_null_error_is_none() {
    rewritten(|line| line.replacen('{', r#"{"error":null,"#, 1));
}

#[test]
fn white_space_may_stand_wherever_json_allows_it() {
    rewritten(|line| line.replace(':', "\r\n : \t").replace(',', "\n,\n").replace('}', "\n } "));
}

#[test]
fn lines_may_be_empty_or_missing() {
    read_all_the_same(|stream| Response::stream(stream.lines().join("\n\n\r\n")));
    read_all_the_same(|stream| Response::stream(stream.lines().concat()));
}

#[test]
fn the_last_line_needs_no_newline() {
    read_all_the_same(|stream| Response::stream(stream.lines().join("\n")));
}

#[test]
fn the_body_may_be_cut_anywhere() {
    for size in [1, 2, 3, 1000, 16_411, usize::MAX] {
        read_all_the_same(|stream| Response::stream(stream.body()).in_chunks_of(size));
    }
}

#[test]
fn the_body_may_have_a_content_length() {
    read_all_the_same(|stream| {
        let body = stream.body();
        let length = body.len();
        Response::stream(body).announcing(length)
    });
}

#[test]
fn messages_may_have_any_length() {
    let database = database(12);
    for size in [1, 7, 511, PAGE, 12 * PAGE] {
        let stream = Stream::cut_into(&database, size);
        let member = Member::with(&database).snapshot(Response::stream(stream.body()));
        Attempt::of(member, &[]).assert_backed_up(&database);
    }
}

#[test]
fn an_interim_response_may_come_first() {
    read_all_the_same(|stream| {
        let body = String::from_utf8(stream.body()).expect("JSON is UTF-8");
        Response::raw(format!(
            "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n\
             HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
    });
}
