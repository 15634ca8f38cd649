//! Lines for people: the outcome on standard output, everything else on standard error,
//! with a progress bar if that is a terminal.

use super::{Form, Outcome, outcome_written};
use crate::cli::arguments::Output;
use indicatif::{BinaryBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use plakar_policy::limits::one_line;
use plakar_policy::{Event, Fact, Speaker};
use std::io::{IsTerminal, Write};

pub(super) struct People {
    quiet: bool,
    /// Hidden if there is no terminal, or if `-v` writes its own lines.
    bar: ProgressBar,
    shown: bool,
}

impl People {
    pub(super) fn new(output: &Output) -> Self {
        let shown = !output.quiet && output.verbose == 0 && std::io::stderr().is_terminal();
        Self { quiet: output.quiet, bar: ProgressBar::hidden(), shown }
    }

    fn say(&self, line: &str) {
        self.bar.suspend(|| {
            let _ = writeln!(std::io::stderr(), "{line}");
        });
    }

    fn begin_bar(&mut self, pathname: &str, size: Option<u64>) {
        if !self.shown {
            return;
        }
        let bar = match size {
            Some(size) => ProgressBar::new(size),
            None => ProgressBar::no_length(),
        };
        self.bar = bar.with_message(one_line(pathname));
        self.bar.set_draw_target(ProgressDrawTarget::stderr());
        self.set_style(size);
    }

    fn set_style(&self, size: Option<u64>) {
        let template = match size {
            Some(_) => {
                "{msg} [{bar:30}] {binary_bytes} of {binary_total_bytes}, \
                    {binary_bytes_per_sec}, {eta} left"
            }
            None => "{spinner} {msg} {binary_bytes}, {binary_bytes_per_sec}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("=> "));
        }
    }
}

impl Form for People {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Warning { from: Speaker::Component, line } => {
                self.say(&format!("warning: connector: {line}"));
            }
            Event::Warning { from: Speaker::Host, line } => self.say(&format!("warning: {line}")),
            _ if self.quiet => {}
            Event::Started { connector, version, origin } => {
                self.say(&format!("backing up {origin} with the connector {connector} {version}"));
            }
            Event::RecordBegun { pathname, size } => self.begin_bar(pathname, size),
            Event::Progress { bytes, size, .. } => {
                if self.shown && self.bar.length().is_none() && size.is_some() {
                    self.bar.set_length(size.unwrap_or_default());
                    self.set_style(size);
                }
                self.bar.set_position(bytes);
            }
            Event::RecordStored { pathname, bytes } => {
                self.bar.finish_and_clear();
                self.bar = ProgressBar::hidden();
                self.say(&format!("stored {} ({})", one_line(pathname), BinaryBytes(bytes)));
            }
            Event::Facts(_) => {}
        }
    }

    fn lines(&mut self, lines: &[u8]) {
        self.bar.suspend(|| {
            let _ = std::io::stderr().write_all(lines);
        });
    }

    fn tick(&mut self) {
        self.bar.tick();
    }

    fn outcome(&mut self, outcome: &Outcome, _: u8, facts: &[Fact]) {
        self.bar.finish_and_clear();
        let mut out = std::io::stdout().lock();
        let written = match outcome {
            Outcome::Failed(error) => writeln!(std::io::stderr(), "error: {error}"),
            Outcome::Signalled(_) => {
                writeln!(std::io::stderr(), "error: ended by a signal; nothing was kept")
            }
            _ if self.quiet => Ok(()),
            Outcome::Reachable { origin, elapsed } => {
                writeln!(
                    out,
                    "a backup of {origin} could start ({:.0} ms)",
                    elapsed.as_secs_f64() * 1000.0
                )
            }
            Outcome::BackedUp { summary, to } => {
                let seconds = summary.elapsed.as_secs_f64();
                let width = facts.iter().map(|fact| fact.name.len()).max().unwrap_or(0);
                facts
                    .iter()
                    .try_for_each(|Fact { name, value }| writeln!(out, "{name:width$}  {value}"))
                    .and_then(|()| {
                        writeln!(
                            out,
                            "backed up {} in {} records to {} in {seconds:.1} s ({}/s)",
                            BinaryBytes(summary.bytes),
                            summary.records,
                            to.display(),
                            BinaryBytes((summary.bytes as f64 / seconds.max(0.001)) as u64),
                        )
                    })
            }
        };
        outcome_written(written.and_then(|()| out.flush()));
    }
}
