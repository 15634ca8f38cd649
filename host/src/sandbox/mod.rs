//! Where components run: everything of WASI is linked, and nothing is granted.
//!
//! A component sees clocks and random numbers, and an HTTP client behind the
//! [grant](crate::policy::grant). There is no directory, variable, socket or
//! argument; standard output goes nowhere, and standard error becomes
//! [warnings](crate::Event::Warning). Memory, tables, handles, log lines and time
//! are [bounded](crate::policy::limits).

mod cache;
mod command;
mod log;
mod memory;
mod state;

pub(crate) use log::Log;
pub(crate) use state::State;

use crate::policy::contract::check_exports;
use crate::policy::limits::TICK;
use crate::{Error, bindings};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine};

/// The largest component; ours have some hundred kilobytes.
const LARGEST_COMPONENT: u64 = 64 << 20;

/// Compiles components and links them to what a sandbox has.
pub struct Sandbox {
    engine: Engine,
    linker: Arc<Linker<State>>,
}

/// A component, compiled and checked: it imports nothing but what a sandbox has,
/// and exports the contract.
#[derive(Clone)]
pub(crate) struct Loaded {
    pub(crate) engine: Engine,
    pub(crate) component: Component,
    pub(crate) linker: Arc<Linker<State>>,
    pub(crate) pre: bindings::ConnectorPre<State>,
}

impl Sandbox {
    /// Sets up the compiler, its cache below the user's cache directory, and the
    /// interfaces that components may import.
    pub fn new() -> Result<Self, Error> {
        let internal =
            |error: wasmtime::Error| Error::component(format!("the sandbox failed: {error:#}"));
        let begun = Instant::now();
        let mut config = Config::new();
        // A time limit can end a call only where the called code comes up for
        // air: epochs make a busy loop do so. They cost a thirtieth of the speed of
        // SHA-256 in our component, whose loops are unrolled, and a sixth where
        // they are not.
        config.epoch_interruption(true);
        config.cache(cache::open());
        let engine = Engine::new(&config).map_err(internal)?;

        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(internal)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).map_err(internal)?;
        tick(&engine);
        tracing::debug!(elapsed = ?begun.elapsed(), "the sandbox is set up");
        Ok(Self { engine, linker: Arc::new(linker) })
    }

    /// Compiles a component, or takes it from the cache, and checks what it
    /// imports and exports.
    pub(crate) fn load(&self, path: &Path) -> Result<Loaded, Error> {
        let begun = Instant::now();
        let binary = read(path)?;
        let component = Component::from_binary(&self.engine, &binary).map_err(|error| {
            refuse(path, &format!("it cannot be compiled: {}", whole_cause(&error)))
        })?;
        tracing::debug!(elapsed = ?begun.elapsed(), "the component is compiled or taken from the cache");
        self.check_exports(path, &component)?;
        let pre = self.linker.instantiate_pre(&component).map_err(|error| {
            refuse(path, &format!("it asks for what no sandbox has: {}", whole_cause(&error)))
        })?;
        let pre = bindings::ConnectorPre::new(pre).map_err(|error| {
            refuse(
                path,
                &format!("its exports are not those of the contract: {}", whole_cause(&error)),
            )
        })?;
        Ok(Loaded { engine: self.engine.clone(), component, linker: Arc::clone(&self.linker), pre })
    }

    fn check_exports(&self, path: &Path, component: &Component) -> Result<(), Error> {
        let ty = component.component_type();
        check_exports(ty.exports(&self.engine).map(|(name, _)| name))
            .map_err(|reason| refuse(path, &reason))
    }
}

fn refuse(path: &Path, reason: &str) -> Error {
    Error::component(format!("connector `{}`: {reason}", path.display()))
}

/// The chain of reasons, the outermost first.
fn whole_cause(error: &wasmtime::Error) -> String {
    crate::policy::limits::one_line(&format!("{error:#}"))
}

/// The innermost reason of a trap; those around it say only that there was one.
pub(crate) fn root_cause(error: &wasmtime::Error) -> String {
    crate::policy::limits::one_line(&error.root_cause().to_string())
}

/// Reads a file that should be a component, without swallowing what is not one.
fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let unreadable = |error: std::io::Error| {
        Error::invalid(format!("connector `{}`: cannot be read: {error}", path.display()))
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut file = file.take(LARGEST_COMPONENT + 1);
    let mut binary = Vec::new();
    (&mut file).take(8).read_to_end(&mut binary).map_err(unreadable)?;
    match binary.as_slice() {
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0] => {}
        [0, b'a', b's', b'm', 1, 0, 0, 0] => {
            return Err(refuse(
                path,
                "it is a core WebAssembly module, not a component: build it for `wasm32-wasip2`",
            ));
        }
        [0, b'a', b's', b'm', ..] => {
            return Err(refuse(path, "it is WebAssembly of a kind that this host does not know"));
        }
        _ => return Err(refuse(path, "it is not a WebAssembly component")),
    }
    file.read_to_end(&mut binary).map_err(unreadable)?;
    if binary.len() as u64 > LARGEST_COMPONENT {
        return Err(refuse(path, &format!("it is larger than {LARGEST_COMPONENT} bytes")));
    }
    Ok(binary)
}

/// Lets running code come up for air as long as the engine lives.
fn tick(engine: &Engine) {
    let engine = engine.weak();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(TICK);
            match engine.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
        }
    });
}
