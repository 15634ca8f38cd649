//! What SIGINT, SIGTERM and SIGHUP do to a backup or a ping: the first one ends it with
//! cleanup. A second one, or ten seconds without an end, ends the process.
//!
//! They are received on a thread of their own, because the thread that works may wait for a
//! disk or for the reader of its output. A signal that was ignored when the process started
//! stays ignored, as `nohup` and a shell's `&` expect.

use super::exit;
use super::report::Report;
use rustix::process::Signal as Number;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long a run may take to clean up and end.
const GRACE: Duration = Duration::from_secs(10);

/// The signals that end a run, and their exit codes.
const ENDING: [(Number, u8); 3] = [
    (Number::HUP, exit::HUNG_UP),
    (Number::INT, exit::INTERRUPTED),
    (Number::TERM, exit::TERMINATED),
];

/// Says whether a signal was received.
pub(super) struct Signals(watch::Receiver<Option<u8>>);

impl Signals {
    /// Catches them from now on.
    pub(super) fn catch(report: Report) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut caught = {
            let _inside = runtime.enter();
            let ignored = ignored();
            let ending = ENDING.iter().filter(|(number, _)| !is_in(ignored, *number));
            ending
                .map(|(number, code)| Ok((signal(SignalKind::from_raw(number.as_raw()))?, *code)))
                .collect::<io::Result<Vec<_>>>()?
        };
        let (came, heard) = watch::channel(None);
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(async {
                let first = next(&mut caught).await;
                let _ = came.send(Some(first));
                let second = timeout(GRACE, next(&mut caught)).await;
                report.last_line(
                    "error: ended by a signal before the run could clean up; the next run \
                        removes what was left\n",
                );
                std::process::exit(i32::from(second.unwrap_or(first)));
            })
        })?;
        Ok(Self(heard))
    }

    /// Does the work until it ends or a signal is received; returns the exit code of the
    /// signal then. The work is dropped at that point: connections close, and what was half
    /// written is removed.
    pub(super) async fn unless_signalled<T>(
        mut self,
        work: impl Future<Output = T>,
    ) -> Result<T, u8> {
        let work = pin!(work);
        tokio::select! {
            outcome = work => Ok(outcome),
            Ok(code) = self.0.wait_for(Option::is_some) => Err(code.unwrap_or(exit::TERMINATED)),
        }
    }
}

/// Waits for the next signal, and returns its exit code.
async fn next(caught: &mut [(Signal, u8)]) -> u8 {
    poll_fn(|cx| {
        let came = caught
            .iter_mut()
            .find_map(|(signal, code)| signal.poll_recv(cx).is_ready().then_some(*code));
        came.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

/// Lets a write beyond `ulimit -f` fail, with a reason, instead of ending the process.
/// To be called inside a runtime.
pub(super) fn survive_large_files() {
    let _ = signal(SignalKind::from_raw(Number::XFSZ.as_raw()));
}

/// Returns the signals that this process ignores, one bit each; 0 if that is unknown.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

fn is_in(mask: u64, number: Number) -> bool {
    mask & (1 << (number.as_raw() - 1)) != 0
}
