//! The conversation with a cluster: who is there, who is asked, and the stream.
//!
//! A session stays with one member. It moves to the next one only while nothing
//! of a snapshot was handed out, and it keeps an account of every endpoint that
//! it left. A token never travels to another endpoint.

use crate::error::{Error, Result, Stage};
use crate::etcd::gateway::{self, Call, Unanswered};
use crate::etcd::messages::{Alarm, Authenticated, Header, Member, MemberList, Status, Version};
use crate::etcd::{messages::AlarmList, refusal::Refusal};
use crate::member::{self, Candidate, Rejected};
use crate::net::{Body, Network, NetworkError, Request, Response, SMALL_BODY, Timeouts};
use crate::options::Options;
use crate::snapshot::stream::SnapshotStream;
use plakar_connector::{Authority, Kind};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

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
    /// All members; `None` where it does not tell.
    pub members: Option<Vec<Member>>,
    /// The active alarms.
    pub alarms: Vec<Alarm>,
    /// What an operator must know.
    pub warnings: Vec<String>,
}

impl Chosen {
    /// What the member answers by, where it tells.
    pub fn header(&self) -> Option<&Header> {
        self.candidate.status.as_ref().map(|status| &status.header)
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
        let mut answers = self.probe(self.options.endpoints.iter().map(|e| (e, None)).collect());
        if let Some(credentials) = &self.options.credentials {
            let wants_login = |answer: &Answer| matches!(&answer.status, Err(Problem::Refused(r)) if r.wants_login());
            let guarded: Vec<Authority> =
                answers.iter().filter(|a| wants_login(a)).map(|a| a.endpoint.clone()).collect();
            if !guarded.is_empty() {
                answers.retain(|answer| !wants_login(answer));
                let mut tokens = Vec::new();
                for (endpoint, login) in guarded.iter().zip(self.login(&guarded, credentials)) {
                    match login {
                        Ok(token) => tokens.push((endpoint, token)),
                        Err(error) => {
                            survey.rejected.push(Rejected { endpoint: endpoint.clone(), error })
                        }
                    }
                }
                answers.extend(self.probe(tokens));
            }
        }
        let mut candidates = Vec::new();
        for answer in answers {
            match answer.into_candidate(&self.probe_timeouts()) {
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
        // The typed order, which logins may have changed, decides among equals.
        candidates.sort_by_key(|c| self.options.endpoints.iter().position(|e| *e == c.endpoint));
        member::rank(&mut candidates);
        survey.candidates = candidates.into();
        Ok(survey)
    }

    /// Takes the best candidate that can be logged in to, and asks it about the
    /// cluster; whatever else it refuses is no obstacle to a backup.
    pub fn choose(&self, survey: &mut Survey) -> Result<Chosen> {
        while let Some(mut candidate) = survey.candidates.pop_front() {
            match self.authenticate(&mut candidate) {
                Ok(()) => return self.ask(candidate),
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

    /// Starts the snapshot of a member.
    pub fn open(&self, candidate: &Candidate) -> Result<SnapshotStream<N::Body>> {
        let endpoint = &candidate.endpoint;
        let timeouts = self.stream_timeouts();
        let call =
            Call::Snapshot { budget: self.deadline.saturating_duration_since(Instant::now()) };
        let request = gateway::request(endpoint, call, candidate.token.as_deref(), timeouts);
        let network_error = |error: NetworkError| error.at(endpoint, Stage::Snapshot, &timeouts);
        let (head, mut body) = self.network.send(request).map_err(network_error)?;
        if gateway::succeeded(&head).map_err(|error| error.at(endpoint, Stage::Snapshot))? {
            return Ok(SnapshotStream::new(endpoint.clone(), timeouts, self.deadline, body));
        }
        let mut explanation = Vec::new();
        while let Some(bytes) = body.read().map_err(network_error)? {
            explanation.extend_from_slice(&bytes);
            if explanation.len() > SMALL_BODY {
                break;
            }
        }
        Err(gateway::refusal(&head, &explanation).into_error().at(endpoint, Stage::Snapshot))
    }

    /// The member's status once more, after its snapshot; `None` where it does
    /// not tell. An error where somebody else answers at this endpoint now.
    pub fn status_after(&self, chosen: &Chosen) -> Result<Option<Status>> {
        let endpoint = &chosen.candidate.endpoint;
        let token = chosen.candidate.token.clone();
        let answers = self.probe(vec![(endpoint, token)]);
        let status = answers.into_iter().next().and_then(|answer| answer.status.ok());
        match &status {
            Some(status) => same_member(chosen, &status.header)?,
            None => self.warn(&format!(
                "`{endpoint}`: no status after the snapshot: its last revision is unknown"
            )),
        }
        Ok(status)
    }

    fn authenticate(&self, candidate: &mut Candidate) -> Result<()> {
        let Some(credentials) = &self.options.credentials else {
            return Ok(());
        };
        if candidate.token.is_none() {
            let logins = self.login(std::slice::from_ref(&candidate.endpoint), credentials);
            candidate.token = logins.into_iter().next().transpose()?.flatten();
        }
        if candidate.token.is_none() {
            self.warn(&format!(
                "`{}`: login: authentication is off in this cluster, `username` and `password` are not needed",
                candidate.endpoint
            ));
        }
        Ok(())
    }

    fn ask(&self, candidate: Candidate) -> Result<Chosen> {
        let token = candidate.token.as_deref();
        let timeouts = self.probe_timeouts();
        let requests = [Call::MemberList, Call::Alarms]
            .map(|call| gateway::request(&candidate.endpoint, call, token, timeouts));
        let answers = self.exchange(requests.into());
        let list: Option<MemberList> = read(&answers[0]);
        let alarm_list: Option<AlarmList> = read(&answers[1]);

        let mut chosen =
            Chosen { members: None, alarms: Vec::new(), warnings: Vec::new(), candidate };
        if let Some(list) = list {
            same_member(&chosen, &list.header)?;
            chosen.members = Some(list.members);
        }
        // A member lists the alarms in its status too, and there without quorum.
        let listed = chosen.candidate.status.as_ref().map(member::alarms).unwrap_or_default();
        for alarm in
            alarm_list.map(|list| list.alarms).unwrap_or_default().into_iter().chain(listed)
        {
            if !chosen.alarms.contains(&alarm) {
                chosen.alarms.push(alarm);
            }
        }
        chosen.warnings = member::warnings(&chosen.candidate);
        for warning in &chosen.warnings {
            self.warn(&format!("`{}`: {warning}", chosen.candidate.endpoint));
        }
        Ok(chosen)
    }

    /// Logs in at all these endpoints at once; `None` where authentication is off.
    fn login(
        &self,
        endpoints: &[Authority],
        credentials: &crate::options::Credentials,
    ) -> Vec<Result<Option<String>>> {
        let timeouts = self.probe_timeouts();
        let call =
            Call::Authenticate { name: &credentials.username, password: &credentials.password };
        let requests =
            endpoints.iter().map(|e| gateway::request(e, call, None, timeouts)).collect();
        let answers = self.exchange(requests);
        endpoints
            .iter()
            .zip(answers)
            .map(|(endpoint, answer)| {
                let response =
                    answer.map_err(|error| error.at(endpoint, Stage::Login, &timeouts))?;
                match gateway::answer::<Authenticated>(&response) {
                    Ok(authenticated) => Ok(Some(authenticated.token)),
                    Err(Unanswered::Refused(refusal)) if refusal.auth_is_off() => Ok(None),
                    Err(unanswered) => Err(unanswered.into_error().at(endpoint, Stage::Login)),
                }
            })
            .collect()
    }

    /// Asks these endpoints for version and status.
    fn probe(&self, endpoints: Vec<(&Authority, Option<String>)>) -> Vec<Answer> {
        let timeouts = self.probe_timeouts();
        let requests = endpoints
            .iter()
            .flat_map(|(endpoint, token)| {
                [Call::Version, Call::Status]
                    .map(|call| gateway::request(endpoint, call, token.as_deref(), timeouts))
            })
            .collect();
        let answers = self.exchange(requests);
        endpoints
            .into_iter()
            .zip(answers.chunks(2))
            .map(|((endpoint, token), answers)| Answer {
                endpoint: endpoint.clone(),
                token,
                version: read::<Version>(&answers[0]).unwrap_or_default().etcdserver,
                status: match &answers[1] {
                    Ok(response) => {
                        gateway::answer(response).map_err(|unanswered| match unanswered {
                            Unanswered::Refused(refusal) => Problem::Refused(refusal),
                            Unanswered::Unreadable(error) => Problem::Unreadable(error),
                        })
                    }
                    Err(error) => Err(Problem::Network(error.clone())),
                },
            })
            .collect()
    }

    fn exchange(&self, requests: Vec<Request>) -> Vec<std::result::Result<Response, NetworkError>> {
        self.network.exchange(requests, self.probe_timeouts().first_byte)
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

/// One endpoint's answer to a probe.
struct Answer {
    endpoint: Authority,
    token: Option<String>,
    version: String,
    status: std::result::Result<Status, Problem>,
}

enum Problem {
    Network(NetworkError),
    Refused(Refusal),
    Unreadable(Error),
}

impl Answer {
    fn into_candidate(self, timeouts: &Timeouts) -> std::result::Result<Candidate, Rejected> {
        let endpoint = self.endpoint;
        let status = match self.status {
            Ok(status) => match member::disqualified(&status) {
                None => Ok(Some(status)),
                Some(reason) => Err(Error::new(Kind::Corrupt, reason)
                    .remedy("back up another member, and replace this one")),
            },
            // Many versions guard the status; whether they guard the snapshot
            // against this user too is for the snapshot call to say.
            Err(Problem::Refused(refusal))
                if refusal.wants_login() || refusal.lacks_permission() =>
            {
                Ok(None)
            }
            Err(Problem::Refused(refusal)) => Err(refusal.into_error()),
            Err(Problem::Unreadable(error)) => Err(error),
            Err(Problem::Network(error)) => Err(error.at(&endpoint, Stage::Probe, timeouts)),
        };
        match status {
            Ok(status) => {
                Ok(Candidate { endpoint, version: self.version, status, token: self.token })
            }
            Err(error) => Err(Rejected { error: error.at(&endpoint, Stage::Probe), endpoint }),
        }
    }
}

/// A best-effort call's answer.
fn read<T: serde::de::DeserializeOwned>(
    answer: &std::result::Result<Response, NetworkError>,
) -> Option<T> {
    gateway::answer(answer.as_ref().ok()?).ok()
}

/// Refuses an endpoint behind which another member answers than before.
fn same_member(chosen: &Chosen, now: &Header) -> Result<()> {
    match chosen.header() {
        Some(before) if before.member_id != now.member_id => Err(Error::new(
            Kind::Other,
            format!(
                "first member {} answered here, then member {}",
                before.member_id, now.member_id
            ),
        )
        .remedy("this name leads to several members: name them one by one in `endpoints`")
        .at(&chosen.candidate.endpoint, Stage::Probe)),
        _ => Ok(()),
    }
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
