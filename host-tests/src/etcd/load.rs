//! Filling a member, and keeping it busy.

use super::client::encode;
use super::{Client, Etcd};
use serde_json::{Value, json};
use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// etcd's own limit.
const OPERATIONS_PER_TRANSACTION: usize = 128;
const TRANSACTION_BYTES: usize = 4 << 20;
/// From here on, spawning `etcdctl` costs less than JSON costs the gateway.
const LARGE: usize = 256 << 10;
/// `etcdctl` sends at most 2 MiB.
const LARGEST: usize = 2_000_000;

impl Etcd {
    /// Puts `count` keys `PREFIX/00000000…` of `size` random bytes each.
    pub fn put_many(&self, prefix: &str, count: usize, size: usize) {
        if size >= LARGE {
            return in_two_threads(count, &|key| self.put_large(prefix, key, size));
        }
        let step = (TRANSACTION_BYTES / size.max(1)).clamp(1, OPERATIONS_PER_TRANSACTION);
        in_two_threads(count.div_ceil(step), &|index| {
            let keys = index * step..count.min((index + 1) * step);
            self.put_all(prefix, keys, size);
        });
    }

    /// Fills the database with about this many bytes that no compression
    /// shrinks, in the largest values that `etcdctl` sends.
    pub fn fill(&self, bytes: usize) {
        self.put_many("fill", bytes.div_ceil(LARGEST), LARGEST);
    }

    fn put_all(&self, prefix: &str, keys: std::ops::Range<usize>, size: usize) {
        let put = |key| {
            let (key, value) = (encode(name(prefix, key)), encode(random(size)));
            json!({ "request_put": { "key": key, "value": value } })
        };
        let puts: Vec<Value> = keys.map(put).collect();
        self.post("/v3/kv/txn", &json!({ "success": puts }));
    }

    fn put_large(&self, prefix: &str, key: usize, size: usize) {
        let mut etcdctl = self
            .etcdctl()
            .args(["put", &name(prefix, key)])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("`etcdctl` can be run");
        let mut value = etcdctl.stdin.take().expect("its input is a pipe");
        value.write_all(&random(size)).expect("`etcdctl put` reads the value");
        drop(value);
        let status = etcdctl.wait().expect("`etcdctl` ends");
        assert!(status.success(), "`etcdctl put` at {} failed", self.endpoint());
    }
}

fn in_two_threads(count: usize, work: &(dyn Fn(usize) + Sync)) {
    std::thread::scope(|scope| {
        for indices in [0..count / 2, count / 2..count] {
            scope.spawn(move || indices.for_each(work));
        }
    });
}

fn name(prefix: &str, key: usize) -> String {
    format!("{prefix}/{key:08}")
}

fn random(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    fastrand::fill(&mut bytes);
    bytes
}

/// Writes to a member until it is dropped, or a minute is over.
#[derive(Debug)]
pub struct Writer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
}

impl Writer {
    /// Begins to put, overwrite and delete keys below `load/`; returns once the
    /// first write is done.
    pub fn start(etcd: &Etcd) -> Writer {
        let client = Client::new(etcd.endpoint());
        client.put("load/first", "");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let started = Instant::now();
            let mut writes = 0;
            while !stopped.load(Ordering::Relaxed) && started.elapsed() < Duration::from_secs(60) {
                let key = format!("load/{:03}", fastrand::u16(..500));
                match fastrand::u8(..10) {
                    0 => client.delete(&key),
                    _ => drop(client.put(&key, &"x".repeat(fastrand::usize(..4096)))),
                }
                writes += 1;
            }
            writes
        });
        Writer { stop, thread: Some(thread) }
    }

    /// Stops it and returns how many writes were done.
    pub fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("it is stopped once").join().expect("every write succeeded")
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
