//! Events and outcomes, for people or as JSON lines.

mod json;
mod people;

use super::arguments::Output;
use plakar_wasm::backup::Summary;
use plakar_wasm::{Error, Event, Fact, Observer};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How a command ended.
pub(super) enum Outcome<'a> {
    /// A backup that is whole and kept.
    BackedUp {
        /// What it amounts to.
        summary: Summary,
        /// Where it is.
        to: &'a std::path::Path,
    },
    /// A source that answered.
    Reachable {
        /// Which.
        origin: &'a str,
        /// After how long.
        elapsed: Duration,
    },
    /// Something went wrong.
    Failed(&'a Error),
    /// A signal came; with its exit code.
    Signalled(u8),
}

impl Outcome<'_> {
    /// The exit code.
    fn code(&self) -> u8 {
        match self {
            Outcome::BackedUp { .. } | Outcome::Reachable { .. } => 0,
            Outcome::Failed(error) => error.fault().exit_code(),
            Outcome::Signalled(code) => *code,
        }
    }
}

/// One way to show things. All methods may be called from any thread, one at a time.
trait Form: Send {
    fn event(&mut self, event: Event<'_>);
    fn outcome(&mut self, outcome: &Outcome<'_>, code: u8, facts: &[Fact]);
}

/// Shows what happens in the form that was asked for.
pub(super) struct Report(Mutex<State>);

struct State {
    form: Box<dyn Form>,
    facts: Vec<Fact>,
}

impl Report {
    /// A report in the form that was asked for; `command` names it in JSON.
    pub(super) fn new(output: &Output, command: &'static str) -> Arc<Self> {
        let form: Box<dyn Form> = match output.json {
            true => Box::new(json::Json::new(command)),
            false => Box::new(people::People::new(output)),
        };
        Arc::new(Self(Mutex::new(State { form, facts: Vec::new() })))
    }

    /// Shows how the command ended; answers the exit code.
    pub(super) fn end(&self, outcome: &Outcome<'_>) -> u8 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State { form, facts } = &mut *state;
        let code = outcome.code();
        form.outcome(outcome, code, facts);
        code
    }
}

impl Observer for Report {
    fn event(&self, event: Event<'_>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            // Told with the outcome.
            Event::Facts(facts) => state.facts = facts.to_vec(),
            event => state.form.event(event),
        }
    }
}
