//! The start of a member's snapshot.

use super::{Chosen, Session};
use crate::error::{Result, Stage};
use crate::etcd::call::{Call, Opening};
use crate::etcd::failure::in_time;
use crate::etcd::gateway;
use crate::etcd::refusal::Refusal;
use crate::member::Candidate;
use crate::net::{Body, Network, NetworkError, SMALL_BODY};
use crate::snapshot::stream::SnapshotStream;
use std::time::Instant;

/// A stream, and its first bytes.
type Opened<B> = (SnapshotStream<B>, Option<Vec<u8>>);

/// A snapshot that has started.
pub(crate) struct Download<B> {
    /// The member that sends it, as far as it is known.
    pub chosen: Chosen,
    /// The rest of it.
    pub stream: SnapshotStream<B>,
    /// Its first bytes; `None` if it has already reached its verified end.
    pub first: Option<Vec<u8>>,
}

impl<N: Network> Session<N> {
    /// Starts the snapshot of the `chosen` member, or of the best one, and reads up to
    /// `max` of its first bytes. Tries the next member if none arrive.
    pub(crate) fn download(
        &mut self,
        mut chosen: Option<Chosen>,
        max: usize,
    ) -> Result<Download<N::Body>> {
        loop {
            let mut chosen = match chosen.take() {
                Some(chosen) => chosen,
                None => self.choose()?,
            };
            match self.open(&mut chosen.candidate, max) {
                Ok((stream, first)) => return Ok(Download { chosen, stream, first }),
                Err(error) => self.reject(chosen.candidate.endpoint, error)?,
            }
        }
    }

    /// Starts the snapshot of a member. If it is refused and a login could help, logs in
    /// once more.
    fn open(&self, candidate: &mut Candidate, max: usize) -> Result<Opened<N::Body>> {
        let mut opened = self.request_snapshot(candidate, max)?;
        if let (Err(refusal), Some(credentials)) = (&opened, &self.options.credentials)
            && refusal.login_could_help(candidate.token.is_some())
        {
            candidate.token = self.login_at(candidate, credentials)?;
            opened = self.request_snapshot(candidate, max)?;
        }
        opened.map_err(|refusal| {
            self.deadline.explain(refusal.into_error()).at(&candidate.endpoint, Stage::Snapshot)
        })
    }

    /// Requests the snapshot; returns the stream with its first bytes, or the refusal.
    fn request_snapshot(
        &self,
        Candidate { endpoint, transport, token, .. }: &Candidate,
        max: usize,
    ) -> Result<std::result::Result<Opened<N::Body>, Refusal>> {
        let (timeouts, since) = (self.stream_timeouts(), Instant::now());
        let call = Call::Snapshot { budget: self.deadline.left() };
        let request = transport.request(endpoint, call, token.as_deref(), timeouts);
        let network_error = |error: NetworkError| {
            self.deadline.explain(transport.failure(error, endpoint, Stage::Snapshot, &timeouts))
        };
        let (head, mut body) = self.network.send(request).map_err(network_error)?;
        match transport.opening(&head).map_err(|error| error.at(endpoint, Stage::Snapshot))? {
            Opening::Stream => {
                let mut stream = SnapshotStream::new(
                    *transport,
                    endpoint.clone(),
                    timeouts,
                    since,
                    self.deadline,
                    self.options.checks,
                    (head, body),
                );
                match stream.read(max) {
                    Ok(first) => Ok(Ok((stream, first))),
                    Err(error) => {
                        let opens = |r: &Refusal| r.login_could_help(token.is_some());
                        stream.refusal().filter(opens).map(Err).ok_or(error)
                    }
                }
            }
            Opening::Refused(refusal) => Ok(Err(refusal)),
            Opening::Explained => {
                let (mut explanation, begun) = (Vec::new(), Instant::now());
                while let Some(bytes) = body.read().map_err(network_error)? {
                    self.deadline
                        .check()
                        .and_then(|()| in_time("refusal", begun, timeouts.between_bytes))
                        .map_err(|error| error.at(endpoint, Stage::Snapshot))?;
                    explanation.extend_from_slice(&bytes);
                    if explanation.len() > SMALL_BODY {
                        break;
                    }
                }
                Ok(Err(gateway::refusal(&head, &explanation)))
            }
        }
    }
}
