//! The etcd connector for Plakar: a WASI component that makes verified snapshots.
//!
//! ```text
//!            options ─┐
//!                     ▼
//!  members ◀──── session ──▶ snapshot::stream ──▶ import ──▶ records
//!    (net)       member        etcd::gateway       manifest
//!                              snapshot::verifier  restore
//! ```
//!
//! The **core** knows neither WIT nor WASI. It sees a network as the trait
//! [`net::Network`], and is tested natively with `cargo test --lib`. Stored backups are
//! read as files or from standard input, through the standard library. From the outside in:
//!
//! | module | its one job |
//! | --- | --- |
//! | [`options`] | what the user asked for, checked before anything is contacted |
//! | [`import`] | the order of the records: `/`, `/dump`, `/manifest.json`, `/RESTORE.md` |
//! | [`session`] | which members respond, which one is used, and its stream |
//! | [`identity`] | which member responds at an endpoint, from everything that it reported |
//! | [`member`] | which member suits a backup, and which must not be trusted |
//! | [`snapshot`] | the rules that a snapshot must satisfy, each once |
//! | [`proof`] | what the pages of a database contain, read as they arrive |
//! | [`quorum`] | what the members report of those keys, and what follows |
//! | [`etcd`] | etcd's API: requests, responses, refusals |
//! | [`manifest`], [`restore`] | what is recorded of a snapshot, and how to restore it |
//! | [`command`], [`bundle`] | the component's own command line and its archive |
//! | [`stored`], [`look`] | a backup that was stored earlier: checked, and inspected |
//! | [`error`], [`net`], [`deadline`] | the error type; the network; the time of a run |
//! | [`json`] | how JSON is written |
//!
//! The **adapters**, `wasi`, are built for `wasm32-wasip2` only and decide nothing:
//! they export `plakar:connector/importer` and `wasi:cli/run`, and implement the
//! network over `wasi:http`.
//!
//! Three promises guide every decision; if two conflict, the earlier takes precedence:
//! never a false success; no harm to the cluster; ready when a restore is needed.

// Only `wasi` has a command line, so nothing uses it natively. `./just lint` finds dead
// code in the build for WebAssembly.
#![cfg_attr(not(target_family = "wasm"), allow(dead_code, unused_imports))]

mod bundle;
mod command;
mod deadline;
mod error;
mod etcd;
mod identity;
pub mod import;
mod json;
mod look;
mod manifest;
mod member;
pub mod net;
mod options;
pub mod proof;
mod quorum;
mod restore;
mod session;
mod snapshot;
mod stored;

pub use error::Error;
pub use options::Options;

#[cfg(test)]
mod scripted;
#[cfg(target_family = "wasm")]
mod wasi;
