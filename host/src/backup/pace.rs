//! Which side of a backup was slow.

use plakar_connector::{ErrorKind, limits};
use plakar_policy::Error;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The side that a backup waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The component and its server.
    Source,
    /// The sink.
    Store,
}

/// The time spent waiting for each side. It outlives the run that it measures, so that it
/// can report on a run that was cut short.
pub(crate) struct WaitTimes(Mutex<State>);

struct State {
    side: Side,
    since: Instant,
    source: Duration,
    store: Duration,
}

impl WaitTimes {
    /// Starts by waiting for the source.
    pub(crate) fn new() -> Self {
        let (source, store) = (Duration::ZERO, Duration::ZERO);
        Self(Mutex::new(State { side: Side::Source, since: Instant::now(), source, store }))
    }

    /// Counts the wait for `side` from now on.
    pub(crate) fn turn(&self, side: Side) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let spent = now - state.since;
        match state.side {
            Side::Source => state.source += spent,
            Side::Store => state.store += spent,
        }
        state.side = side;
        state.since = now;
    }

    /// Returns the failure of a run that took longer than this.
    pub(crate) fn over(&self, max_duration: Duration) -> Error {
        Error::reported(
            ErrorKind::TimedOut,
            format!(
                "the backup took longer than its `max_duration` of {} ({})",
                limits::show(max_duration),
                self.summary()
            ),
        )
    }

    /// Returns how long the run waited for each side, as a sentence.
    fn summary(&self) -> String {
        self.turn(Side::Source);
        let State { source, store, .. } = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (slow, other, most, rest) = if source >= store {
            ("source", "store", source, store)
        } else {
            ("store", "source", store, source)
        };
        format!(
            "it waited {:.1} s for the {slow}, and {:.1} s for the {other}",
            most.as_secs_f64(),
            rest.as_secs_f64()
        )
    }
}

/// Returns the failure of a store that accepted no bytes for this long.
pub(crate) fn store_stalled(limit: Duration) -> Error {
    Error::reported(
        ErrorKind::TimedOut,
        format!("the store accepted no data for {}, the `store_timeout`", limits::show(limit)),
    )
    .remedy("check its disk and network, or raise the limit")
}
