//! One import: the records, their order, and what is told about them.
//!
//! ```text
//! Opening ──▶ Dump ──▶ AwaitingDump ──▶ Guide ──▶ Finished
//!    /        /dump    /manifest.json   /RESTORE.md
//! ```
//! The manifest tells what was proven of the dump, so it follows only once the
//! store has kept every byte of it.

use crate::error::{Error, Result, Stage};
use crate::etcd::messages::Id;
use crate::manifest::{self, DatabaseInfo, Evidence, Manifest};
use crate::net::Network;
use crate::options::Options;
use crate::quorum::{self, Outcome, Verdict};
use crate::restore;
use crate::session::{Begun, Chosen, Session, Survey};
use crate::snapshot::stream::{Sent, SnapshotStream, Stated};
use crate::snapshot::verifier::{Pages, Proof};
use plakar_connector::Kind;
use plakar_connector::text::is_hidden;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

/// The pathname of the snapshot.
pub const DUMP: &str = "/dump";
/// The pathname of what is told about it.
pub const MANIFEST: &str = "/manifest.json";
/// The pathname of the way back.
pub const GUIDE: &str = "/RESTORE.md";

const DUMP_ID: u64 = 2;

/// What happens next in an import.
pub enum Step<N: Network> {
    /// A record to store.
    Record(Record<N>),
    /// Nothing until the dump is acknowledged.
    AwaitingAcknowledgements,
    /// All records were handed out.
    Finished,
}

/// One thing to store.
pub struct Record<N: Network> {
    /// Its name in acknowledgements.
    pub id: u64,
    /// Where it lies.
    pub pathname: &'static str,
    /// Its permission bits.
    pub mode: u32,
    /// When it was made. Always the present: Plakar takes a file for unchanged
    /// where its time is, and would then never read it again.
    pub modified: SystemTime,
    /// Its bytes; `None` for a directory.
    pub content: Option<Reader<N>>,
}

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The store keeps so many bytes of it.
    Stored(u64),
    /// It was left out on purpose.
    Skipped,
}

/// A running import.
pub struct Import<N: Network> {
    run: Rc<RefCell<Run<N>>>,
    phase: Phase,
}

enum Phase {
    /// Nobody was contacted.
    Opening,
    /// A member was chosen; the dump is the next record.
    Dump,
    /// The dump was handed out; the manifest follows its acknowledgement.
    AwaitingDump,
    /// The way back is the next record.
    Guide,
    /// All was handed out.
    Finished,
    /// A step failed, and stays so.
    Failed(Error),
}

/// What the import and the reader of its dump share.
struct Run<N> {
    session: Session<N>,
    created_at: SystemTime,
    survey: Survey,
    chosen: Option<Chosen>,
    /// Whether a byte of the dump was asked for.
    dump_begun: bool,
    dumped: Option<Dumped>,
    evidence: Evidence,
    dump_fate: Option<Fate>,
    manifest: Option<Manifest>,
}

/// A snapshot that has begun, and its first bytes.
type Opening<N> = (SnapshotStream<<N as Network>::Body>, Option<Vec<u8>>);

/// What is known of a dump that was read to its proven end.
#[derive(Clone)]
pub struct Dumped {
    /// The proof.
    pub proof: Proof,
    /// The storage version that came with the bytes; may be empty.
    pub storage_version: String,
    /// From the request to the proof.
    pub duration: Duration,
    /// What it tells of its sender.
    pub sent: Sent,
}

impl<N: Network> Import<N> {
    /// An import that has contacted nothing yet. `warn` takes lines for people.
    pub fn new(network: N, options: Options, warn: fn(&str)) -> Self {
        let run = Run {
            session: Session::new(network, options, warn),
            created_at: SystemTime::now(),
            survey: Survey::default(),
            chosen: None,
            dump_begun: false,
            dumped: None,
            evidence: Evidence::default(),
            dump_fate: None,
            manifest: None,
        };
        Self { run: Rc::new(RefCell::new(run)), phase: Phase::Opening }
    }

    /// The next step; the first one contacts the members. An error is the last one.
    pub fn advance(&mut self) -> Result<Step<N>> {
        let step = self.step();
        if let Err(error) = &step {
            self.phase = Phase::Failed(error.clone());
        }
        step
    }

    fn step(&mut self) -> Result<Step<N>> {
        let mut run = self.run.borrow_mut();
        let (phase, record) = match &self.phase {
            Phase::Opening => {
                run.find_member()?;
                (Phase::Dump, run.record(1, "/", 0o700, None))
            }
            Phase::Dump => {
                let dump = DumpReader { run: self.run.clone(), state: DumpState::Unopened };
                (Phase::AwaitingDump, run.record(DUMP_ID, DUMP, 0o600, Some(Reader::Dump(dump))))
            }
            Phase::AwaitingDump => match run.dump_fate.clone() {
                None => return Ok(Step::AwaitingAcknowledgements),
                Some(Fate::Skipped) if !run.dump_begun => {
                    self.phase = Phase::Finished;
                    return Ok(Step::Finished);
                }
                Some(fate) => {
                    let manifest = run.manifest_of(&fate)?;
                    let json = manifest.to_json().into_bytes();
                    run.manifest = Some(manifest);
                    (Phase::Guide, run.record(3, MANIFEST, 0o600, Some(Reader::small(json))))
                }
            },
            Phase::Guide => {
                let guide =
                    run.manifest.as_ref().map(restore::guide).unwrap_or_default().into_bytes();
                (Phase::Finished, run.record(4, GUIDE, 0o600, Some(Reader::small(guide))))
            }
            Phase::Finished => return Ok(Step::Finished),
            Phase::Failed(error) => return Err(error.clone()),
        };
        self.phase = phase;
        Ok(Step::Record(record))
    }

    /// Takes note of what became of a record.
    pub fn acknowledge(&mut self, id: u64, fate: Fate) {
        if id == DUMP_ID {
            self.run.borrow_mut().dump_fate = Some(fate);
        }
    }

    /// The end: an error where not all was handed out. There is nothing to release
    /// at a member: the stream of its snapshot is over.
    pub fn finish(&self) -> Result<()> {
        match &self.phase {
            Phase::Finished => Ok(()),
            Phase::Failed(error) => Err(error.clone()),
            _ => Err(Error::new(Kind::Other, "the import was ended before its last record")
                .during(Stage::Store)),
        }
    }

    /// What is known so far, for people.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let run = self.run.borrow();
        let mut facts = Vec::new();
        let mut fact = |name, value: String| {
            if !value.is_empty() {
                // Texts of servers are among them.
                let plain = value.chars().map(|c| if is_hidden(c) { ' ' } else { c }).collect();
                facts.push((name, plain));
            }
        };
        if let Some(chosen) = &run.chosen {
            fact("endpoint", chosen.candidate.endpoint.to_string());
            fact("transport", chosen.candidate.transport.to_string());
            let no_grpc = chosen.candidate.no_grpc.as_ref().map(|error| error.what().to_string());
            fact("no-grpc", no_grpc.unwrap_or_default());
            fact("etcd-version", chosen.version.clone());
            match chosen.identity.hidden() {
                None => {
                    fact("role", chosen.candidate.role().to_string());
                    fact("choice", chosen.choice.clone());
                }
                Some(why) => fact("member-unknown", why.into()),
            }
            fact("member-name", chosen.member().map(|m| m.name.clone()).unwrap_or_default());
            let id = |id: u64| if id == 0 { String::new() } else { Id(id).to_string() };
            fact("member-id", id(chosen.identity.member_id()));
            fact("cluster-id", id(chosen.identity.cluster_id()));
        }
        let rejected: Vec<String> = run
            .survey
            .rejected
            .iter()
            .map(|r| format!("{}: {}", r.endpoint, r.error.what()))
            .collect();
        fact("endpoints-rejected", rejected.join(", "));
        if let Some(manifest) = &run.manifest {
            fact("revision", manifest.revision.to_string());
        }
        // Where the host hashes, its acknowledgement is the last part of the proof.
        if let (Some(Dumped { proof, .. }), Some(Fate::Stored(_))) = (&run.dumped, &run.dump_fate) {
            fact("bytes", proof.size.to_string());
            fact("sha256", manifest::hex(&proof.sha256));
            fact(
                "proof",
                run.evidence.outcome.as_ref().map(Outcome::to_string).unwrap_or_default(),
            );
            fact("verified", manifest::verified(&run.evidence).join(", "));
        }
        facts
    }
}

impl<N: Network> Run<N> {
    fn record(
        &self,
        id: u64,
        pathname: &'static str,
        mode: u32,
        content: Option<Reader<N>>,
    ) -> Record<N> {
        Record { id, pathname, mode, modified: self.created_at, content }
    }

    fn find_member(&mut self) -> Result<()> {
        self.survey = self.session.survey()?;
        self.chosen = Some(self.session.choose(&mut self.survey)?);
        Ok(())
    }

    /// Begins the dump at the chosen member, or at the next one.
    fn begin_dump(&mut self, most: usize) -> Result<Opening<N>> {
        self.dump_begun = true;
        let Begun { chosen, stream, first } =
            self.session.begin(&mut self.survey, self.chosen.take(), most)?;
        self.chosen = Some(chosen);
        Ok((stream, first))
    }

    /// Judges what the pages of a dump say, once all of it came: by itself, and by what the
    /// members hold. An error where it must not be believed.
    fn prove(&mut self, pages: Pages) -> Result<()> {
        let Some(chosen) = &mut self.chosen else { return Ok(()) };
        let endpoint = chosen.candidate.endpoint.clone();
        let is_required = self.session.options().proof_required;
        let keyspace = match pages {
            None => return Ok(()),
            Some(Err(why)) => {
                if is_required {
                    return Err(not_proven(&why).at(&endpoint, Stage::Proof));
                }
                chosen.warn(format!("the snapshot is not proven: {why}"), |line| {
                    self.session.warn(line)
                });
                self.evidence.outcome = Some(Outcome::Unproven(why));
                return Ok(());
            }
            Some(Ok(keyspace)) => keyspace,
        };
        let found = &keyspace.found;
        chosen.told_by_pages(found, |line| self.session.warn(line))?;
        let votes = self.session.compare(&self.survey, chosen, &keyspace);
        let voters: Vec<u64> = manifest::members(chosen, Some(found))
            .unwrap_or_default()
            .iter()
            .filter(|member| !member.is_learner)
            .map(|member| member.id)
            .collect();
        let sender = chosen.identity.member_id();
        let outcome = quorum::judge(&votes, &voters, sender)
            .map_err(|error| error.at(&endpoint, Stage::Proof))?;
        for vote in votes.iter().filter(|vote| vote.verdict == Verdict::Disagrees) {
            chosen.warn(
                format!(
                    "member {} at `{}` holds other keys at revision {} than the snapshot: one of the \
                     two is damaged; compare all members with `etcdctl endpoint hashkv --rev {}`",
                    Id(vote.member_id),
                    vote.endpoint,
                    found.revision,
                    found.revision
                ),
                |line| self.session.warn(line),
            );
        }
        // A cluster of one voter has nobody else to ask.
        let is_enough =
            outcome == Outcome::Proven || (outcome == Outcome::SelfConsistent && voters.len() == 1);
        if is_required && !is_enough {
            return Err(not_proven(&outcome.to_string()).at(&endpoint, Stage::Proof));
        }
        let info = DatabaseInfo::of(&keyspace);
        self.evidence =
            Evidence { database: Some((found.clone(), info)), outcome: Some(outcome), votes };
        Ok(())
    }

    /// The manifest of a dump that the store has kept whole.
    fn manifest_of(&mut self, fate: &Fate) -> Result<Manifest> {
        let failed = |what: String| Error::new(Kind::Other, what).during(Stage::Store);
        let stored = match fate {
            Fate::Stored(stored) => *stored,
            Fate::Skipped => return Err(failed("the dump was left out".into())),
        };
        let (Some(chosen), Some(dumped)) = (&mut self.chosen, &self.dumped) else {
            return Err(failed("the dump was acknowledged before it was read to its end".into()));
        };
        if stored != dumped.proof.size {
            return Err(Error::new(
                Kind::Corrupt,
                format!(
                    "the store kept {stored} bytes of the dump, which has {}",
                    dumped.proof.size
                ),
            )
            .during(Stage::Store));
        }
        let after = self.session.status_after(chosen, &dumped.sent)?;
        let Self { evidence, survey, .. } = self;
        let after = after.as_ref();
        Ok(Manifest::new(self.created_at, chosen, after, dumped, evidence, &survey.rejected))
    }
}

fn not_proven(why: &str) -> Error {
    Error::new(
        Kind::Other,
        format!("the snapshot is not proven, which `proof=require` asks for: {why}"),
    )
    .remedy("name all members in `endpoints`, or use `proof=auto`")
}

/// The bytes of a record.
pub enum Reader<N: Network> {
    /// The snapshot, as it comes from a member.
    Dump(DumpReader<N>),
    /// A text that is known whole.
    Small(SmallReader),
}

/// A text that is known whole.
pub struct SmallReader {
    bytes: Vec<u8>,
    taken: usize,
}

/// The snapshot on its way from a member.
pub struct DumpReader<N: Network> {
    run: Rc<RefCell<Run<N>>>,
    state: DumpState<N>,
}

enum DumpState<N: Network> {
    /// Nobody asked for a byte yet, and so etcd holds nothing open for us.
    Unopened,
    /// Bytes are coming.
    Open(Box<SnapshotStream<N::Body>>),
    /// It could not be opened, and stays so.
    Failed(Error),
}

impl<N: Network> Reader<N> {
    fn small(bytes: Vec<u8>) -> Self {
        Reader::Small(SmallReader { bytes, taken: 0 })
    }

    /// The next bytes, at least 1 and at most `most` (or 1); `None` at the proven end.
    pub fn read(&mut self, most: usize) -> Result<Option<Vec<u8>>> {
        match self {
            Reader::Dump(dump) => dump.read(most),
            Reader::Small(SmallReader { bytes, taken }) => {
                let end = bytes.len().min(taken.saturating_add(most.max(1)));
                let piece = bytes[*taken..end].to_vec();
                *taken = end;
                Ok(Some(piece).filter(|piece| !piece.is_empty()))
            }
        }
    }

    /// How many bytes there will be in all, once that is known.
    pub fn size(&self) -> Option<u64> {
        match self {
            Reader::Dump(DumpReader { state: DumpState::Open(stream), .. }) => stream.size(),
            Reader::Dump(_) => None,
            Reader::Small(SmallReader { bytes, .. }) => Some(bytes.len() as u64),
        }
    }

    /// What the bytes must hash to, where that is left to the host. Known once
    /// [`read`](Self::read) has come to the end.
    pub fn digest(&self) -> Option<Stated> {
        match self {
            Reader::Dump(DumpReader { state: DumpState::Open(stream), .. }) => stream.stated(),
            _ => None,
        }
    }
}

impl<N: Network> DumpReader<N> {
    fn read(&mut self, most: usize) -> Result<Option<Vec<u8>>> {
        let bytes = match &mut self.state {
            DumpState::Failed(error) => return Err(error.clone()),
            DumpState::Open(stream) => stream.read(most)?,
            DumpState::Unopened => {
                let begun = self.run.borrow_mut().begin_dump(most);
                match begun {
                    Ok((stream, first)) => {
                        self.state = DumpState::Open(Box::new(stream));
                        first
                    }
                    Err(error) => {
                        self.state = DumpState::Failed(error.clone());
                        return Err(error);
                    }
                }
            }
        };
        if let DumpState::Open(stream) = &mut self.state
            && stream.is_complete()
        {
            // Before the digest is handed out.
            let pages = stream.take_pages();
            if let Err(error) = self.run.borrow_mut().prove(pages) {
                self.state = DumpState::Failed(error.clone());
                return Err(error);
            }
        }
        if let (None, DumpState::Open(stream)) = (&bytes, &self.state) {
            let run = &mut *self.run.borrow_mut();
            let revision = run.evidence.database.as_ref().map(|(found, _)| found.revision);
            run.dumped = stream.proof().map(|proof| Dumped {
                proof,
                storage_version: stream.storage_version().into(),
                sent: Sent { revision, ..stream.sent() },
                duration: stream.duration(),
            });
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{NetworkError, Request};
    use crate::scripted::{Reply, Scripted, database, json_head, stream};
    use crate::snapshot::verifier::Hashing;
    use sha2::{Digest, Sha256};

    const STATUS: &str = "/v3/maintenance/status";
    const SNAPSHOT: &str = "/v3/maintenance/snapshot";
    const AUTHENTICATE: &str = "/v3/auth/authenticate";

    fn import(network: &Scripted, endpoints: &str, options: &[(&str, &str)]) -> Import<Scripted> {
        let mut config: Vec<(String, String)> =
            [("location", "etcd://"), ("endpoints", endpoints), ("transport", "gateway")]
                .iter()
                .chain(options)
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect();
        config.dedup();
        Import::new(network.clone(), Options::read(&config).expect("options"), |_| {})
    }

    fn record(import: &mut Import<Scripted>) -> Record<Scripted> {
        match import.advance().expect("a step") {
            Step::Record(record) => record,
            _ => panic!("no record"),
        }
    }

    fn dump(import: &mut Import<Scripted>) -> Reader<Scripted> {
        assert_eq!(record(import).pathname, "/");
        let dump = record(import);
        assert_eq!(dump.pathname, DUMP);
        dump.content.expect("content")
    }

    fn read(reader: &mut Reader<Scripted>) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while let Some(piece) = reader.read(100)? {
            assert!((1..=100).contains(&piece.len()));
            bytes.extend(piece);
        }
        Ok(bytes)
    }

    #[test]
    fn the_manifest_follows_the_acknowledged_dump_and_the_guide_ends_it() {
        let network = Scripted::default();
        network.member("a", 1, 1);
        let mut import = import(&network, "a", &[]);
        let mut reader = dump(&mut import);
        assert!(matches!(import.advance(), Ok(Step::AwaitingAcknowledgements)));
        let bytes = read(&mut reader).expect("a dump");
        assert_eq!(bytes[..1536], database());
        assert_eq!(reader.size(), Some(1568));
        assert!(matches!(import.advance(), Ok(Step::AwaitingAcknowledgements)));
        import.acknowledge(DUMP_ID, Fate::Stored(1568));
        let manifest =
            read(&mut record(&mut import).content.expect("content")).expect("a manifest");
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).expect("JSON");
        assert_eq!(manifest["dump"]["bytes"], 1568);
        // What `head -c -32 dump | sha256sum` prints.
        let sha256 = "145e09798a4da431e343c80534eb247c25aa619786e82763bea1bd48058ec4ec";
        assert_eq!(manifest["dump"]["sha256"], sha256);
        assert_eq!(manifest["revision"]["after"], 42);
        assert!(import.finish().is_err(), "there is more");
        assert_eq!(record(&mut import).pathname, GUIDE);
        assert!(matches!(import.advance(), Ok(Step::Finished)));
        assert_eq!(import.finish(), Ok(()));
    }

    #[test]
    fn the_digest_is_compared_here_or_left_to_the_host_and_never_neither() {
        let whole = database();
        let mut flipped = whole.clone();
        flipped[700] ^= 1;
        // As etcd would send it from a disk or over a wire that flips a bit.
        let answer = move |_: &Request| {
            let mut body = String::from_utf8(stream(&flipped)).expect("JSON");
            let base64 = |bytes: &[u8]| base64_simd::STANDARD.encode_to_string(bytes);
            let digest = |bytes: &[u8]| base64(&Sha256::digest(bytes));
            body = body.replace(&digest(&flipped), &digest(&whole));
            Ok((json_head(200), vec![Ok(body.into_bytes())]))
        };
        for hashing in [Hashing::Here, Hashing::ByHost] {
            let network = Scripted::default();
            network.member("a", 1, 1);
            network.on("a", SNAPSHOT, answer.clone());
            let config = [("location", "etcd://a"), ("transport", "gateway")]
                .map(|(name, value)| (name.to_string(), value.to_string()));
            let mut options = Options::read(&config).expect("options");
            options.checks.hashing = hashing;
            let mut import = Import::new(network, options, |_| {});
            let mut reader = dump(&mut import);
            assert_eq!(reader.digest(), None, "not before the end");
            match (hashing, read(&mut reader)) {
                (Hashing::Here, Err(error)) => assert_eq!(error.kind, Kind::Corrupt),
                (Hashing::ByHost, Ok(bytes)) => {
                    let stated = reader.digest().expect("a digest for the host");
                    assert_eq!((stated.bytes, &stated.sha256[..]), (1536, &bytes[1536..]));
                    assert_ne!(stated.sha256[..], Sha256::digest(&bytes[..1536])[..]);
                    assert!(stated.mismatch.to_string().starts_with("`a:2379`: snapshot: "));
                    let facts = import.facts();
                    assert!(!facts.iter().any(|(name, _)| *name == "verified"), "{facts:?}");
                }
                (hashing, read) => panic!("{hashing:?}: {read:?}"),
            }
        }
    }

    #[test]
    fn nothing_is_asked_of_the_snapshot_before_the_first_read() {
        let network = Scripted::default();
        network.member("a", 1, 1);
        let mut import = import(&network, "a", &[]);
        let mut reader = dump(&mut import);
        assert_eq!(network.count("a", SNAPSHOT), 0);
        reader.read(1).expect("a byte");
        assert_eq!(network.count("a", SNAPSHOT), 1);
    }

    #[test]
    fn a_store_that_kept_another_number_of_bytes_fails_the_import() {
        for fate in [Fate::Stored(1567), Fate::Stored(0)] {
            let network = Scripted::default();
            network.member("a", 1, 1);
            let mut import = import(&network, "a", &[]);
            read(&mut dump(&mut import)).expect("a dump");
            import.acknowledge(DUMP_ID, fate.clone());
            assert!(import.advance().is_err(), "{fate:?}");
        }
    }

    #[test]
    fn a_dump_acknowledged_before_its_end_fails_the_import() {
        let network = Scripted::default();
        network.member("a", 1, 1);
        let mut import = import(&network, "a", &[]);
        let mut reader = dump(&mut import);
        reader.read(100).expect("bytes");
        import.acknowledge(DUMP_ID, Fate::Stored(1568));
        assert!(import.advance().is_err());
    }

    #[test]
    fn a_dry_run_ends_without_a_manifest() {
        let network = Scripted::default();
        network.member("a", 1, 1);
        let mut import = import(&network, "a", &[]);
        drop(dump(&mut import));
        import.acknowledge(DUMP_ID, Fate::Skipped);
        assert!(matches!(import.advance(), Ok(Step::Finished)));
        assert_eq!(network.count("a", SNAPSHOT), 0);
    }

    #[test]
    fn a_dump_that_was_begun_is_not_left_out_on_purpose() {
        let network = Scripted::default();
        network.member("a", 1, 1);
        let mut import = import(&network, "a", &[]);
        let mut reader = dump(&mut import);
        reader.read(1).expect("a byte");
        import.acknowledge(DUMP_ID, Fate::Skipped);
        let error = import.advance().err().expect("a failure");
        assert!(error.to_string().contains("left out"), "{error}");
    }

    #[test]
    fn who_asks_for_nothing_gets_a_byte_and_not_an_end() {
        let network = Scripted::default();
        network.member("a", 1, 1);
        let mut import = import(&network, "a", &[]);
        let mut reader = dump(&mut import);
        assert_eq!(reader.read(0).expect("bytes").map(|bytes| bytes.len()), Some(1));
        read(&mut reader).expect("the rest");
        import.acknowledge(DUMP_ID, Fate::Stored(1568));
        let mut manifest = record(&mut import).content.expect("content");
        assert_eq!(manifest.read(0).expect("bytes").as_deref(), Some(&b"{"[..]));
    }

    #[test]
    fn what_a_server_says_reaches_no_terminal_raw() {
        let network = Scripted::default();
        network.member("a", 1, 1);
        let name = "m\u{1b}[2J\u{9b}1\u{202e}";
        let list = serde_json::json!({ "header": { "cluster_id": "1", "member_id": "1" },
                                       "members": [{ "ID": "1", "name": name }] });
        network.json("a", "/v3/cluster/member/list", 200, list.to_string());
        let mut import = import(&network, "a", &[]);
        read(&mut dump(&mut import)).expect("a dump");
        import.acknowledge(DUMP_ID, Fate::Stored(1568));
        let manifest = read(&mut record(&mut import).content.expect("content")).expect("it");
        let guide = read(&mut record(&mut import).content.expect("content")).expect("it");
        let facts: Vec<String> = import.facts().into_iter().map(|(_, value)| value).collect();
        for text in facts
            .iter()
            .cloned()
            .chain([manifest, guide].map(|t| String::from_utf8(t).expect("UTF-8")))
        {
            assert!(!text.chars().any(|c| is_hidden(c) && c != '\n'), "{text:?}");
        }
        assert!(facts.contains(&"m [2J 1 ".into()), "{facts:?}");
    }

    #[test]
    fn the_digest_leaves_only_after_the_proof() {
        let network = Scripted::default();
        network.member("a", 1, 1);
        let whole = stream(&database());
        network.on("a", SNAPSHOT, move |_| {
            Ok((json_head(200), vec![Ok(whole.clone()), Err(NetworkError::Cut("cut".into()))]))
        });
        let mut import = import(&network, "a", &[]);
        let mut reader = dump(&mut import);
        let mut bytes = 0;
        let error = loop {
            match reader.read(100) {
                Ok(piece) => bytes += piece.expect("an error before the end").len(),
                Err(error) => break error,
            }
        };
        assert_eq!((bytes, error.kind), (1536, Kind::Interrupted));
        assert_eq!(reader.read(100), Err(error), "a failure stays one");
    }

    #[test]
    fn the_next_member_is_taken_while_nothing_was_handed_out() {
        let network = Scripted::default();
        network.member("a", 1, 3);
        network.member("b", 2, 3);
        network.on("a", SNAPSHOT, |_| Err::<Reply, _>(NetworkError::Refused));
        let mut import = import(&network, "a,b", &[]);
        let bytes = read(&mut dump(&mut import)).expect("a dump");
        assert_eq!(bytes.len(), 1568);
        let facts = import.facts();
        assert!(facts.contains(&("endpoint", "b:2379".into())));
        assert!(
            facts
                .iter()
                .any(|(name, value)| *name == "endpoints-rejected" && value.contains("a:2379"))
        );
    }

    #[test]
    fn the_next_member_is_not_taken_once_a_byte_was_handed_out() {
        let network = Scripted::default();
        network.member("a", 1, 3);
        network.member("b", 2, 3);
        let half: Vec<u8> = stream(&database()).into_iter().take(800).collect();
        network.on("a", SNAPSHOT, move |_| {
            Ok((json_head(200), vec![Ok(half.clone()), Err(NetworkError::ReadTimeout)]))
        });
        let mut import = import(&network, "a,b", &[]);
        let error = read(&mut dump(&mut import)).expect_err("a failure");
        assert_eq!(error.kind, Kind::TimedOut);
        assert_eq!(network.count("b", SNAPSHOT), 0);
    }

    const LOGIN: [(&str, &str); 2] = [("username", "root"), ("password", "hunter2")];

    /// A member that wants the token `token-HOST` for everything.
    fn guarded(network: &Scripted, host: &'static str, id: u64) {
        network.member(host, id, 3);
        network.json(host, AUTHENTICATE, 200, format!(r#"{{"token":"token-{host}"}}"#));
        for path in [STATUS, SNAPSHOT] {
            let open = Scripted::default();
            open.member(host, id, 3);
            network.on(host, path, move |request: &Request| {
                let token = format!("token-{host}");
                if request.headers.contains(&("authorization", token)) {
                    let response = crate::net::Network::send(&open, request.clone());
                    let (head, mut body) = response.expect("an answer");
                    let piece = crate::net::Body::read(&mut body).transpose().expect("a body");
                    return Ok((head, vec![piece]));
                }
                let refusal = r#"{"code":3,"message":"etcdserver: user name is empty"}"#;
                Ok((json_head(400), vec![Ok(refusal.into())]))
            });
        }
    }

    #[test]
    fn a_token_never_travels_to_another_endpoint() {
        let network = Scripted::default();
        guarded(&network, "a", 1);
        guarded(&network, "b", 2);
        network.on("a", SNAPSHOT, |_| Err::<Reply, _>(NetworkError::Cut("cut".into())));
        let mut import = import(&network, "a,b", &LOGIN);
        read(&mut dump(&mut import)).expect("a dump from b");
        for (host, path, token) in network.asked.borrow().iter() {
            if let Some(token) = token {
                assert_eq!(*token, format!("token-{host}"), "{path}");
            }
        }
        assert_eq!(network.count("b", SNAPSHOT), 1);
    }

    #[test]
    fn a_wrong_password_is_not_tried_at_every_member() {
        let network = Scripted::default();
        for (host, id) in [("a", 1), ("b", 2)] {
            network.member(host, id, 3);
            let refusal = "etcdserver: authentication failed, invalid user ID or password";
            network.json(host, AUTHENTICATE, 400, format!(r#"{{"code":3,"message":"{refusal}"}}"#));
        }
        let error = import(&network, "a,b", &LOGIN).advance().err().expect("a refusal");
        assert_eq!(error.kind, Kind::Unauthenticated);
        assert_eq!(network.count("a", AUTHENTICATE) + network.count("b", AUTHENTICATE), 1);
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn a_login_where_authentication_is_off_is_no_obstacle() {
        let network = Scripted::default();
        network.member("a", 1, 1);
        let refusal = r#"{"code":9,"message":"etcdserver: authentication is not enabled"}"#;
        network.json("a", AUTHENTICATE, 400, refusal.into());
        let mut import = import(&network, "a", &LOGIN);
        assert_eq!(read(&mut dump(&mut import)).expect("a dump").len(), 1568);
    }

    #[test]
    fn a_forbidden_status_is_no_obstacle() {
        let network = Scripted::default();
        network.member("a", 1, 1);
        network.json(
            "a",
            STATUS,
            403,
            r#"{"code":7,"message":"etcdserver: permission denied"}"#.into(),
        );
        network.json("a", "/version", 200, r#"{"etcdserver":"3.5.28"}"#.into());
        let mut import = import(&network, "a", &[]);
        assert_eq!(read(&mut dump(&mut import)).expect("a dump").len(), 1568);
        assert!(import.facts().contains(&("etcd-version", "3.5.28".into())));
        assert!(import.facts().contains(&("role", "unknown".into())));
        let is_id = |name: &str| ["member-id", "cluster-id"].contains(&name);
        assert!(!import.facts().iter().any(|(name, _)| is_id(name)), "nobody told one");
    }

    #[test]
    fn a_missing_login_is_told_before_the_first_record() {
        let network = Scripted::default();
        network.member("a", 1, 1);
        network.json(
            "a",
            STATUS,
            400,
            r#"{"code":3,"message":"etcdserver: user name is empty"}"#.into(),
        );
        let error = import(&network, "a", &[]).advance().err().expect("a refusal");
        assert_eq!(error.kind, Kind::Unauthenticated);
    }

    #[test]
    fn another_member_behind_the_same_name_fails_the_import() {
        let network = Scripted::default();
        network.member("a", 1, 3);
        let list = r#"{"header":{"cluster_id":"1","member_id":"2"}}"#;
        network.json("a", "/v3/cluster/member/list", 200, list.into());
        let error = import(&network, "a", &[]).advance().err().expect("a refusal");
        assert!(error.to_string().contains("several members"), "{error}");
    }

    #[test]
    fn endpoints_of_two_clusters_are_refused() {
        let network = Scripted::default();
        network.member("a", 1, 1);
        let status = r#"{"header":{"cluster_id":"2","member_id":"5"},"leader":"5"}"#;
        network.json("b", STATUS, 200, status.into());
        let error = import(&network, "a,b", &[]).advance().err().expect("a refusal");
        assert!(
            error.to_string().contains("cluster 1") && error.to_string().contains("cluster 2"),
            "{error}"
        );
    }

    #[test]
    fn all_reasons_are_told_where_no_member_is_left() {
        let network = Scripted::default();
        network.on("a", STATUS, |_| Err::<Reply, _>(NetworkError::Refused));
        network.on("b", STATUS, |_| Err::<Reply, _>(NetworkError::Dns));
        let error = import(&network, "a,b", &[]).advance().err().expect("a refusal").to_string();
        assert!(
            error.contains("`a:2379`: connection refused") && error.contains("`b:2379`"),
            "{error}"
        );
    }
}
