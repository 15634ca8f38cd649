//! The snapshot itself: from the messages of the stream to proven bytes.
//!
//! | module | contents |
//! | --- | --- |
//! | [`verifier`] | the rules that a snapshot must satisfy, each once |
//! | [`stream`] | a body, a decoder and the verifier, read as bytes |
//! | [`file`] | the same proof of a dump that was stored earlier |

pub(crate) mod file;
pub(crate) mod stream;
pub(crate) mod verifier;
