//! The time that a whole run may take.

use crate::error::{Error, Result};
use plakar_connector::ErrorKind;
use std::time::{Duration, Instant};

/// How close to its end the time of a run counts as used up, if a server says
/// that it is: the server was given the remaining time, in whole milliseconds.
const NEAR: Duration = Duration::from_millis(250);

/// When a run must have ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// The end of a run that begins now.
    pub(crate) fn after(max_duration: Duration) -> Self {
        Self(Instant::now() + max_duration)
    }

    /// What is left; never zero.
    pub(crate) fn left(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
    }

    /// Fails once the time is used up.
    pub(crate) fn check(&self) -> Result<()> {
        if Instant::now() >= self.0 { Err(used_up()) } else { Ok(()) }
    }

    /// What a failure of the server means: if the time is nearly used up, that is
    /// why it ended, because the server was given the remaining time.
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
    fn an_end_is_ours_only_where_our_time_is_nearly_over() {
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
