//! The time that a whole run may take.

use crate::error::{Error, Result};
use plakar_connector::ErrorKind;
use std::time::{Duration, Instant};

/// If a server ends a call with at most this much time left, the time of the run counts
/// as used up: the server was given the remaining time, in whole milliseconds.
const NEAR: Duration = Duration::from_millis(250);

/// When a run must have ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// The end of a run that begins now.
    pub(crate) fn after(max_duration: Duration) -> Self {
        Self(Instant::now() + max_duration)
    }

    /// The time that is left; never zero.
    pub(crate) fn left(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
    }

    /// Fails if the time is used up.
    pub(crate) fn check(&self) -> Result<()> {
        if Instant::now() >= self.0 { Err(used_up()) } else { Ok(()) }
    }

    /// Explains a failure that the server reports: if the time is nearly used up, that is
    /// the reason, because the server was given the remaining time.
    pub(crate) fn explain(&self, error: Error) -> Error {
        let ended = matches!(error.kind, ErrorKind::Interrupted | ErrorKind::TimedOut);
        if ended && self.left() <= NEAR { used_up() } else { error }
    }
}

fn used_up() -> Error {
    Error::new(ErrorKind::TimedOut, "the run took longer than `max_duration`")
        .remedy("raise `max_duration`, and check which side was slow")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_the_runs_only_if_its_time_is_nearly_used_up() {
        let ended = |kind| Error::new(kind, "ended by somebody");
        let (over, far) =
            (Deadline::after(Duration::ZERO), Deadline::after(Duration::from_secs(60)));
        for kind in [ErrorKind::Interrupted, ErrorKind::TimedOut] {
            assert_eq!(over.explain(ended(kind)).kind, ErrorKind::TimedOut);
            assert!(over.explain(ended(kind)).to_string().contains("`max_duration`"));
            assert_eq!(far.explain(ended(kind)), ended(kind));
        }
        assert_eq!(over.explain(ended(ErrorKind::Corrupt)), ended(ErrorKind::Corrupt));
    }

    #[test]
    fn a_run_that_took_too_long_says_so() {
        assert_eq!(
            Deadline::after(Duration::ZERO).check().expect_err("over").kind,
            ErrorKind::TimedOut
        );
        assert!(Deadline::after(Duration::from_secs(60)).check().is_ok());
        assert_eq!(Deadline::after(Duration::ZERO).left(), Duration::from_millis(1));
        assert!(Deadline::after(Duration::from_secs(60)).left() > Duration::from_secs(59));
    }
}
