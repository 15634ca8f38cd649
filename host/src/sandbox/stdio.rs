//! This process's standard output and error, as a component's own command line has them.

use crate::output;
use plakar_policy::Error;
use rustix::fs::fsync;
use rustix::io::Errno;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;
use tokio::task::spawn_blocking;
use wasmtime_wasi::cli::{AsyncStdoutStream, IsTerminal, StdoutStream};
use wasmtime_wasi::p2::OutputStream;

/// Standard output, and how many bytes were written to it.
pub(super) struct Stdout {
    out: tokio::io::Stdout,
    written: Arc<AtomicU64>,
}

impl Stdout {
    pub(super) fn new() -> (Self, Written) {
        let written = Arc::new(AtomicU64::new(0));
        (Self { out: tokio::io::stdout(), written: Arc::clone(&written) }, Written(written))
    }
}

impl AsyncWrite for Stdout {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.out).poll_write(cx, bytes))?;
        self.written.fetch_add(written as u64, Ordering::Relaxed);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.out).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.out).poll_shutdown(cx)
    }
}

/// A stream that says whether it is a terminal, because a component may write other bytes
/// to one than to a pipe.
pub(super) struct Shown {
    stream: AsyncStdoutStream,
    is_terminal: bool,
}

impl Shown {
    /// Wraps `stream`, which ends in this process's standard output.
    pub(super) fn stdout(stream: AsyncStdoutStream) -> Self {
        Self { stream, is_terminal: io::stdout().is_terminal() }
    }
}

impl IsTerminal for Shown {
    fn is_terminal(&self) -> bool {
        self.is_terminal
    }
}

impl StdoutStream for Shown {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        self.stream.p2_stream()
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        self.stream.async_stream()
    }
}

/// How many bytes were written to standard output.
pub(super) struct Written(Arc<AtomicU64>);

impl Written {
    /// Syncs the output, if it is a file. A run succeeds only once its output has arrived.
    pub(super) async fn keep(&self) -> Result<(), Error> {
        if self.0.load(Ordering::Relaxed) > 0 && output::is_closed() {
            return Err(Error::store(output::CLOSED));
        }
        // A disk may block it.
        match spawn_blocking(|| fsync(rustix::stdio::stdout())).await {
            // Not a file, or one that cannot be synced.
            Ok(Ok(()) | Err(Errno::INVAL | Errno::ROFS | Errno::NOTSUP)) => Ok(()),
            Ok(Err(error)) => Err(Error::store(format!("cannot sync standard output: {error}"))),
            Err(error) => Err(Error::store(error.to_string())),
        }
    }
}
