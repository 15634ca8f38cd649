//! etcd v3's API, as far as a backup needs it.
//!
//! | module | contents |
//! | --- | --- |
//! | [`messages`] | the responses, for both transports |
//! | [`call`] | the calls, and what a response to one can be |
//! | [`transport`] | the choice between two ways to carry them |
//! | [`grpc`] | native gRPC: frames, trailers |
//! | [`gateway`] | the JSON gateway: requests, responses, the stream's messages |
//! | [`splitter`] | where one JSON value of a stream ends and the next begins |
//! | [`alarm`] | alarms, as texts in a status |
//! | [`refusal`] | what a refusal means, etcd's or a proxy's, and what to do about it |
//! | [`failure`] | what an exchange without a response means |

pub(crate) mod alarm;
pub(crate) mod call;
pub(crate) mod failure;
pub(crate) mod gateway;
pub(crate) mod grpc;
pub(crate) mod messages;
pub(crate) mod refusal;
pub(crate) mod splitter;
pub(crate) mod transport;
