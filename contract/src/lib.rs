//! The part of the contract `plakar:connector` that WIT cannot express.
//!
//! `wit/connector.wit` defines which functions of each other a host and a component
//! call. Both also have to read a few texts in the same way: the location that the
//! user typed, the list of endpoints, the time limits, the names that belong to the
//! host. Each of those rules is here, once, and host and component both use
//! it; so what a component connects to and what the host grants cannot differ.
//!
//! | module | contents |
//! | --- | --- |
//! | [`location`] | `etcd://node1:2379`, `endpoints=a,b`, and the [`Authority`]s they name |
//! | [`error_kind`] | the kinds of failure, and the exit code of each |
//! | [`message`] | the one grammar of messages about failures |
//! | [`limits`] | durations and the four reserved time limits |
//! | [`names`] | reserved option names, and what was meant by a misspelt one |
//! | [`text`] | untrusted texts, made safe to show |
//!
//! ```
//! use plakar_connector::{Protocol, location};
//!
//! let protocols = [Protocol { name: "etcd", tls: false, default_port: 2379 }];
//! let source = location::parse(&protocols, "etcd://node1", Some("node2:2380, node3")).unwrap();
//! let granted: Vec<String> = source.authorities.iter().map(|a| a.to_string()).collect();
//! assert_eq!(granted, ["node2:2380", "node3:2379"]);
//! ```

#![forbid(unsafe_code)]

pub mod error_kind;
pub mod limits;
pub mod location;
pub mod message;
pub mod names;
pub mod text;

pub use error_kind::ErrorKind;
pub use limits::TimeLimits;
pub use location::{Authority, Protocol, Source};
pub use message::Message;
