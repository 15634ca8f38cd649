//! The HTTP client that components send requests through.
//!
//! ```text
//! component ─wasi:http─▶ Hook ──granted?──▶ Client ─▶ hyper, pooled ─▶ server
//!                         └─ refused: HTTP-request-denied and a warning
//! ```
//!
//! gRPC goes over HTTP/2, everything else over HTTP/1.1. Keys and certificates stay in the
//! host: a component requests `https`; if that fails, it gets a text that begins with
//! `tls: ` and ends with what to do.
//!
//! Redirects are not followed, contents are not decoded, and proxies named by environment
//! variables are not used: each of them would bypass the grant, or change what the
//! component believes it reads.

mod body;
mod cause;
mod client;
mod connection;
mod error;
mod hook;
mod resolver;
mod tls;

pub(crate) use client::Client;
pub(crate) use hook::Hook;
