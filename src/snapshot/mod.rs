//! The snapshot itself: from the messages of the stream to proven bytes.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`verifier`] | the rules that a snapshot must keep, each once |
//! | [`stream`] | a body, a decoder and the verifier, pulled as bytes |
//! | [`file`] | the same proof over a dump that was stored earlier |

pub(crate) mod file;
pub(crate) mod stream;
pub(crate) mod verifier;
