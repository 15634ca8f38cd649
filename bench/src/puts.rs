//! A steady load of puts, and how long each took.
//!
//! The loop is open: each put is sent when it is due, whatever became of those
//! before it, and its time counts from that moment. A stall so counts for every
//! put that it delays, and a load that comes late itself hides nothing.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper::http;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval};

/// Puts a second.
pub(crate) const RATE: u32 = 500;
/// Bytes of each value.
pub(crate) const VALUE: usize = 1024;
/// Keys that are put in turn.
pub(crate) const KEYS: u32 = 1000;

/// No load lasts longer.
const LIMIT: Duration = Duration::from_secs(300);

/// A put: when it was due, and how long after that it was done.
pub(crate) type Put = (Instant, Duration);

/// A load under way; stops on drop.
pub(crate) struct Puts {
    end: Arc<OnceLock<Instant>>,
    thread: Option<JoinHandle<Result<Vec<Put>, String>>>,
}

impl Puts {
    /// Begins to put; returns once the first put is done.
    pub(crate) fn start(endpoint: String) -> Result<Puts, String> {
        let end = Arc::new(OnceLock::new());
        let ends = Arc::clone(&end);
        let (begun, first) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map_err(|error| error.to_string())?.block_on(load(&endpoint, &ends, &begun))
        });
        let mut puts = Puts { end, thread: Some(thread) };
        match first.recv() {
            Ok(()) => Ok(puts),
            Err(_) => puts.join().and(Err("the load ended before it began".into())),
        }
    }

    /// Stops it, and waits for the responses to all puts that were due until now.
    pub(crate) fn stop(mut self) -> Result<Vec<Put>, String> {
        self.join()
    }

    fn join(&mut self) -> Result<Vec<Put>, String> {
        self.end.get_or_init(Instant::now);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(puts)) => puts,
            _ => Err("the load's thread is gone".into()),
        }
    }
}

impl Drop for Puts {
    fn drop(&mut self) {
        self.end.get_or_init(Instant::now);
    }
}

async fn load(
    endpoint: &str,
    end: &OnceLock<Instant>,
    begun: &mpsc::Sender<()>,
) -> Result<Vec<Put>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("a put at {endpoint} failed: {error}");
    let stream = TcpStream::connect(endpoint).await.map_err(|error| failed(&error))?;
    stream.set_nodelay(true).map_err(|error| failed(&error))?;
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .map_err(|error| failed(&error))?;
    tokio::spawn(connection);
    let base = format!("http://{endpoint}");
    put(sender.clone(), base.clone(), 0, Instant::now()).await.map_err(|error| failed(&error))?;
    // The caller may have stopped waiting.
    let _ = begun.send(());
    let started = Instant::now();
    let mut clock = interval(Duration::from_secs(1) / RATE);
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut puts = Vec::new();
    loop {
        let due = clock.tick().await.into_std();
        if end.get().is_some_and(|end| due >= *end) {
            break;
        }
        if started.elapsed() > LIMIT {
            return Err(format!("the load is not stopped after {LIMIT:?}"));
        }
        let key = puts.len() as u32 % KEYS;
        puts.push(tokio::spawn(put(sender.clone(), base.clone(), key, due)));
    }
    let mut done = Vec::with_capacity(puts.len());
    for put in puts {
        done.push(put.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?);
    }
    Ok(done)
}

async fn put(
    mut sender: http2::SendRequest<Full<Bytes>>,
    base: String,
    key: u32,
    due: Instant,
) -> Result<Put, String> {
    let request = http::Request::post(format!("{base}/etcdserverpb.KV/Put"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::from(message(key)))
        .map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let (parts, body) = response.into_parts();
    let whole = body.collect().await.map_err(|error| error.to_string())?;
    let took = due.elapsed();
    let status = whole.trailers().or(Some(&parts.headers)).and_then(|t| t.get("grpc-status"));
    if status.is_some_and(|status| status == "0") {
        Ok((due, took))
    } else {
        Err(format!("etcd returned {status:?}"))
    }
}

/// A gRPC frame with a `PutRequest`: the key is field 1, the value field 2
/// (`api/etcdserverpb/rpc.proto`).
fn message(key: u32) -> Vec<u8> {
    let key = format!("load/{key:08}");
    let mut value = [0; VALUE];
    fastrand::fill(&mut value);
    let mut put = vec![0x0a, key.len() as u8];
    put.extend(key.as_bytes());
    put.extend([0x12, (VALUE & 0x7f) as u8 | 0x80, (VALUE >> 7) as u8]);
    put.extend(value);
    let mut frame = vec![0];
    frame.extend((put.len() as u32).to_be_bytes());
    frame.extend(put);
    frame
}
