//! The keys of a database.

use super::Fault;
use super::blocks::{Budget, Table};
use super::buckets::Buckets;
use super::found::Found;
use super::hashkv::Joined;
use super::observer::Observer;
use super::page::Meta;
use super::revision::Revision;
use super::seen::Seen;
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

/// How many names of keys are compared at a time, to find the newest revision of each. The
/// set of them takes at most 3 MiB, in addition to the budget.
const NAMES_AT_ONCE: usize = 1 << 16;

/// The content of a database.
pub struct Keyspace<O = ()> {
    /// What was found.
    pub found: Found,
    seen: Seen<O>,
    /// The leaves of revisions in the order of their keys.
    leaves: Table<(u32, u16)>,
}

impl<O: Observer> Keyspace<O> {
    /// Reads the buckets of a database of which all pages were seen.
    pub fn read(mut seen: Seen<O>, meta: &Meta) -> Result<Self, Fault> {
        let mut leaves = Table::empty();
        let (mut found, inline, budget) = {
            let mut budget = seen.budget.clone();
            let mut buckets = Buckets::new(&seen, meta)?;
            let mut found = buckets.found()?;
            buckets.check_others()?;
            let inline = buckets.revisions(|leaf| Ok(leaves.push(&mut budget, leaf)?))?;
            found.page_size = meta.page_size;
            found.live_pages = buckets.live_pages();
            found.free_pages = meta.high_water - found.live_pages;
            (found, inline, budget)
        };
        seen.budget = budget;
        if !inline.is_empty() {
            let leaf = seen.inline(&inline)?;
            leaves.push(&mut seen.budget, leaf)?;
        }
        let mut keyspace = Self { found: Found::default(), seen, leaves };
        keyspace.mark_newest();
        for row in keyspace.rows() {
            found.revision = row.main as i64;
            found.revisions += 1;
            found.tombstones += u64::from(row.is_tombstone());
            found.keys += u64::from(row.is_newest() && !row.is_tombstone());
        }
        // A new database is at revision 1, and a database may be compacted after its last change.
        found.revision = found.revision.max(1).max(found.compact_revision);
        keyspace.found = found;
        Ok(keyspace)
    }

    /// The revisions in their order.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = Revision> {
        self.indexes().map(|index| self.seen.revisions.get(index))
    }

    /// The newest revision of each key, existing or deleted, in the order of revisions, with
    /// the indexes of their rows, which an [`Observer`] receives too.
    pub fn newest(&self) -> impl DoubleEndedIterator<Item = (u32, Revision)> {
        let row = |index| (index as u32, self.seen.revisions.get(index));
        self.indexes().map(row).filter(|(_, row)| row.is_newest())
    }

    fn indexes(&self) -> impl DoubleEndedIterator<Item = usize> {
        indexes(&self.leaves)
    }

    /// The memory that is left.
    pub fn budget(&self) -> Budget {
        self.seen.budget.clone()
    }

    /// The hash of a key's name, as in [`Revision::name`].
    pub fn hash_of(&self, name: &[u8]) -> u64 {
        self.seen.hash(name)
    }

    /// Marks the newest revision of each key. In several passes, each over the names whose
    /// hashes have one remainder, so that the set of names seen stays small.
    fn mark_newest(&mut self) {
        let revisions: usize = self.indexes().count();
        let passes = revisions.div_ceil(NAMES_AT_ONCE).max(1) as u64;
        let capacity = revisions.min(2 * NAMES_AT_ONCE);
        let mut names: HashSet<u64, BuildHasherDefault<Hashed>> =
            HashSet::with_capacity_and_hasher(capacity, BuildHasherDefault::default());
        for pass in 0..passes {
            names.clear();
            for index in indexes(&self.leaves).rev() {
                let row = self.seen.revisions.get_mut(index);
                let name = row.name;
                if name % passes == pass && names.insert(name) {
                    row.mark_newest();
                }
            }
        }
    }

    /// HashKV at the database's revision, as a member that is compacted at this one would
    /// compute it. Some servers leave deletions at that very revision out
    /// (`mvcc/hash.go`, from 3.4.34 and 3.5.16 on).
    pub fn hash(&self, compact_revision: i64) -> u32 {
        let mut joined = Joined::new(b"key");
        let is_kept = |row: &Revision| row.is_newest() && !row.is_tombstone();
        for row in self.rows() {
            let is_compacted = row.main as i64 <= compact_revision;
            if is_compacted && self.found.keys > 0 && !is_kept(&row) {
                continue;
            }
            if row.main as i64 == compact_revision && row.is_tombstone() {
                continue;
            }
            joined.append(row.crc, row.size());
        }
        joined.crc()
    }

    /// Whether every member that holds the same and is compacted at this revision has the
    /// same hash. If no key is left, members hash what their compaction has not yet
    /// removed.
    pub fn is_comparable(&self, compact_revision: i64) -> bool {
        self.found.keys > 0
            || self.rows().next().is_none_or(|row| row.main as i64 > compact_revision)
    }
}

fn indexes(leaves: &Table<(u32, u16)>) -> impl DoubleEndedIterator<Item = usize> {
    (0..leaves.count()).flat_map(|leaf| {
        let (first, count) = leaves.get(leaf);
        let first = first as usize;
        first..first + usize::from(count)
    })
}

/// A hasher for values that are already hashes.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("names are kept as numbers")
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
