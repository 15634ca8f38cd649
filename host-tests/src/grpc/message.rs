//! The few messages that the server sends (`api/etcdserverpb/rpc.proto`), and
//! the frames they travel in.

/// A message under construction.
#[derive(Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// Adds a number, which is left out where it is zero, as protobuf does it.
    pub(super) fn number(mut self, field: u8, value: u64) -> Message {
        if value > 0 {
            self.0.push(field << 3);
            varint(&mut self.0, value);
        }
        self
    }

    /// Adds bytes, a text or a message.
    pub(super) fn bytes(mut self, field: u8, value: impl AsRef<[u8]>) -> Message {
        let value = value.as_ref();
        if !value.is_empty() {
            self.0.push(field << 3 | 2);
            varint(&mut self.0, value.len() as u64);
            self.0.extend_from_slice(value);
        }
        self
    }

    /// The message in its frame: not compressed, and its length.
    pub(super) fn framed(self) -> Vec<u8> {
        let mut frame = vec![0];
        frame.extend_from_slice(&(self.0.len() as u32).to_be_bytes());
        frame.extend(self.0);
        frame
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

const MEMBER: u64 = 11;

fn header() -> Message {
    Message::default().number(1, 5).number(2, MEMBER).number(3, 601).number(4, 2)
}

/// The response to the unary call at this path; `None` for any other.
pub(super) fn unary(path: &str) -> Option<Vec<u8>> {
    let response = Message::default().bytes(1, header());
    let response = match path {
        "/etcdserverpb.Maintenance/Status" => response
            .bytes(2, "3.6.14")
            .number(3, 8192)
            .number(4, MEMBER)
            .number(5, 604)
            .number(6, 2)
            .number(7, 604),
        "/etcdserverpb.Cluster/MemberList" => response.bytes(
            2,
            Message::default()
                .number(1, MEMBER)
                .bytes(2, "m1")
                .bytes(3, "http://127.0.0.1:2380")
                .bytes(4, "http://127.0.0.1:2379"),
        ),
        _ => return None,
    };
    Some(response.framed())
}

/// A message of the snapshot stream.
pub(super) fn snapshot(remaining_bytes: u64, blob: &[u8]) -> Vec<u8> {
    Message::default().number(2, remaining_bytes).bytes(3, blob).bytes(4, "3.6.0").framed()
}
