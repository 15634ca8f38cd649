//! Compiling within bounds. It cannot be interrupted, so the bounds end the wait for it,
//! and with that the process.

use super::refuse;
use plakar_connector::limits::show;
use plakar_policy::Error;
use plakar_policy::limits::{COMPILE_MEMORY, COMPILE_TIME};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// How often the bounds are checked.
const LOOK: Duration = Duration::from_millis(100);

/// Does the work on a thread of its own, and gives up if it takes too much.
pub(super) async fn bounded<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let begun = Instant::now();
    let before = resident();
    let mut work = spawn_blocking(work);
    loop {
        match timeout(LOOK, &mut work).await {
            Ok(Ok(done)) => return done,
            Ok(Err(error)) => return Err(refuse(path, &format!("it cannot be loaded: {error}"))),
            Err(_) if begun.elapsed() > COMPILE_TIME => {
                return Err(refuse(
                    path,
                    &format!("compiling takes longer than {}", show(COMPILE_TIME)),
                ));
            }
            Err(_) if resident().saturating_sub(before) > COMPILE_MEMORY => {
                let most = COMPILE_MEMORY >> 20;
                return Err(refuse(path, &format!("compiling needs more than {most} MiB")));
            }
            Err(_) => {}
        }
    }
}

/// Returns the memory that this process has, in bytes; 0 if that is unknown.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<usize>().ok());
    kib.unwrap_or(0) << 10
}
