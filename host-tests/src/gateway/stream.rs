//! The snapshot stream as a real gateway writes it.

use super::member::storage_version;
use crate::etcd::GatewayStyle;
use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

/// How much of the database etcd puts into one message, in bytes
/// (`server/etcdserver/api/v3rpc/maintenance.go`, `snapshotSendBufferSize`).
const BLOB: usize = 32 << 10;

/// One message: what is still to come after it, and its bytes.
#[derive(Debug, Clone)]
pub struct Message {
    /// Bytes of the database still to come.
    pub remaining_bytes: u64,
    /// Bytes of the database, or its digest.
    pub blob: Vec<u8>,
}

/// The messages of one snapshot. Tests break them before they are written.
#[derive(Debug, Clone)]
pub struct Stream {
    /// Whose way of writing it is.
    pub style: GatewayStyle,
    /// Data, and the digest as the last.
    pub messages: Vec<Message>,
}

impl Stream {
    /// The stream of a database, in messages as large as etcd's.
    pub fn of(database: &[u8]) -> Stream {
        Stream::cut_into(database, BLOB)
    }

    /// The stream of a database, in messages of this many bytes.
    pub fn cut_into(database: &[u8], size: usize) -> Stream {
        let mut remaining_bytes = database.len() as u64;
        let mut messages: Vec<Message> = database
            .chunks(size)
            .map(|blob| {
                remaining_bytes -= blob.len() as u64;
                Message { remaining_bytes, blob: blob.into() }
            })
            .collect();
        messages.push(Message { remaining_bytes: 0, blob: Sha256::digest(database).to_vec() });
        Stream { style: GatewayStyle::V2, messages }
    }

    /// The same with all data after this many messages in one.
    pub fn joined_after(mut self, count: usize) -> Stream {
        let digest = self.messages.pop();
        let rest = self.messages.split_off(count.min(self.messages.len()));
        let blob: Vec<u8> = rest.into_iter().flat_map(|message| message.blob).collect();
        self.messages.extend((!blob.is_empty()).then_some(Message { remaining_bytes: 0, blob }));
        self.messages.extend(digest);
        self
    }

    /// The bytes of the last message.
    pub fn digest(&mut self) -> &mut Vec<u8> {
        &mut self.messages.last_mut().expect("a stream has messages").blob
    }

    /// One line of JSON for each message, without its newline.
    pub fn lines(&self) -> Vec<String> {
        self.messages.iter().map(|message| line(message, self.style)).collect()
    }

    /// The whole body.
    pub fn body(&self) -> Vec<u8> {
        join(&self.lines())
    }
}

/// A body of these lines, each with its newline.
pub fn join(lines: &[String]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line.as_bytes(), b"\n"]).flatten().copied().collect()
}

/// Zero is left out, as everywhere in the gateway's JSON.
fn line(message: &Message, style: GatewayStyle) -> String {
    let mut fields = Vec::new();
    if message.remaining_bytes > 0 {
        fields.push(format!(r#""remaining_bytes":"{}""#, message.remaining_bytes));
    }
    if !message.blob.is_empty() {
        fields.push(format!(r#""blob":"{}""#, STANDARD.encode(&message.blob)));
    }
    fields.extend(storage_version(style).map(|version| format!(r#""version":"{version}""#)));
    format!(r#"{{"result":{{{}}}}}"#, fields.join(","))
}
