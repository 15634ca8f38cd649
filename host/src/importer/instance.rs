//! One instance of a component, and whether it may still be called.

use crate::bindings;
use crate::http::Client;
use crate::sandbox::{Loaded, Log, State, root_cause, shortage};
use plakar_connector::{ErrorKind, limits};
use plakar_policy::grant::Grant;
use plakar_policy::limits::QUICK_CALL;
use plakar_policy::{Error, Observer};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmtime::Store;
use wasmtime_wasi::I32Exit;

/// One instance of a component, in its own store.
pub(super) struct Instance {
    pub(super) store: Store<State>,
    pub(super) exports: bindings::Connector,
    pub(super) calls: CallGuard,
    log: Arc<Log>,
}

impl Instance {
    pub(super) async fn new(
        loaded: &Loaded,
        grant: Grant,
        client: Client,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, Error> {
        let begun = Instant::now();
        let log = Log::new(observer);
        let mut store = State::store(&loaded.engine, grant, client, &log);
        let mut calls = CallGuard { ended: false };
        let call = loaded.pre.instantiate_async(&mut store);
        let exports = calls.quick("instantiation", call).await?;
        tracing::debug!(elapsed = ?begun.elapsed(), "the component is instantiated");
        Ok(Self { store, exports, calls, log })
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.log.flush();
    }
}

/// Whether a component may still be called.
pub(super) struct CallGuard {
    pub(super) ended: bool,
}

impl CallGuard {
    /// Makes a call that must not wait for the network.
    pub(super) async fn quick<T>(
        &mut self,
        name: &str,
        call: impl Future<Output = wasmtime::Result<T>>,
    ) -> Result<T, Error> {
        let call = self.waiting(name, call);
        tokio::time::timeout(QUICK_CALL, call).await.unwrap_or_else(|_| {
            Err(Error::component(format!(
                "the component hangs: `{name}` did not return within {}",
                limits::show(QUICK_CALL)
            )))
        })
    }

    /// Makes a call that may wait for this long.
    pub(super) async fn within<T>(
        &mut self,
        name: &str,
        limit: Duration,
        call: impl Future<Output = wasmtime::Result<T>>,
    ) -> Result<T, Error> {
        let call = self.waiting(name, call);
        tokio::time::timeout(limit, call).await.unwrap_or_else(|_| {
            Err(Error::reported(
                ErrorKind::TimedOut,
                format!("`{name}` did not return within its time limit of {}", limits::show(limit)),
            ))
        })
    }

    /// Makes a call whose time the caller limits.
    pub(super) async fn waiting<T>(
        &mut self,
        name: &str,
        call: impl Future<Output = wasmtime::Result<T>>,
    ) -> Result<T, Error> {
        if self.ended {
            return Err(Error::component(format!("`{name}` can no longer be called")));
        }
        // It stays ended if this future is dropped in the middle.
        self.ended = true;
        let returned = call.await.map_err(|error| trapped(name, &error))?;
        self.ended = false;
        Ok(returned)
    }
}

fn trapped(call: &str, error: &wasmtime::Error) -> Error {
    match error.downcast_ref::<I32Exit>() {
        Some(_) => Error::component(format!("the component exited in `{call}`")),
        None => shortage(error).unwrap_or_else(|| {
            Error::component(format!("the component trapped in `{call}`: {}", root_cause(error)))
        }),
    }
}
