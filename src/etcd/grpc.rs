//! Native gRPC, as far as etcd's calls need it: one message sent, one or many received.
//!
//! A message travels in a frame: a flag that says whether it is compressed, its
//! length in four bytes, big-endian, and the message. The trailers `grpc-status` and
//! `grpc-message` say how a call ended; a response without messages may
//! have these in its head instead (the gRPC project's `PROTOCOL-HTTP2.md`).

use super::call::{Call, CallError, Message, Opening};
use super::failure::{compressed, cut_message, garbled};
use super::messages::{AuthenticateRequest, HashKvRequest, SnapshotResponse};
use super::refusal::{LOOK, Refusal};
use crate::error::{Error, Result, quote};
use crate::net::{Head, Response, Trailers};
use bytes::{Buf, Bytes, BytesMut};
use plakar_connector::ErrorKind;
use prost::Message as _;

/// The longest message that is accepted, in bytes. etcd's are below 33 KiB.
const MAX_MESSAGE: usize = 1 << 20;

/// The size of the flag and the length before each message, in bytes.
const PREFIX: usize = 5;

/// Path, headers and body of a call.
pub(super) fn request(
    call: Call<'_>,
    token: Option<&str>,
) -> (&'static str, Vec<(&'static str, String)>, Vec<u8>) {
    let (path, message) = match call {
        Call::Status => ("/etcdserverpb.Maintenance/Status", Vec::new()),
        Call::MemberList => ("/etcdserverpb.Cluster/MemberList", Vec::new()),
        Call::Authenticate { name, password } => (
            "/etcdserverpb.Auth/Authenticate",
            AuthenticateRequest { name: name.into(), password: password.into() }.encode_to_vec(),
        ),
        Call::HashKv { revision } => {
            ("/etcdserverpb.Maintenance/HashKV", HashKvRequest { revision }.encode_to_vec())
        }
        Call::Snapshot { .. } => ("/etcdserverpb.Maintenance/Snapshot", Vec::new()),
    };
    let mut headers =
        vec![("content-type", "application/grpc".to_string()), ("te", "trailers".into())];
    if let Some(token) = token {
        headers.push(("token", token.into()));
    }
    let mut body = vec![0];
    body.extend_from_slice(&(message.len() as u32).to_be_bytes());
    body.extend_from_slice(&message);
    (path, headers, body)
}

/// Reads a unary call's response.
pub(super) fn unary<T: prost::Message + Default>(
    response: &Response,
) -> std::result::Result<T, CallError> {
    if let Opening::Refused(refusal) = opening(&response.head)? {
        return Err(CallError::Refused(refusal));
    }
    succeeded(&response.trailers)?;
    let mut frames = Frames::default();
    frames.push(response.body.clone());
    let message = frames.next().map_err(CallError::Unreadable)?;
    let decoded = message.filter(|_| frames.is_empty()).and_then(|message| T::decode(message).ok());
    decoded.ok_or_else(|| CallError::Unreadable(garbled("the response is not one of etcd's")))
}

/// The HTTP statuses with which a proxy reports that it has no response from etcd, as the
/// gRPC project reads them (`doc/http-grpc-status-mapping.md`). The JSON gateway
/// would not do better.
const OF_A_PROXY: [u16; 8] = [401, 403, 408, 429, 502, 503, 504, 511];

/// Reads a head: a stream of messages, or a refusal. Anything else is the response
/// of a server that does not support gRPC.
pub(super) fn opening(head: &Head) -> std::result::Result<Opening, CallError> {
    let media_type = head.header("content-type").unwrap_or_default();
    let is_grpc = media_type
        .strip_prefix("application/grpc")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';']));
    // A gRPC status says more than the HTTP status.
    let reported = is_grpc.then(|| head.header("grpc-status")).flatten();
    if reported.is_none() && OF_A_PROXY.contains(&head.status) {
        return Ok(Opening::Refused(Refusal {
            status: head.status,
            code: None,
            message: String::new(),
        }));
    }
    if (head.status != 200 && reported.is_none()) || !is_grpc {
        // A host that numbers connections supports HTTP/2.
        let remedy = match head.connection() {
            Some(_) => "use `transport=gateway`",
            None => "use `transport=gateway`, or a host that speaks HTTP/2, such as `plakar-wasm`",
        };
        return Err(CallError::Foreign(
            Error::new(
                ErrorKind::Unsupported,
                format!(
                    "the response is not gRPC (status {}, type {})",
                    head.status,
                    quote(media_type)
                ),
            )
            .remedy(remedy),
        ));
    }
    if let Some(encoding) = head.header("grpc-encoding").filter(|e| *e != "identity") {
        return Err(CallError::Unreadable(compressed(encoding)));
    }
    Ok(match reported {
        // A success in the head is ignored: only trailers can end a stream.
        Some(code) if code != "0" => {
            Opening::Refused(refusal(code, head.header("grpc-message").unwrap_or_default()))
        }
        _ => Opening::Stream,
    })
}

/// Checks how a call ended: the success must be stated, and after the messages.
fn succeeded(trailers: &Trailers) -> std::result::Result<(), CallError> {
    match trailers.header("grpc-status") {
        Some("0") => Ok(()),
        Some(code) => {
            let message = trailers.header("grpc-message").unwrap_or_default();
            Err(CallError::Refused(refusal(code, message)))
        }
        None => Err(Error::new(ErrorKind::Interrupted, "the response ended without a status")
            .remedy(LOOK)
            .into()),
    }
}

fn refusal(code: &str, message: &str) -> Refusal {
    // The protocol defines `UNKNOWN` for a code that cannot be read.
    Refusal {
        status: 200,
        code: Some(code.parse().unwrap_or(2)),
        message: percent_decoded(message),
    }
}

/// Decodes `grpc-message`, which is percent-encoded; anything else is kept unchanged.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        match (first, tail.get(..2).and_then(hex)) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Splits a body into messages. Whole pieces are never copied: a message that lies
/// in one piece is a view of it.
#[derive(Debug, Default)]
struct Frames {
    /// The part of the last piece that was not consumed yet.
    piece: Bytes,
    /// The beginning of an incomplete frame; `piece` is empty then.
    partial: BytesMut,
}

impl Frames {
    fn push(&mut self, bytes: Vec<u8>) {
        self.piece = bytes.into();
    }

    /// The next complete message, or `None` if more bytes are needed.
    fn next(&mut self) -> Result<Option<Bytes>> {
        if self.partial.is_empty() {
            return match wanted(&self.piece)? {
                Some(wanted) if wanted <= self.piece.len() => {
                    Ok(Some(message(self.piece.split_to(wanted))))
                }
                _ => {
                    self.partial.extend_from_slice(&std::mem::take(&mut self.piece));
                    Ok(None)
                }
            };
        }
        self.fill(PREFIX);
        let Some(wanted) = wanted(&self.partial)? else {
            return Ok(None);
        };
        self.fill(wanted);
        let whole = self.partial.len() == wanted;
        Ok(whole.then(|| message(self.partial.split().freeze())))
    }

    /// Takes bytes until the incomplete frame has this length.
    fn fill(&mut self, length: usize) {
        let missing = length.saturating_sub(self.partial.len()).min(self.piece.len());
        self.partial.extend_from_slice(&self.piece.split_to(missing));
    }

    fn is_empty(&self) -> bool {
        self.piece.is_empty() && self.partial.is_empty()
    }
}

/// The length of the frame that begins here, prefix included; `None` until the
/// prefix is complete.
fn wanted(bytes: &[u8]) -> Result<Option<usize>> {
    let Some((prefix, _)) = bytes.split_first_chunk::<PREFIX>() else {
        return Ok(None);
    };
    let [flag, length @ ..] = *prefix;
    if flag != 0 {
        return Err(compressed("gRPC"));
    }
    match u32::from_be_bytes(length) as usize {
        length if length > MAX_MESSAGE => {
            Err(garbled(format!("a message of {length} bytes is longer than any of etcd's")))
        }
        length => Ok(Some(PREFIX + length)),
    }
}

/// The message of a complete frame.
fn message(mut frame: Bytes) -> Bytes {
    frame.advance(PREFIX);
    frame
}

/// Decodes the body of the snapshot's stream.
#[derive(Debug, Default)]
pub struct Decoder {
    frames: Frames,
}

impl Decoder {
    pub(super) fn push(
        &mut self,
        bytes: Vec<u8>,
        out: &mut Vec<u8>,
        mut each: impl FnMut(Message<'_>, &mut Vec<u8>, usize) -> Result<()>,
    ) -> std::result::Result<(), CallError> {
        self.frames.push(bytes);
        while let Some(frame) = self.frames.next()? {
            let response = SnapshotResponse::decode(frame).map_err(|error| {
                garbled(format!("a message of the stream cannot be read ({error})"))
            })?;
            let begin = out.len();
            out.extend_from_slice(&response.blob);
            let message =
                Message { remaining: response.remaining_bytes, storage_version: &response.version };
            each(message, out, begin)?;
        }
        Ok(())
    }

    pub(super) fn finish(&self, trailers: &Trailers) -> std::result::Result<(), CallError> {
        succeeded(trailers)?;
        if self.frames.is_empty() { Ok(()) } else { Err(cut_message().into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(message: &[u8]) -> Vec<u8> {
        let mut frame = vec![0];
        frame.extend((message.len() as u32).to_be_bytes());
        frame.extend(message);
        frame
    }

    /// What a body contains, read all at once: its complete messages, and whether it ended
    /// with the last one, or why reading stopped.
    type Held = (Vec<Vec<u8>>, std::result::Result<bool, ErrorKind>);

    fn held(mut body: &[u8]) -> Held {
        let mut messages = Vec::new();
        let end = loop {
            let Some((prefix, rest)) = body.split_first_chunk() else { break Ok(body.is_empty()) };
            let length = match *prefix {
                [0, 0, a, b, c] if [a, b, c] <= [0x10, 0, 0] => u32::from_be_bytes([0, a, b, c]),
                [0, ..] => break Err(ErrorKind::Corrupt),
                _ => break Err(ErrorKind::Unsupported),
            };
            let Some((message, rest)) = rest.split_at_checked(length as usize) else {
                break Ok(false);
            };
            messages.push(message.to_vec());
            body = rest;
        };
        (messages, end)
    }

    fn held_in_pieces(pieces: &[&[u8]]) -> Held {
        let mut frames = Frames::default();
        let mut messages = Vec::new();
        for piece in pieces {
            frames.push(piece.to_vec());
            loop {
                match frames.next() {
                    Ok(Some(message)) => messages.push(message.to_vec()),
                    Ok(None) => break,
                    Err(error) => return (messages, Err(error.kind)),
                }
            }
        }
        (messages, Ok(frames.is_empty()))
    }

    #[test]
    fn any_splitting_gives_the_same_messages() {
        let expected = [b"hello".to_vec(), Vec::new(), vec![7; 300], Vec::new(), b"x".to_vec()];
        let body: Vec<u8> = expected.iter().flat_map(|message| frame(message)).collect();
        for size in 1..=body.len() {
            let pieces: Vec<&[u8]> = body.chunks(size).collect();
            assert_eq!(held_in_pieces(&pieces), (expected.to_vec(), Ok(true)), "pieces of {size}");
        }
    }

    #[test]
    fn a_whole_or_broken_body_is_read_the_same_in_any_pieces() {
        let mut ends = [0, 0, 0];
        for seed in 0..2000 {
            let random = &mut fastrand::Rng::with_seed(seed);
            let mut body: Vec<u8> = (0..random.usize(..6))
                .flat_map(|_| frame(&vec![random.u8(..); random.usize(..20)]))
                .collect();
            let at = random.usize(..=body.len());
            match random.u8(..3) {
                0 => body.truncate(at),
                1 => body.iter_mut().skip(at).take(1).for_each(|byte| *byte = random.u8(..)),
                _ => {}
            }
            let (mut pieces, mut rest) = (Vec::new(), &body[..]);
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(random.usize(1..=rest.len().min(12)));
                pieces.push(piece);
                rest = after;
            }
            let expected = held(&body);
            assert_eq!(held_in_pieces(&pieces), expected, "seed {seed}: {pieces:?}");
            ends[expected.1.map_or(2, usize::from)] += 1;
        }
        assert!(ends.iter().all(|times| *times > 50), "{ends:?}");
    }

    #[test]
    fn an_incomplete_frame_is_detected() {
        let body = frame(b"hello");
        for end in 1..body.len() {
            assert_eq!(held_in_pieces(&[&body[..end]]), (Vec::new(), Ok(false)), "cut at {end}");
        }
    }

    #[test]
    fn compressed_and_oversized_messages_are_refused() {
        for (prefix, kind) in [
            ([1, 0, 0, 0, 1], ErrorKind::Unsupported),
            ([0, 0, 0x10, 0, 1], ErrorKind::Corrupt),
            ([0, 255, 255, 255, 255], ErrorKind::Corrupt),
        ] {
            let mut frames = Frames::default();
            frames.push(prefix.to_vec());
            assert_eq!(frames.next().expect_err("refused").kind, kind);
        }
    }

    #[test]
    fn the_longest_message_is_accepted() {
        let mut frames = Frames::default();
        frames.push(frame(&vec![7; MAX_MESSAGE]));
        let message = frames.next().expect("a frame").expect("a whole one");
        assert_eq!(message.len(), MAX_MESSAGE);
    }

    fn head(status: u16, headers: &[(&str, &str)]) -> Head {
        let headers = headers.iter().map(|(n, v)| (n.to_string(), v.as_bytes().to_vec())).collect();
        Head { status, headers }
    }

    const GRPC: (&str, &str) = ("content-type", "application/grpc");

    #[test]
    fn a_response_that_is_not_grpc_is_reported_as_foreign() {
        for head in [
            head(404, &[("content-type", "text/plain")]),
            head(200, &[("content-type", "text/html")]),
            head(200, &[("content-type", "application/grpcish")]),
            head(200, &[]),
            head(415, &[GRPC]),
            head(500, &[GRPC]),
        ] {
            assert!(matches!(opening(&head), Err(CallError::Foreign(_))), "{head:?}");
        }
        for media_type in ["application/grpc", "application/grpc+proto", "application/grpc;v=1"] {
            assert!(matches!(
                opening(&head(200, &[("content-type", media_type)])),
                Ok(Opening::Stream)
            ));
        }
    }

    #[test]
    fn a_refusal_is_read_from_the_head_and_from_the_trailers() {
        let refused = [
            ("grpc-status", "16"),
            ("grpc-message", "etcdserver: invalid auth token %E2%9C%93 100%"),
        ];
        let expected = Refusal {
            status: 200,
            code: Some(16),
            message: "etcdserver: invalid auth token \u{2713} 100%".into(),
        };
        let trailers_only = head(200, &[GRPC, refused[0], refused[1]]);
        assert!(
            matches!(opening(&trailers_only), Ok(Opening::Refused(refusal)) if refusal == expected)
        );
        let Head { headers, .. } = head(0, &refused);
        assert_eq!(succeeded(&Trailers(headers)), Err(CallError::Refused(expected)));
    }

    #[test]
    fn a_proxys_response_in_place_of_etcds_is_a_refusal() {
        for status in OF_A_PROXY {
            for media_type in ["text/html", "application/grpc"] {
                let refused = opening(&head(status, &[("content-type", media_type)]));
                let expected = Refusal { status, code: None, message: String::new() };
                assert!(matches!(refused, Ok(Opening::Refused(r)) if r == expected), "{status}");
            }
        }
        let reported = [GRPC, ("grpc-status", "14"), ("grpc-message", "no healthy upstream")];
        let refused = opening(&head(503, &reported));
        assert!(matches!(refused, Ok(Opening::Refused(r)) if r.code == Some(14)));
    }

    #[test]
    fn the_remedy_depends_on_the_host() {
        let remedy = |headers: &[(&str, &str)]| match opening(&head(404, headers)) {
            Err(CallError::Foreign(error)) => error.to_string(),
            _ => panic!("it is foreign"),
        };
        assert!(remedy(&[]).contains("plakar-wasm"));
        let ours = remedy(&[("plakar-connection", "1")]);
        assert!(ours.contains("`transport=gateway`") && !ours.contains("plakar-wasm"), "{ours}");
    }

    #[test]
    fn an_end_without_a_status_is_not_a_success() {
        let decoder = Decoder::default();
        for trailers in [Trailers::default(), Trailers(vec![("x".into(), b"0".to_vec())])] {
            let end = decoder.finish(&trailers).expect_err("no status");
            assert!(matches!(end, CallError::Unreadable(e) if e.kind == ErrorKind::Interrupted));
        }
        assert!(matches!(opening(&head(200, &[GRPC, ("grpc-status", "0")])), Ok(Opening::Stream)));
    }

    #[test]
    fn a_failure_in_the_trailers_fails_a_complete_stream_too() {
        let Head { headers, .. } =
            head(0, &[("grpc-status", "14"), ("grpc-message", "transport is closing")]);
        let end = Decoder::default().finish(&Trailers(headers)).expect_err("a failure");
        assert!(matches!(end, CallError::Refused(refusal) if refusal.code == Some(14)));
        let Head { headers, .. } = head(0, &[("grpc-status", "0")]);
        assert_eq!(Decoder::default().finish(&Trailers(headers)), Ok(()));
    }

    #[test]
    fn a_stream_that_ends_within_a_message_is_an_interruption() {
        let mut decoder = Decoder::default();
        let cut = frame(b"hello")[..7].to_vec();
        decoder.push(cut, &mut Vec::new(), |_, _, _| Ok(())).expect("a part of a message");
        let Head { headers, .. } = head(0, &[("grpc-status", "0")]);
        let end = decoder.finish(&Trailers(headers)).expect_err("a cut message");
        assert!(
            matches!(end, CallError::Unreadable(e) if e.to_string().contains("middle of a message"))
        );
    }

    /// A call, its path and the message that it carries.
    #[test]
    fn a_call_is_a_path_headers_and_one_frame() {
        let login = Call::Authenticate { name: "root", password: "hunter2" };
        let snapshot = Call::Snapshot { budget: std::time::Duration::from_secs(1) };
        for (call, path, message) in [
            (Call::Status, "/etcdserverpb.Maintenance/Status", &b""[..]),
            (Call::MemberList, "/etcdserverpb.Cluster/MemberList", b""),
            (login, "/etcdserverpb.Auth/Authenticate", b"\x0a\x04root\x12\x07hunter2"),
            (snapshot, "/etcdserverpb.Maintenance/Snapshot", b""),
        ] {
            let (asked, headers, body) = request(call, Some("a-token"));
            assert_eq!((asked, body), (path, frame(message)));
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
            let expected =
                [("content-type", "application/grpc"), ("te", "trailers"), ("token", "a-token")];
            assert_eq!(headers, expected);
        }
        assert_eq!(request(Call::Status, None).1.len(), 2);
    }

    #[test]
    fn a_unary_response_is_one_whole_message_and_a_status() {
        let list = super::super::messages::MemberList::default();
        let ok = || Trailers(head(0, &[("grpc-status", "0")]).headers);
        let read = |body: Vec<u8>, trailers| {
            let response = Response { head: head(200, &[GRPC]), trailers, body };
            unary::<super::super::messages::MemberList>(&response)
        };
        assert_eq!(read(frame(b""), ok()), Ok(list));
        let two = [frame(b""), frame(b"")].concat();
        for body in [Vec::new(), two, frame(b"")[..4].to_vec(), frame(b"\xff")] {
            assert!(
                matches!(read(body, ok()), Err(CallError::Unreadable(e)) if e.kind == ErrorKind::Corrupt)
            );
        }
        let ended = read(frame(b""), Trailers::default());
        assert!(matches!(ended, Err(CallError::Unreadable(e)) if e.kind == ErrorKind::Interrupted));
    }

    #[test]
    fn a_compressed_stream_is_refused() {
        let refused = opening(&head(200, &[GRPC, ("grpc-encoding", "gzip")]));
        assert!(
            matches!(refused, Err(CallError::Unreadable(e)) if e.kind == ErrorKind::Unsupported)
        );
        let plain = opening(&head(200, &[GRPC, ("grpc-encoding", "identity")]));
        assert!(matches!(plain, Ok(Opening::Stream)));
    }

    #[test]
    fn a_blob_is_taken_from_its_message() {
        let response = SnapshotResponse {
            remaining_bytes: 9,
            blob: Bytes::from_static(b"hi"),
            version: "3.6.0".into(),
        };
        let mut out = b"before".to_vec();
        let mut seen = Vec::new();
        Decoder::default()
            .push(frame(&response.encode_to_vec()), &mut out, |message, out, begin| {
                seen.push((
                    message.remaining,
                    message.storage_version.to_string(),
                    out[begin..].to_vec(),
                ));
                Ok(())
            })
            .expect("a message");
        assert_eq!(seen, [(9, "3.6.0".into(), b"hi".to_vec())]);
    }
}
