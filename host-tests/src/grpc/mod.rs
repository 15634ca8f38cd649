//! A scripted gRPC server in the place of etcd, to break one rule of the protocol
//! at a time.
//!
//! ```no_run
//! use host_tests::database::database;
//! use host_tests::gateway::Stream;
//! use host_tests::grpc::{End, GrpcServer, Snapshot};
//!
//! // Every byte comes, and then the status is another than OK.
//! let stream = Stream::of(&database(4));
//! let snapshot = Snapshot::of(&stream).ending(End::status(13, "disk on fire"));
//! let server = GrpcServer::start(snapshot);
//! assert!(server.requests().is_empty());
//! ```

mod message;
mod server;
mod snapshot;

pub use server::GrpcServer;
pub use snapshot::{End, Snapshot};
