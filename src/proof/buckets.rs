//! etcd's buckets (`server/storage/schema`), read from the root of a database.

use super::Fault;
use super::found::Found;
use super::page::{self, Meta};
use super::revision::revision_key;
use super::seen::Seen;
use super::walk::{Elements, Leaf, Walk};
use crate::etcd::alarm::{Alarm, AlarmType};
use crate::etcd::messages::{
    AlarmMember, MEMBERS, Member, MemberList, UnaryResponse, version_or_none,
};
use prost::Message;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The buckets that are read for what they contain; of others only the pages are checked.
const READ: [&[u8]; 8] =
    [b"alarm", b"auth", b"authRoles", b"authUsers", b"key", b"lease", b"members", b"meta"];

/// The maximum number of alarms that are read: each member can have two.
const ALARMS: usize = 2 * MEMBERS;

/// The buckets of a database, and the walk that reads their pages.
pub(super) struct Buckets<'a, O> {
    walk: Walk<'a, O>,
    named: BTreeMap<Vec<u8>, Bucket<'a>>,
}

/// A bucket: the index of its root page, or its inline page.
enum Bucket<'a> {
    At(u64),
    Inline(Elements<'a>),
}

/// Is called with the pairs of a bucket: their number, and a pair if there is one and it
/// was kept.
type Visit<'v> = &'v mut dyn FnMut(u64, Option<(&[u8], &[u8])>) -> Result<(), Fault>;

/// The first revision of a leaf, and their number.
type Leaves = (u32, u16);

/// A revision's key and value.
pub(super) type Pair = [Vec<u8>; 2];

impl<'a, O> Buckets<'a, O> {
    /// Reads the root bucket.
    pub(super) fn new(seen: &'a Seen<O>, meta: &Meta) -> Result<Self, Fault> {
        let mut walk = Walk::new(seen, meta)?;
        let named = buckets(&mut walk, meta.root)?;
        Ok(Self { walk, named })
    }

    /// The number of pages that were reached.
    pub(super) fn live_pages(&self) -> u64 {
        self.walk.live()
    }

    /// Reads every bucket except that of the keys.
    pub(super) fn found(&mut self) -> Result<Found, Fault> {
        let mut found = Found { compact_revision: -1, ..Found::default() };
        self.read_meta(&mut found)?;
        self.each(b"members", &mut |_, pair| {
            let (_, value) = pair.ok_or_else(|| unread("members"))?;
            let member = serde_json::from_slice(value).map_err(|_| damaged("members"))?;
            if found.members.len() == MEMBERS {
                return Err(Fault::Unread(format!("it lists more than {MEMBERS} members")));
            }
            found.members.push(MemberJson::into(member));
            Ok(())
        })?;
        // The same bounds apply as to the list of a server.
        let list = MemberList { header: None, members: std::mem::take(&mut found.members) };
        found.members = list.bounded().map_err(Fault::Unread)?.members;
        self.each(b"alarm", &mut |_, pair| {
            let (key, _) = pair.ok_or_else(|| unread("alarm"))?;
            let AlarmMember { member_id, alarm } =
                AlarmMember::decode(key).map_err(|_| damaged("alarm"))?;
            if found.alarms.len() == ALARMS {
                return Err(Fault::Unread(format!("it lists more than {ALARMS} alarms")));
            }
            found.alarms.push(Alarm { member_id, alarm: AlarmType::numbered(alarm) });
            Ok(())
        })?;
        self.each(b"auth", &mut |_, pair| {
            if let Some((b"authEnabled", value)) = pair {
                found.auth_enabled = value == [1];
            }
            Ok(())
        })?;
        found.users = self.count(b"authUsers")?;
        found.roles = self.count(b"authRoles")?;
        found.leases = self.count(b"lease")?;
        Ok(found)
    }

    fn read_meta(&mut self, found: &mut Found) -> Result<(), Fault> {
        let mut finished = -1;
        self.each(b"meta", &mut |_, pair| {
            let Some((key, value)) = pair else { return Ok(()) };
            let number = || {
                (value.len() == 8).then(|| u64::from_be_bytes(value.try_into().unwrap_or_default()))
            };
            match key {
                b"consistent_index" => found.consistent_index = number(),
                b"term" => found.term = number(),
                b"scheduledCompactRev" => found.compact_revision = main(value)?,
                b"finishedCompactRev" => finished = main(value)?,
                b"storageVersion" => {
                    let version = std::str::from_utf8(value).map(version_or_none);
                    found.storage_version = version.ok().filter(|version| !version.is_empty());
                }
                _ => {}
            }
            Ok(())
        })?;
        found.is_compacting = found.compact_revision > finished;
        found.compact_revision = found.compact_revision.max(finished);
        Ok(())
    }

    fn count(&mut self, name: &[u8]) -> Result<u64, Fault> {
        let mut count = 0;
        self.each(name, &mut |number, _| {
            count += number;
            Ok(())
        })?;
        Ok(count)
    }

    /// Checks the pages of the buckets that are not read.
    pub(super) fn check_others(&mut self) -> Result<(), Fault> {
        let names: Vec<Vec<u8>> =
            self.named.keys().filter(|name| !READ.contains(&name.as_slice())).cloned().collect();
        names.iter().try_for_each(|name| self.each(name, &mut |_, _| Ok(())))
    }

    /// Reads the bucket of the keys: passes on its leaves, in the order of their keys, and
    /// returns the pairs of a bucket without a page of its own.
    pub(super) fn revisions(
        &mut self,
        mut leaves: impl FnMut(Leaves) -> Result<(), Fault>,
    ) -> Result<Vec<Pair>, Fault> {
        match self.named.get(b"key".as_slice()) {
            Some(Bucket::At(root)) => {
                self.walk.tree(*root, |leaf| match leaf {
                    Leaf::Revisions(first, count) => leaves((first, count)),
                    Leaf::Bytes(elements) if elements.count() == 0 => Ok(()),
                    Leaf::Bytes(_) => Err(damaged("key")),
                })?;
                Ok(Vec::new())
            }
            Some(Bucket::Inline(elements)) => elements
                .pairs()
                .map(|pair| match pair {
                    (0, Some(key), Some(value)) => Ok([key.to_vec(), value.to_vec()]),
                    _ => Err(damaged("key")),
                })
                .collect(),
            None => {
                Err(Fault::Corrupt("the database has no bucket `key`: it is not etcd's".into()))
            }
        }
    }

    /// Visits the pairs of a bucket, if there is one of this name.
    fn each(&mut self, name: &[u8], visit: Visit<'_>) -> Result<(), Fault> {
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
        match self.named.get(name) {
            None => Ok(()),
            Some(Bucket::At(root)) => self.walk.tree(*root, leaf),
            Some(Bucket::Inline(elements)) => leaf(Leaf::Bytes(*elements)),
        }
    }
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

/// The main part of a revision in a value of the bucket `meta`.
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
