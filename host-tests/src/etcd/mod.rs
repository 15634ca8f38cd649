//! Real etcd members: start them, load them, ask them, stop them, restore them.
//!
//! ```no_run
//! use host_tests::etcd::{Etcd, Version};
//!
//! let etcd = Etcd::start(Version::V3_6_14);
//! etcd.put("greeting", "hello");
//! assert_eq!(etcd.revision(), 2);
//! ```

mod client;
mod cluster;
mod compare;
mod gate;
mod grpc_proxy;
mod load;
mod member;
mod ports;
mod restore;
mod version;

pub use client::Client;
pub use cluster::Cluster;
pub use compare::HashKv;
pub use gate::Gate;
pub use grpc_proxy::GrpcProxy;
pub use load::Writer;
pub use member::{Etcd, Settings};
pub use ports::free_port;
pub use version::{GatewayStyle, Version};
