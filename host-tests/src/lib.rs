//! What the behaviour tests stand on: real etcd members, a gateway that lies on
//! purpose, and the built programs, run as a user runs them.
//!
//! Nothing here links the component or the host. The tests see what an operator
//! sees: exit codes, output, files, and the members' own account.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`tools`] | where the built products and the installed tools are |
//! | [`process`] | processes that cannot outlive the tests |
//! | [`etcd`] | real members of four versions: load them, ask them, stop them, restore them |
//! | [`kubernetes`] | a real Kubernetes API server on a member |
//! | [`certs`] | certificates, good and bad, for servers and clients |
//! | [`balancer`] | one address in front of several members |
//! | [`tls_front`] | what ends TLS in front of a member |
//! | [`gateway`] | a scripted server in the place of etcd, for what a real one cannot be made to do |
//! | [`grpc`] | the same over native gRPC |
//! | [`recorded`] | texts that real servers were seen to send, for those two |
//! | [`database`] | bytes that look like a database, for that server |
//! | [`backup`] | a backup under test: from where, with which options, and what came of it |
//! | [`golden`] | texts that people read, compared word for word |
//! | [`run`] | `plakar-wasm` and stock `wasmtime` as bounded subprocesses |
//! | [`plakar`] | the real plakar with the package installed |
//! | [`target`] | a directory to back up into, and what was left in it |
//!
//! Run them optimised, `cargo test --release -p host-tests`: they hash and
//! compare hundreds of megabytes.

#![forbid(unsafe_code)]

pub mod backup;
pub mod balancer;
pub mod certs;
pub mod database;
pub mod etcd;
pub mod gateway;
pub mod golden;
pub mod grpc;
pub mod kubernetes;
pub mod plakar;
pub mod process;
pub mod recorded;
pub mod run;
pub mod target;
pub mod tls_front;
pub mod tools;
