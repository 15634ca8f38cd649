//! JSON lines on standard output; `docs/json-events.md` describes them.

use super::{Form, Outcome, outcome_written};
use plakar_policy::{Event, Fact, Speaker};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::time::{Duration, Instant};

/// The version of the schema. Names may be added to it, and none may change.
const VERSION: u32 = 1;

/// Progress is reported no more often than this.
const PROGRESS: Duration = Duration::from_secs(1);

pub(super) struct Json {
    command: &'static str,
    reported: Instant,
}

impl Json {
    pub(super) fn new(command: &'static str) -> Self {
        Self { command, reported: Instant::now() }
    }

    /// Writes one line. A backup does not fail because the lines are not read.
    fn line(&self, event: &str, fields: Value) {
        let _ = self.write(event, fields);
    }

    fn write(&self, event: &str, fields: Value) -> std::io::Result<()> {
        let mut line = Map::new();
        line.insert("v".into(), VERSION.into());
        line.insert("event".into(), event.into());
        line.insert("command".into(), self.command.into());
        if let Value::Object(fields) = fields {
            line.extend(fields);
        }
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", Value::Object(line)).and_then(|()| out.flush())
    }
}

impl Form for Json {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Started { connector, version, origin } => self.line(
                "started",
                json!({ "connector": connector, "version": version, "origin": origin }),
            ),
            Event::RecordBegun { pathname, size } => {
                self.reported = Instant::now();
                self.line("record", json!({ "pathname": pathname, "size": size }));
            }
            Event::Progress { pathname, bytes, size } => {
                if self.reported.elapsed() >= PROGRESS {
                    self.reported = Instant::now();
                    let fields = json!({ "pathname": pathname, "bytes": bytes, "size": size });
                    self.line("progress", fields);
                }
            }
            Event::RecordStored { pathname, bytes } => {
                self.line("stored", json!({ "pathname": pathname, "bytes": bytes }));
            }
            Event::Warning { from, line } => {
                let from = match from {
                    Speaker::Component => "component",
                    Speaker::Host => "host",
                };
                self.line("warning", json!({ "from": from, "message": line }));
            }
            Event::Facts(_) => {}
        }
    }

    fn lines(&mut self, lines: &[u8]) {
        let _ = std::io::stderr().write_all(lines);
    }

    fn outcome(&mut self, outcome: &Outcome, code: u8, facts: &[Fact]) {
        let mut fields = match outcome {
            Outcome::BackedUp { summary, to } => json!({
                "to": to.display().to_string(),
                "records": summary.records,
                "bytes": summary.bytes,
                "seconds": summary.elapsed.as_secs_f64(),
            }),
            Outcome::Reachable { origin, elapsed } => {
                json!({ "origin": origin, "seconds": elapsed.as_secs_f64() })
            }
            Outcome::Failed(error) => {
                json!({ "kind": error.fault().name(), "message": error.to_string() })
            }
            Outcome::Signalled(_) => {
                json!({ "kind": "signal", "message": "ended by a signal; nothing was kept" })
            }
        };
        let facts: Map<String, Value> =
            facts.iter().map(|fact| (fact.name.clone(), fact.value.clone().into())).collect();
        fields["ok"] = (code == 0).into();
        fields["exit_code"] = code.into();
        fields["facts"] = facts.into();
        outcome_written(self.write("outcome", fields));
    }
}
