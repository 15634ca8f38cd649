//! Connections that report what went wrong with TLS, whenever it becomes known.
//!
//! Since TLS 1.3 a server checks a client's certificate only after the client has completed
//! the handshake and is writing its request. The server then sends an alert and closes the
//! connection: a write fails with a broken pipe, only a read returns the alert, and a later
//! request finds a closed connection.

use super::cause::is_cut;
use super::resolver::Resolver;
use super::tls;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::{
    self,
    connect::{Connected, HttpConnector},
};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use tokio::net::TcpStream;
use tower_service::Service;

type Failure = Box<dyn Error + Send + Sync>;

/// Connects as [`HttpsConnector`] does.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) inner: HttpsConnector<HttpConnector<Resolver>>,
    /// Whether only HTTP/2 is accepted.
    pub(super) http2: bool,
}

impl Service<http::Uri> for Connector {
    type Response = Connection;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Connection, Failure>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, to: http::Uri) -> Self::Future {
        let connecting = self.inner.call(to);
        let http2 = self.http2;
        Box::pin(async move {
            match connecting.await {
                Ok(stream) => Ok(Connection {
                    stream,
                    unread: Vec::new(),
                    broken: None,
                    tls_failure: TlsFailure::default(),
                    http2,
                    number: Number(MADE.fetch_add(1, Ordering::Relaxed)),
                }),
                Err(failure) => Err(match tls::explain_failure(failure.as_ref(), http2) {
                    Some(reported) => reported.into(),
                    None => failure,
                }),
            }
        })
    }
}

/// A connection, secured or not.
pub(super) struct Connection {
    stream: MaybeHttpsStream<TokioIo<TcpStream>>,
    /// Read while looking for the reason of a failed write.
    unread: Vec<u8>,
    /// How writing failed, until the reason is known.
    broken: Option<io::Error>,
    tls_failure: TlsFailure,
    http2: bool,
    number: Number,
}

/// Distinguishes connections: no two of this process have the same.
#[derive(Clone, Copy)]
pub(super) struct Number(pub(super) u64);

/// The number of connections made so far.
static MADE: AtomicU64 = AtomicU64::new(0);

/// Why a connection failed, if TLS was the reason. It outlives the connection, and is
/// attached to the errors of the requests that were to use it.
#[derive(Clone, Default)]
pub(super) struct TlsFailure(Arc<OnceLock<String>>);

impl TlsFailure {
    /// Returns that of the connection on which this error occurred.
    pub(super) fn of(error: &legacy::Error) -> Option<String> {
        let mut extras = http::Extensions::new();
        error.connect_info()?.get_extras(&mut extras);
        extras.get::<TlsFailure>()?.0.get().cloned()
    }
}

impl Connection {
    /// Returns the error with an explanation and a remedy, if it is a TLS failure.
    fn explained(&self, error: io::Error) -> io::Error {
        match tls::explain_failure(&error, self.http2) {
            None => error,
            Some(reported) => {
                let reported = self.tls_failure.0.get_or_init(|| reported);
                io::Error::new(error.kind(), reported.as_str())
            }
        }
    }

    /// Returns the result of a write: if it failed, the reason that the server sent.
    fn poll_reason<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let secure = matches!(self.stream, MaybeHttpsStream::Https(_));
        match ready!(written) {
            Err(error) if secure && is_cut(error.kind()) => {
                self.broken = Some(error);
                self.poll_read_alert(cx).map(Err)
            }
            other => Poll::Ready(other),
        }
    }

    /// Reads until the end of the connection, which a broken one reaches soon. A response
    /// that arrived early is kept for the reader.
    fn poll_read_alert(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let mut space = [0; 4096];
        while self.unread.len() < MOST_UNREAD {
            let mut buffer = ReadBuf::new(&mut space);
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer.unfilled()));
            match read {
                Ok(()) if !buffer.filled().is_empty() => {
                    self.unread.extend_from_slice(buffer.filled());
                }
                Ok(()) => break,
                Err(reason) => {
                    self.broken = None;
                    return Poll::Ready(self.explained(reason));
                }
            }
        }
        let broken = self.broken.take();
        Poll::Ready(broken.unwrap_or_else(|| ErrorKind::BrokenPipe.into()))
    }
}

/// A server that has closed the connection does not send more than this.
const MOST_UNREAD: usize = 64 << 10;

impl hyper_util::client::legacy::connect::Connection for Connection {
    fn connected(&self) -> Connected {
        self.stream.connected().extra(self.tls_failure.clone()).extra(self.number)
    }
}

impl Read for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.unread.is_empty() {
            let length = self.unread.len().min(buffer.remaining());
            buffer.put_slice(&self.unread[..length]);
            self.unread.drain(..length);
            return Poll::Ready(Ok(()));
        }
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        Poll::Ready(read.map_err(|error| self.explained(error)))
    }
}

impl Write for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.broken.is_some() {
            return self.poll_read_alert(cx).map(Err);
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.poll_reason(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.broken.is_some() {
            return self.poll_read_alert(cx).map(Err);
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.poll_reason(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.broken.is_some() {
            return self.poll_read_alert(cx).map(Err);
        }
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.poll_reason(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
