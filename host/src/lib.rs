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
//! | module | what it contains |
//! | --- | --- |
//! | `sandbox` | WASI, memory, log lines; [`Sandbox`] |
//! | `http` | the HTTP client behind the grant |
//! | `importer` | typed calls, each within its time limit; [`Connector`], [`Importer`], [`Import`] |
//! | [`backup`] | drives an import and keeps the account of it |
//! | [`plugin`] | serves an import to plakar |
//! | [`output`] | whether this process's standard output is open |
//!
//! Two parts need no WebAssembly and are crates of their own, whose tests take seconds:
//! [`policy`] contains the decisions (grant, options, TLS, limits, records), [`sink`] takes
//! the records, and lines for a reader that may stop reading. The command line is the
//! binary's, `cli`.
//!
//! `host/examples/embed.rs` is a whole program that backs up into a directory.

#![forbid(unsafe_code)]

pub mod backup;
mod bindings;
mod http;
mod importer;
pub mod output;
pub mod plugin;
mod sandbox;

pub use importer::{Connector, Import, Importer, Reader, Record, Step};
pub use sandbox::Sandbox;

pub use plakar_policy as policy;
pub use plakar_sink as sink;
