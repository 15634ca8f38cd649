use super::*;
use databases::{Database, Pairs, revision};
use std::collections::{BTreeMap, BTreeSet};

const MEMORY: usize = 32 << 20;

/// Returns one of these.
fn one_of<T: Copy>(random: &mut fastrand::Rng, of: &[T]) -> T {
    of[random.usize(..of.len())]
}

/// Reads a database in pieces of this size.
fn read_in(bytes: &[u8], piece: usize) -> Result<Keyspace, Fault> {
    let corrupt = |why: &str| Fault::Corrupt(why.into());
    let mut reader = Reader::new(MEMORY, ());
    for piece in bytes.chunks(piece) {
        reader.update(piece).map_err(corrupt)?;
    }
    reader.finish().map_err(corrupt)?.expect("the pages were to be read")
}

fn read(bytes: &[u8]) -> Result<Keyspace, Fault> {
    read_in(bytes, 32 << 10)
}

/// What a walk over the whole file at once finds: which pages are reachable, and the keys in them
/// by etcd's rules. It has nothing in common with the reader except bbolt's layout.
mod plain {
    use super::*;

    pub(super) struct Plain {
        pub(super) buckets: BTreeMap<Vec<u8>, Pairs>,
        pub(super) live: BTreeSet<usize>,
    }

    struct Walk<'a> {
        file: &'a [u8],
        size: usize,
        live: BTreeSet<usize>,
    }

    fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
        let bytes = bytes.get(at..at.checked_add(size)?)?;
        Some(bytes.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte)))
    }

    /// The elements of a page: flags, key and value, or the child instead.
    type Elements = Vec<(u64, Vec<u8>, Vec<u8>)>;

    fn elements(page: &[u8], is_leaf: bool) -> Option<Elements> {
        let count = number(page, 10, 2)? as usize;
        let mut end = 16 + 16 * count;
        let mut elements = Vec::new();
        for at in (1..=count).map(|index| index * 16) {
            let n = |offset: usize| number(page, at + offset, 4).map(|n| n as usize);
            let (first, position, key, value) = if is_leaf {
                (n(0)? as u64, n(4)?, n(8)?, n(12)?)
            } else {
                (number(page, at + 8, 8)?, n(0)?, n(4)?, 0)
            };
            // The reader may stop at a layout that bbolt would not have written.
            if at + position != end {
                return None;
            }
            end = end.checked_add(key)?.checked_add(value)?;
            let begin = at + position;
            elements.push((
                first,
                page.get(begin..begin + key)?.to_vec(),
                page.get(begin + key..end)?.to_vec(),
            ));
        }
        Some(elements)
    }

    impl Walk<'_> {
        fn take(&mut self, id: usize) -> Option<&[u8]> {
            let begin = id.checked_mul(self.size)?;
            let page = self.file.get(begin..)?;
            let span = number(page, 12, 4)? as usize + 1;
            if number(page, 0, 8)? != id as u64 || span > self.file.len() / self.size {
                return None;
            }
            if !(id..id + span).all(|id| self.live.insert(id)) {
                return None;
            }
            page.get(..span * self.size)
        }

        fn tree(
            &mut self,
            id: usize,
            out: &mut Elements,
            from: &[u8],
            to: Option<&[u8]>,
        ) -> Option<()> {
            let page = self.take(id)?.to_vec();
            match number(&page, 8, 2)? {
                2 => {
                    for element in elements(&page, true)? {
                        let follows = out.last().is_none_or(|last| last.1 < element.1);
                        let is_within = *element.1 >= *from && to.is_none_or(|to| *element.1 < *to);
                        (follows && is_within).then_some(())?;
                        out.push(element);
                    }
                }
                1 => {
                    let children = elements(&page, false)?;
                    (!children.is_empty()).then_some(())?;
                    for (index, (child, key, _)) in children.iter().enumerate() {
                        let next = children.get(index + 1).map(|next| next.1.as_slice()).or(to);
                        self.tree(usize::try_from(*child).ok()?, out, key, next)?;
                    }
                }
                _ => return None,
            }
            Some(())
        }
    }

    pub(super) fn read(file: &[u8]) -> Option<Plain> {
        let size = number(file, 24, 4)? as usize;
        let mut walk = Walk { file, size, live: [0, 1].into() };
        match number(file, 48, 8)? {
            u64::MAX => {}
            id => drop(walk.take(id as usize)?),
        }
        let mut roots = Vec::new();
        walk.tree(number(file, 32, 8)? as usize, &mut roots, b"", None)?;
        let mut buckets = BTreeMap::new();
        for (flags, name, value) in roots {
            (flags == 1).then_some(())?;
            let mut pairs = Vec::new();
            match number(&value, 0, 8)? as usize {
                0 => {
                    let page = value.get(16..)?;
                    (page.len() >= 16 && page[..8] == [0; 8]).then_some(())?;
                    (number(page, 8, 2)? == 2 && number(page, 12, 4)? == 0).then_some(())?;
                    pairs = elements(page, true)?;
                    pairs.is_sorted_by(|a, b| a.1 < b.1).then_some(())?;
                }
                root => walk.tree(root, &mut pairs, b"", None)?,
            }
            pairs.iter().all(|(flags, ..)| *flags == 0).then_some(())?;
            buckets.insert(name, pairs.into_iter().map(|(_, k, v)| (k, v)).collect());
        }
        Some(Plain { buckets, live: walk.live })
    }

    /// HashKV as etcd computes it (`mvcc/hash.go`, `key_index.go`).
    pub(super) fn hash(pairs: &Pairs, compacted: u64) -> Option<u32> {
        let main = |key: &[u8]| u64::from_be_bytes(key[..8].try_into().expect("eight bytes"));
        let mut newest: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for (key, value) in pairs {
            let is_key = [17, 18].contains(&key.len())
                && key[8] == b'_'
                && (key.len() == 17 || key[17] == b't');
            (is_key && value.first() == Some(&10)).then_some(())?;
            let (mut length, mut at, mut shift) = (0_usize, 1, 0);
            loop {
                let byte = *value.get(at)?;
                length |= usize::from(byte & 0x7f) << shift;
                (at, shift) = (at + 1, shift + 7);
                if byte & 0x80 == 0 {
                    break;
                }
                (shift < 35).then_some(())?;
            }
            newest.insert(value.get(at..at.checked_add(length)?)?.to_vec(), key.clone());
        }
        let kept: BTreeSet<&Vec<u8>> = newest.values().filter(|key| key.len() == 17).collect();
        let mut crc = crc32c::crc32c(b"key");
        for (key, value) in pairs {
            let is_left_out = main(key) <= compacted && !kept.is_empty() && !kept.contains(key);
            if is_left_out || main(key) == compacted && key.len() == 18 {
                continue;
            }
            crc = crc32c::crc32c_append(crc32c::crc32c_append(crc, key), value);
        }
        Some(crc)
    }
}

/// A cluster's history: writes, deletions, transactions, values of all sizes, compactions.
fn life(random: &mut fastrand::Rng) -> Database {
    let mut database = Database::etcd();
    database.page_size = one_of(random, &[512, 4096, 4096, 16384]);
    database.seed = random.bool().then(|| random.u64(..));
    database.has_freelist = random.bool();
    let names = random.usize(1..40);
    let most = one_of(random, &[4, 60, 400]);
    let revisions = random.u64(..most);
    for main in 2..2 + revisions {
        for sub in 0..random.u64(1..4) {
            let name = format!("/registry/{}", random.usize(..names));
            if random.u8(..4) == 0 {
                let value = [[10, name.len() as u8].as_slice(), name.as_bytes()].concat();
                database.add("key", &revision(main, sub, true), &value);
                continue;
            }
            let most = one_of(random, &[8, 8, 300, 2000, 30_000]);
            let value: Vec<u8> = (0..random.usize(..most)).map(|_| random.u8(..)).collect();
            let value = databases::key_value(name.as_bytes(), main, &value);
            database.add("key", &revision(main, sub, false), &value);
        }
    }
    let most = one_of(random, &[3, 300]);
    for lease in 0..random.u64(..most) {
        database.add("lease", &(lease * 77).to_be_bytes(), &[8, 1, 16, 60]);
    }
    if random.bool() && revisions > 0 {
        database.compact(random.u64(2..2 + revisions), random.bool());
    }
    database
}

#[test]
fn one_pass_finds_what_a_plain_walk_over_the_whole_file_finds() {
    for seed in 0..400 {
        let random = &mut fastrand::Rng::with_seed(seed);
        let database = life(random);
        let bytes = database.bytes();
        let keyspace = read_in(&bytes, random.usize(1..100_000))
            .unwrap_or_else(|fault| panic!("seed {seed}: {fault:?}"));
        let plain = plain::read(&bytes).expect("a database");
        let pairs = &plain.buckets[b"key".as_slice()];
        assert_eq!(*pairs, database.buckets["key"], "seed {seed}");
        let Found { revision, revisions, compact_revision, live_pages, free_pages, .. } =
            keyspace.found;
        assert_eq!(revisions, pairs.len() as u64, "seed {seed}");
        assert_eq!(keyspace.found.leases, plain.buckets[b"lease".as_slice()].len() as u64);
        assert_eq!(live_pages, plain.live.len() as u64, "seed {seed}");
        assert_eq!((live_pages + free_pages) as usize * database.page_size, bytes.len());
        assert_eq!(keyspace.found.page_size as usize, database.page_size);
        for compacted in [compact_revision, random.i64(-1..=revision), revision] {
            let expected = plain::hash(pairs, compacted.max(0) as u64);
            assert_eq!(Some(keyspace.hash(compacted)), expected, "seed {seed} at {compacted}");
        }
    }
}

#[test]
fn a_changed_byte_never_makes_a_walk_find_what_is_not_there() {
    let rounds = std::env::var("MUTATIONS").map_or(20_000, |n| n.parse().expect("a number"));
    let from = std::env::var("MUTATIONS_FROM").map_or(0, |n| n.parse().expect("a number"));
    let mut read_as = [0, 0, 0];
    let mut bytes = Vec::new();
    for seed in from..from + rounds {
        let random = &mut fastrand::Rng::with_seed(seed);
        if bytes.is_empty() || seed % 64 == 0 {
            let mut database = Database::etcd();
            database.page_size = 512;
            database.seed = Some(seed);
            for main in 2..random.u64(3..40) {
                let name = format!("k{}", random.u8(..9));
                match random.u8(..5) {
                    0 => database.delete(main, &name),
                    _ => {
                        let most = one_of(random, &[30, 900]);
                        database.put(main, &name, &vec![7; random.usize(..most)]);
                    }
                }
            }
            bytes = database.bytes();
        }
        let mut changed = bytes.clone();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..changed.len());
            match random.u8(..4) {
                0 => changed[at] ^= 1 << random.u8(..8),
                1 => changed[at] = random.u8(..),
                2 => {
                    // Near the beginning of a page, where its structure is.
                    let at = at / 512 * 512 + random.usize(..48);
                    changed[at] = random.u8(..);
                }
                _ => {
                    let from = random.usize(..changed.len() / 512) * 512;
                    let page = changed[from..from + 512].to_vec();
                    let to = random.usize(2..changed.len() / 512) * 512;
                    changed[to..to + 512].copy_from_slice(&page);
                }
            }
        }
        databases::sign(&mut changed, 512);
        match (read(&changed), plain::read(&changed)) {
            (Ok(keyspace), Some(plain)) => {
                let pairs = &plain.buckets[b"key".as_slice()];
                let at = random.i64(0..50);
                assert_eq!(Some(keyspace.hash(at)), plain::hash(pairs, at as u64), "seed {seed}");
                assert_eq!(keyspace.found.live_pages, plain.live.len() as u64, "seed {seed}");
                read_as[0] += 1;
            }
            (Ok(_), None) => panic!("seed {seed}: a damaged database was read"),
            (Err(Fault::Corrupt(_)), _) => read_as[1] += 1,
            (Err(Fault::Unread(_) | Fault::Exhausted), _) => read_as[2] += 1,
        }
    }
    assert!(read_as.iter().all(|times| *times > 0), "{read_as:?}");
}

/// A user can write a value that looks like pages, each of which claims to own all that
/// follows.
#[test]
fn values_that_look_like_pages_count_as_values() {
    for overflow in [0, 1, 40, 300] {
        let mut database = Database::etcd();
        let stale = databases::key_value(b"stolen", 9, b"never written");
        for main in 2..6 {
            database.put(main, &format!("large{main}"), &vec![b'x'; 200_000]);
        }
        let mut bytes = database.bytes();
        for page in 2..bytes.len() / 4096 {
            let at = page * 4096;
            if bytes[at..at + 4096].iter().any(|byte| *byte != b'x') {
                continue;
            }
            let mut header = (page as u64).to_le_bytes().to_vec();
            header.extend([2, 0, 1, 0]);
            header.extend_from_slice(&u32::to_le_bytes(overflow));
            let key = revision(9, page as u64, false);
            for number in [0, 16, key.len() as u32, stale.len() as u32] {
                header.extend_from_slice(&number.to_le_bytes());
            }
            header.extend([key, stale.clone()].concat());
            bytes[at..at + header.len()].copy_from_slice(&header);
        }
        let keyspace = read(&bytes).expect("a database");
        let plain = plain::read(&bytes).expect("a database");
        let pairs = &plain.buckets[b"key".as_slice()];
        assert_eq!(Some(keyspace.hash(-1)), plain::hash(pairs, 0), "overflow {overflow}");
        assert_eq!((keyspace.found.keys, keyspace.found.revision), (4, 5));
    }
}

/// A member that is compacted further than the snapshot hashes fewer revisions; the snapshot has
/// all of them.
#[test]
fn the_hash_of_a_member_that_compacted_later_is_computed_from_the_same_bytes() {
    let mut database = Database::etcd();
    for main in 2..50 {
        match main % 7 {
            0 => database.delete(main, &format!("k{}", (main - 1) % 5)),
            _ => database.put(main, &format!("k{}", main % 5), b"value"),
        }
    }
    database.compact(10, false);
    let bytes = database.bytes();
    let keyspace = read(&bytes).expect("a database");
    assert!(keyspace.found.is_compacting);
    assert_eq!(keyspace.found.compact_revision, 10);
    let mut hashes = BTreeSet::new();
    for compacted in 10..50 {
        let hash = keyspace.hash(compacted);
        assert_eq!(Some(hash), plain::hash(&database.buckets["key"], compacted as u64));
        hashes.insert(hash);
    }
    assert!(hashes.len() > 20, "they differ");
}

#[test]
fn a_server_cannot_fill_the_memory_through_the_pages() {
    let member = |id: usize, name: usize| {
        let json = format!(r#"{{"id":{id},"name":"{}"}}"#, "n".repeat(name));
        (format!("{id:016x}").into_bytes(), json.into_bytes())
    };
    let with = |name: &str, pairs: Pairs| {
        let mut database = Database::etcd();
        database.put(2, "/a", b"value");
        database.buckets.insert(name.into(), pairs);
        read(&database.bytes()).map(|keyspace| keyspace.found)
    };
    let found = with("members", (0..64).map(|id| member(id, 256)).collect()).expect("members");
    assert_eq!(found.members.len(), 64);
    for members in [(0..65).map(|id| member(id, 1)).collect(), vec![member(1, 257)]] {
        assert!(matches!(with("members", members), Err(Fault::Unread(_))));
    }
    let version = |version: String| vec![(b"storageVersion".to_vec(), version.into_bytes())];
    let found = with("meta", version("3.6.0".into())).expect("a version");
    assert_eq!(found.storage_version.as_deref(), Some("3.6.0"));
    let found = with("meta", version("3".repeat(65))).expect("a database");
    assert_eq!(found.storage_version, None);
}

#[test]
fn a_foreign_or_inconsistent_database_is_refused_with_the_reason() {
    let change = |at: usize, byte: u8| {
        let mut bytes = Database { page_size: 512, ..Database::etcd() }.bytes();
        bytes[at] = byte;
        databases::sign(&mut bytes, 512);
        read(&bytes).err()
    };
    for (at, byte, words) in [
        (16, 0, "not a bbolt database"),
        (20, 3, "version 2"),
        (24, 1, "size of its pages is impossible"),
        (32, 1, "the root is not a page"),
        (512 + 64, 77, "contradict each other"),
    ] {
        match change(at, byte) {
            Some(Fault::Corrupt(why)) => assert!(why.contains(words), "{words}: {why}"),
            other => panic!("{words}: {other:?}"),
        }
    }
    let whole = Database::etcd().bytes();
    let fault = read(&whole[..whole.len() - 4096]).err();
    assert!(matches!(fault, Some(Fault::Corrupt(why)) if why.contains("state another size")));
    let mut other = Database::etcd();
    other.buckets.remove("key");
    let fault = read(&other.bytes()).err();
    assert!(matches!(fault, Some(Fault::Corrupt(why)) if why.contains("it is not etcd's")));
    let mut odd = Database::etcd();
    odd.add("key", b"no revision", b"x");
    let fault = read(&odd.bytes()).err();
    assert!(matches!(fault, Some(Fault::Corrupt(why)) if why.contains("`key`")));
}
