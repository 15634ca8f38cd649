//! The bytes of a record.
//!
//! ```text
//! Unread ──▶ Streaming ──▶ Judged ──▶ Verified
//!            database      digest     etcd's and ours are equal
//! ```
//! Between `Streaming` and `Judged` the pages are checked and the members compared, so
//! the digest, without which nothing can be restored, is returned last.

use super::proving;
use crate::error::{Error, Result, Stage};
use crate::manifest::{Dumped, Evidence};
use crate::net::Network;
use crate::session::{Chosen, Download, Session};
use crate::snapshot::stream::{Sent, SnapshotStream, Stated};
use plakar_connector::ErrorKind;
use std::cell::RefCell;
use std::rc::Rc;

/// The bytes of a record.
pub enum Reader<N: Network> {
    /// The snapshot, as it arrives from a member.
    Dump(DumpReader<N>),
    /// A text that is complete.
    Text {
        /// Its bytes.
        bytes: Vec<u8>,
        /// How many of them were read.
        read: usize,
    },
}

/// The bytes of the dump. Dropping it before their end ends the snapshot at the member.
pub struct DumpReader<N: Network>(Rc<RefCell<Dump<N>>>);

impl<N: Network> Drop for DumpReader<N> {
    fn drop(&mut self) {
        let mut dump = self.0.borrow_mut();
        if let DumpState::Streaming(_) | DumpState::Judged(..) = dump.state {
            let what = "the dump was not read to its end";
            dump.state = DumpState::Failed(Error::new(ErrorKind::Other, what).during(Stage::Store));
        }
    }
}

/// The snapshot of a cluster, on its way from a member.
pub(super) struct Dump<N: Network> {
    pub(super) session: Session<N>,
    /// The member that is used; `None` before one was chosen, and when none is left.
    pub(super) chosen: Option<Chosen>,
    pub(super) state: DumpState<N>,
}

/// The progress of the dump.
pub(super) enum DumpState<N: Network> {
    /// No byte was requested, so etcd does not keep a transaction open.
    Unread,
    /// The bytes of the database.
    Streaming(Box<SnapshotStream<N::Body>>),
    /// All of the database was read and checked; its digest is on its way.
    Judged(Box<SnapshotStream<N::Body>>, Box<Evidence>),
    /// All of the dump was read and verified.
    Verified(Box<Dumped>),
    /// It failed, and so does every further read.
    Failed(Error),
}

impl<N: Network> Reader<N> {
    pub(super) fn dump(dump: Rc<RefCell<Dump<N>>>) -> Self {
        Reader::Dump(DumpReader(dump))
    }

    pub(super) fn text(text: String) -> Self {
        Reader::Text { bytes: text.into_bytes(), read: 0 }
    }

    /// The next bytes, at least 1 and at most `max` (or 1); `None` at the verified end.
    pub fn read(&mut self, max: usize) -> Result<Option<Vec<u8>>> {
        match self {
            Reader::Dump(DumpReader(dump)) => dump.borrow_mut().read(max),
            Reader::Text { bytes, read } => {
                let end = bytes.len().min(read.saturating_add(max.max(1)));
                let piece = bytes[*read..end].to_vec();
                *read = end;
                Ok(Some(piece).filter(|piece| !piece.is_empty()))
            }
        }
    }

    /// The total number of bytes, if it is known yet.
    pub fn size(&self) -> Option<u64> {
        match self {
            Reader::Text { bytes, .. } => Some(bytes.len() as u64),
            Reader::Dump(DumpReader(dump)) => match &dump.borrow().state {
                DumpState::Streaming(stream) | DumpState::Judged(stream, _) => stream.size(),
                DumpState::Verified(dumped) => Some(dumped.proof.size),
                DumpState::Unread | DumpState::Failed(_) => None,
            },
        }
    }

    /// The digest that the bytes must have, if the host computes it. Known after
    /// [`read`](Self::read) has returned `None`.
    pub fn digest(&self) -> Option<Stated> {
        match self {
            Reader::Text { .. } => None,
            Reader::Dump(DumpReader(dump)) => match &dump.borrow().state {
                DumpState::Verified(dumped) => dumped.stated.clone(),
                _ => None,
            },
        }
    }
}

impl<N: Network> Dump<N> {
    pub(super) fn new(session: Session<N>) -> Self {
        Self { session, chosen: None, state: DumpState::Unread }
    }

    /// Probes the members and chooses the best one.
    pub(super) fn choose_member(&mut self) -> Result<()> {
        self.session.probe_all()?;
        self.chosen = Some(self.session.choose()?);
        Ok(())
    }

    fn read(&mut self, max: usize) -> Result<Option<Vec<u8>>> {
        let read = self.next(max);
        if let Err(error) = &read {
            self.state = DumpState::Failed(error.clone());
        }
        read
    }

    fn next(&mut self, max: usize) -> Result<Option<Vec<u8>>> {
        let bytes = match &mut self.state {
            DumpState::Unread => {
                let download = self.session.download(self.chosen.take(), max)?;
                let Download { chosen, stream, first } = download;
                self.chosen = Some(chosen);
                self.state = DumpState::Streaming(Box::new(stream));
                first
            }
            DumpState::Streaming(stream) | DumpState::Judged(stream, _) => stream.read(max)?,
            DumpState::Verified(_) => return Ok(None),
            DumpState::Failed(error) => return Err(error.clone()),
        };
        self.prove()?;
        if bytes.is_none() {
            self.end();
        }
        Ok(bytes)
    }

    /// Checks the database after all of it has arrived, and before its digest is returned.
    fn prove(&mut self) -> Result<()> {
        let (DumpState::Streaming(stream), Some(chosen)) = (&mut self.state, &mut self.chosen)
        else {
            return Ok(());
        };
        if !stream.is_complete() {
            return Ok(());
        }
        let evidence = proving::prove(&self.session, chosen, stream.take_pages())?;
        if let DumpState::Streaming(stream) = std::mem::replace(&mut self.state, DumpState::Unread)
        {
            self.state = DumpState::Judged(stream, Box::new(evidence));
        }
        Ok(())
    }

    /// Keeps the facts about a dump that was read to its verified end.
    fn end(&mut self) {
        self.state = match std::mem::replace(&mut self.state, DumpState::Unread) {
            DumpState::Judged(stream, evidence) => match stream.proof() {
                Some(proof) => {
                    let revision = evidence.database.as_ref().map(|(found, _)| found.revision);
                    DumpState::Verified(Box::new(Dumped {
                        proof,
                        stated: stream.stated(),
                        storage_version: stream.storage_version().into(),
                        sent: Sent { revision, ..stream.sent() },
                        duration: stream.duration(),
                        evidence: *evidence,
                    }))
                }
                None => DumpState::Judged(stream, evidence),
            },
            other => other,
        };
    }
}
