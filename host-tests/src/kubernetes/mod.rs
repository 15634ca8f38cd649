//! Kubernetes on etcd: a real API server, and what its clients see.
//!
//! ```no_run
//! use host_tests::etcd::{Etcd, Version};
//! use host_tests::kubernetes::ApiServer;
//!
//! let etcd = Etcd::start(Version::V3_6_14);
//! let server = ApiServer::start(&etcd.endpoint());
//! assert_eq!(server.get("/api/v1/namespaces/default")["metadata"]["name"], "default");
//! ```

mod api_server;
mod client;

pub use api_server::ApiServer;
pub use client::{Client, Watch};
