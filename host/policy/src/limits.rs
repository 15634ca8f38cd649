//! How much of each limited resource a component gets.
//!
//! The most that it can make the host keep in memory, beside its own [`MEMORY`]:
//!
//! | what | bound |
//! | --- | --- |
//! | handles | [`HANDLES`] × ([`FIELDS`] + [`NAME`], or [`BODY`]): 32 MiB |
//! | what one call passes | [`CALL_BYTES`]: 2 MiB |
//! | responses on their way | [`REQUESTS`] × 2 MiB, and 16 MiB a connection over HTTP/2 |
//! | names of records | [`PATHNAMES`]: 24 MiB |
//! | the compiler, before the component runs | [`COMPILE_MEMORY`]: 1 GiB, for [`COMPILE_TIME`] |
//!
//! A backup of etcd takes 35 MiB in total, plus 32 bytes for each revision that it proves.

use plakar_connector::text::is_hidden;
use std::time::{Duration, Instant};

/// Linear memory in bytes, all memories together: the 64 MiB that the contract promises, and
/// 256 MiB for a connector whose user asks it to prove a large source.
pub const MEMORY: usize = 320 << 20;

/// Elements of all tables together; a large program has a few thousand.
pub const TABLE_ELEMENTS: usize = 100_000;

/// Core instances, memories and tables, each; a component has a handful.
pub const INSTANCES: usize = 64;

/// Handles of streams, requests and the like that may be open at a time. Each request that
/// is under way uses about ten.
pub const HANDLES: usize = 512;

/// Bytes of all header fields of one request or response.
pub const FIELDS: usize = 16 << 10;

/// Bytes of a request's method or authority; a host name has at most 253.
pub const NAME: usize = 512;

/// Bytes of a request's body that wait for the network.
pub const BODY: usize = 64 << 10;

/// HTTP requests that may be under way at a time; each holds a connection and
/// its buffers on the host's side.
pub const REQUESTS: usize = 32;

/// Bytes that one call may copy out of the component; a read asks for at most half of it.
pub const CALL_BYTES: usize = 2 << 20;

/// The largest component in bytes; ours has several hundred thousand, one that contains a
/// whole JavaScript engine twelve million.
pub const LARGEST_COMPONENT: usize = 16 << 20;

/// The longest time for compiling a component; ours takes a second.
pub const COMPILE_TIME: Duration = Duration::from_secs(120);

/// The memory for compiling a component, in bytes; ours takes thirty million.
pub const COMPILE_MEMORY: usize = 1 << 30;

/// The longest time for a call that may not wait for the network. Such a call takes
/// microseconds: if it takes this long on a busy machine, it is in a loop.
pub const QUICK_CALL: Duration = Duration::from_secs(10);

/// The interval at which running code is checked against its time limit.
pub const TICK: Duration = Duration::from_millis(50);

/// Records in one import: the host keeps the name of each, to know that the next one is
/// new.
pub const RECORDS: usize = 100_000;

/// The longest pathname in bytes, as in Linux.
pub const PATHNAME: usize = 4096;

/// The cost of keeping all pathnames of one import in bytes, as the contract counts it: the
/// length of each name plus a fixed overhead.
pub const PATHNAMES: usize = 24 << 20;

/// The longest log line or message in bytes; the rest is cut off.
pub const LINE: usize = 2048;

/// Log lines a second.
const LINES_PER_SECOND: u32 = 20;

/// Decides which log lines pass: the first [`LINES_PER_SECOND`] of each second.
#[derive(Debug)]
pub struct LogBudget {
    second: Instant,
    passed: u32,
    left_out: u64,
}

impl LogBudget {
    /// Returns a budget of which nothing is used.
    pub fn new(now: Instant) -> Self {
        Self { second: now, passed: 0, left_out: 0 }
    }

    /// Returns the number of lines that were left out since the last one that passed, or
    /// `None` if no line may pass now.
    pub fn admit(&mut self, now: Instant) -> Option<u64> {
        if now.saturating_duration_since(self.second) >= Duration::from_secs(1) {
            self.second = now;
            self.passed = 0;
        }
        if self.passed == LINES_PER_SECOND {
            self.left_out += 1;
            return None;
        }
        self.passed += 1;
        Some(self.take_left_out())
    }

    /// Returns the number of lines that were left out since this was last reported.
    pub fn take_left_out(&mut self) -> u64 {
        std::mem::take(&mut self.left_out)
    }
}

/// Makes a text of the component safe to show: one line, bounded, and without the
/// characters that control a terminal or change the direction of the text.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(LINE));
    for c in text.trim_end().chars() {
        if line.len() + c.len_utf8() > LINE {
            line.push('…');
            break;
        }
        line.push(if is_hidden(c) { ' ' } else { c });
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_over_the_rate_are_dropped_and_counted() {
        let start = Instant::now();
        let mut budget = LogBudget::new(start);
        let passed = (0..1000).filter(|_| budget.admit(start).is_some()).count();
        assert_eq!(passed, LINES_PER_SECOND as usize);
        assert_eq!(budget.admit(start + Duration::from_secs(1)), Some(980));
        assert_eq!(budget.take_left_out(), 0);
    }

    #[test]
    fn a_shown_line_is_bounded_and_has_no_control_characters() {
        assert_eq!(one_line("a\x1b[31mb\tc\nd\n"), "a [31mb c d");
        assert_eq!(one_line("a\u{202e}b\u{2066}c\u{9b}d"), "a b c d");
        let long = one_line(&"é".repeat(LINE));
        assert!(long.len() <= LINE + '…'.len_utf8() && long.ends_with('…'));
    }
}
