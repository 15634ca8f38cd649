//! Resolves names, a few at a time.

use hyper_util::client::legacy::connect::dns::Name;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tower_service::Service;

/// Names that may be resolved at a time. Each occupies a thread until the system has a
/// response, whether or not a request still waits for it; sinks need threads too.
const LOOKUPS: usize = 8;

/// The system's resolver.
#[derive(Clone)]
pub(super) struct Resolver(Arc<Semaphore>);

impl Resolver {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(LOOKUPS)))
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let lookups = Arc::clone(&self.0);
        Box::pin(async move {
            let permit = lookups.acquire_owned().await.map_err(io::Error::other)?;
            let lookup = spawn_blocking(move || {
                let addresses = (name.as_str(), 0).to_socket_addrs();
                drop(permit);
                addresses
            });
            lookup.await.map_err(io::Error::other)?
        })
    }
}
