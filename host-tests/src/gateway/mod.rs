//! A scripted server in the place of etcd, for what a real one cannot be made
//! to do: break one rule of the protocol at a time.
//!
//! ```no_run
//! use host_tests::database::database;
//! use host_tests::gateway::{Response, Gateway, Member, Stream};
//!
//! // Everything as a real member sends it, except for a digest that is wrong.
//! let database = database(4);
//! let mut stream = Stream::of(&database);
//! stream.digest()[0] ^= 1;
//! let gateway = Gateway::start(Member::with(&database).snapshot(Response::stream(stream.body())));
//! assert!(gateway.requests().is_empty());
//! ```

mod member;
mod request;
mod response;
mod server;
mod stream;

pub use member::Member;
pub use request::Request;
pub use response::Response;
pub use server::{Gateway, unresponsive_port};
pub use stream::{Message, Stream, join};
