//! What etcd's buckets hold (`server/storage/schema`).

use super::Fault;
use super::blocks::{Budget, Table};
use super::candidates::{Observer, Revision, Seen, revision_key};
use super::hashkv::Joined;
use super::page::{self, Meta};
use super::walk::{Elements, Leaf, Walk};
use crate::etcd::alarm::{Alarm, AlarmType};
use crate::etcd::messages::{AlarmMember, Member};
use prost::Message;
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

/// How many names of keys are compared at a time, to know the newest revision of each.
const NAMES_AT_ONCE: usize = 1 << 16;

/// What a database holds.
pub struct Keyspace<O = ()> {
    /// What was found.
    pub found: Found,
    seen: Seen<O>,
    /// The leaves of revisions in the order of their keys.
    leaves: Table<(u32, u16)>,
}

/// What was found in a database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// Its revision.
    pub revision: i64,
    /// The revision that it is compacted at, or will be once that is finished; -1 if it
    /// never was.
    pub compact_revision: i64,
    /// Whether the compaction is not finished.
    pub is_compacting: bool,
    /// The index of the last entry of the raft log that it holds.
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
    /// The number of keys that are there.
    pub keys: u64,
    /// The number of their revisions, deletions included.
    pub revisions: u64,
    /// The number of those that are deletions.
    pub tombstones: u64,
    /// The size of a page, in bytes.
    pub page_size: u32,
    /// The number of pages that hold something.
    pub live_pages: u64,
    /// The number of pages that hold nothing, which a defragmentation would give back.
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

/// A bucket: the page of its root, or the page that it is.
enum Bucket<'a> {
    At(u64),
    Inline(Elements<'a>),
}

impl<O: Observer> Keyspace<O> {
    /// Reads the buckets of a database of which all pages were seen.
    pub fn read(mut seen: Seen<O>, meta: &Meta) -> Result<Self, Fault> {
        let mut leaves = Table::empty();
        let mut inline = Vec::new();
        let mut found = {
            let mut budget = seen.budget;
            let mut walk = Walk::new(&seen, meta)?;
            let buckets = buckets(&mut walk, meta.root)?;
            let mut each = |name: &[u8], visit: Visit| -> Result<(), Fault> {
                let mut leaf = |leaf: Leaf<'_>| match leaf {
                    Leaf::Revisions(_, count) => visit(u64::from(count), None),
                    Leaf::Bytes(elements) => {
                        for (flags, key, value) in elements.pairs() {
                            if flags != 0 {
                                return Err(unread(&String::from_utf8_lossy(name)));
                            }
                            visit(1, key.zip(value))?;
                        }
                        Ok(())
                    }
                };
                match buckets.get(name) {
                    None => Ok(()),
                    Some(Bucket::At(root)) => walk.tree(*root, leaf),
                    Some(Bucket::Inline(elements)) => leaf(Leaf::Bytes(*elements)),
                }
            };
            let mut found = Found { compact_revision: -1, ..Found::default() };
            let mut finished = -1;
            each(b"meta", &mut |_, pair| {
                let Some((key, value)) = pair else { return Ok(()) };
                let number = || {
                    (value.len() == 8)
                        .then(|| u64::from_be_bytes(value.try_into().unwrap_or_default()))
                };
                match key {
                    b"consistent_index" => found.consistent_index = number(),
                    b"term" => found.term = number(),
                    b"scheduledCompactRev" => found.compact_revision = main(value)?,
                    b"finishedCompactRev" => finished = main(value)?,
                    b"storageVersion" => {
                        found.storage_version = std::str::from_utf8(value).ok().map(String::from);
                    }
                    _ => {}
                }
                Ok(())
            })?;
            found.is_compacting = found.compact_revision > finished;
            found.compact_revision = found.compact_revision.max(finished);
            each(b"members", &mut |_, pair| {
                let (_, value) = pair.ok_or_else(|| unread("members"))?;
                let member = serde_json::from_slice(value).map_err(|_| damaged("members"))?;
                found.members.push(MemberJson::into(member));
                Ok(())
            })?;
            each(b"alarm", &mut |_, pair| {
                let (key, _) = pair.ok_or_else(|| unread("alarm"))?;
                let AlarmMember { member_id, alarm } =
                    AlarmMember::decode(key).map_err(|_| damaged("alarm"))?;
                found.alarms.push(Alarm { member_id, alarm: AlarmType::numbered(alarm) });
                Ok(())
            })?;
            each(b"auth", &mut |_, pair| {
                if let Some((b"authEnabled", value)) = pair {
                    found.auth_enabled = value == [1];
                }
                Ok(())
            })?;
            for (name, count) in [
                (b"authUsers".as_slice(), &mut found.users),
                (b"authRoles".as_slice(), &mut found.roles),
                (b"lease".as_slice(), &mut found.leases),
            ] {
                each(name, &mut |number, _| {
                    *count += number;
                    Ok(())
                })?;
            }
            for name in buckets.keys() {
                const READ: [&[u8]; 8] = [
                    b"alarm",
                    b"auth",
                    b"authRoles",
                    b"authUsers",
                    b"key",
                    b"lease",
                    b"members",
                    b"meta",
                ];
                if !READ.contains(&name.as_slice()) {
                    each(name, &mut |_, _| Ok(()))?;
                }
            }
            match buckets.get(b"key".as_slice()) {
                Some(Bucket::At(root)) => walk.tree(*root, |leaf| match leaf {
                    Leaf::Revisions(first, count) => Ok(leaves.push(&mut budget, (first, count))?),
                    Leaf::Bytes(elements) if elements.count() == 0 => Ok(()),
                    Leaf::Bytes(_) => Err(damaged("key")),
                })?,
                Some(Bucket::Inline(elements)) => {
                    for (flags, key, value) in elements.pairs() {
                        match (flags, key, value) {
                            (0, Some(key), Some(value)) => {
                                inline.push([key, value].map(<[u8]>::to_vec));
                            }
                            _ => return Err(damaged("key")),
                        }
                    }
                }
                None => {
                    return Err(Fault::Corrupt(
                        "the database has no bucket `key`: it is not etcd's".into(),
                    ));
                }
            }
            found.page_size = meta.page_size;
            found.live_pages = walk.live();
            found.free_pages = meta.high_water - walk.live();
            found
        };
        if !inline.is_empty() {
            let (first, count) = seen.inline(&inline)?;
            leaves.push(&mut seen.budget, (first, count))?;
        }
        let mut keyspace = Self { found: Found::default(), seen, leaves };
        keyspace.mark_newest();
        for row in keyspace.rows() {
            found.revision = row.main as i64;
            found.revisions += 1;
            found.tombstones += u64::from(row.is_tombstone());
            found.keys += u64::from(row.is_newest() && !row.is_tombstone());
        }
        // A new database is at revision 1, and one may be compacted after its last change.
        found.revision = found.revision.max(1).max(found.compact_revision);
        keyspace.found = found;
        Ok(keyspace)
    }

    /// The revisions in their order.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = Revision> {
        self.indexes().map(|index| self.seen.revisions.get(index))
    }

    /// The newest revision of each key that is there, or of each that was deleted, in their
    /// order, with the indexes of their rows, which an [`Observer`] knows as well.
    pub fn newest(&self) -> impl DoubleEndedIterator<Item = (u32, Revision)> {
        let row = |index| (index as u32, self.seen.revisions.get(index));
        self.indexes().map(row).filter(|(_, row)| row.is_newest())
    }

    fn indexes(&self) -> impl DoubleEndedIterator<Item = usize> {
        indexes(&self.leaves)
    }

    /// The memory that is left.
    pub fn budget(&self) -> Budget {
        self.seen.budget
    }

    /// The hash of a key's name, as it stands in [`Revision::name`].
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

    /// HashKV at the database's revision, as a member would compute it that is compacted at
    /// this one. Some servers leave deletions at that very revision out
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
    /// same hash. Where no key is left, members hash what their compaction has not yet
    /// removed.
    pub fn is_comparable(&self, compact_revision: i64) -> bool {
        self.found.keys > 0
            || self.rows().next().is_none_or(|row| row.main as i64 > compact_revision)
    }
}

/// What is done with the pairs of a bucket: their number, and a pair if there is one and it
/// was kept.
type Visit<'v> = &'v mut dyn FnMut(u64, Option<(&[u8], &[u8])>) -> Result<(), Fault>;

fn indexes(leaves: &Table<(u32, u16)>) -> impl DoubleEndedIterator<Item = usize> {
    (0..leaves.count()).flat_map(|leaf| {
        let (first, count) = leaves.get(leaf);
        let first = first as usize;
        first..first + usize::from(count)
    })
}

/// The buckets that the root bucket names.
fn buckets<'a, O>(
    walk: &mut Walk<'a, O>,
    root: u64,
) -> Result<BTreeMap<Vec<u8>, Bucket<'a>>, Fault> {
    let mut buckets = BTreeMap::new();
    walk.tree(root, |leaf| {
        let Leaf::Bytes(elements) = leaf else { return Err(damaged("root")) };
        for (flags, key, value) in elements.pairs() {
            let (Some(key), Some(value)) = (key, value) else {
                return Err(Fault::Unread("the root bucket is too large".into()));
            };
            if flags != page::BUCKET || value.len() < page::HEADER {
                return Err(damaged("root"));
            }
            let bucket = match page::u64_at(value, 0) {
                0 => Bucket::Inline(
                    Elements::inline(&value[page::HEADER..]).ok_or_else(|| damaged("root"))?,
                ),
                root => Bucket::At(root),
            };
            buckets.insert(key.to_vec(), bucket);
        }
        Ok(())
    })?;
    Ok(buckets)
}

fn damaged(bucket: &str) -> Fault {
    Fault::Corrupt(format!(
        "the bucket `{bucket}` of the database contains something that etcd does not write"
    ))
}

/// The main part of a revision that is a value of the bucket `meta`.
fn main(value: &[u8]) -> Result<i64, Fault> {
    revision_key(value)
        .and_then(|(main, ..)| i64::try_from(main).ok())
        .ok_or_else(|| damaged("meta"))
}

fn unread(bucket: &str) -> Fault {
    Fault::Unread(format!(
        "the bucket `{bucket}` of the database has a form that this version does not support"
    ))
}

/// A member as the bucket `members` has it (`server/etcdserver/api/membership/member.go`).
#[derive(Default, Deserialize)]
#[serde(default)]
struct MemberJson {
    id: u64,
    name: String,
    #[serde(rename = "peerURLs")]
    peer_urls: Option<Vec<String>>,
    #[serde(rename = "clientURLs")]
    client_urls: Option<Vec<String>>,
    #[serde(rename = "isLearner")]
    is_learner: bool,
}

impl MemberJson {
    fn into(self) -> Member {
        Member {
            id: self.id,
            name: self.name,
            peer_urls: self.peer_urls.unwrap_or_default(),
            client_urls: self.client_urls.unwrap_or_default(),
            is_learner: self.is_learner,
        }
    }
}

/// The hasher of what is a hash already.
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
