//! What the fake gateway sends: well-formed until a test breaks it.

use crate::etcd::GatewayStyle;
use serde_json::json;
use std::time::Duration;

/// One HTTP response, byte by byte.
#[derive(Debug, Clone)]
pub struct Response {
    pub(super) head: Option<Head>,
    pub(super) body: Vec<u8>,
    pub(super) framing: Framing,
    /// The pause before each chunk, and before each byte of a raw response.
    pub(super) pause: Duration,
    pub(super) ending: Ending,
}

/// Status line and headers, less those of the framing.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
}

/// How the body is marked off.
#[derive(Debug, Clone)]
pub(super) enum Framing {
    /// `Content-Length`, which need not be true.
    Length(usize),
    /// A chunk for each line, as etcd writes them.
    Lines,
    /// Chunks of this many bytes, wherever that cuts.
    Chunks(usize),
    /// Nothing: the bytes go out as they are.
    None,
}

/// What comes after the body.
#[derive(Debug, Clone)]
pub(super) enum Ending {
    /// The end that the framing demands.
    Clean,
    /// The connection is closed instead.
    Cut,
    /// The connection is reset instead.
    Reset,
    /// Nothing: the connection stays open and silent.
    Silence,
    /// These bytes, over and over until the client leaves.
    Forever(Vec<u8>),
}

impl Response {
    /// A response with a body of known length.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Response {
        let body = body.into();
        let headers = vec![("Content-Type".into(), content_type.into())];
        Response {
            head: Some(Head { status, headers }),
            framing: Framing::Length(body.len()),
            body,
            pause: Duration::ZERO,
            ending: Ending::Clean,
        }
    }

    /// A JSON response.
    pub fn json(status: u16, body: &serde_json::Value) -> Response {
        Response::new(status, "application/json", body.to_string())
    }

    /// A refusal as the gateway words it before anything was streamed.
    pub fn refusal(style: GatewayStyle, status: u16, code: u32, message: &str) -> Response {
        let body = match style {
            GatewayStyle::V1 => json!({ "error": message, "code": code, "message": message }),
            GatewayStyle::V2 => json!({ "code": code, "message": message }),
        };
        Response::json(status, &body)
    }

    /// A stream of messages: 200, chunked, a chunk for each line.
    pub fn stream(body: impl Into<Vec<u8>>) -> Response {
        Response { framing: Framing::Lines, ..Response::new(200, "application/json", body) }
    }

    /// These bytes in the place of an HTTP response, and then the end.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Response {
        Response {
            head: None,
            framing: Framing::None,
            ending: Ending::Cut,
            ..Response::new(200, "", bytes)
        }
    }

    /// No response at all, on an open connection.
    pub fn nothing() -> Response {
        Response::raw([]).then_silence()
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Response {
        self.head
            .as_mut()
            .expect("the response has a head")
            .headers
            .push((name.into(), value.into()));
        self
    }

    /// Another status, and another type.
    pub fn status(mut self, status: u16, content_type: &str) -> Response {
        let headers = vec![("Content-Type".into(), content_type.into())];
        self.head = Some(Head { status, headers });
        self
    }

    /// Writes the body in chunks of this many bytes.
    pub fn in_chunks_of(mut self, bytes: usize) -> Response {
        self.framing = Framing::Chunks(bytes);
        self
    }

    /// Pauses before each chunk, or before each byte of a raw response.
    pub fn pausing(mut self, pause: Duration) -> Response {
        self.pause = pause;
        self
    }

    /// Announces nothing: the body ends with the connection.
    pub fn until_closed(mut self) -> Response {
        self.framing = Framing::None;
        self.then_cut()
    }

    /// Announces this length.
    pub fn announcing(mut self, length: usize) -> Response {
        self.framing = Framing::Length(length);
        self
    }

    /// Closes the connection after the body, without the last chunk.
    pub fn then_cut(mut self) -> Response {
        self.ending = Ending::Cut;
        self
    }

    /// Resets the connection after the body.
    pub fn then_reset(mut self) -> Response {
        self.ending = Ending::Reset;
        self
    }

    /// Says nothing more after the body, on an open connection.
    pub fn then_silence(mut self) -> Response {
        self.ending = Ending::Silence;
        self
    }

    /// Goes on with these bytes for ever.
    pub fn then_forever(mut self, bytes: impl Into<Vec<u8>>) -> Response {
        self.ending = Ending::Forever(bytes.into());
        self
    }
}
