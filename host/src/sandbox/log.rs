//! Turns a component's standard error into bounded warnings.

use bytes::Bytes;
use plakar_policy::limits::{LINE, LogBudget, one_line};
use plakar_policy::{Event, Observer, Speaker};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// Receives the lines of one component, its own and those about it.
pub(crate) struct Log {
    observer: Arc<dyn Observer>,
    state: Mutex<LogState>,
}

struct LogState {
    budget: LogBudget,
    /// The line so far, at most [`LINE`] bytes of it.
    line: Vec<u8>,
}

impl Log {
    pub(crate) fn new(observer: Arc<dyn Observer>) -> Arc<Self> {
        let state = LogState { budget: LogBudget::new(Instant::now()), line: Vec::new() };
        Arc::new(Self { observer, state: Mutex::new(state) })
    }

    /// Logs a line of the host about the component, under the same budget: what a component
    /// can cause, it can cause often.
    pub(crate) fn host(&self, line: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.pass(&mut state.budget, Speaker::Host, line);
    }

    /// Reports what was left out, and what is on an unfinished line.
    pub(crate) fn flush(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let LogState { budget, line } = &mut *state;
        self.end_line(budget, line);
        self.tell_left_out(budget.take_left_out());
    }

    fn write(&self, bytes: &[u8]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let LogState { budget, line } = &mut *state;
        let mut pieces = bytes.split(|&byte| byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            let room = (LINE + 1).saturating_sub(line.len());
            line.extend_from_slice(&piece[..piece.len().min(room)]);
            if pieces.peek().is_some() {
                self.end_line(budget, line);
            }
        }
    }

    fn end_line(&self, budget: &mut LogBudget, line: &mut Vec<u8>) {
        let text = String::from_utf8_lossy(line);
        if !text.trim().is_empty() {
            self.pass(budget, Speaker::Component, &text);
        }
        line.clear();
    }

    fn pass(&self, budget: &mut LogBudget, from: Speaker, line: &str) {
        if let Some(left_out) = budget.admit(Instant::now()) {
            self.tell_left_out(left_out);
            self.observer.event(Event::Warning { from, line: &one_line(line) });
        }
    }

    fn tell_left_out(&self, count: u64) {
        if count == 0 {
            return;
        }
        let line = format!("{count} lines of the component were dropped: it writes too many");
        self.observer.event(Event::Warning { from: Speaker::Host, line: &line });
    }
}

/// The component's standard error. It is written at once and never waits, so that the last
/// lines before a trap are not lost.
#[derive(Clone)]
pub(super) struct Stderr(pub(super) Arc<Log>);

impl IsTerminal for Stderr {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stderr {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl OutputStream for Stderr {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Stderr {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Stderr {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
