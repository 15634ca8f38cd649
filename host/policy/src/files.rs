//! Files that hold options: read within bounds, and where nobody is kept waiting.

use std::io::Read;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// The largest file in bytes; a chain of certificates has some kilobytes, a bundle of
/// all authorities some hundred.
pub const LARGEST: u64 = 1 << 20;

/// The longest time for reading all files of a run. A pipe gives its bytes when
/// somebody writes them, and a terminal when somebody types.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Reads a file, which may be a pipe, on a thread of its own: signals are heard
/// meanwhile. Returns the reason in words if that fails.
pub async fn read(path: &Path, limit: Duration) -> Result<Vec<u8>, String> {
    let file = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || -> Result<Vec<u8>, String> {
        let file = std::fs::File::open(file).map_err(|e| format!("cannot be opened: {e}"))?;
        let mut bytes = Vec::new();
        file.take(LARGEST + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| format!("cannot be read: {e}"))?;
        if bytes.len() as u64 > LARGEST {
            Err(format!("is longer than {LARGEST} bytes"))
        } else {
            Ok(bytes)
        }
    });
    match timeout(limit, reading).await {
        Ok(Ok(read)) => read,
        Ok(Err(_)) => Err("cannot be read: the thread that reads it has ended".into()),
        Err(_) => Err(format!(
            "was not complete within {} or `max_duration`; if it is a pipe, write to it and \
                close it",
            humantime::format_duration(PATIENCE)
        )),
    }
}
