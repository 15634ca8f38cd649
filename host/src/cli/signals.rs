//! What SIGINT, SIGTERM and SIGHUP do: the first ends the run in order, the second ends
//! the process at once.

use super::exit;
use std::pin::pin;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Does the work until it ends or a signal comes; answers the exit code of the
/// signal then. The work is dropped where it stands: connections close, and what
/// was half written is removed.
pub(super) async fn unless_signalled<T>(work: impl Future<Output = T>) -> Result<T, u8> {
    let Ok(mut signals) = Signals::catch() else {
        return Ok(work.await);
    };
    let code = {
        let mut work = pin!(work);
        let code = tokio::select! {
            outcome = &mut work => return Ok(outcome),
            code = signals.next() => code,
        };
        // Runs on another thread while this one drops the work.
        tokio::spawn(async move {
            std::process::exit(i32::from(signals.next().await));
        });
        code
    };
    Err(code)
}

/// The signals that end a run.
struct Signals {
    hang_up: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn catch() -> std::io::Result<Self> {
        Ok(Self {
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The exit code of the next one.
    async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.hang_up.recv() => exit::HUNG_UP,
            _ = self.interrupt.recv() => exit::INTERRUPTED,
            _ = self.terminate.recv() => exit::TERMINATED,
        }
    }
}
