//! Databases for tests, laid out as bbolt lays them out and filled as etcd fills them.
//!
//! ```
//! let mut database = databases::Database::etcd();
//! database.put(2, "/registry/pods/a", b"value");
//! database.delete(3, "/registry/pods/a");
//! let bytes = database.bytes();
//! ```
//! It stands in for a real one where a test needs a layout that etcd makes by chance alone,
//! or a size that a test can choose. The writer shares no code with the reader.

#![forbid(unsafe_code)]

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

const LEAF: u16 = 0x02;
const BRANCH: u16 = 0x01;
const META: u16 = 0x04;
const FREELIST: u16 = 0x10;
const HEADER: usize = 16;

/// The pairs of a bucket.
pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// A database to be written.
#[derive(Debug, Clone)]
pub struct Database {
    /// The size of a page, in bytes.
    pub page_size: usize,
    /// The buckets and their pairs, in order.
    pub buckets: BTreeMap<String, Pairs>,
    /// The least number of pages; those that hold nothing are filled with noise.
    pub pages: usize,
    /// Where the pages lie, and what the free ones hold: pages that were used once, pages that
    /// claim others, noise. `None` for one after the other.
    pub seed: Option<u64>,
    /// Whether a list of the free pages is stored.
    pub has_freelist: bool,
}

/// The key of a revision in the bucket `key`.
pub fn revision(main: u64, sub: u64, is_tombstone: bool) -> Vec<u8> {
    let mut key = main.to_be_bytes().to_vec();
    key.push(b'_');
    key.extend_from_slice(&sub.to_be_bytes());
    key.extend(is_tombstone.then_some(b't'));
    key
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn bytes_field(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag << 3 | 2);
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// An encoded `mvccpb.KeyValue`.
pub fn key_value(name: &[u8], main: u64, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    bytes_field(1, name, &mut out);
    for tag in [2, 3] {
        out.push(tag << 3);
        varint(main, &mut out);
    }
    out.extend([4 << 3, 1]);
    if !value.is_empty() {
        bytes_field(5, value, &mut out);
    }
    out
}

impl Database {
    /// A database of a new cluster of one member, of which the id is 1.
    pub fn etcd() -> Self {
        let member = br#"{"id":1,"peerURLs":["http://127.0.0.1:2380"],"name":"node1","clientURLs":["http://127.0.0.1:2379"]}"#;
        let meta = [
            ("consistent_index", 5_u64.to_be_bytes().to_vec()),
            ("storageVersion", b"3.6.0".to_vec()),
            ("term", 2_u64.to_be_bytes().to_vec()),
        ];
        let mut buckets: BTreeMap<String, Pairs> = [
            "alarm",
            "auth",
            "authRoles",
            "authUsers",
            "cluster",
            "key",
            "lease",
            "members_removed",
        ]
        .map(|name| (name.to_string(), Vec::new()))
        .into();
        buckets.insert("members".into(), vec![(b"0000000000000001".to_vec(), member.to_vec())]);
        let meta = meta.map(|(name, value)| (name.as_bytes().to_vec(), value));
        buckets.insert("meta".into(), meta.into());
        Self { page_size: 4096, buckets, pages: 0, seed: None, has_freelist: false }
    }

    /// Adds a pair to a bucket, in its place.
    pub fn add(&mut self, bucket: &str, key: &[u8], value: &[u8]) {
        let pairs = self.buckets.entry(bucket.into()).or_default();
        match pairs.binary_search_by(|(other, _)| other.as_slice().cmp(key)) {
            Ok(at) => pairs[at].1 = value.to_vec(),
            Err(at) => pairs.insert(at, (key.to_vec(), value.to_vec())),
        }
    }

    /// Writes a key at a revision.
    pub fn put(&mut self, main: u64, name: &str, value: &[u8]) {
        let value = key_value(name.as_bytes(), main, value);
        self.add("key", &revision(main, 0, false), &value);
    }

    /// Deletes a key at a revision.
    pub fn delete(&mut self, main: u64, name: &str) {
        let mut value = Vec::new();
        bytes_field(1, name.as_bytes(), &mut value);
        self.add("key", &revision(main, 0, true), &value);
    }

    /// Notes a compaction, finished or not.
    pub fn compact(&mut self, main: u64, is_finished: bool) {
        let names = ["scheduledCompactRev", "finishedCompactRev"];
        for name in &names[..1 + usize::from(is_finished)] {
            self.add("meta", name.as_bytes(), &revision(main, 0, false));
        }
    }

    /// HashKV of a member that was never compacted and holds this.
    pub fn hash_kv(&self) -> u32 {
        let pairs = self.buckets.get("key").into_iter().flatten();
        pairs.fold(crc32c::crc32c(b"key"), |crc, (key, value)| {
            crc32c::crc32c_append(crc32c::crc32c_append(crc, key), value)
        })
    }

    /// The database's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut file = File {
            page_size: self.page_size,
            pages: vec![None; 2],
            taken: vec![true; 2],
            random: self.seed.map(fastrand::Rng::with_seed),
        };
        let mut roots = Vec::new();
        for (name, pairs) in &self.buckets {
            let inline = page(0, LEAF, 0, pairs, &[]);
            let is_small = inline.len() <= self.page_size / 4;
            let (root, inline) =
                if is_small { (0, inline) } else { (file.tree(pairs, 0), Vec::new()) };
            let mut value = (root as u64).to_le_bytes().to_vec();
            value.extend_from_slice(&7_u64.to_le_bytes());
            value.extend_from_slice(&inline);
            roots.push((name.as_bytes().to_vec(), value));
        }
        let root = file.tree(&roots, 1);
        let freelist = self.has_freelist.then(|| {
            let list = vec![0; 24];
            file.place(1, |id| page_of(id, FREELIST, 1, &list))
        });
        while file.pages.len() < self.pages {
            file.pages.push(None);
        }
        file.finish(root, freelist)
    }

    /// The dump of the database: its bytes, and the SHA-256 of them.
    pub fn dump(&self) -> Vec<u8> {
        dump(&self.bytes())
    }
}

/// The dump of a database: its bytes, and the SHA-256 of them.
pub fn dump(database: &[u8]) -> Vec<u8> {
    let mut dump = database.to_vec();
    dump.extend_from_slice(&Sha256::digest(database));
    dump
}

/// The pages, each with the bytes from it on that belong to it.
struct File {
    page_size: usize,
    pages: Vec<Option<Vec<u8>>>,
    /// Whether a page is in use.
    taken: Vec<bool>,
    random: Option<fastrand::Rng>,
}

impl File {
    /// Writes a tree; returns the page of its root.
    fn tree(&mut self, pairs: &Pairs, flags: u32) -> usize {
        let mut level = Vec::new();
        for group in self.groups(pairs) {
            let bytes = page(0, LEAF, flags, group, &[]);
            let span = bytes.len().div_ceil(self.page_size).max(1);
            let at = self.place(span, |id| page(id, LEAF, flags, group, &[]));
            level.push((group.first().map(|(key, _)| key.clone()).unwrap_or_default(), at));
        }
        while level.len() > 1 {
            let keys: Pairs = level.iter().map(|(key, _)| (key.clone(), Vec::new())).collect();
            let mut above = Vec::new();
            let mut done = 0;
            for group in self.groups(&keys) {
                let children: Vec<usize> =
                    level[done..done + group.len()].iter().map(|(_, at)| *at).collect();
                done += group.len();
                let bytes = page(0, BRANCH, 0, group, &children);
                let span = bytes.len().div_ceil(self.page_size);
                let at = self.place(span, |id| page(id, BRANCH, 0, group, &children));
                above.push((group[0].0.clone(), at));
            }
            level = above;
        }
        level[0].1
    }

    /// Splits pairs into those of one page each: two at least, as bbolt does.
    fn groups<'p>(&self, pairs: &'p Pairs) -> Vec<&'p [(Vec<u8>, Vec<u8>)]> {
        let (mut groups, mut begin, mut size) = (Vec::new(), 0, HEADER);
        for (index, (key, value)) in pairs.iter().enumerate() {
            let next = HEADER + key.len() + value.len();
            let is_last = pairs.len() - index < 2;
            if index - begin >= 2 && !is_last && size + next > self.page_size * 9 / 10 {
                groups.push(&pairs[begin..index]);
                (begin, size) = (index, HEADER);
            }
            size += next;
        }
        groups.push(&pairs[begin..]);
        groups
    }

    /// Puts a page somewhere.
    fn place(&mut self, span: usize, page: impl Fn(usize) -> Vec<u8>) -> usize {
        let mut at = self.pages.len();
        if let Some(random) = &mut self.random {
            at += random.usize(..3);
            for _ in 0..4 {
                let index = random.usize(2..=self.pages.len());
                if self.taken.get(index..index + span).is_some_and(|taken| !taken.contains(&true)) {
                    at = index;
                    break;
                }
            }
        }
        let end = self.pages.len().max(at + span);
        self.pages.resize(end, None);
        self.taken.resize(end, false);
        self.taken[at..at + span].fill(true);
        let mut page = page(at);
        page[12..16].copy_from_slice(&(span as u32 - 1).to_le_bytes());
        self.pages[at] = Some(page);
        at
    }

    fn finish(mut self, root: usize, freelist: Option<usize>) -> Vec<u8> {
        let mut noise = fastrand::Rng::with_seed(0xED0C_DAED);
        let mut bytes = vec![0; self.pages.len() * self.page_size];
        noise.fill(&mut bytes);
        let used: Vec<usize> =
            (2..self.pages.len()).filter(|at| self.pages[*at].is_some()).collect();
        if let Some(random) = &mut self.random {
            // What was there before: pages of other times, of which later ones took a part.
            for at in 2..self.pages.len() {
                let other = self.pages[used[random.usize(..used.len())]].as_ref();
                let (Some(other), true) = (other, random.u8(..3) > 0) else { continue };
                let mut stale = other.clone();
                stale[..8].copy_from_slice(&(at as u64).to_le_bytes());
                if random.u8(..8) == 0 {
                    stale[12..16].copy_from_slice(&random.u32(..8).to_le_bytes());
                }
                let end = bytes.len().min(at * self.page_size + stale.len());
                let begin = at * self.page_size;
                bytes[begin..end].copy_from_slice(&stale[..end - begin]);
            }
        }
        for (at, page) in self.pages.iter().enumerate() {
            if let Some(page) = page {
                let begin = at * self.page_size;
                bytes[begin..begin + page.len()].copy_from_slice(page);
            }
        }
        for index in 0..2 {
            let begin = index * self.page_size;
            let meta = self.meta(index, root, freelist);
            bytes[begin..begin + self.page_size].fill(0);
            bytes[begin..begin + meta.len()].copy_from_slice(&meta);
        }
        bytes
    }

    fn meta(&self, index: usize, root: usize, freelist: Option<usize>) -> Vec<u8> {
        let mut meta = header(index, META, 0);
        meta.extend_from_slice(&0xED0C_DAED_u32.to_le_bytes());
        meta.extend_from_slice(&2_u32.to_le_bytes());
        meta.extend_from_slice(&(self.page_size as u32).to_le_bytes());
        meta.extend_from_slice(&0_u32.to_le_bytes());
        let freelist = freelist.map_or(u64::MAX, |at| at as u64);
        let transaction = 9 - index as u64;
        for number in [root as u64, 0, freelist, self.pages.len() as u64, transaction] {
            meta.extend_from_slice(&number.to_le_bytes());
        }
        let checksum = checksum(&meta[HEADER..]);
        meta.extend_from_slice(&checksum.to_le_bytes());
        meta
    }
}

/// FNV-1a of 64 bits.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Writes the checksums of both meta pages again, after a test has changed them.
pub fn sign(database: &mut [u8], page_size: usize) {
    for begin in [0, page_size] {
        let checksum = checksum(&database[begin + HEADER..begin + 72]);
        database[begin + 72..begin + 80].copy_from_slice(&checksum.to_le_bytes());
    }
}

fn header(id: usize, flags: u16, count: usize) -> Vec<u8> {
    let mut header = (id as u64).to_le_bytes().to_vec();
    header.extend_from_slice(&flags.to_le_bytes());
    header.extend_from_slice(&(count as u16).to_le_bytes());
    header.extend_from_slice(&[0; 4]);
    header
}

fn page_of(id: usize, flags: u16, count: usize, rest: &[u8]) -> Vec<u8> {
    let mut page = header(id, flags, count);
    page.extend_from_slice(rest);
    page
}

/// A leaf, or a branch where it has children; its overflow is set when it is placed.
fn page(
    id: usize,
    kind: u16,
    flags: u32,
    pairs: &[(Vec<u8>, Vec<u8>)],
    children: &[usize],
) -> Vec<u8> {
    let mut table = Vec::new();
    let mut data = Vec::new();
    for (index, (key, value)) in pairs.iter().enumerate() {
        let position = ((pairs.len() - index) * HEADER + data.len()) as u32;
        match children.get(index) {
            None => {
                let sizes = [flags, position, key.len() as u32, value.len() as u32];
                sizes.iter().for_each(|n| table.extend_from_slice(&n.to_le_bytes()));
                data.extend_from_slice(key);
                data.extend_from_slice(value);
            }
            Some(child) => {
                [position, key.len() as u32]
                    .iter()
                    .for_each(|n| table.extend_from_slice(&n.to_le_bytes()));
                table.extend_from_slice(&(*child as u64).to_le_bytes());
                data.extend_from_slice(key);
            }
        }
    }
    table.extend_from_slice(&data);
    page_of(id, kind, pairs.len(), &table)
}
