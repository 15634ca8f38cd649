//! What SIGINT and SIGTERM do: the first ends the run in order, the second ends
//! the process at once.

use super::exit;
use std::pin::pin;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Does the work until it ends or a signal comes; answers the exit code of the
/// signal then. The work is dropped where it stands: connections close, and what
/// was half written is removed.
pub(super) async fn unless_signalled<T>(work: impl Future<Output = T>) -> Result<T, u8> {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return Ok(work.await);
    };
    let code = {
        let mut work = pin!(work);
        let code = tokio::select! {
            outcome = &mut work => return Ok(outcome),
            code = next(&mut interrupt, &mut terminate) => code,
        };
        // Runs on another thread while this one drops the work.
        tokio::spawn(async move {
            std::process::exit(i32::from(next(&mut interrupt, &mut terminate).await));
        });
        code
    };
    Err(code)
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal) -> u8 {
    tokio::select! {
        _ = interrupt.recv() => exit::INTERRUPTED,
        _ = terminate.recv() => exit::TERMINATED,
    }
}
