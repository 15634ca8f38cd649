//! Bytes that look like a database to whoever checks no more than its header.
//!
//! Enough for the fake gateway. Where the content matters, tests take a real one.

/// The size of a page, in bytes.
pub const PAGE: usize = 4096;

/// The magic number of bbolt's meta pages (`internal/common/meta.go`).
const MAGIC: u32 = 0xED0C_DAED;

/// A database of so many pages: two meta pages, then bytes that are the same
/// in every run and that nothing compresses.
pub fn database(pages: usize) -> Vec<u8> {
    let mut bytes = vec![0; pages * PAGE];
    for page in 0..2.min(pages) {
        let meta = &mut bytes[page * PAGE..];
        meta[..8].copy_from_slice(&(page as u64).to_le_bytes());
        meta[8..10].copy_from_slice(&4_u16.to_le_bytes());
        meta[16..20].copy_from_slice(&MAGIC.to_le_bytes());
        meta[20..24].copy_from_slice(&2_u32.to_le_bytes());
        meta[24..28].copy_from_slice(&(PAGE as u32).to_le_bytes());
    }
    fastrand::Rng::with_seed(MAGIC.into()).fill(bytes.get_mut(2 * PAGE..).unwrap_or_default());
    bytes
}

/// The dump of a database: its bytes, and the SHA-256 of them.
pub fn dump(database: &[u8]) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    let mut dump = database.to_vec();
    dump.extend_from_slice(&Sha256::digest(database));
    dump
}
