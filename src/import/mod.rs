//! One import: the records, their order, and what is known about them.
//!
//! ```text
//! Start ──▶ Dump ──▶ AwaitingDump ──▶ Guide ──▶ Finished
//!    /      /dump    /manifest.json   /RESTORE.md
//! ```
//! The manifest records what was verified of the dump, so it follows only after the
//! store has kept every byte of it.
//!
//! | module | its one job |
//! | --- | --- |
//! | [`reader`] | the bytes of a record; a member sends those of the dump |
//! | [`proving`] | what is proven of a complete dump, by its pages and by the members |
//! | [`facts`] | what is known so far, for people |

mod facts;
mod proving;
mod reader;

#[cfg(test)]
mod tests;

pub use reader::Reader;

use crate::error::{Error, Result, Stage};
use crate::manifest::Manifest;
use crate::net::Network;
use crate::options::Options;
use crate::restore;
use crate::session::Session;
use plakar_connector::ErrorKind;
use reader::{Dump, DumpState};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::SystemTime;

/// The pathname of the snapshot.
pub const DUMP: &str = "/dump";
/// The pathname of the manifest, which describes it.
pub const MANIFEST: &str = "/manifest.json";
/// The pathname of the guide that restores it.
pub const GUIDE: &str = "/RESTORE.md";

const DUMP_ID: u64 = 2;

/// What happens next in an import.
pub enum Step<N: Network> {
    /// A record to store.
    Record(Record<N>),
    /// Nothing more until the dump is acknowledged.
    AwaitingAcknowledgements,
    /// All records were returned.
    Finished,
}

/// One thing to store.
pub struct Record<N: Network> {
    /// Its id in acknowledgements.
    pub id: u64,
    /// Its path in the snapshot.
    pub pathname: &'static str,
    /// Its permission bits.
    pub mode: u32,
    /// Its modification time. Always the present: Plakar considers a file unchanged if its
    /// time is, and would then never read it again.
    pub modified: SystemTime,
    /// Its bytes; `None` for a directory.
    pub content: Option<Reader<N>>,
}

/// What the store did with a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The store keeps this many bytes of it.
    Stored(u64),
    /// It was left out on purpose.
    Skipped,
}

/// A running import.
pub struct Import<N: Network> {
    created_at: SystemTime,
    /// The member and its dump, which the reader of the dump uses too.
    dump: Rc<RefCell<Dump<N>>>,
    phase: Phase,
}

enum Phase {
    /// Nothing was contacted.
    Start,
    /// A member was chosen; the dump is the next record.
    Dump,
    /// The dump was returned. The manifest follows its acknowledgement.
    AwaitingDump(Option<Fate>),
    /// The dump is stored and its manifest was returned; the guide is the next record.
    Guide(Box<Manifest>),
    /// All records were returned: with a manifest, unless the dump was skipped unread.
    Finished(Option<Box<Manifest>>),
    /// A step failed, and so do all later ones; with the fate of the dump, if it has one.
    Failed(Error, Option<Fate>),
}

impl<N: Network> Import<N> {
    /// An import that has contacted nothing yet. `warn` takes lines for people.
    pub fn new(network: N, options: Options, warn: fn(&str)) -> Self {
        let session = Session::new(network, options, warn);
        Self {
            created_at: SystemTime::now(),
            dump: Rc::new(RefCell::new(Dump::new(session))),
            phase: Phase::Start,
        }
    }

    /// The next step; the first one contacts the members. After an error, every call returns it.
    pub fn advance(&mut self) -> Result<Step<N>> {
        let (phase, step) = match std::mem::replace(&mut self.phase, Phase::Start) {
            Phase::Start => match self.dump.borrow_mut().choose_member() {
                Ok(()) => (Phase::Dump, Ok(self.record(1, "/", 0o700, None))),
                Err(error) => (Phase::Failed(error.clone(), None), Err(error)),
            },
            Phase::Dump => {
                let content = Reader::dump(Rc::clone(&self.dump));
                let record = self.record(DUMP_ID, DUMP, 0o600, Some(content));
                (Phase::AwaitingDump(None), Ok(record))
            }
            Phase::AwaitingDump(None) => {
                (Phase::AwaitingDump(None), Ok(Step::AwaitingAcknowledgements))
            }
            Phase::AwaitingDump(Some(fate)) => match self.manifest_of(&fate) {
                Ok(None) => (Phase::Finished(None), Ok(Step::Finished)),
                Ok(Some(manifest)) => {
                    let json = Reader::text(manifest.to_json());
                    let record = self.record(3, MANIFEST, 0o600, Some(json));
                    (Phase::Guide(Box::new(manifest)), Ok(record))
                }
                Err(error) => (Phase::Failed(error.clone(), Some(fate)), Err(error)),
            },
            Phase::Guide(manifest) => {
                let guide = Reader::text(restore::guide(&manifest));
                let record = self.record(4, GUIDE, 0o600, Some(guide));
                (Phase::Finished(Some(manifest)), Ok(record))
            }
            Phase::Finished(manifest) => (Phase::Finished(manifest), Ok(Step::Finished)),
            Phase::Failed(error, fate) => (Phase::Failed(error.clone(), fate), Err(error)),
        };
        self.phase = phase;
        step
    }

    fn record(
        &self,
        id: u64,
        pathname: &'static str,
        mode: u32,
        content: Option<Reader<N>>,
    ) -> Step<N> {
        Step::Record(Record { id, pathname, mode, modified: self.created_at, content })
    }

    /// Records what the store did with a record. A dump that is stored without the files
    /// that describe it is not a backup.
    pub fn acknowledge(&mut self, id: u64, fate: Fate) {
        match (id, &mut self.phase, fate) {
            (DUMP_ID, Phase::AwaitingDump(known), fate) => *known = Some(fate),
            (_, Phase::Guide(_) | Phase::Finished(Some(_)), Fate::Skipped) => {
                let error = not_stored(ErrorKind::Other, "a file of the backup was left out");
                self.phase = Phase::Failed(error, None);
            }
            _ => {}
        }
    }

    /// Ends the import: an error unless all records were returned. There is nothing to
    /// release at a member: the stream of its snapshot has ended.
    pub fn finish(&self) -> Result<()> {
        match &self.phase {
            Phase::Finished(_) => Ok(()),
            Phase::Failed(error, _) => Err(error.clone()),
            _ => Err(not_stored(ErrorKind::Other, "the import was ended before its last record")),
        }
    }

    /// The manifest of a dump with this fate; `None` if it was skipped unread.
    fn manifest_of(&self, fate: &Fate) -> Result<Option<Manifest>> {
        let Dump { session, chosen, state } = &mut *self.dump.borrow_mut();
        let stored = match (fate, &state) {
            (Fate::Skipped, DumpState::Unread) => return Ok(None),
            (Fate::Skipped, _) => {
                return Err(not_stored(ErrorKind::Other, "the dump was left out"));
            }
            (Fate::Stored(stored), _) => *stored,
        };
        let (Some(chosen), DumpState::Verified(dumped)) = (chosen, state) else {
            let what = "the dump was acknowledged before it was read to its end";
            return Err(not_stored(ErrorKind::Other, what));
        };
        let size = dumped.proof.size;
        if stored != size {
            let what = format!("the store kept {stored} bytes of the dump, which has {size}");
            return Err(not_stored(ErrorKind::Corrupt, what));
        }
        let after = session.status_after(chosen, &dumped.sent)?;
        let rejected = session.rejected();
        Ok(Some(Manifest::new(self.created_at, chosen, after.as_ref(), dumped, rejected)))
    }
}

fn not_stored(kind: ErrorKind, what: impl Into<String>) -> Error {
    Error::new(kind, what.into()).during(Stage::Store)
}
