//! A response's body: under a time limit, and in pieces worth their call.

use super::error;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep_until};
use wasmtime_wasi_http::Error;

/// How much to hand to a component at a time, in bytes. gRPC servers send frames
/// of 16 KiB and less, and each call into a component costs more than copying one.
const PIECE: usize = 64 << 10;

/// A body whose server may be silent for so long only.
///
/// The clock runs while the component waits for bytes, and only then: a store
/// that takes its time must not make the server look stalled.
pub(super) struct Guarded {
    incoming: Incoming,
    limit: Duration,
    silence: Silence,
    sleep: Pin<Box<Sleep>>,
    /// What came after the last piece and did not fit into it.
    held: Option<Next>,
    /// Held for as long as the exchange lasts.
    _permit: OwnedSemaphorePermit,
}

enum Silence {
    /// Nobody waits: the last poll answered, or there was none.
    Unheard,
    /// The component has been waiting since the clock was set.
    Measured,
}

/// A frame, the end, or how it failed.
type Next = Option<Result<Frame<Bytes>, Error>>;

impl Guarded {
    pub(super) fn new(incoming: Incoming, limit: Duration, permit: OwnedSemaphorePermit) -> Self {
        let sleep = Box::pin(sleep_until(Instant::now()));
        let silence = Silence::Unheard;
        Self { incoming, limit, silence, sleep, held: None, _permit: permit }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        match self.held.take() {
            Some(next) => Poll::Ready(next),
            None => {
                let next = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
                Poll::Ready(next.map(|frame| frame.map_err(|e| error::of_body(&e))))
            }
        }
    }

    /// Joins to a frame those that are there already, as far as they fit. Waits
    /// for none.
    fn gather(&mut self, first: Bytes, cx: &mut Context<'_>) -> Bytes {
        let mut piece = BytesMut::new();
        while let Poll::Ready(next) = self.poll_next(cx) {
            let length = first.len().max(piece.len());
            match next {
                Some(Ok(frame)) if fits(&frame, length) => {
                    if piece.is_empty() {
                        piece.reserve(PIECE);
                        piece.extend_from_slice(&first);
                    }
                    piece.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new()));
                }
                other => {
                    self.held = Some(other);
                    break;
                }
            }
        }
        if piece.is_empty() { first } else { piece.freeze() }
    }
}

/// Whether the frame is data, and may join as many bytes as these.
fn fits(frame: &Frame<Bytes>, length: usize) -> bool {
    frame.data_ref().is_some_and(|data| length + data.len() <= PIECE)
}

impl Body for Guarded {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Next> {
        if let Poll::Ready(next) = self.poll_next(cx) {
            self.silence = Silence::Unheard;
            return Poll::Ready(match next {
                Some(Ok(frame)) if frame.is_data() => {
                    let data = frame.into_data().unwrap_or_default();
                    Some(Ok(Frame::data(self.gather(data, cx))))
                }
                other => other,
            });
        }
        if let Silence::Unheard = self.silence {
            let end = Instant::now() + self.limit;
            self.sleep.as_mut().reset(end);
            self.silence = Silence::Measured;
        }
        ready!(self.sleep.as_mut().poll(cx));
        Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none() && self.incoming.is_end_stream()
    }
}
