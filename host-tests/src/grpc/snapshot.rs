//! What the server sends for a snapshot: well-formed until a test breaks it.

use super::message;
use crate::gateway::Stream;

/// The response to the snapshot call.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub(super) headers: Vec<(&'static str, &'static str)>,
    pub(super) status: u16,
    /// Frames of messages, one after the other.
    pub body: Vec<u8>,
    pub(super) piece: usize,
    pub(super) end: End,
}

/// How a response ends.
#[derive(Debug, Clone)]
pub enum End {
    /// With this status and this message, in the trailers.
    Status(u32, &'static str),
    /// With this status and this message, in the place of a head and a body.
    TrailersOnly(u32, &'static str),
    /// Without a status.
    NoTrailers,
    /// By a reset of the stream.
    Reset,
    /// By an end of the connection.
    Cut,
    /// Not at all: nothing more comes.
    Silence,
    /// Not at all: these bytes come over and over.
    Forever(Vec<u8>),
}

impl End {
    /// The end of a call that did what it was asked for.
    pub const OK: End = End::Status(0, "");

    /// An end with this status in the trailers.
    pub fn status(code: u32, message: &'static str) -> End {
        End::Status(code, message)
    }
}

impl Snapshot {
    /// The snapshot that this stream carries.
    pub fn of(stream: &Stream) -> Snapshot {
        let frames = stream.messages.iter().map(|m| message::snapshot(m.remaining_bytes, &m.blob));
        Snapshot::with_body(frames.flatten().collect())
    }

    /// A message that reports this many remaining bytes, and contains none.
    pub fn empty_message(remaining_bytes: u64) -> Vec<u8> {
        message::snapshot(remaining_bytes, &[])
    }

    /// These bytes as the body.
    pub fn with_body(body: Vec<u8>) -> Snapshot {
        let headers = vec![("content-type", "application/grpc")];
        Snapshot { headers, status: 200, body, piece: 16 << 10, end: End::OK }
    }

    /// Ends in this way.
    pub fn ending(self, end: End) -> Snapshot {
        Snapshot { end, ..self }
    }

    /// Sends the body in pieces of this many bytes.
    pub fn in_pieces_of(self, piece: usize) -> Snapshot {
        Snapshot { piece, ..self }
    }

    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: &'static str) -> Snapshot {
        self.headers.push((name, value));
        self
    }
}
