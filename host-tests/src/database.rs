//! Databases of a size that a test chooses, as a small etcd keeps them.

/// The size of a page, in bytes.
pub const PAGE: usize = 4096;

pub use databases::dump;

/// The revision of every [`database`].
pub const REVISION: u64 = 601;

/// A database of this number of pages, three at least: those of a small cluster, and pages that
/// hold nothing and that nothing compresses.
pub fn database(pages: usize) -> Vec<u8> {
    let mut database = databases::Database { pages, ..databases::Database::etcd() };
    database.put(REVISION, "key", b"value");
    database.bytes()
}
