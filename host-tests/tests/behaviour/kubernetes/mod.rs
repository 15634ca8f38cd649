//! Kubernetes on a restored etcd: what its API servers serve, and what their
//! clients are told.

mod api_server;
