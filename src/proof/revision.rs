//! A revision of a key, read from a pair of etcd's bucket `key`.

use super::content::Content;

/// One revision of a key: a pair of etcd's bucket `key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, packed(4))]
pub struct Revision {
    /// A hash of the key's name, which cannot be predicted.
    pub name: u64,
    /// The number of the transaction.
    pub main: u64,
    /// The number within the transaction.
    pub sub: u32,
    /// The CRC-32C of the pair.
    pub crc: u32,
    /// The size of the pair in bytes, and [`TOMBSTONE`] and [`NEWEST`].
    size: u32,
}

const TOMBSTONE: u32 = 1 << 31;
const NEWEST: u32 = 1 << 30;

/// The size of the bucket key of a revision, in bytes; that of a tombstone has one more.
pub(crate) const REVISION_KEY: usize = 17;

impl Revision {
    /// The size of the pair, in bytes.
    pub fn size(&self) -> u32 {
        self.size & !(TOMBSTONE | NEWEST)
    }

    /// Whether it deletes its key.
    pub fn is_tombstone(&self) -> bool {
        self.size & TOMBSTONE != 0
    }

    /// Whether its key has no later one; known after [`mark_newest`](Self::mark_newest) was called.
    pub fn is_newest(&self) -> bool {
        self.size & NEWEST != 0
    }

    /// Notes that its key has no later one.
    pub fn mark_newest(&mut self) {
        self.size |= NEWEST;
    }

    /// Makes the row of a pair. The error is the content of the page that has the pair.
    pub fn new(key: &[u8], name: u64, crc: u32, size: usize) -> Result<Self, Content> {
        let Some((main, sub, is_tombstone)) = revision_key(key) else {
            return Err(Content::Broken("a key is not a revision"));
        };
        match (i64::try_from(main), u32::try_from(sub), u32::try_from(size)) {
            (Ok(_), Ok(sub), Ok(size)) if size < NEWEST => {
                let size = if is_tombstone { size | TOMBSTONE } else { size };
                Ok(Self { name, main, sub, crc, size })
            }
            _ => Err(Content::Unread("a revision or a value is too large")),
        }
    }

    /// Its bucket key.
    pub fn key(&self) -> ([u8; REVISION_KEY + 1], usize) {
        let mut key = [b't'; REVISION_KEY + 1];
        let (main, sub) = (self.main, u64::from(self.sub));
        key[..8].copy_from_slice(&main.to_be_bytes());
        key[8] = b'_';
        key[9..17].copy_from_slice(&sub.to_be_bytes());
        (key, REVISION_KEY + usize::from(self.is_tombstone()))
    }
}

/// Reads a bucket key: main, sub, and whether it is a tombstone; `None` if it is not a revision.
pub(crate) fn revision_key(key: &[u8]) -> Option<(u64, u64, bool)> {
    let number = |at: usize| key[at..at + 8].iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
    let is_tombstone = match key.len() {
        17 => false,
        18 if key[17] == b't' => true,
        _ => return None,
    };
    (key[8] == b'_').then(|| (number(0), number(9), is_tombstone))
}

/// The name of a key, at the beginning of an encoded `mvccpb.KeyValue`.
pub(crate) enum Name<'a> {
    /// The name is complete.
    Known(&'a [u8]),
    /// The name may continue after these bytes.
    Beyond,
    /// There is no name.
    None,
}

/// Reads the name that `value` begins with: field 1, which etcd writes first.
pub(crate) fn name(value: &[u8]) -> Name<'_> {
    /// Field 1, bytes.
    const KEY: u8 = 0x0A;
    match value.first() {
        None => return Name::Beyond,
        Some(&KEY) => {}
        Some(_) => return Name::None,
    }
    let mut size = 0_usize;
    for (index, byte) in value[1..].iter().take(5).enumerate() {
        size |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            let begin = index + 2;
            return match value.get(begin..begin.saturating_add(size)) {
                Some(name) => Name::Known(name),
                None => Name::Beyond,
            };
        }
    }
    if value.len() > 5 { Name::None } else { Name::Beyond }
}
