//! Standard output, written without waiting forever.

use plakar_connector::limits;
use std::io::{Error, ErrorKind, Result, Write};
use std::time::Duration;
use wasip2::cli::stdout::get_stdout;
use wasip2::clocks::monotonic_clock;
use wasip2::io::poll;
use wasip2::io::streams::{OutputStream, StreamError};

/// A writer that fails if no bytes are accepted for longer than a limit.
pub(crate) struct Stdout {
    stream: OutputStream,
    patience: Duration,
}

impl Stdout {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { stream: get_stdout(), patience }
    }

    /// Waits until bytes may be written, and returns how many; at least 1.
    fn room(&self) -> Result<u64> {
        loop {
            match self.stream.check_write().map_err(broken)? {
                0 => {}
                room => return Ok(room),
            }
            let limit = u64::try_from(self.patience.as_nanos()).unwrap_or(u64::MAX);
            let ready = self.stream.subscribe();
            let late = monotonic_clock::subscribe_duration(limit);
            if !poll::poll(&[&ready, &late]).contains(&0) {
                return Err(Error::new(
                    ErrorKind::TimedOut,
                    format!("the reader accepted no data for {}", limits::show(self.patience)),
                ));
            }
        }
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let room = usize::try_from(self.room()?).unwrap_or(usize::MAX);
        let piece = &bytes[..bytes.len().min(room)];
        self.stream.write(piece).map_err(broken)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> Result<()> {
        self.stream.flush().map_err(broken)?;
        self.room().map(drop)
    }
}

fn broken(error: StreamError) -> Error {
    match error {
        StreamError::Closed => Error::new(ErrorKind::BrokenPipe, "standard output was closed"),
        StreamError::LastOperationFailed(error) => Error::other(error.to_debug_string()),
    }
}
