//! The digest of a content, computed in parallel with the run that passes the content on.

use bytes::Bytes;
use plakar_policy::Error;
use plakar_policy::digest::Hashed;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

/// How many pieces may wait to be hashed: the thread that hashes is faster than any
/// network, and each piece is kept in memory.
const WAITING: usize = 2;

/// Hashes a content on a thread of its own while it passes. Dropping it ends the thread.
pub(super) struct Hashing {
    pieces: mpsc::Sender<Bytes>,
    hashed: JoinHandle<Hashed>,
}

impl Hashing {
    pub(super) fn start() -> Self {
        let (pieces, mut coming) = mpsc::channel::<Bytes>(WAITING);
        let hashed = spawn_blocking(move || {
            let mut hashed = Hashed::default();
            while let Some(piece) = coming.blocking_recv() {
                hashed.update(&piece);
            }
            hashed
        });
        Self { pieces, hashed }
    }

    /// Takes the next piece of the content.
    pub(super) async fn update(&mut self, piece: Bytes) {
        // Fails if the thread is gone, which `finish` reports.
        let _ = self.pieces.send(piece).await;
    }

    /// Returns what was hashed, once the content has ended.
    pub(super) async fn finish(self) -> Result<Hashed, Error> {
        drop(self.pieces);
        self.hashed.await.map_err(|error| {
            Error::component(format!("the digest of a content cannot be computed: {error}"))
        })
    }
}
