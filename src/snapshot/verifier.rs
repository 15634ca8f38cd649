//! The rules that a snapshot must satisfy, over either transport.
//!
//! etcd sends the database in messages, each with a blob and the number of bytes
//! still to come, and then one message of 32 bytes: the SHA-256 of all before it
//! (`server/etcdserver/api/v3rpc/maintenance.go`). The dump is the database and
//! those 32 bytes, as `etcdctl snapshot save` writes it; `etcdutl snapshot
//! restore` refuses a file that lacks them.
//!
//! The verifier holds the digest back until everything else was proven. So the bytes
//! that are returned of a failed snapshot can never be restored by mistake: they have
//! no digest. If the host hashes, the digest is returned before it is compared, and
//! the host keeps nothing of a dump that does not match.

use crate::error::{Error, Result};
use crate::proof::observer::Observer;
use crate::proof::{Fault, Keyspace, Reader};
use plakar_connector::ErrorKind;
use sha2::{Digest, Sha256};

/// The length of the digest at the end of a dump, in bytes.
pub(crate) const DIGEST_SIZE: u64 = 32;

/// Every page size of bbolt is a multiple of this, in bytes; `etcdutl` considers a file
/// complete only if its size is such a multiple plus a digest
/// (`client/v3/snapshot/v3_snapshot.go`, `hasChecksum`).
const PAGE_UNIT: u64 = 512;

/// The kind of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Bytes of the database, to be returned.
    Data,
    /// The digest, to be held back.
    Digest,
}

/// Which side computes the digest of a snapshot and compares it with etcd's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hashing {
    /// This component, before it returns the digest.
    Here,
    /// The host, by the contract's `reader.digest`, before it acknowledges the dump.
    ByHost,
}

/// What is checked of a snapshot besides its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checks {
    /// Which side computes its digest.
    pub hashing: Hashing,
    /// The memory for reading its pages, in bytes; `None` if they are not read.
    pub proof_memory: Option<usize>,
}

/// A snapshot that satisfied every rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Proof {
    /// The size of the dump, digest included, in bytes.
    pub size: u64,
    /// The SHA-256 of the database, as etcd sent it and as it was computed here or
    /// will be by the host.
    pub sha256: [u8; DIGEST_SIZE as usize],
}

/// The checks of a database's content while it arrives.
pub(crate) struct Content<O = ()> {
    /// `None` if the host does it.
    sha256: Option<Sha256>,
    pages: Reader<O>,
}

/// The content of a database's pages, or why they were not read; `None` if that was not
/// requested.
pub(crate) type Pages = Option<std::result::Result<Keyspace, String>>;

/// The same, with the observer.
pub(crate) type Read<O = ()> = Option<std::result::Result<Keyspace<O>, Unread>>;

/// Why the pages of a database that may be whole were not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unread {
    /// The memory is not sufficient.
    Memory,
    /// They are not in a form that this version knows.
    Unknown(String),
}

impl Content {
    /// A content of which nothing has arrived yet.
    pub(crate) fn new(checks: Checks) -> Self {
        let sha256 = (checks.hashing == Hashing::Here).then(Sha256::new);
        let pages =
            checks.proof_memory.map_or_else(Reader::of_metas, |memory| Reader::new(memory, ()));
        Self { sha256, pages }
    }
}

impl<O: Observer> Content<O> {
    /// A content whose digest is computed here, and whose pages are passed to `observer`. Reading
    /// them takes at most `memory` bytes.
    pub(crate) fn observed(memory: usize, observer: O) -> Self {
        Self { sha256: Some(Sha256::new()), pages: Reader::new(memory, observer) }
    }

    /// Takes the next bytes of the database.
    pub(crate) fn update(&mut self, bytes: &[u8]) -> Result<()> {
        self.pages.update(bytes).map_err(corrupt)?;
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
        Ok(())
    }

    /// Ends the database: compares the received digest with the one computed here, if it
    /// is, and the pages with each other. `None` if they were not to be read.
    pub(crate) fn finish(
        &mut self,
        digest: &[u8],
    ) -> Result<([u8; DIGEST_SIZE as usize], Read<O>)> {
        let Ok(digest) = <[u8; DIGEST_SIZE as usize]>::try_from(digest) else {
            return Err(corrupt(format!(
                "the digest has {} bytes, but SHA-256 has {DIGEST_SIZE}",
                digest.len()
            )));
        };
        if let Some(sha256) = &mut self.sha256
            && *sha256.finalize_reset() != digest
        {
            return Err(mismatch());
        }
        let pages = std::mem::replace(&mut self.pages, Reader::of_metas());
        match pages.finish().map_err(corrupt)? {
            Some(Err(Fault::Corrupt(why))) => Err(damaged(why)),
            Some(Err(Fault::Unread(why))) => Ok((digest, Some(Err(Unread::Unknown(why))))),
            Some(Err(Fault::Exhausted)) => Ok((digest, Some(Err(Unread::Memory)))),
            Some(Ok(keyspace)) => Ok((digest, Some(Ok(keyspace)))),
            None => Ok((digest, None)),
        }
    }
}

/// The error of a content whose digest differs from the received one.
pub(crate) fn mismatch() -> Error {
    corrupt("the SHA-256 of the bytes does not match the one sent with them")
}

/// Fails if this cannot be the size of a database, in bytes.
pub(crate) fn check_size(size: u64) -> Result<()> {
    if size == 0 || !size.is_multiple_of(PAGE_UNIT) {
        Err(corrupt(format!("{size} bytes is not a valid size for a database")))
    } else {
        Ok(())
    }
}

/// Checks the messages of one snapshot, in order.
pub(crate) struct Verifier {
    state: State,
    content: Content,
    pages: Pages,
    /// The size of the database that the first message announced, in bytes.
    announced: u64,
}

enum State {
    /// No message has arrived yet.
    Opening,
    /// This many bytes of the database are still to come.
    Data(u64),
    /// All of the database has arrived; the digest is next.
    AwaitingDigest,
    /// The digest arrived, and was right; only the end may follow.
    Complete([u8; DIGEST_SIZE as usize]),
}

impl Verifier {
    /// A verifier that awaits the first message.
    pub(crate) fn new(checks: Checks) -> Self {
        Self { state: State::Opening, content: Content::new(checks), pages: None, announced: 0 }
    }

    /// Takes the content of the pages, which works once; known with the digest.
    pub(crate) fn take_pages(&mut self) -> Pages {
        self.pages.take()
    }

    /// The size of the dump, known from the first message on.
    pub(crate) fn size(&self) -> Option<u64> {
        match self.state {
            State::Opening => None,
            _ => Some(self.announced + DIGEST_SIZE),
        }
    }

    /// Takes the next message. Must not be called again after an error.
    pub(crate) fn message(&mut self, remaining: u64, blob: &[u8]) -> Result<Piece> {
        let length = blob.len() as u64;
        let outstanding = match self.state {
            State::Opening => {
                self.announced = remaining
                    .checked_add(length)
                    .filter(|size| size.checked_add(DIGEST_SIZE).is_some())
                    .ok_or_else(|| corrupt("etcd announced more bytes than a database can have"))?;
                check_size(self.announced)?;
                self.announced
            }
            State::Data(outstanding) => outstanding,
            State::AwaitingDigest if remaining != 0 => {
                return Err(corrupt("etcd reports remaining bytes after the digest"));
            }
            State::AwaitingDigest => {
                let (digest, pages) = self.content.finish(blob)?;
                self.pages = pages.map(|pages| {
                    pages.map_err(|unread| match unread {
                        Unread::Memory => {
                            "the database has more revisions than fit into `proof_memory`: raise it"
                                .into()
                        }
                        Unread::Unknown(why) => why,
                    })
                });
                self.state = State::Complete(digest);
                return Ok(Piece::Digest);
            }
            State::Complete(_) => return Err(corrupt("a message follows the digest")),
        };
        if length > outstanding {
            return Err(corrupt(format!(
                "more bytes arrived than etcd announced ({length}, with {outstanding} remaining)"
            )));
        }
        if remaining != outstanding - length {
            return Err(corrupt(format!(
                "etcd's count of remaining bytes is wrong: {outstanding} were remaining, \
                    {length} arrived, and now it reports {remaining}"
            )));
        }
        if blob.is_empty() {
            // A server that cannot read its own file repeats this forever.
            return Err(Error::new(
                ErrorKind::Interrupted,
                format!(
                    "etcd sent an empty message with {remaining} bytes remaining: it cannot \
                    read its database"
                ),
            )
            .remedy("check the disk of that member, or use another one"));
        }
        self.content.update(blob)?;
        self.state = match remaining {
            0 => State::AwaitingDigest,
            left => State::Data(left),
        };
        Ok(Piece::Data)
    }

    /// Ends the stream: the proof of a complete snapshot, or why it is incomplete.
    pub(crate) fn finish(&self) -> Result<Proof> {
        let missing = match self.state {
            State::Complete(sha256) => {
                return Ok(Proof { size: self.announced + DIGEST_SIZE, sha256 });
            }
            State::Opening => "before its first message".into(),
            State::Data(left) => format!("with {left} of {} bytes missing", self.announced),
            State::AwaitingDigest => "before the digest".into(),
        };
        Err(Error::new(ErrorKind::Interrupted, format!("the stream ended {missing}"))
            .remedy("check that member's log, and run the backup again"))
    }
}

/// The error of a content whose pages contradict each other.
fn damaged(why: String) -> Error {
    corrupt(why).remedy(
        "back up another member, and replace this one; if there is no better one, `proof=off` \
            accepts its snapshot as it is",
    )
}

fn corrupt(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, what).remedy(
        "make another backup; if the error persists, check that member with `etcdutl`, or use \
            another one",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database of this number of pages, three at least.
    fn database(pages: usize) -> Vec<u8> {
        let buckets = [("key".into(), Vec::new())].into();
        databases::Database { page_size: 512, pages, buckets, ..databases::Database::etcd() }
            .bytes()
    }

    fn checks(hashing: Hashing) -> Checks {
        Checks { hashing, proof_memory: Some(1 << 20) }
    }

    /// Messages that carry these bytes in blobs of this size, and then the digest.
    fn messages(bytes: &[u8], blob: usize) -> Vec<(u64, Vec<u8>)> {
        let mut left = bytes.len() as u64;
        let mut messages: Vec<_> = bytes
            .chunks(blob)
            .map(|chunk| {
                left -= chunk.len() as u64;
                (left, chunk.to_vec())
            })
            .collect();
        messages.push((0, Sha256::digest(bytes).to_vec()));
        messages
    }

    fn verify(messages: &[(u64, Vec<u8>)]) -> Result<Proof> {
        verify_by(Hashing::Here, messages)
    }

    fn verify_by(hashing: Hashing, messages: &[(u64, Vec<u8>)]) -> Result<Proof> {
        let mut verifier = Verifier::new(checks(hashing));
        for (remaining, blob) in messages {
            verifier.message(*remaining, blob)?;
        }
        verifier.finish()
    }

    fn refused(messages: &[(u64, Vec<u8>)], kind: ErrorKind, words: &str) {
        let error = verify(messages).expect_err(words);
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }

    #[test]
    fn a_whole_snapshot_is_proven_whatever_the_size_of_its_blobs() {
        let bytes = database(3);
        for blob in [1, 19, 20, 512, 1000, 5000] {
            let proof = verify(&messages(&bytes, blob)).expect("a proof");
            assert_eq!(proof.size, bytes.len() as u64 + 32);
            assert_eq!(proof.sha256[..], Sha256::digest(&bytes)[..]);
        }
    }

    #[test]
    fn the_size_is_known_from_the_first_message_on() {
        let mut verifier = Verifier::new(checks(Hashing::Here));
        assert_eq!(verifier.size(), None);
        verifier.message(1024, &database(3)[..512]).expect("the first message");
        assert_eq!(verifier.size(), Some(1536 + 32));
    }

    #[test]
    fn a_stream_that_ends_early_is_an_interruption() {
        let whole = messages(&database(3), 512);
        for kept in 0..whole.len() {
            refused(&whole[..kept], ErrorKind::Interrupted, "the stream ended");
        }
    }

    #[test]
    fn a_wrong_number_of_remaining_bytes_is_refused() {
        for (index, remaining) in [(1, 1024), (1, 0), (1, 511), (1, 513), (2, 512)] {
            let mut messages = messages(&database(3), 512);
            messages[index].0 = remaining;
            refused(&messages, ErrorKind::Corrupt, "remaining bytes is wrong");
        }
    }

    #[test]
    fn more_bytes_than_announced_are_refused() {
        let mut messages = messages(&database(3), 512);
        messages[1].1.extend([0; 1024]);
        refused(&messages, ErrorKind::Corrupt, "more bytes arrived");
    }

    #[test]
    fn an_empty_message_with_bytes_left_is_refused_at_once() {
        let mut messages = messages(&database(3), 512);
        messages.insert(1, (1024, Vec::new()));
        refused(&messages, ErrorKind::Interrupted, "cannot read its database");
    }

    #[test]
    fn a_digest_that_is_not_that_of_the_bytes_is_refused() {
        let mut changed = messages(&database(4), 512);
        changed[3].1[7] ^= 1;
        refused(&changed, ErrorKind::Corrupt, "SHA-256");
        let mut changed = messages(&database(3), 512);
        changed[3].1[31] ^= 1;
        refused(&changed, ErrorKind::Corrupt, "SHA-256");
    }

    #[test]
    fn every_rule_except_the_digest_applies_if_the_host_hashes() {
        let verify = |messages: &[(u64, Vec<u8>)]| verify_by(Hashing::ByHost, messages);
        // In a page that is not in use.
        let mut changed = messages(&database(4), 512);
        changed[3].1[7] ^= 1;
        let proof = verify(&changed).expect("the host will find it");
        assert_eq!(proof.sha256[..], Sha256::digest(database(4))[..], "as etcd sent it");
        changed[4].1.pop();
        assert_eq!(verify(&changed).expect_err("31 bytes").kind, ErrorKind::Corrupt);
        assert_eq!(verify(&changed[..4]).expect_err("cut").kind, ErrorKind::Interrupted);
    }

    #[test]
    fn a_digest_of_another_length_is_refused() {
        for length in [0, 31, 33, 512] {
            let mut messages = messages(&database(3), 512);
            messages[3].1.resize(length, 0);
            refused(&messages, ErrorKind::Corrupt, "the digest has");
        }
    }

    #[test]
    fn bytes_announced_after_the_digest_are_refused() {
        let mut messages = messages(&database(3), 512);
        messages[3].0 = 512;
        refused(&messages, ErrorKind::Corrupt, "after the digest");
    }

    #[test]
    fn a_message_after_the_digest_is_refused() {
        for extra in [Vec::new(), vec![0; 32]] {
            let mut messages = messages(&database(3), 512);
            messages.push((0, extra));
            refused(&messages, ErrorKind::Corrupt, "follows the digest");
        }
    }

    #[test]
    fn an_impossible_announcement_is_refused() {
        refused(
            &[(u64::MAX, vec![0; 512])],
            ErrorKind::Corrupt,
            "more bytes than a database can have",
        );
        refused(
            &[(u64::MAX - 511 - 31, vec![0; 512])],
            ErrorKind::Corrupt,
            "more bytes than a database can have",
        );
        refused(&[(0, Vec::new())], ErrorKind::Corrupt, "not a valid size for a database");
        refused(&[(100, vec![0; 512])], ErrorKind::Corrupt, "not a valid size for a database");
    }

    #[test]
    fn anything_but_a_bbolt_database_is_refused() {
        let mut bytes = database(3);
        bytes[17] ^= 1;
        for blob in [1, 79, 80, 512] {
            refused(&messages(&bytes, blob), ErrorKind::Corrupt, "not a bbolt database");
        }
    }

    /// The definition of a snapshot, without an order of checks: blobs that form a database,
    /// each with the number of bytes after it, and then the digest of them all.
    fn is_well_formed(messages: &[(u64, Vec<u8>)], hashing: Hashing) -> bool {
        let Some(((0, digest), blobs)) = messages.split_last() else { return false };
        let database: Vec<u8> = blobs.iter().flat_map(|(_, blob)| blob.clone()).collect();
        let mut seen = 0;
        let adds_up = blobs.iter().all(|(remaining, blob)| {
            seen += blob.len();
            !blob.is_empty() && *remaining == (database.len() - seen) as u64
        });
        let is_whole = !database.is_empty() && database.len().is_multiple_of(512);
        let is_right = match hashing {
            Hashing::Here => digest[..] == Sha256::digest(&database)[..],
            Hashing::ByHost => digest.len() == 32,
        };
        adds_up && is_whole && is_right && is_database(&database)
    }

    /// Whether the pages of a database agree with each other.
    fn is_database(bytes: &[u8]) -> bool {
        let mut reader = Reader::new(1 << 20, ());
        reader.update(bytes).is_ok()
            && reader.finish().is_ok_and(|pages| pages.is_some_and(|p| p.is_ok()))
    }

    /// Changes one message, or its place, as a server, a disk or the network may.
    fn damage(messages: &mut Vec<(u64, Vec<u8>)>, random: &mut fastrand::Rng) {
        let (at, other) = (random.usize(..messages.len()), random.usize(..messages.len()));
        let (remaining, blob) = &mut messages[at];
        match random.u8(..9) {
            0 => *remaining = remaining.wrapping_add_signed(random.i64(-1..=1)),
            1 => *remaining = [0, 512, u64::MAX - 500][random.usize(..3)],
            2 => blob.truncate(random.usize(..=blob.len())),
            3 => blob.resize(blob.len() + random.usize(..=512), 0),
            4 => blob.iter_mut().skip(random.usize(..=16)).take(1).for_each(|byte| *byte ^= 1),
            5 => messages.swap(at, other),
            6 => messages.insert(at, messages[other].clone()),
            7 => messages.truncate(at + 1),
            _ => drop(messages.remove(at)),
        }
    }

    #[test]
    fn exactly_the_well_formed_snapshots_are_proven() {
        let mut proven = [0, 0];
        for seed in 0..2000 {
            let random = &mut fastrand::Rng::with_seed(seed);
            let hashing = [Hashing::Here, Hashing::ByHost][random.usize(..2)];
            let bytes = database(random.usize(3..=4));
            let mut messages = messages(&bytes, random.usize(1..=bytes.len()));
            for _ in 0..random.usize(..3) {
                if !messages.is_empty() {
                    damage(&mut messages, random);
                }
            }
            // With a digest that matches the bytes, the other rules decide.
            if let (true, Some(((_, digest), blobs))) = (random.bool(), messages.split_last_mut()) {
                let bytes: Vec<u8> = blobs.iter().flat_map(|(_, blob)| blob.clone()).collect();
                *digest = Sha256::digest(bytes).to_vec();
            }
            let proof = verify_by(hashing, &messages);
            let expected = is_well_formed(&messages, hashing);
            assert_eq!(proof.is_ok(), expected, "seed {seed}: {proof:?}");
            proven[usize::from(expected)] += 1;
        }
        assert!(proven.iter().all(|times| *times > 500), "{proven:?}");
    }
}
