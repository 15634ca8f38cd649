//! The session with a cluster: which members respond, which one is used, and its stream.
//!
//! A session uses one member. It moves to the next one only if nothing of a
//! snapshot was returned yet, and it keeps the reason for every endpoint that it left.
//! A token is never sent to another endpoint.
//!
//! | module | its one job |
//! | --- | --- |
//! | [`probe`] | asks every endpoint for its status, over gRPC or the gateway |
//! | [`login`] | exchanges a name and a password for a token, endpoint by endpoint |
//! | [`choice`] | chooses the best member, and moves on to the next one |
//! | [`identify`] | identifies the chosen member, before the snapshot and after it |
//! | [`download`] | starts the snapshot of a member |
//! | [`hashes`] | compares the snapshot with what every member holds |
//! | [`chosen`] | the facts about the chosen member, and what rules it out |

mod choice;
mod chosen;
mod download;
mod hashes;
mod identify;
mod login;
mod probe;

pub(crate) use chosen::Chosen;
pub(crate) use download::Download;

use crate::deadline::Deadline;
use crate::error::Result;
use crate::member::Rejected;
use crate::net::{Network, NetworkError, Request, Response, Timeouts};
use crate::options::Options;
use probe::Survey;
use std::time::Duration;

/// The time that an exchange may take beyond each of its limits.
const GRACE: Duration = Duration::from_millis(200);

/// One run against one cluster.
pub(crate) struct Session<N> {
    network: N,
    options: Options,
    /// Reports a line to people.
    warn: fn(&str),
    deadline: Deadline,
    survey: Survey,
}

impl<N: Network> Session<N> {
    /// A session whose time begins now. `warn` takes lines for people.
    pub(crate) fn new(network: N, options: Options, warn: fn(&str)) -> Self {
        let deadline = Deadline::after(options.limits.max_duration);
        Self { network, options, warn, deadline, survey: Survey::default() }
    }

    /// Reports something to people.
    pub(crate) fn warn(&self, line: &str) {
        (self.warn)(line);
    }

    /// The user's options.
    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// The endpoints that are not used, each with the reason.
    pub(crate) fn rejected(&self) -> &[Rejected] {
        &self.survey.rejected
    }

    /// Checks that a backup would start now: starts a snapshot, and cancels it at its first
    /// bytes. A status is not enough: etcd also returns it to users without permission to
    /// take a snapshot.
    pub(crate) fn ping(mut self) -> Result<()> {
        self.probe_all()?;
        let Download { mut chosen, stream, .. } = self.download(None, 1)?;
        let sent = stream.sent();
        drop(stream);
        self.status_after(&mut chosen, &sent).map(drop)
    }

    fn exchange(&self, requests: Vec<Request>) -> Vec<std::result::Result<Response, NetworkError>> {
        // The limits of the exchanges give a better error than this one does.
        self.network.exchange(requests, self.probe_timeouts().first_byte + GRACE)
    }

    fn probe_timeouts(&self) -> Timeouts {
        let limit = self.options.limits.connect.min(self.deadline.left());
        Timeouts { connect: limit, first_byte: limit, between_bytes: limit }
    }

    fn stream_timeouts(&self) -> Timeouts {
        let limits = &self.options.limits;
        let stall = limits.stall.min(self.deadline.left());
        Timeouts {
            connect: limits.connect.min(self.deadline.left()),
            first_byte: stall,
            between_bytes: stall,
        }
    }
}

#[cfg(test)]
mod tests;
