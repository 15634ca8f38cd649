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
use crate::manifest::{self, Manifest};
use crate::net::Network;
use crate::options::Options;
use crate::restore;
use crate::session::{Chosen, Session, Survey};
use crate::snapshot::stream::SnapshotStream;
use crate::snapshot::verifier::Proof;
use plakar_connector::Kind;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

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
    /// It could not be stored; why.
    Failed(String),
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
}

/// What the import and the reader of its dump share.
struct Run<N> {
    session: Session<N>,
    created_at: SystemTime,
    survey: Survey,
    chosen: Option<Chosen>,
    dumped: Option<Dumped>,
    dump_fate: Option<Fate>,
    manifest: Option<Manifest>,
}

/// A snapshot that has begun, and its first bytes.
type Opened<N> = (SnapshotStream<<N as Network>::Body>, Option<Vec<u8>>);

/// What is known of a dump that was read to its proven end.
#[derive(Clone)]
pub struct Dumped {
    /// The proof.
    pub proof: Proof,
    /// The storage version that came with the bytes; may be empty.
    pub storage_version: String,
    /// From the request to the proof.
    pub duration: Duration,
}

impl<N: Network> Import<N> {
    /// An import that has contacted nothing yet. `warn` takes lines for people.
    pub fn new(network: N, options: Options, warn: fn(&str)) -> Self {
        let run = Run {
            session: Session::new(network, options, warn),
            created_at: SystemTime::now(),
            survey: Survey::default(),
            chosen: None,
            dumped: None,
            dump_fate: None,
            manifest: None,
        };
        Self { run: Rc::new(RefCell::new(run)), phase: Phase::Opening }
    }

    /// The next step; the first one contacts the members.
    pub fn advance(&mut self) -> Result<Step<N>> {
        let mut run = self.run.borrow_mut();
        let (phase, record) = match self.phase {
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
                Some(Fate::Skipped) => {
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

    /// What is known so far, for people.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let run = self.run.borrow();
        let mut facts = Vec::new();
        let mut fact = |name, value: String| {
            if !value.is_empty() {
                facts.push((name, value));
            }
        };
        if let Some(chosen) = &run.chosen {
            fact("endpoint", chosen.candidate.endpoint.to_string());
            fact("transport", chosen.candidate.transport.to_string());
            fact("no-grpc", chosen.candidate.no_grpc.clone().unwrap_or_default());
            fact("etcd-version", chosen.version.clone());
            fact("role", chosen.candidate.role().to_string());
            fact("member-name", chosen.member().map(|m| m.name.clone()).unwrap_or_default());
            if let Some(header) = chosen.header() {
                fact("member-id", Id(header.member_id).to_string());
                fact("cluster-id", Id(header.cluster_id).to_string());
            }
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
        if let Some(Dumped { proof, .. }) = &run.dumped {
            fact("bytes", proof.size.to_string());
            fact("sha256", manifest::hex(&proof.sha256));
            fact("verified", manifest::VERIFIED.join(", "));
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

    /// Opens the dump at the chosen member and reads its first bytes; moves on
    /// to the next member as long as there were none.
    fn open_dump(&mut self, most: usize) -> Result<Opened<N>> {
        loop {
            let chosen = match self.chosen.take() {
                Some(chosen) => chosen,
                None => self.session.choose(&mut self.survey)?,
            };
            let opened = self
                .session
                .open(&chosen.candidate)
                .and_then(|mut stream| stream.read(most).map(|first| (stream, first)));
            match opened {
                Ok(opened) => {
                    self.chosen = Some(chosen);
                    return Ok(opened);
                }
                Err(error) => {
                    self.session.reject(&mut self.survey, chosen.candidate.endpoint, error)?
                }
            }
        }
    }

    /// The manifest of a dump that the store has kept whole.
    fn manifest_of(&self, fate: &Fate) -> Result<Manifest> {
        let failed = |what: String| Error::new(Kind::Other, what).during(Stage::Store);
        let stored = match fate {
            Fate::Stored(stored) => *stored,
            Fate::Failed(reason) => {
                return Err(failed(format!("the dump was not stored: {reason}")));
            }
            Fate::Skipped => return Err(failed("the dump was left out".into())),
        };
        let (Some(chosen), Some(dumped)) = (&self.chosen, &self.dumped) else {
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
        let after = self.session.status_after(chosen)?;
        Ok(Manifest::new(self.created_at, chosen, after.as_ref(), dumped, &self.survey.rejected))
    }
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
    Open { stream: Box<SnapshotStream<N::Body>>, since: Instant },
    /// It could not be opened, and stays so.
    Failed(Error),
}

impl<N: Network> Reader<N> {
    fn small(bytes: Vec<u8>) -> Self {
        Reader::Small(SmallReader { bytes, taken: 0 })
    }

    /// The next bytes, at least 1 and at most `most`; `None` at the proven end.
    pub fn read(&mut self, most: usize) -> Result<Option<Vec<u8>>> {
        match self {
            Reader::Dump(dump) => dump.read(most),
            Reader::Small(SmallReader { bytes, taken }) => {
                let end = bytes.len().min(*taken + most);
                let piece = bytes[*taken..end].to_vec();
                *taken = end;
                Ok(Some(piece).filter(|piece| !piece.is_empty()))
            }
        }
    }

    /// How many bytes there will be in all, once that is known.
    pub fn size(&self) -> Option<u64> {
        match self {
            Reader::Dump(DumpReader { state: DumpState::Open { stream, .. }, .. }) => stream.size(),
            Reader::Dump(_) => None,
            Reader::Small(SmallReader { bytes, .. }) => Some(bytes.len() as u64),
        }
    }
}

impl<N: Network> DumpReader<N> {
    fn read(&mut self, most: usize) -> Result<Option<Vec<u8>>> {
        let bytes = match &mut self.state {
            DumpState::Failed(error) => return Err(error.clone()),
            DumpState::Open { stream, .. } => stream.read(most)?,
            DumpState::Unopened => {
                let since = Instant::now();
                let opened = self.run.borrow_mut().open_dump(most);
                match opened {
                    Ok((stream, first)) => {
                        self.state = DumpState::Open { stream: Box::new(stream), since };
                        first
                    }
                    Err(error) => {
                        self.state = DumpState::Failed(error.clone());
                        return Err(error);
                    }
                }
            }
        };
        if let (None, DumpState::Open { stream, since }) = (&bytes, &self.state) {
            self.run.borrow_mut().dumped = stream.proof().map(|proof| Dumped {
                proof,
                storage_version: stream.storage_version().into(),
                duration: since.elapsed(),
            });
        }
        Ok(bytes)
    }
}
