//! Events and outcomes, for people or as JSON lines, and whatever else is said.
//!
//! Whoever reads may stand still: a full pipe, a terminal that was told to wait. So
//! one thread writes, and nobody waits for it. What it cannot take is counted and
//! left out; only the outcome is waited for, and not for long.

mod json;
mod people;

use super::arguments::Output;
use plakar_wasm::backup::Summary;
use plakar_wasm::{Error, Event, Fact, Observer};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};
use tracing_subscriber::fmt::MakeWriter;

/// How many messages may wait for whoever reads.
const WAITING: usize = 1024;

/// How often a progress bar is drawn anew where nothing happens.
const TICK: Duration = Duration::from_millis(200);

/// How long to wait for whoever is to read the outcome.
const OUTCOME: Duration = Duration::from_secs(5);

/// The same for the last words of a process that is ended by force.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// How a command ended.
pub(super) enum Outcome {
    /// A backup that is whole and kept.
    BackedUp {
        /// What it amounts to.
        summary: Summary,
        /// Where it is.
        to: PathBuf,
    },
    /// A source that answered.
    Reachable {
        /// Which.
        origin: String,
        /// After how long.
        elapsed: Duration,
    },
    /// Something went wrong.
    Failed(Error),
    /// A signal came; with its exit code.
    Signalled(u8),
}

impl Outcome {
    /// The exit code.
    fn code(&self) -> u8 {
        match self {
            Outcome::BackedUp { .. } | Outcome::Reachable { .. } => 0,
            Outcome::Failed(error) => error.fault().exit_code(),
            Outcome::Signalled(code) => *code,
        }
    }
}

/// One way to show things. All methods are called from the one thread that writes.
trait Form: Send {
    fn event(&mut self, event: Event<'_>);
    fn outcome(&mut self, outcome: &Outcome, code: u8, facts: &[Fact]);
    /// A line, or several, for standard error.
    fn lines(&mut self, lines: &[u8]);
    /// Nothing has happened for a while.
    fn tick(&mut self) {}
}

/// Something to show.
type Message = Box<dyn FnOnce(&mut State) + Send>;

/// Shows what happens in the form that was asked for. Does not wait.
#[derive(Clone)]
pub(super) struct Report {
    messages: SyncSender<Message>,
    left_out: Arc<AtomicU64>,
}

struct State {
    form: Box<dyn Form>,
    facts: Vec<Fact>,
}

impl Report {
    /// A report in the form that was asked for; `command` names it in JSON.
    pub(super) fn new(output: &Output, command: &'static str) -> io::Result<Self> {
        let form: Box<dyn Form> = match output.json {
            true => Box::new(json::Json::new(command)),
            false => Box::new(people::People::new(output)),
        };
        Self::to(form)
    }

    fn to(form: Box<dyn Form>) -> io::Result<Self> {
        let (messages, waiting) = sync_channel::<Message>(WAITING);
        let left_out = Arc::new(AtomicU64::new(0));
        let report = Self { messages, left_out: Arc::clone(&left_out) };
        let mut state = State { form, facts: Vec::new() };
        std::thread::Builder::new().name("report".into()).spawn(move || {
            loop {
                match waiting.recv_timeout(TICK) {
                    Ok(message) => {
                        let count = left_out.swap(0, Ordering::Relaxed);
                        if count > 0 {
                            let line = format!("{count} messages were left out: nobody read them");
                            state.form.lines(format!("warning: {line}\n").as_bytes());
                        }
                        message(&mut state);
                    }
                    Err(RecvTimeoutError::Timeout) => state.form.tick(),
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        })?;
        Ok(report)
    }

    fn send(&self, message: impl FnOnce(&mut State) + Send + 'static) {
        if let Err(TrySendError::Full(_)) = self.messages.try_send(Box::new(message)) {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sends a message and waits until it is written, for so long at the most.
    fn deliver(&self, within: Duration, message: impl FnOnce(&mut State) + Send + 'static) {
        let end = Instant::now() + within;
        let (written, wait) = sync_channel(1);
        let mut message: Message = Box::new(move |state| {
            message(state);
            let _ = written.send(());
        });
        loop {
            match self.messages.try_send(message) {
                Err(TrySendError::Full(back)) if Instant::now() < end => message = back,
                _ => break,
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = wait.recv_timeout(end.saturating_duration_since(Instant::now()));
    }

    /// Shows a line on standard error.
    pub(super) fn line(&self, line: impl Into<String>) {
        let line = line.into() + "\n";
        self.send(move |state| state.form.lines(line.as_bytes()));
    }

    /// Shows a line on standard error just before the process is ended.
    pub(super) fn last_words(&self, line: &'static str) {
        self.deliver(LAST_WORDS, move |state| state.form.lines(line.as_bytes()));
    }

    /// Writes what is still to be written, where somebody reads.
    pub(super) fn flush(&self) {
        self.deliver(OUTCOME, |_| {});
    }

    /// Shows how the command ended; answers the exit code.
    pub(super) fn end(&self, outcome: Outcome) -> u8 {
        let code = outcome.code();
        self.deliver(OUTCOME, move |state| {
            let State { form, facts } = state;
            form.outcome(&outcome, code, facts);
        });
        code
    }
}

impl Observer for Report {
    fn event(&self, event: Event<'_>) {
        match event {
            // Told with the outcome.
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

/// The lines of diagnostics go the same way.
impl<'a> MakeWriter<'a> for Report {
    type Writer = Diagnostics;

    fn make_writer(&'a self) -> Diagnostics {
        Diagnostics { report: self.clone(), line: Vec::new() }
    }
}

/// One line of diagnostics, shown once it is whole.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Mutex, mpsc};

    /// Nobody reads until the test lets go.
    struct Stuck(Mutex<mpsc::Receiver<()>>, Arc<Mutex<Vec<String>>>);

    impl Form for Stuck {
        fn event(&mut self, _: Event<'_>) {}

        fn outcome(&mut self, _: &Outcome, code: u8, _: &[Fact]) {
            self.lines(format!("outcome {code}\n").as_bytes());
        }

        fn lines(&mut self, lines: &[u8]) {
            let _ = self.0.lock().expect("no holder panics").recv();
            let line = String::from_utf8_lossy(lines).trim_end().to_owned();
            self.1.lock().expect("no holder panics").push(line);
        }
    }

    #[test]
    fn a_reader_that_stands_still_keeps_nobody() {
        let (go_on, wait) = mpsc::channel();
        let lines = Arc::default();
        let form = Stuck(Mutex::new(wait), Arc::clone(&lines));
        let report = Report::to(Box::new(form)).expect("a thread");
        let begun = Instant::now();
        let flood = 2 * WAITING + 1;
        for number in 0..flood {
            report.line(number.to_string());
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "it waited");
        assert_eq!(report.end(Outcome::Signalled(143)), 143);
        let waited = begun.elapsed();
        assert!(waited >= OUTCOME && waited < OUTCOME * 2, "{waited:?}");

        // Once somebody reads, the number of what was left out is among it.
        drop(go_on);
        assert_eq!(report.end(Outcome::Signalled(130)), 130);
        let lines = lines.lock().expect("no holder panics");
        let left_out = lines.iter().find(|line| line.contains("left out")).expect("it is told");
        let count: usize =
            left_out.split(' ').nth(1).and_then(|count| count.parse().ok()).expect("a number");
        let shown = lines.iter().filter(|line| line.parse::<usize>().is_ok()).count();
        assert_eq!(shown + count, flood);
        assert_eq!(lines.last().map(String::as_str), Some("outcome 130"));
    }
}
