//! What came of a run, and what a test asserts of it.

use plakar_connector::ErrorKind;
use serde_json::Value;
use std::time::Duration;

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    pub(super) command: String,
    /// The exit code; 128 and the signal's number where one ended it.
    pub code: i32,
    /// Standard output, unless it went to a file.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// How long it took.
    pub elapsed: Duration,
    /// The most memory that was resident at a time, in bytes, as far as seen.
    pub peak_memory: u64,
    /// Whether something that it started still ran after its end.
    pub left_processes: bool,
}

impl Outcome {
    /// Fails unless it succeeded.
    #[track_caller]
    pub fn assert_ok(&self) -> &Outcome {
        assert_eq!(self.code, 0, "{self}");
        assert!(!self.left_processes, "processes were left: {self}");
        self
    }

    /// Fails unless it failed with this kind, and said each of these words.
    #[track_caller]
    pub fn assert_failed(&self, kind: ErrorKind, words: &[&str]) -> &Outcome {
        self.assert_exit(i32::from(kind.exit_code()), words)
    }

    /// Fails unless it ended with this exit code, and said each of these words.
    #[track_caller]
    pub fn assert_exit(&self, code: i32, words: &[&str]) -> &Outcome {
        assert_eq!(self.code, code, "{self}");
        assert!(!self.left_processes, "processes were left: {self}");
        for word in words {
            assert!(self.says(word), "it does not say `{word}`: {self}");
        }
        self
    }

    /// Fails unless it ended with this exit code. Unlike
    /// [`assert_exit`](Outcome::assert_exit) it does not look at processes: a plugin
    /// may outlive plakar by the moment in which it sees that its input has ended.
    #[track_caller]
    pub fn assert_code(&self, code: i32) -> &Outcome {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// Whether this is to be read on either standard stream.
    pub fn says(&self, words: &str) -> bool {
        self.stdout.contains(words) || self.stderr.contains(words)
    }

    /// The events of `--json`.
    #[track_caller]
    pub fn events(&self) -> Vec<Value> {
        let event = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in `{line}`: {self}"))
        };
        self.stdout.lines().map(event).collect()
    }

    /// The last event of `--json`.
    #[track_caller]
    pub fn outcome(&self) -> Value {
        self.events().pop().unwrap_or_else(|| panic!("there are no events: {self}"))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} ended with {} after {:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.command, self.code, self.elapsed, self.stdout, self.stderr
        )
    }
}
