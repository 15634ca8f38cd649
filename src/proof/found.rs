//! The facts that the pages of a database contain.

use crate::etcd::alarm::Alarm;
use crate::etcd::messages::Member;
use std::fmt;

/// What was found in a database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// Its revision.
    pub revision: i64,
    /// The revision that it is compacted at, or will be when a running compaction is
    /// finished; -1 if it never was.
    pub compact_revision: i64,
    /// Whether the compaction is not finished.
    pub is_compacting: bool,
    /// The index of the last entry of the raft log that is applied to it.
    pub consistent_index: Option<u64>,
    /// The term of that entry.
    pub term: Option<u64>,
    /// The version of its format, etcd 3.6 and later.
    pub storage_version: Option<String>,
    /// The members of its cluster.
    pub members: Vec<Member>,
    /// The active alarms.
    pub alarms: Vec<Alarm>,
    /// Whether authentication is on.
    pub auth_enabled: bool,
    /// The number of users.
    pub users: u64,
    /// The number of roles.
    pub roles: u64,
    /// The number of leases.
    pub leases: u64,
    /// The number of keys that exist.
    pub keys: u64,
    /// The number of their revisions, deletions included.
    pub revisions: u64,
    /// The number of those that are deletions.
    pub tombstones: u64,
    /// The size of a page, in bytes.
    pub page_size: u32,
    /// The number of pages that are in use.
    pub live_pages: u64,
    /// The number of pages that are not in use, which a defragmentation would free.
    pub free_pages: u64,
}

impl Found {
    /// The size of the database, in bytes.
    pub fn bytes(&self) -> u64 {
        (self.live_pages + self.free_pages).saturating_mul(self.page_size.into())
    }
}

/// For people, on one line.
impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "revision {}, {} keys, {} revisions", self.revision, self.keys, self.revisions)
    }
}
