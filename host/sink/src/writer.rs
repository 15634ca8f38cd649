//! Runs on one thread the jobs that may have to wait, such as for the reader of this process's
//! output.
//!
//! `Writer::send` does not wait for it: jobs that it cannot take are counted and left out.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

/// What the thread works on.
pub trait Work: Send + 'static {
    /// This many jobs were dropped before the next one.
    fn left_out(&mut self, count: u64);

    /// Nothing has happened for a while.
    fn idle(&mut self) {}
}

type Job<W> = Box<dyn FnOnce(&mut W) + Send>;

/// How many jobs may wait.
const WAITING: usize = 1024;

/// The time without a job after which the thread reports that nothing has happened.
const IDLE: Duration = Duration::from_millis(200);

/// A handle on the thread, which ends with its last handle.
pub struct Writer<W> {
    jobs: SyncSender<Job<W>>,
    left_out: Arc<AtomicU64>,
}

impl<W> Clone for Writer<W> {
    fn clone(&self) -> Self {
        Self { jobs: self.jobs.clone(), left_out: Arc::clone(&self.left_out) }
    }
}

impl<W: Work> Writer<W> {
    /// Starts the thread.
    pub fn start(mut work: W) -> io::Result<Self> {
        let (jobs, waiting) = sync_channel::<Job<W>>(WAITING);
        let left_out = Arc::new(AtomicU64::new(0));
        let writer = Self { jobs, left_out: Arc::clone(&left_out) };
        std::thread::Builder::new().name("writer".into()).spawn(move || {
            loop {
                match waiting.recv_timeout(IDLE) {
                    Ok(job) => {
                        let count = left_out.swap(0, Ordering::Relaxed);
                        if count > 0 {
                            work.left_out(count);
                        }
                        job(&mut work);
                    }
                    Err(RecvTimeoutError::Timeout) => work.idle(),
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        })?;
        Ok(writer)
    }

    /// Hands a job over, or counts it as left out.
    pub fn send(&self, job: impl FnOnce(&mut W) + Send + 'static) {
        if let Err(TrySendError::Full(_)) = self.jobs.try_send(Box::new(job)) {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Hands a job over and waits until it is done, for at most `within`.
    pub fn deliver(&self, within: Duration, job: impl FnOnce(&mut W) + Send + 'static) {
        let end = Instant::now() + within;
        let (done, wait) = sync_channel(1);
        let mut job: Job<W> = Box::new(move |work| {
            job(work);
            let _ = done.send(());
        });
        loop {
            match self.jobs.try_send(job) {
                Err(TrySendError::Full(back)) if Instant::now() < end => job = back,
                _ => break,
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = wait.recv_timeout(end.saturating_duration_since(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    struct Numbers {
        done: usize,
        left_out: u64,
    }

    impl Work for Numbers {
        fn left_out(&mut self, count: u64) {
            self.left_out += count;
        }
    }

    #[test]
    fn a_reader_that_stops_does_not_block_and_jobs_that_are_left_out_are_counted() {
        let writer = Writer::start(Numbers { done: 0, left_out: 0 }).expect("a thread");
        let (go_on, stand_still) = mpsc::channel::<()>();
        writer.send(move |_| _ = stand_still.recv());
        let begun = Instant::now();
        let jobs = 2 * WAITING;
        let (sender, (all, sent)) = (writer.clone(), mpsc::channel());
        std::thread::spawn(move || {
            (0..jobs).for_each(|_| sender.send(|work| work.done += 1));
            let _ = all.send(());
        });
        sent.recv_timeout(Duration::from_secs(5)).expect("it does not wait");
        let within = Duration::from_millis(300);
        writer.deliver(within, |_| {});
        assert!(begun.elapsed() >= within, "it did not wait");

        drop(go_on);
        let (sender, receiver) = mpsc::channel();
        writer.deliver(Duration::from_secs(30), move |work| {
            sender.send((work.done, work.left_out)).expect("the test waits");
        });
        let (done, left_out) = receiver.recv().expect("it was done");
        assert!(done < jobs && left_out > 0);
        assert_eq!(done + left_out as usize, jobs);
    }
}
