//! A steady load of puts, and how long each took.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper::http;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval};

/// Puts a second. Each is sent at its time, whatever became of those before it:
/// a member that stalls is not spared.
pub(crate) const RATE: u32 = 500;
/// Bytes of each value.
pub(crate) const VALUE: usize = 256;
/// Keys that are put in turn.
pub(crate) const KEYS: u32 = 1000;

/// No load lasts longer.
const LIMIT: Duration = Duration::from_secs(300);

/// A put: when it was sent, and how long it took.
pub(crate) type Put = (Instant, Duration);

/// A load under way; stops on drop.
pub(crate) struct Puts {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Vec<Put>, String>>>,
}

impl Puts {
    /// Begins to put; answers once the first put is done.
    pub(crate) fn start(endpoint: String) -> Result<Puts, String> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let (begun, first) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map_err(|error| error.to_string())?.block_on(load(&endpoint, &stopped, &begun))
        });
        let mut puts = Puts { stop, thread: Some(thread) };
        match first.recv() {
            Ok(()) => Ok(puts),
            Err(_) => puts.end().and(Err("the load ended before it began".into())),
        }
    }

    /// Stops it, and answers all puts.
    pub(crate) fn stop(mut self) -> Result<Vec<Put>, String> {
        self.end()
    }

    fn end(&mut self) -> Result<Vec<Put>, String> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(puts)) => puts,
            _ => Err("the load's thread is gone".into()),
        }
    }
}

impl Drop for Puts {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

async fn load(
    endpoint: &str,
    stop: &AtomicBool,
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
    put(sender.clone(), base.clone(), 0).await.map_err(|error| failed(&error))?;
    // Whoever started this may have given up meanwhile.
    let _ = begun.send(());
    let started = Instant::now();
    let mut clock = interval(Duration::from_secs(1) / RATE);
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut puts = Vec::new();
    while !stop.load(Ordering::Relaxed) && started.elapsed() < LIMIT {
        clock.tick().await;
        let key = puts.len() as u32 % KEYS;
        puts.push(tokio::spawn(put(sender.clone(), base.clone(), key)));
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
) -> Result<Put, String> {
    let request = http::Request::post(format!("{base}/etcdserverpb.KV/Put"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::from(message(key)))
        .map_err(|error| error.to_string())?;
    let sent = Instant::now();
    let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let (parts, body) = answer.into_parts();
    let whole = body.collect().await.map_err(|error| error.to_string())?;
    let took = sent.elapsed();
    let status = whole.trailers().or(Some(&parts.headers)).and_then(|t| t.get("grpc-status"));
    match status.is_some_and(|status| status == "0") {
        true => Ok((sent, took)),
        false => Err(format!("etcd answers {status:?}")),
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
