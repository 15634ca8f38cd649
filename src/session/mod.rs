//! The conversation with a cluster: who is there, who is asked, and the stream.
//!
//! A session stays with one member. It moves to the next one only while nothing
//! of a snapshot was handed out, and it keeps an account of every endpoint that
//! it left. A token never travels to another endpoint.
//!
//! | module | its one job |
//! | --- | --- |
//! | [`probe`] | asks every endpoint who it is, in whatever way it can be asked |
//! | [`login`] | exchanges a name and a password for a token, endpoint by endpoint |
//! | [`hashes`] | compares the snapshot with what every member holds |
//! | [`chosen`] | what is believed of the member that is asked, and what ends that |

mod chosen;
mod hashes;
mod login;
mod probe;

pub use chosen::Chosen;
pub use probe::Survey;

use crate::deadline::Deadline;
use crate::error::{Error, Result, Stage};
use crate::etcd::failure::in_time;
use crate::etcd::gateway;
use crate::etcd::messages::{MemberList, Status, Version, version_or_none};
use crate::etcd::refusal::Refusal;
use crate::etcd::transport::{Call, Opening, Transport, Unanswered};
use crate::member::{self, Candidate, Rejected};
use crate::net::{Body, Network, NetworkError, Request, Response, SMALL_BODY, Timeouts};
use crate::options::Options;
use crate::snapshot::stream::{Sent, SnapshotStream};
use plakar_connector::{Authority, Kind};
use probe::{Asked, Problem};
use std::time::{Duration, Instant};

/// What an exchange may take beyond each of its limits.
const GRACE: Duration = Duration::from_millis(200);

/// How often a member is asked who it is before the snapshot, and again after it,
/// beyond the first time. A proxy that spreads the calls of one connection over
/// several members is found out by that. It takes so many for one that has weights:
/// where one call in eleven goes elsewhere, 18 statuses all came from one member, and
/// the snapshot from another, in one backup of thirty. A status costs a member some
/// microseconds.
const fn again(transport: Transport) -> usize {
    match transport {
        Transport::Grpc => 64,
        // One goes after the other.
        Transport::Gateway => 24,
    }
}

/// How many statuses one connection carries at once, well below what a host allows.
const AT_ONCE: usize = 16;

/// One run against one cluster.
pub struct Session<N> {
    network: N,
    options: Options,
    /// Takes a line for people.
    warn: fn(&str),
    deadline: Deadline,
}

/// A stream, and its first bytes.
type Opened<B> = (SnapshotStream<B>, Option<Vec<u8>>);

/// A snapshot that has begun.
pub struct Begun<B> {
    /// Whose it is, as far as is known.
    pub chosen: Chosen,
    /// The rest of it.
    pub stream: SnapshotStream<B>,
    /// Its first bytes; `None` where it is at its proven end already.
    pub first: Option<Vec<u8>>,
}

impl<N: Network> Session<N> {
    /// A session whose time begins now. `warn` takes lines for people.
    pub fn new(network: N, options: Options, warn: fn(&str)) -> Self {
        let deadline = Deadline::after(options.limits.max_duration);
        Self { network, options, warn, deadline }
    }

    /// Reports something to people.
    pub fn warn(&self, line: &str) {
        (self.warn)(line);
    }

    /// What the user asked for.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Whether a backup would start now: begins one, and gives it up at its first
    /// bytes. Nothing less tells: etcd opens a status to users that it gives no
    /// snapshot to.
    pub fn ping(&self) -> Result<()> {
        let Begun { mut chosen, stream, .. } = self.begin(&mut self.survey()?, None, 1)?;
        let sent = stream.sent();
        drop(stream);
        self.status_after(&mut chosen, &sent).map(drop)
    }

    /// Takes the best candidate that can be logged in to, and asks it about the
    /// cluster; whatever else it refuses is no obstacle to a backup.
    pub fn choose(&self, survey: &mut Survey) -> Result<Chosen> {
        while let Some(candidate) = survey.candidates.pop_front() {
            let choice = member::choice(&candidate, &survey.candidates);
            let endpoint = candidate.endpoint.clone();
            match self.authenticate(candidate).and_then(|c| self.ask(c, choice, survey)) {
                Ok(chosen) => return Ok(chosen),
                Err(error) => self.reject(survey, endpoint, error)?,
            }
        }
        Err(survey.none_left())
    }

    /// Begins the snapshot of the `chosen` member, or of the best one, and reads at
    /// most `most` of its first bytes. Moves on to the next member as long as there
    /// were none.
    pub fn begin(
        &self,
        survey: &mut Survey,
        mut chosen: Option<Chosen>,
        most: usize,
    ) -> Result<Begun<N::Body>> {
        loop {
            let mut chosen = match chosen.take() {
                Some(chosen) => chosen,
                None => self.choose(survey)?,
            };
            match self.open(&mut chosen.candidate, most) {
                Ok((stream, first)) => return Ok(Begun { chosen, stream, first }),
                Err(error) => self.reject(survey, chosen.candidate.endpoint, error)?,
            }
        }
    }

    /// Gives a member up for the next one, or ends the run where all members
    /// would answer the same.
    fn reject(&self, survey: &mut Survey, endpoint: Authority, error: Error) -> Result<()> {
        if error.is_of_all_members() {
            return Err(error);
        }
        if !survey.candidates.is_empty() {
            self.warn(&format!("{error}; trying the next member"));
        }
        survey.rejected.push(Rejected { endpoint, error });
        Ok(())
    }

    /// Starts the snapshot of a member. Where a login could open what is refused, the
    /// member is logged in to once more.
    fn open(&self, candidate: &mut Candidate, most: usize) -> Result<Opened<N::Body>> {
        let mut opened = self.request_snapshot(candidate, most)?;
        if let (Err(refusal), Some(credentials)) = (&opened, &self.options.credentials)
            && refusal.login_could_help(candidate.token.is_some())
        {
            candidate.token = self.login_at(candidate, credentials)?;
            opened = self.request_snapshot(candidate, most)?;
        }
        opened.map_err(|refusal| {
            self.deadline.explain(refusal.into_error()).at(&candidate.endpoint, Stage::Snapshot)
        })
    }

    /// Asks for the snapshot; returns the stream with its first bytes, or the refusal.
    fn request_snapshot(
        &self,
        Candidate { endpoint, transport, token, .. }: &Candidate,
        most: usize,
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
                match stream.read(most) {
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

    /// The member's status once more, after the snapshot that was `sent`; `None` where
    /// it does not tell. Its token may have died meanwhile, which a login mends. An
    /// error where another member answers at this endpoint now, or where the snapshot
    /// must not be believed.
    pub fn status_after(&self, chosen: &mut Chosen, sent: &Sent) -> Result<Option<Status>> {
        let asked = Asked::of(&chosen.candidate);
        let (asked, answer) = self.probe_with_login(self.probe(vec![asked])).remove(0);
        let after = match answer {
            Ok(status) => {
                chosen.candidate.token = asked.token;
                self.believe(chosen, vec![(status.clone(), asked.connection)])?;
                self.ask_again(chosen)?;
                Some(status)
            }
            Err(problem) => {
                let is_refused = matches!(problem, Problem::Unanswered(Unanswered::Refused(_)));
                let error = problem.into_error(&asked, &self.probe_timeouts());
                if is_refused && error.kind == Kind::Corrupt {
                    return Err(error);
                }
                let warning = format!(
                    "no status after the snapshot ({}): its last revision is unknown",
                    error.what()
                );
                chosen.warn(warning, self.warn);
                None
            }
        };
        chosen.sent(sent, after.as_ref());
        self.believe(chosen, Vec::new())?;
        Ok(after)
    }

    /// Asks the member about the cluster, and often enough who it is.
    fn ask(&self, candidate: Candidate, choice: String, survey: &Survey) -> Result<Chosen> {
        let Candidate { endpoint, transport, .. } = &candidate;
        let timeouts = self.probe_timeouts();
        let list =
            transport.request(endpoint, Call::MemberList, candidate.token.as_deref(), timeouts);
        let mut requests = vec![list];
        let mut version = candidate.status.as_ref().map(|s| s.version.clone()).unwrap_or_default();
        if version.is_empty() {
            requests.push(gateway::version_request(endpoint, timeouts));
        }
        // What is refused here is no obstacle to a backup.
        let mut answers = self.exchange(requests).into_iter().map(std::result::Result::ok);
        let list = answers.next().flatten().and_then(|answer| {
            match transport.answer::<MemberList>(&answer) {
                Ok(list) => Some((list, answer.head.connection())),
                Err(Unanswered::Unreadable(error)) => {
                    self.warn(&format!("`{endpoint}`: member list: {}", error.what()));
                    None
                }
                Err(_) => None,
            }
        });
        if let Some(answer) = answers.next().flatten() {
            let answer = gateway::read::<Version>(&answer).unwrap_or_default();
            version = version_or_none(&answer.etcdserver);
        }
        let mut chosen = Chosen::new(candidate, choice, version, survey);
        let of_alarms = chosen.troubles.alarms.iter().map(member::warning);
        let warnings: Vec<String> =
            chosen.candidate.warnings().into_iter().chain(of_alarms).collect();
        for warning in warnings {
            chosen.warn(warning, self.warn);
        }
        if self.options.credentials.is_some() && !chosen.candidate.endpoint.tls {
            let warning = "the password travels over plain HTTP: whoever is on the way can read it; \
                           let etcd serve TLS, and use `etcd+https`";
            chosen.warn(warning.into(), self.warn);
        }
        let first = chosen
            .candidate
            .status
            .clone()
            .map(|status| (status, chosen.candidate.connection.clone()));
        self.believe(&mut chosen, first.into_iter().collect())?;
        if let Some((list, connection)) = list {
            chosen.told_members(list, connection.as_deref())?;
        }
        if chosen.candidate.status.is_some() {
            self.ask_again(&mut chosen)?;
        }
        Ok(chosen)
    }

    /// Takes in these statuses of the chosen member.
    fn believe(&self, chosen: &mut Chosen, told: Vec<(Status, Option<String>)>) -> Result<()> {
        chosen.believe(told, self.warn)
    }

    /// Asks the chosen member several times who it is: see [`again`].
    fn ask_again(&self, chosen: &mut Chosen) -> Result<()> {
        let transport = chosen.candidate.transport;
        let at_once = match transport {
            Transport::Grpc => AT_ONCE,
            // A second request at a time would make a second connection.
            Transport::Gateway => 1,
        };
        for _ in 0..again(transport) / at_once {
            let asked = (0..at_once).map(|_| Asked::of(&chosen.candidate)).collect();
            let told: Vec<_> = self
                .probe(asked)
                .into_iter()
                .filter_map(|(asked, answer)| Some((answer.ok()?, asked.connection)))
                .collect();
            if told.is_empty() {
                break;
            }
            self.believe(chosen, told)?;
        }
        Ok(())
    }

    fn exchange(&self, requests: Vec<Request>) -> Vec<std::result::Result<Response, NetworkError>> {
        // The limits of the exchanges say more of a failure than this one does.
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
