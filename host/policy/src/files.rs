//! Files that contain options: read within bounds of size and time.

use plakar_connector::Message;
use plakar_connector::limits::show;
use std::io::Read;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// The largest file in bytes; a chain of certificates takes a few kilobytes, a bundle of
/// all authorities a few hundred.
pub const LARGEST: u64 = 1 << 20;

/// The longest time for reading all files of a run. A pipe waits for its writer, and a
/// terminal for the user.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Reads a file, which may be a pipe, on a thread of its own, so that a signal can end the
/// wait. The error completes a sentence that begins with the file.
pub async fn read(path: &Path, limit: Duration) -> Result<Vec<u8>, Message> {
    let file = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || -> Result<Vec<u8>, Message> {
        let file = std::fs::File::open(file).map_err(|e| format!("cannot be opened: {e}"))?;
        let mut bytes = Vec::new();
        file.take(LARGEST + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| format!("cannot be read: {e}"))?;
        if bytes.len() as u64 > LARGEST {
            Err(format!("is longer than {LARGEST} bytes").into())
        } else {
            Ok(bytes)
        }
    });
    match timeout(limit, reading).await {
        Ok(Ok(read)) => read,
        Ok(Err(_)) => Err("cannot be read: the thread that reads it has ended".into()),
        Err(_) => {
            let within = show(PATIENCE);
            Err(Message::new(format!("was not complete within {within} or `max_duration`"))
                .remedy("if it is a pipe, write to it and close it"))
        }
    }
}
