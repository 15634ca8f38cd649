//! Where the output of a run goes: records to a directory or any other [`Sink`], lines
//! through a [`writer`] to a reader that may stop reading. Runs no WebAssembly, so its
//! tests take seconds.

#![forbid(unsafe_code)]

mod directory;
mod disk;
mod lease;
mod placing;
pub mod writer;

#[cfg(test)]
mod tests;

pub use directory::DirectorySink;

use bytes::Bytes;
use plakar_policy::Error;
use std::time::SystemTime;

/// What is stored beside a record's content.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Absolute and clean; `/` is the root directory.
    pub pathname: String,
    /// Permission bits, the low nine of POSIX's mode.
    pub mode: u32,
    /// When the content last changed.
    pub modified: SystemTime,
}

/// Takes records, one at a time, and keeps all of them or none.
///
/// Dropping a sink without a commit discards everything. All errors
/// should be made with [`Error::store`].
pub trait Sink: Send {
    /// Takes a directory. It may exist already, because of an earlier file in it.
    fn directory(&mut self, entry: &Entry) -> impl Future<Output = Result<(), Error>> + Send;

    /// Begins a file: what follows is its content, until [`Sink::finish_file`].
    fn begin_file(&mut self, entry: &Entry) -> impl Future<Output = Result<(), Error>> + Send;

    /// Takes the next bytes of the current file.
    fn write(&mut self, bytes: Bytes) -> impl Future<Output = Result<(), Error>> + Send;

    /// Ends the current file and makes it durable; returns how many bytes are kept.
    fn finish_file(&mut self) -> impl Future<Output = Result<u64, Error>> + Send;

    /// Keeps everything, in one step that must not be interrupted.
    fn commit(self) -> Result<(), Error>;
}
