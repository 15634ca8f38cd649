//! A response's body: read ahead, under a time limit, and in pieces that are worth a call.

use super::error;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{Instant, Sleep, sleep_until};
use wasmtime_wasi_http::Error;

/// The number of bytes to gather for a component while it is busy. gRPC servers send frames
/// of 16 KiB or less, and passing each of them on by itself synchronizes two threads, which
/// costs more than copying it.
const PIECE: usize = 1 << 20;

/// A day.
const FAR_FUTURE: Duration = Duration::from_secs(86_400);

/// A body that fails if the server sends nothing for longer than a limit.
///
/// The clock runs while the component waits for bytes, and only then: a store
/// that takes its time must not make the server look stalled.
pub(super) struct TimedBody {
    pieces: Receiver<Next>,
    limit: Duration,
    silence: Wait,
    sleep: Pin<Box<Sleep>>,
}

enum Wait {
    /// Nothing waits: the last poll returned bytes, or there was none.
    Idle,
    /// The component has been waiting since the clock was set.
    Since,
    /// The body has ended.
    Over,
}

/// A frame, the end, or an error.
type Next = Option<Result<Frame<Bytes>, Error>>;

impl TimedBody {
    /// Reads `incoming` ahead. The permit is held for as long as the exchange lasts.
    pub(super) fn new(incoming: Incoming, limit: Duration, permit: OwnedSemaphorePermit) -> Self {
        let (sender, pieces) = mpsc::channel(1);
        tokio::spawn(async move {
            gather(incoming, sender).await;
            drop(permit);
        });
        let sleep = Box::pin(sleep_until(Instant::now()));
        Self { pieces, limit, silence: Wait::Idle, sleep }
    }
}

/// Reads a body and joins its frames until the component takes them. The connection is read
/// on another thread than the component's, and the two synchronize once per piece.
async fn gather(mut incoming: Incoming, pieces: Sender<Next>) {
    let mut piece = BytesMut::new();
    // What cannot be joined: trailers, an error, the end.
    let mut other: Option<Next> = None;
    loop {
        tokio::select! {
            biased;
            next = incoming.frame(), if other.is_none() && piece.len() < PIECE => match next {
                Some(Ok(frame)) if frame.is_data() => {
                    if piece.is_empty() {
                        piece.reserve(PIECE);
                    }
                    piece.extend_from_slice(&frame.into_data().unwrap_or_default());
                }
                next => other = Some(next.map(|frame| frame.map_err(|e| error::of_body(&e)))),
            },
            permit = pieces.reserve(), if other.is_some() || !piece.is_empty() => {
                let Ok(permit) = permit else { return };
                if !piece.is_empty() {
                    permit.send(Some(Ok(Frame::data(piece.split().freeze()))));
                    continue;
                }
                let next = other.take().flatten();
                let over = !matches!(next, Some(Ok(_)));
                permit.send(next);
                if over {
                    return;
                }
            }
            () = pieces.closed() => return,
        }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Next> {
        if let Wait::Over = self.silence {
            return Poll::Ready(None);
        }
        if let Poll::Ready(next) = self.pieces.poll_recv(cx) {
            // An end is sent explicitly: a channel that is merely closed is not one.
            let next = next.unwrap_or(Some(Err(Error::ConnectionTerminated)));
            self.silence = match &next {
                Some(Ok(_)) => Wait::Idle,
                Some(Err(_)) | None => Wait::Over,
            };
            return Poll::Ready(next);
        }
        if let Wait::Idle = self.silence {
            // A limit that is out of range counts as none.
            let end = Instant::now().checked_add(self.limit);
            self.sleep.as_mut().reset(end.unwrap_or_else(|| Instant::now() + FAR_FUTURE));
            self.silence = Wait::Since;
        }
        ready!(self.sleep.as_mut().poll(cx));
        Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
    }
}
