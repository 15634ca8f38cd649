//! A snapshot that is read as bytes: body, decoder and verifier combined.

use super::verifier::{Checks, DIGEST_SIZE, Hashing, Pages, Piece, Proof, Verifier, mismatch};
use crate::deadline::Deadline;
use crate::error::{Error, Result, Stage};
use crate::etcd::call::{CallError, Transport};
use crate::etcd::failure::in_time;
use crate::etcd::messages::version_or_none;
use crate::etcd::refusal::Refusal;
use crate::etcd::transport::Decoder;
use crate::net::{Body, Head, NetworkError, Timeouts};
use plakar_connector::Authority;
use std::time::{Duration, Instant};

/// How many bytes are gathered before they are returned: a call into and out of
/// a component costs more than a few of etcd's messages do.
const FILL: usize = 256 << 10;

/// About the size of one of etcd's messages, in bytes.
const MESSAGE: usize = 32 << 10;

/// A snapshot on its way from one member.
pub(crate) struct SnapshotStream<B> {
    transport: Transport,
    endpoint: Authority,
    timeouts: Timeouts,
    /// When it was requested.
    since: Instant,
    ended: Option<Instant>,
    /// When its head arrived.
    opened: Instant,
    deadline: Deadline,
    head: Head,
    body: B,
    decoder: Decoder,
    hashing: Hashing,
    verifier: Verifier,
    /// Bytes that were checked and not read yet.
    ready: Vec<u8>,
    /// Where in `ready` the unread bytes begin.
    taken: usize,
    storage_version: String,
    state: State,
    /// A refusal instead of the first message.
    refusal: Option<Refusal>,
}

/// What a snapshot shows of its sender, which it does not name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// The connection on which it arrived, if the host reports it.
    pub connection: Option<String>,
    /// Whether an HTTP proxy passed it on.
    pub is_proxied: bool,
    /// The announced size of the database, in bytes.
    pub database: Option<u64>,
    /// The revision in its pages, if they were read.
    pub revision: Option<i64>,
}

/// A digest that the host must compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated {
    /// How many bytes it covers, from the first one on.
    pub bytes: u64,
    /// The SHA-256 of them, as etcd sent it.
    pub sha256: [u8; DIGEST_SIZE as usize],
    /// The error if the host computes a different digest.
    pub mismatch: Error,
}

enum State {
    /// Bytes of the database are arriving.
    Receiving,
    /// The body ended and everything was proven; what is in `ready` is the rest.
    Proven(Proof),
    /// It failed; every later read fails too.
    Failed(Error),
}

impl<B: Body> SnapshotStream<B> {
    /// A stream over the body of a successful response to a request that was sent at
    /// `since`. It fails once `deadline` has passed.
    pub(crate) fn new(
        transport: Transport,
        endpoint: Authority,
        timeouts: Timeouts,
        since: Instant,
        deadline: Deadline,
        checks: Checks,
        (head, body): (Head, B),
    ) -> Self {
        Self {
            transport,
            endpoint,
            timeouts,
            since,
            ended: None,
            opened: Instant::now(),
            deadline,
            head,
            body,
            decoder: transport.decoder(),
            hashing: checks.hashing,
            verifier: Verifier::new(checks),
            ready: Vec::new(),
            taken: 0,
            storage_version: String::new(),
            state: State::Receiving,
            refusal: None,
        }
    }

    /// Reads the next bytes of the dump, at least 1 and at most `most` (or 1), or `None` at
    /// its proven end. The digest comes last, after the proof; if the host hashes, after
    /// all of the proof except the comparison of the digest.
    pub(crate) fn read(&mut self, most: usize) -> Result<Option<Vec<u8>>> {
        let most = most.max(1);
        loop {
            if let State::Failed(error) = &self.state {
                return Err(error.clone());
            }
            if self.taken < self.ready.len() {
                return Ok(Some(self.take(most)));
            }
            if let State::Proven(_) = self.state {
                return Ok(None);
            }
            if let Err(error) = self.fill(most.min(FILL)) {
                self.state = State::Failed(error.at(&self.endpoint, Stage::Snapshot));
            }
        }
    }

    /// The refusal that came instead of the first message, after
    /// [`read`](Self::read) has failed with it: proxies move it out of the head in which
    /// etcd sends it.
    pub(crate) fn refusal(&mut self) -> Option<Refusal> {
        self.refusal.take()
    }

    /// The size of the dump, known from the first message on.
    pub(crate) fn size(&self) -> Option<u64> {
        self.verifier.size()
    }

    /// The digest that the host must compare, after [`read`](Self::read) has reached
    /// the end.
    pub(crate) fn stated(&self) -> Option<Stated> {
        let Proof { size, sha256 } = self.proof().filter(|_| self.hashing == Hashing::ByHost)?;
        let mismatch = mismatch().at(&self.endpoint, Stage::Snapshot);
        Some(Stated { bytes: size - DIGEST_SIZE, sha256, mismatch })
    }

    /// Takes the content of its pages, which works once; `None` before all of it arrived, and if
    /// they were not read. The digest has not been returned then, except by the last read.
    pub(crate) fn take_pages(&mut self) -> Pages {
        self.verifier.take_pages()
    }

    /// Whether all of it arrived and satisfied every rule, even if not all was read yet.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.state, State::Proven(_))
    }

    /// The storage version that etcd sent with the bytes, 3.6 and later.
    pub(crate) fn storage_version(&self) -> &str {
        &self.storage_version
    }

    /// From the request to the proof, or to now.
    pub(crate) fn duration(&self) -> Duration {
        self.ended.unwrap_or_else(Instant::now) - self.since
    }

    /// What it shows of its sender.
    pub(crate) fn sent(&self) -> Sent {
        Sent {
            connection: self.head.connection(),
            is_proxied: self.head.is_proxied(),
            database: self.size().map(|size| size - DIGEST_SIZE),
            revision: None,
        }
    }

    /// The proof, after [`read`](Self::read) has reached the end.
    pub(crate) fn proof(&self) -> Option<Proof> {
        match self.state {
            State::Proven(proof) if self.taken == self.ready.len() => Some(proof),
            _ => None,
        }
    }

    fn take(&mut self, most: usize) -> Vec<u8> {
        if self.taken == 0 && self.ready.len() <= most {
            return std::mem::take(&mut self.ready);
        }
        let end = self.ready.len().min(self.taken + most);
        let bytes = self.ready[self.taken..end].to_vec();
        self.taken = end;
        bytes
    }

    /// Receives until this many bytes are ready, or the end.
    fn fill(&mut self, wanted: usize) -> Result<()> {
        self.ready.clear();
        self.taken = 0;
        self.ready.reserve(wanted + MESSAGE);
        while self.ready.len() < wanted && matches!(self.state, State::Receiving) {
            self.receive()?;
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<()> {
        self.deadline.check()?;
        if self.verifier.size().is_none() {
            in_time("first message", self.opened, self.timeouts.between_bytes)?;
        }
        let Self { transport, endpoint, timeouts, .. } = self;
        let network_error = |error: NetworkError| {
            CallError::from(transport.failure(error, endpoint, Stage::Snapshot, timeouts))
        };
        let received = match self.body.read().map_err(network_error) {
            Ok(Some(bytes)) => {
                let Self { decoder, verifier, ready, storage_version, .. } = self;
                decoder.push(bytes, ready, |message, ready, begin| {
                    if storage_version.is_empty() {
                        *storage_version = version_or_none(message.storage_version);
                    }
                    if verifier.message(message.remaining, &ready[begin..])? == Piece::Digest {
                        ready.truncate(begin);
                    }
                    Ok(())
                })
            }
            Ok(None) => self
                .body
                .trailers()
                .map_err(network_error)
                .and_then(|trailers| self.decoder.finish(&trailers))
                .and_then(|()| Ok(self.verifier.finish()?))
                .map(|proof| {
                    self.ready.extend_from_slice(&proof.sha256);
                    self.state = State::Proven(proof);
                    self.ended = Some(Instant::now());
                }),
            Err(error) => Err(error),
        };
        received.map_err(|failure| {
            let error = match failure {
                CallError::Refused(refusal) => {
                    if self.verifier.size().is_none() {
                        self.refusal = Some(refusal.clone());
                    }
                    refusal.into_stream_error(self.since.elapsed())
                }
                CallError::Foreign(error) | CallError::Unreadable(error) => error,
            };
            self.deadline.explain(error)
        })
    }
}
