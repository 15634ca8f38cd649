//! Where components run: everything of WASI is linked, and nothing is granted.
//!
//! A component sees clocks and random numbers, and an HTTP client behind the
//! [grant](plakar_policy::grant). There is no directory, variable, socket or
//! argument; standard output goes nowhere, and standard error becomes
//! [warnings](plakar_policy::Event::Warning). Memory, tables, handles, log lines and time
//! are [bounded](plakar_policy::limits).

mod cache;
mod command;
mod compile;
mod log;
mod machine;
mod memory;
mod requests;
mod state;
mod stdio;

pub(crate) use log::Log;
pub(crate) use machine::shortage;
pub(crate) use state::State;

use crate::bindings;
use cache::Cached;
use plakar_policy::Error;
use plakar_policy::contract::check_exports;
use plakar_policy::limits::{LARGEST_COMPONENT, MEMORY, TICK};
use rustix::process::{Resource, getrlimit};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine};

/// Compiles components and links them to what a sandbox has.
#[derive(Clone)]
pub struct Sandbox {
    engine: Engine,
    linker: Arc<Linker<State>>,
    cached: Option<Cached>,
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
        // A time limit can end a call only when the called code yields: epochs make a busy
        // loop do so. They cost a thirtieth of the speed of SHA-256 in our component, whose
        // loops are unrolled, and a sixth if they are not.
        config.epoch_interruption(true);
        // By default a memory reserves 4 GiB of address space, which may be limited.
        if getrlimit(Resource::As).current.is_some() {
            config.memory_reservation(MEMORY as u64);
            config.memory_reservation_for_growth(0);
            config.memory_guard_size(64 << 10);
        }
        let cached = cache::open();
        config.cache(cached.as_ref().map(|cached| cached.cache.clone()));
        let engine = Engine::new(&config)
            .map_err(|error| shortage(&error).unwrap_or_else(|| internal(error)))?;

        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(internal)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).map_err(internal)?;
        requests::bound(&mut linker).map_err(internal)?;
        tick(&engine)?;
        tracing::debug!(elapsed = ?begun.elapsed(), "the sandbox is set up");
        Ok(Self { engine, linker: Arc::new(linker), cached })
    }

    /// Compiles a component, or takes it from the cache, and checks what it imports
    /// and exports. Works on a thread of its own, within bounds.
    pub(crate) async fn load(&self, path: &Path) -> Result<Loaded, Error> {
        let (sandbox, path) = (self.clone(), path.to_owned());
        let shown = path.clone();
        compile::bounded(&shown, move || sandbox.load_now(&path)).await
    }

    fn load_now(&self, path: &Path) -> Result<Loaded, Error> {
        let begun = Instant::now();
        let binary = read(path)?;
        let component = Component::from_binary(&self.engine, &binary).map_err(|error| {
            shortage(&error).unwrap_or_else(|| {
                refuse(path, &format!("it cannot be compiled: {}", whole_cause(&error)))
            })
        })?;
        if let Some(cached) = &self.cached {
            cached.remember();
        }
        tracing::debug!(elapsed = ?begun.elapsed(), "the component is compiled or taken from the \
            cache");
        self.check_exports(path, &component)?;
        let pre = self.linker.instantiate_pre(&component).map_err(|error| {
            refuse(
                path,
                &format!(
                    "it imports something that the sandbox does not provide: {}",
                    whole_cause(&error)
                ),
            )
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
    Error::component(reason).at(format_args!("connector `{}`", path.display()))
}

/// Returns the chain of reasons, the outermost first.
fn whole_cause(error: &wasmtime::Error) -> String {
    plakar_policy::limits::one_line(&format!("{error:#}"))
}

/// Returns the innermost reason of a trap; those around it say only that there was one.
pub(crate) fn root_cause(error: &wasmtime::Error) -> String {
    plakar_policy::limits::one_line(&error.root_cause().to_string())
}

/// Reads a file that should be a component, and stops early if it is not one.
fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let unreadable = |error: std::io::Error| {
        let refused = Error::invalid(format!("it cannot be read: {error}"))
            .at(format_args!("connector `{}`", path.display()));
        match error.kind() {
            std::io::ErrorKind::NotFound => refused.remedy("give the file of the connector first"),
            _ => refused,
        }
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut file = file.take(LARGEST_COMPONENT as u64 + 1);
    let mut binary = Vec::new();
    (&mut file).take(8).read_to_end(&mut binary).map_err(unreadable)?;
    match binary.as_slice() {
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0] => {}
        [0, b'a', b's', b'm', 1, 0, 0, 0] => {
            return Err(refuse(path, "it is a core WebAssembly module, not a component")
                .remedy("build it for `wasm32-wasip2`"));
        }
        [0, b'a', b's', b'm', ..] => {
            return Err(refuse(
                path,
                "it is a kind of WebAssembly that this host does not support",
            ));
        }
        _ => return Err(refuse(path, "it is not a WebAssembly component")),
    }
    file.read_to_end(&mut binary).map_err(unreadable)?;
    if binary.len() > LARGEST_COMPONENT {
        return Err(refuse(path, &format!("it is larger than {LARGEST_COMPONENT} bytes")));
    }
    Ok(binary)
}

/// Makes running code yield regularly, as long as the engine exists.
fn tick(engine: &Engine) -> Result<(), Error> {
    let engine = engine.weak();
    let clock = move || {
        loop {
            std::thread::sleep(TICK);
            match engine.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
        }
    };
    match std::thread::Builder::new().name("clock".into()).spawn(clock) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::machine(format!("a thread cannot be started: {error}"))),
    }
}
