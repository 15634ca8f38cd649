//! The digest of a content, computed beside the run that hands the content on.

use bytes::Bytes;
use plakar_policy::Error;
use plakar_policy::digest::Hashed;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

/// How many pieces may wait to be hashed: the thread that does it is faster than
/// whatever comes over a network, and each piece is held in memory.
const WAITING: usize = 2;

/// Hashes a content on a thread of its own while it passes. Dropping it gives up.
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
        // Nobody receives where the thread is gone, which `finish` reports.
        let _ = self.pieces.send(piece).await;
    }

    /// What was hashed, once the content has come to its end.
    pub(super) async fn finish(self) -> Result<Hashed, Error> {
        drop(self.pieces);
        self.hashed.await.map_err(|error| {
            Error::component(format!("the digest of a content cannot be computed: {error}"))
        })
    }
}
