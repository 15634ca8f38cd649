//! Events and outcomes, for people or as JSON lines, and all other messages.
//!
//! The reader may stop reading: a full pipe, a suspended terminal. So one thread writes,
//! and the run does not wait for it. What it cannot take is counted and left out; only the
//! outcome is waited for, and not for long.

mod json;
mod people;

use super::arguments::Output;
use plakar_policy::{Error, Event, Fact, Observer};
use plakar_sink::writer::{Work, Writer};
use plakar_wasm::backup::Summary;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;
use tracing_subscriber::fmt::MakeWriter;

/// How long to wait for the reader of the outcome.
const OUTCOME: Duration = Duration::from_secs(5);

/// The same for the last line of a process that is ended by force.
const LAST_LINE: Duration = Duration::from_millis(200);

/// How a command ended.
pub(super) enum Outcome {
    /// A backup that is complete and kept.
    BackedUp {
        /// Its size and duration.
        summary: Summary,
        /// Where it is.
        to: PathBuf,
    },
    /// A source that responded.
    Reachable {
        /// What it is, in the component's words.
        origin: String,
        /// The time until the response.
        elapsed: Duration,
    },
    /// Something went wrong.
    Failed(Error),
    /// A signal was received; with its exit code.
    Signalled(u8),
}

impl Outcome {
    /// Returns the exit code.
    fn code(&self) -> u8 {
        match self {
            Outcome::BackedUp { .. } | Outcome::Reachable { .. } => 0,
            Outcome::Failed(error) => error.fault().exit_code(),
            Outcome::Signalled(code) => *code,
        }
    }
}

/// Reports on standard error that an outcome could not be written. A reader that has left
/// is not an error.
fn outcome_written(written: io::Result<()>) {
    if let Err(error) = written
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        let _ = writeln!(io::stderr(), "warning: the outcome cannot be written: {error}");
    }
}

/// One way to show things. All methods are called from the one thread that writes.
trait Form: Send {
    fn event(&mut self, event: Event<'_>);
    fn outcome(&mut self, outcome: &Outcome, code: u8, facts: &[Fact]);
    /// Shows one or more lines on standard error.
    fn lines(&mut self, lines: &[u8]);
    /// Nothing has happened for a while.
    fn tick(&mut self) {}
}

/// Shows what happens in the requested form. Waits for its reader only at the end.
#[derive(Clone)]
pub(super) struct Report(Writer<State>);

struct State {
    form: Box<dyn Form>,
    facts: Vec<Fact>,
}

impl Work for State {
    fn left_out(&mut self, count: u64) {
        let line = format!("warning: {count} messages were dropped, because they were not read\n");
        self.form.lines(line.as_bytes());
    }

    fn idle(&mut self) {
        self.form.tick();
    }
}

impl Report {
    /// Creates a report in the requested form; `command` names it in JSON.
    pub(super) fn new(output: &Output, command: &'static str) -> io::Result<Self> {
        let form: Box<dyn Form> = if output.json {
            Box::new(json::Json::new(command))
        } else {
            Box::new(people::People::new(output))
        };
        Ok(Self(Writer::start(State { form, facts: Vec::new() })?))
    }

    fn send(&self, message: impl FnOnce(&mut State) + Send + 'static) {
        self.0.send(message);
    }

    /// Shows a line on standard error.
    pub(super) fn line(&self, line: impl Into<String>) {
        let line = line.into() + "\n";
        self.send(move |state| state.form.lines(line.as_bytes()));
    }

    /// Shows a line on standard error just before the process is ended.
    pub(super) fn last_line(&self, line: &'static str) {
        self.0.deliver(LAST_LINE, move |state| state.form.lines(line.as_bytes()));
    }

    /// Waits a while for what is still to be written.
    pub(super) fn flush(&self) {
        self.0.deliver(OUTCOME, |_| {});
    }

    /// Shows how the command ended; returns the exit code.
    pub(super) fn end(&self, outcome: Outcome) -> u8 {
        let code = outcome.code();
        self.0.deliver(OUTCOME, move |state| {
            let State { form, facts } = state;
            form.outcome(&outcome, code, facts);
        });
        code
    }
}

impl Observer for Report {
    fn event(&self, event: Event<'_>) {
        match event {
            // Reported with the outcome.
            Event::Facts(facts) => {
                let facts = facts.to_vec();
                self.send(|state| state.facts = facts);
            }
            Event::Started { connector, version, origin } => {
                let [connector, version, origin] = [connector, version, origin].map(str::to_owned);
                self.send(move |state| {
                    let (connector, version) = (connector.as_str(), version.as_str());
                    state.form.event(Event::Started { connector, version, origin: &origin });
                });
            }
            Event::RecordBegun { pathname, size } => {
                let pathname = pathname.to_owned();
                self.send(move |state| {
                    state.form.event(Event::RecordBegun { pathname: &pathname, size });
                });
            }
            Event::Progress { pathname, bytes, size } => {
                let pathname = pathname.to_owned();
                self.send(move |state| {
                    state.form.event(Event::Progress { pathname: &pathname, bytes, size });
                });
            }
            Event::RecordStored { pathname, bytes } => {
                let pathname = pathname.to_owned();
                self.send(move |state| {
                    state.form.event(Event::RecordStored { pathname: &pathname, bytes });
                });
            }
            Event::Warning { from, line } => {
                let line = line.to_owned();
                self.send(move |state| state.form.event(Event::Warning { from, line: &line }));
            }
        }
    }
}

/// Lines of diagnostics are written in the same way.
impl<'a> MakeWriter<'a> for Report {
    type Writer = Diagnostics;

    fn make_writer(&'a self) -> Diagnostics {
        Diagnostics { report: self.clone(), line: Vec::new() }
    }
}

/// One line of diagnostics, shown once it is complete.
pub(super) struct Diagnostics {
    report: Report,
    line: Vec<u8>,
}

impl io::Write for Diagnostics {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Diagnostics {
    fn drop(&mut self) {
        let line = std::mem::take(&mut self.line);
        self.report.send(move |state| state.form.lines(&line));
    }
}
