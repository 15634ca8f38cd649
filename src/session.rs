//! The conversation with a cluster: who is there, who is asked, and the stream.
//!
//! A session stays with one member. It moves to the next one only while nothing
//! of a snapshot was handed out, and it keeps an account of every endpoint that
//! it left. A token never travels to another endpoint.

use crate::error::{Error, Result, Stage};
use crate::etcd::gateway;
use crate::etcd::messages::{Authenticated, Header, Id, Member, MemberList, Status, Version};
use crate::etcd::refusal::Refusal;
use crate::etcd::transport::{Call, Opening, Transport, Unanswered};
use crate::member::{self, Candidate, Rejected};
use crate::net::{Body, Network, NetworkError, Request, Response, SMALL_BODY, Timeouts};
use crate::options::{Credentials, Options};
use crate::snapshot::stream::SnapshotStream;
use plakar_connector::{Authority, Kind};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What an exchange may take beyond each of its limits.
const GRACE: Duration = Duration::from_millis(200);

/// One run against one cluster.
pub struct Session<N> {
    network: N,
    options: Options,
    /// Takes a line for people.
    warn: fn(&str),
    deadline: Instant,
}

/// What a survey of the endpoints found.
#[derive(Default)]
pub struct Survey {
    /// Members to ask, the best first.
    pub candidates: VecDeque<Candidate>,
    /// Endpoints that are of no use.
    pub rejected: Vec<Rejected>,
}

/// The member that is asked, and what it told.
pub struct Chosen {
    /// The member.
    pub candidate: Candidate,
    /// Why it, in words.
    pub choice: String,
    /// The version of its binary; empty where it does not tell.
    pub version: String,
    /// All members; `None` where it does not tell.
    pub members: Option<Vec<Member>>,
    /// What an operator must know.
    pub warnings: Vec<String>,
    /// The connections over which it said who it is, where the host tells them apart.
    connections: Vec<String>,
}

impl Chosen {
    /// What the member answers by, where it tells.
    pub fn header(&self) -> Option<Header> {
        self.candidate.status.as_ref().map(Status::header)
    }

    /// The member's own entry in the member list.
    pub fn member(&self) -> Option<&Member> {
        let id = self.header()?.member_id;
        self.members.as_ref()?.iter().find(|member| member.id == id)
    }
}

impl<N: Network> Session<N> {
    /// A session whose time begins now. `warn` takes lines for people.
    pub fn new(network: N, options: Options, warn: fn(&str)) -> Self {
        let deadline = Instant::now() + options.limits.max_duration;
        Self { network, options, warn, deadline }
    }

    /// Says something to people.
    pub fn warn(&self, line: &str) {
        (self.warn)(line);
    }

    /// Contacts the members and tells whether a backup could start.
    pub fn ping(&self) -> Result<()> {
        self.choose(&mut self.survey()?).map(drop)
    }

    /// Asks every endpoint who it is, all at once, and orders those that answer.
    pub fn survey(&self) -> Result<Survey> {
        let mut survey = Survey::default();
        let transport = self.options.transport.unwrap_or(Transport::Grpc);
        let asked =
            self.options.endpoints.iter().map(|e| Asked::new(e.clone(), transport)).collect();
        let answers = self.probe(asked);
        let answers = self.probe_without_grpc(answers);
        let answers = self.probe_with_login(answers);
        let mut candidates = Vec::new();
        for answer in answers {
            match candidate(answer, &self.probe_timeouts()) {
                Ok(candidate) => candidates.push(candidate),
                Err(rejected) => survey.rejected.push(rejected),
            }
        }
        if let Some([(a, a_id), (b, b_id)]) = member::strangers(&candidates) {
            return Err(Error::new(
                Kind::Other,
                format!("`{a}` is of cluster {a_id}, but `{b}` is of cluster {b_id}"),
            )
            .remedy("name endpoints of one cluster only")
            .during(Stage::Probe));
        }
        member::rank(&mut candidates, &self.options.endpoints);
        survey.candidates = candidates.into();
        Ok(survey)
    }

    /// Takes the best candidate that can be logged in to, and asks it about the
    /// cluster; whatever else it refuses is no obstacle to a backup.
    pub fn choose(&self, survey: &mut Survey) -> Result<Chosen> {
        while let Some(mut candidate) = survey.candidates.pop_front() {
            let choice = member::choice(&candidate, &survey.candidates);
            match self.authenticate(&mut candidate) {
                Ok(()) => return self.ask(candidate, choice),
                Err(error) => self.reject(survey, candidate.endpoint, error)?,
            }
        }
        Err(none_left(&survey.rejected))
    }

    /// Gives a member up for the next one, or ends the run where all members
    /// would answer the same.
    pub fn reject(&self, survey: &mut Survey, endpoint: Authority, error: Error) -> Result<()> {
        if matches!(error.kind, Kind::Unauthenticated | Kind::PermissionDenied) {
            return Err(error);
        }
        if !survey.candidates.is_empty() {
            self.warn(&format!("{error}; trying the next member"));
        }
        survey.rejected.push(Rejected { endpoint, error });
        Ok(())
    }

    /// Starts the snapshot of a member. Where it takes the token no longer, it is
    /// logged in to once more.
    pub fn open(&self, candidate: &mut Candidate) -> Result<SnapshotStream<N::Body>> {
        let mut opened = self.request_snapshot(candidate)?;
        if let (Err(refusal), Some(credentials)) = (&opened, &self.options.credentials)
            && refusal.wants_login()
        {
            candidate.token = self.login_at(candidate, credentials)?;
            opened = self.request_snapshot(candidate)?;
        }
        opened.map_err(|refusal| refusal.into_error().at(&candidate.endpoint, Stage::Snapshot))
    }

    /// Asks for the snapshot; answers the stream or etcd's refusal.
    fn request_snapshot(
        &self,
        Candidate { endpoint, transport, token, .. }: &Candidate,
    ) -> Result<std::result::Result<SnapshotStream<N::Body>, Refusal>> {
        let timeouts = self.stream_timeouts();
        let call = Call::Snapshot { budget: self.left() };
        let request = transport.request(endpoint, call, token.as_deref(), timeouts);
        let network_error = |error: NetworkError| error.at(endpoint, Stage::Snapshot, &timeouts);
        let (head, mut body) = self.network.send(request).map_err(network_error)?;
        match transport.opening(&head).map_err(|error| error.at(endpoint, Stage::Snapshot))? {
            Opening::Stream => {
                let (endpoint, response) = (endpoint.clone(), (head, body));
                Ok(Ok(SnapshotStream::new(
                    *transport,
                    endpoint,
                    timeouts,
                    self.deadline,
                    self.options.hashing,
                    response,
                )))
            }
            Opening::Refused(refusal) => Ok(Err(refusal)),
            Opening::Explained => {
                let mut explanation = Vec::new();
                while let Some(bytes) = body.read().map_err(network_error)? {
                    explanation.extend_from_slice(&bytes);
                    if explanation.len() > SMALL_BODY {
                        break;
                    }
                }
                Ok(Err(gateway::refusal(&head, &explanation)))
            }
        }
    }

    /// The member's status once more, after its snapshot, which came over that
    /// connection; `None` where it does not tell. Its token may have died meanwhile,
    /// which a login mends. An error where somebody else answers at this endpoint
    /// now, or may have sent the snapshot.
    pub fn status_after(
        &self,
        chosen: &Chosen,
        connection: Option<&str>,
    ) -> Result<Option<Status>> {
        let Candidate { endpoint, transport, token, .. } = &chosen.candidate;
        let asked = Asked { token: token.clone(), ..Asked::new(endpoint.clone(), *transport) };
        let (asked, answer) = self.probe_with_login(self.probe(vec![asked])).remove(0);
        match answer {
            Ok(status) => {
                same_member(chosen, &status.header())?;
                same_connection(chosen, connection, asked.connection.as_deref())?;
                Ok(Some(status))
            }
            Err(problem) => {
                same_connection(chosen, connection, None)?;
                let error = problem.into_error(endpoint, &self.probe_timeouts());
                self.warn(&format!(
                    "`{endpoint}`: no status after the snapshot ({}): its last revision is unknown",
                    error.what()
                ));
                Ok(None)
            }
        }
    }

    fn authenticate(&self, candidate: &mut Candidate) -> Result<()> {
        let Some(credentials) = &self.options.credentials else {
            return Ok(());
        };
        if candidate.token.is_none() {
            candidate.token = self.login_at(candidate, credentials)?;
        }
        if candidate.token.is_none() {
            self.warn(&format!(
                "`{}`: login: authentication is off in this cluster, `username` and `password` are not needed",
                candidate.endpoint
            ));
        }
        Ok(())
    }

    fn ask(&self, candidate: Candidate, choice: String) -> Result<Chosen> {
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
            let list: MemberList = transport.answer(&answer).ok()?;
            Some((list, answer.head.connection()))
        });
        if let Some(answer) = answers.next().flatten() {
            version = gateway::read::<Version>(&answer).unwrap_or_default().etcdserver;
        }

        let warnings = member::warnings(&candidate);
        for warning in &warnings {
            self.warn(&format!("`{endpoint}`: {warning}"));
        }
        let connections = candidate.connection.iter().cloned().collect();
        let mut chosen =
            Chosen { candidate, choice, version, members: None, warnings, connections };
        if let Some((list, connection)) = list {
            same_member(&chosen, &list.header.unwrap_or_default())?;
            chosen.members = Some(list.members);
            chosen.connections.extend(connection);
        }
        Ok(chosen)
    }

    /// Logs in at a candidate's endpoint; `None` where authentication is off.
    fn login_at(
        &self,
        Candidate { endpoint, transport, .. }: &Candidate,
        credentials: &Credentials,
    ) -> Result<Option<String>> {
        self.login(&[Asked::new(endpoint.clone(), *transport)], credentials).remove(0)
    }

    /// Logs in at all these endpoints at once; `None` where authentication is off.
    fn login(&self, asked: &[Asked], credentials: &Credentials) -> Vec<Result<Option<String>>> {
        let timeouts = self.probe_timeouts();
        let call =
            Call::Authenticate { name: &credentials.username, password: &credentials.password };
        let requests = asked
            .iter()
            .map(|asked| asked.transport.request(&asked.endpoint, call, None, timeouts))
            .collect();
        asked
            .iter()
            .zip(self.exchange(requests))
            .map(|(Asked { endpoint, transport, .. }, answer)| {
                let response =
                    answer.map_err(|error| error.at(endpoint, Stage::Login, &timeouts))?;
                match transport.answer::<Authenticated>(&response) {
                    Ok(authenticated) => Ok(Some(authenticated.token)),
                    Err(Unanswered::Refused(refusal)) if refusal.auth_is_off() => Ok(None),
                    Err(unanswered) => Err(unanswered.into_error().at(endpoint, Stage::Login)),
                }
            })
            .collect()
    }

    /// Asks these endpoints for their status, all at once.
    fn probe(&self, asked: Vec<Asked>) -> Vec<Answer> {
        let timeouts = self.probe_timeouts();
        let request = |asked: &Asked| {
            asked.transport.request(&asked.endpoint, Call::Status, asked.token.as_deref(), timeouts)
        };
        let answers = self.exchange(asked.iter().map(request).collect());
        let read = |(asked, answer): (Asked, std::result::Result<Response, NetworkError>)| {
            let connection = answer.as_ref().ok().and_then(|response| response.head.connection());
            let status = match answer {
                Ok(response) => asked.transport.answer(&response).map_err(Problem::Unanswered),
                Err(error) => Err(Problem::Network(error)),
            };
            (Asked { connection, ..asked }, status)
        };
        asked.into_iter().zip(answers).map(read).collect()
    }

    /// Asks the gateway where gRPC finds no way, unless gRPC was asked for.
    fn probe_without_grpc(&self, answers: Vec<Answer>) -> Vec<Answer> {
        if self.options.transport.is_some() {
            return answers;
        }
        let (mut answers, closed) =
            partition(answers, |answer| answer.as_ref().err().and_then(Problem::no_way));
        let asked = |(asked, reason): (Asked, String)| Asked {
            no_grpc: Some(reason),
            ..Asked::new(asked.endpoint, Transport::Gateway)
        };
        answers.extend(self.probe(closed.into_iter().map(asked).collect()));
        answers
    }

    /// Asks once more, with a login, where the status is guarded.
    fn probe_with_login(&self, answers: Vec<Answer>) -> Vec<Answer> {
        let Some(credentials) = &self.options.credentials else {
            return answers;
        };
        let wants_login = |answer: &std::result::Result<Status, Problem>| match answer {
            Err(Problem::Unanswered(Unanswered::Refused(refusal))) => {
                refusal.wants_login().then_some(())
            }
            _ => None,
        };
        let (others, guarded) = partition(answers, wants_login);
        let guarded: Vec<Asked> = guarded.into_iter().map(|(asked, ())| asked).collect();
        let logins = self.login(&guarded, credentials);
        // The first reason is the one that a run ends with: a login can be mended.
        let (mut answers, mut tokens) = (Vec::new(), Vec::new());
        for (asked, login) in guarded.into_iter().zip(logins) {
            match login {
                Ok(token) => tokens.push(Asked { token, ..asked }),
                Err(error) => answers.push((asked, Err(Problem::Login(error)))),
            }
        }
        answers.extend(others);
        answers.extend(self.probe(tokens));
        answers
    }

    fn exchange(&self, requests: Vec<Request>) -> Vec<std::result::Result<Response, NetworkError>> {
        // The limits of the exchanges say more of a failure than this one does.
        self.network.exchange(requests, self.probe_timeouts().first_byte + GRACE)
    }

    fn probe_timeouts(&self) -> Timeouts {
        let limit = self.options.limits.connect.min(self.left());
        Timeouts { connect: limit, first_byte: limit, between_bytes: limit }
    }

    fn stream_timeouts(&self) -> Timeouts {
        let limits = &self.options.limits;
        let stall = limits.stall.min(self.left());
        Timeouts {
            connect: limits.connect.min(self.left()),
            first_byte: stall,
            between_bytes: stall,
        }
    }

    /// What is left of the run's time, never quite nothing.
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
    }
}

/// An endpoint, and how it is asked.
struct Asked {
    endpoint: Authority,
    transport: Transport,
    token: Option<String>,
    /// Why gRPC is not used, where it was tried.
    no_grpc: Option<String>,
    /// The connection that its last answer came over.
    connection: Option<String>,
}

impl Asked {
    fn new(endpoint: Authority, transport: Transport) -> Self {
        Self { endpoint, transport, token: None, no_grpc: None, connection: None }
    }
}

/// What an endpoint said to a probe.
type Answer = (Asked, std::result::Result<Status, Problem>);

enum Problem {
    Network(NetworkError),
    Unanswered(Unanswered),
    Login(Error),
}

impl Problem {
    fn into_error(self, endpoint: &Authority, timeouts: &Timeouts) -> Error {
        match self {
            Problem::Network(error) => error.at(endpoint, Stage::Probe, timeouts),
            Problem::Unanswered(unanswered) => unanswered.into_error(),
            Problem::Login(error) => error,
        }
    }

    /// Why it seems that gRPC finds no way, though something is there. An error
    /// by etcd is no such reason.
    fn no_way(&self) -> Option<String> {
        match self {
            Problem::Unanswered(Unanswered::Foreign(error)) => Some(error.what().into()),
            Problem::Network(NetworkError::Protocol(text) | NetworkError::Cut(text)) => {
                Some(text.clone())
            }
            _ => None,
        }
    }
}

/// Takes out the answers for which there is a reason to.
fn partition<R>(
    answers: Vec<Answer>,
    reason: impl Fn(&std::result::Result<Status, Problem>) -> Option<R>,
) -> (Vec<Answer>, Vec<(Asked, R)>) {
    let (mut kept, mut taken) = (Vec::new(), Vec::new());
    for (asked, answer) in answers {
        match reason(&answer) {
            Some(reason) => taken.push((asked, reason)),
            None => kept.push((asked, answer)),
        }
    }
    (kept, taken)
}

fn candidate(
    (asked, answer): Answer,
    timeouts: &Timeouts,
) -> std::result::Result<Candidate, Rejected> {
    let Asked { endpoint, transport, token, no_grpc, connection } = asked;
    let status = match answer {
        Ok(status) => match member::disqualified(&status) {
            None => Ok(Some(status)),
            Some(reason) => Err(Error::new(Kind::Corrupt, reason)
                .remedy("back up another member, and replace this one")),
        },
        // Some versions guard the status more than others; whether the snapshot is
        // refused too is for the snapshot call to say.
        Err(Problem::Unanswered(Unanswered::Refused(refusal))) if refusal.lacks_permission() => {
            Ok(None)
        }
        Err(problem) => Err(problem.into_error(&endpoint, timeouts)),
    };
    match status {
        Ok(status) => {
            Ok(Candidate { endpoint, transport, no_grpc, status, token, connection, behind: 0 })
        }
        Err(error) => Err(Rejected { error: error.at(&endpoint, Stage::Probe), endpoint }),
    }
}

/// Refuses an endpoint behind which another member answers than before.
fn same_member(chosen: &Chosen, now: &Header) -> Result<()> {
    match chosen.header() {
        Some(before) if before.member_id != now.member_id => Err(Error::new(
            Kind::Other,
            format!(
                "first member {} answered here, then member {}",
                Id(before.member_id),
                Id(now.member_id)
            ),
        )
        .remedy("this name leads to several members: name them one by one in `endpoints`")
        .at(&chosen.candidate.endpoint, Stage::Probe)),
        _ => Ok(()),
    }
}

/// Refuses a snapshot that may be another member's than the one recorded: one
/// that came over a connection on which nobody has said who it is, neither before
/// nor after. A snapshot itself does not tell.
fn same_connection(chosen: &Chosen, snapshot: Option<&str>, after: Option<&str>) -> Result<()> {
    let Some(snapshot) = snapshot.filter(|_| chosen.header().is_some()) else {
        return Ok(());
    };
    if after == Some(snapshot) || chosen.connections.iter().any(|known| known == snapshot) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Other,
        "the connection was lost before the snapshot and after it: which member sent it is unknown",
    )
    .remedy(
        "run the backup again; if this name leads to several members, name them one by one in \
         `endpoints`",
    )
    .at(&chosen.candidate.endpoint, Stage::Probe))
}

/// The error where no endpoint is left: the one reason, or all of them.
fn none_left(rejected: &[Rejected]) -> Error {
    match rejected {
        [] => Error::new(Kind::Other, "there is no endpoint to ask").during(Stage::Probe),
        [only] => only.error.clone(),
        [first, ..] => {
            let reasons: Vec<String> =
                rejected.iter().map(|r| format!("`{}`: {}", r.endpoint, r.error.what())).collect();
            Error::new(first.error.kind, format!("no member could be used: {}", reasons.join(", ")))
                .remedy("bring one of them back, or name others in `endpoints`")
                .during(Stage::Probe)
        }
    }
}
