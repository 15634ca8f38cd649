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
//! | [`session`] | who is there, who is asked, and the stream from that member |
//! | [`identity`] | who responds at an endpoint, by everything that was reported there |
//! | [`member`] | which member suits a backup, and which must not be trusted |
//! | [`snapshot`] | the rules that a snapshot must keep, each once |
//! | [`proof`] | what the pages of a database say, read while they pass |
//! | [`quorum`] | what the members say of those keys, and what follows |
//! | [`etcd`] | etcd's API: requests, responses, refusals |
//! | [`manifest`], [`restore`] | what is recorded of a snapshot, and how to restore it |
//! | [`command`], [`bundle`] | the component's own command line and its archive |
//! | [`stored`], [`look`] | a backup that was stored earlier: checked, and looked into |
//! | [`error`], [`net`], [`deadline`] | the one error; the one way out; the one clock |
//! | [`json`] | how JSON is written |
//!
//! The **adapters**, `wasi`, are built for `wasm32-wasip2` only and decide nothing:
//! they export `plakar:connector/importer` and `wasi:cli/run`, and implement the
//! network over `wasi:http`.
//!
//! Three promises order every decision; where two conflict, the earlier wins:
//! never a false success; do no harm to the cluster; ready for the bad day.

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
