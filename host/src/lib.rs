//! Runs Plakar connectors that are WASI components, each in a sandbox that grants
//! only what the user typed.
//!
//! ```text
//!            Sandbox                 one per process: compiler, cache, linker
//!               │ connector("x.wasm")
//!           Connector ── description: protocols, options
//!               │ plan(location, options)   decided by [`policy`]: grant, config, limits
//!               │ open(plan)                the component checks it
//!           Importer ── ping
//!               │ backup::run(importer, sink)
//!            Import ── records, bytes ──▶ Sink: all of it or nothing
//! ```
//!
//! The words are those of the contract `plakar:connector`, which is all that this
//! crate knows of any connector: a *component* is the WebAssembly file, a
//! *connector* what it implements, an *importer* a configured source, an *import*
//! one run of it, a *record* one thing to store, a *sink* what stores it. The
//! *grant* is the set of authorities a component may send HTTP requests to.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`policy`] | the decisions: grant, options, limits, records |
//! | `sandbox` | WASI, memory, log lines; [`Sandbox`] |
//! | `http` | the HTTP client behind the grant |
//! | `importer` | typed calls, each within its time; [`Connector`], [`Importer`], [`Import`] |
//! | [`backup`] | drives an import and keeps the account of it |
//! | [`plugin`] | serves an import to plakar |
//! | [`sink`] | what takes the records; [`DirectorySink`] |
//! | [`writer`] | what nobody may wait for |
//! | `events` | what a run tells its [`Observer`] |
//! | [`files`] | reads the files that options name |
//! | [`output`] | whether somebody has this process's standard output |
//!
//! # Example
//!
//! Backs up into a directory:
//!
//! ```no_run
//! use plakar_wasm::{DirectorySink, Error, Sandbox, backup, policy::options::Options};
//! use std::{path::Path, sync::Arc};
//!
//! # async fn example() -> Result<(), Error> {
//! let sandbox = Sandbox::new()?;
//! let connector = sandbox.connector(Path::new("connector.wasm")).await?;
//!
//! let mut options = Options::default();
//! options.set("max_duration", "10m");
//! let plan = connector.plan("test://127.0.0.1:8080", &options).await?;
//! println!("it may reach {}", plan.grant);
//!
//! let importer = connector.open(plan, Arc::new(())).await?;
//! let sink = DirectorySink::create(Path::new("backup"), false)?;
//! let summary = backup::run(importer, sink, &()).await?;
//! println!("{} bytes in {} records", summary.bytes, summary.records);
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "sandbox")]
pub mod backup;
#[cfg(feature = "sandbox")]
mod bindings;
mod description;
mod error;
mod events;
pub mod files;
#[cfg(feature = "sandbox")]
mod http;
#[cfg(feature = "sandbox")]
mod importer;
pub mod output;
#[cfg(feature = "sandbox")]
pub mod plugin;
pub mod policy;
#[cfg(feature = "sandbox")]
mod sandbox;
pub mod sink;
pub mod writer;

pub use description::{Description, OptionDescription, OptionKind, Protocol};
pub use error::{Error, Fault};
pub use events::{Event, Fact, Observer, Speaker};
#[cfg(feature = "sandbox")]
pub use importer::{Connector, Import, Importer, Reader, Record, Step};
#[cfg(feature = "sandbox")]
pub use sandbox::Sandbox;
pub use sink::DirectorySink;
