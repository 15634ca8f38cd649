//! etcd v3's API, as far as a backup needs it.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`messages`] | the answers, whichever transport carried them |
//! | [`transport`] | the calls, and the choice between two ways to carry them |
//! | [`grpc`] | native gRPC: frames, trailers |
//! | [`gateway`] | the JSON gateway: requests, answers, the stream's messages |
//! | [`splitter`] | where one JSON value of a stream ends and the next begins |
//! | [`refusal`] | what a refusal means, etcd's or a proxy's, and what to do about it |
//! | [`failure`] | what an exchange means that brought no answer at all |

pub mod failure;
pub mod gateway;
pub mod grpc;
pub mod messages;
pub mod refusal;
pub mod splitter;
pub mod transport;
