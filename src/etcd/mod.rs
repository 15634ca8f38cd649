//! etcd v3's API, as far as a backup needs it.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`messages`] | the answers, whatever transport carried them |
//! | [`gateway`] | the JSON gateway: requests, answers, the stream's messages |
//! | [`splitter`] | where one JSON value of a stream ends and the next begins |
//! | [`refusal`] | what etcd's refusals mean, and what to do about them |

pub mod gateway;
pub mod messages;
pub mod refusal;
pub mod splitter;
