//! Kubernetes on etcd: real API servers, what their clients see, and control planes
//! that the real kubeadm has set up.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`ApiServer`] | one API server on one member |
//! | [`Client`] | what it serves |
//! | [`Kubeadm`] | control planes on nodes of their own, set up by kubeadm |
//! | [`Node`] | namespaces that stand for a machine |
//! | `kubelet` | the stand-in for the kubelet, which runs the static pods |
//! | [`Shell`] | an operator's shell on a node |
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
mod kubeadm;
mod kubelet;
mod node;
mod shell;

pub use api_server::ApiServer;
pub use client::{Client, Lists, Watch};
pub use kubeadm::{ControlPlane, Kubeadm};
pub use node::{Network, Node};
pub use shell::Shell;
