//! All records of a backup in one stream: a tar archive.

use crate::error::{Error, Result, Stage};
use crate::import::{Reader, Record};
use crate::net::Network;
use plakar_connector::ErrorKind;
use std::io::{self, Read, Write};
use std::time::UNIX_EPOCH;

/// Writes a bundle.
pub(crate) struct Bundle<W: Write> {
    archive: tar::Builder<W>,
}

impl<W: Write> Bundle<W> {
    /// A bundle that goes to `out`.
    pub(crate) fn new(out: W) -> Self {
        Self { archive: tar::Builder::new(out) }
    }

    /// Appends a record, read to its end. Returns the size of its content.
    pub(crate) fn append<N: Network>(&mut self, record: Record<N>, most: usize) -> Result<u64> {
        let mut header = tar::Header::new_gnu();
        header.set_mode(record.mode);
        header.set_mtime(
            record.modified.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        );
        let Some(mut reader) = record.content else {
            return Ok(0);
        };
        // The size of a snapshot is known only after its first bytes.
        let first = reader.read(most)?.unwrap_or_default();
        let Some(size) = reader.size() else {
            let what =
                format!("the size of `{}` is not known with its first bytes", record.pathname);
            return Err(Error::new(ErrorKind::Other, what).during(Stage::Store));
        };
        header.set_size(size);
        header.set_path(record.pathname.trim_start_matches('/')).map_err(write_failed)?;
        header.set_cksum();
        let mut content = Content { piece: first, taken: 0, count: 0, reader, most };
        self.archive.append(&header, &mut content).map_err(|error| {
            match error.downcast::<Error>() {
                Ok(error) => error,
                Err(error) => write_failed(error),
            }
        })?;
        if content.count != size {
            let what = format!("`{}` has {} bytes, not {size}", record.pathname, content.count);
            return Err(Error::new(ErrorKind::Other, what).during(Stage::Store));
        }
        Ok(size)
    }

    /// Ends the archive.
    pub(crate) fn finish(self) -> Result<()> {
        self.archive.into_inner().and_then(|mut out| out.flush()).map_err(write_failed)
    }
}

/// The error of a backup whose output cannot be written.
pub(crate) fn write_failed(error: io::Error) -> Error {
    let limit = match error.kind() {
        io::ErrorKind::TimedOut => ", the `store_timeout`",
        _ => "",
    };
    let error = io::Error::new(error.kind(), format!("{error}{limit}"));
    output_failed(error).remedy("discard the output, and run the backup again").during(Stage::Store)
}

/// The error of a command whose output cannot be written.
pub(crate) fn output_failed(error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::TimedOut => ErrorKind::TimedOut,
        _ => ErrorKind::Other,
    };
    Error::new(kind, format!("cannot write the output: {error}"))
}

/// A reader with the standard library's interface.
struct Content<N: Network> {
    piece: Vec<u8>,
    taken: usize,
    /// The number of bytes that were read.
    count: u64,
    reader: Reader<N>,
    most: usize,
}

impl<N: Network> Read for Content<N> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.piece.len() {
            self.taken = 0;
            self.piece = self.reader.read(self.most).map_err(io::Error::other)?.unwrap_or_default();
        }
        let length = buffer.len().min(self.piece.len() - self.taken);
        buffer[..length].copy_from_slice(&self.piece[self.taken..self.taken + length]);
        self.taken += length;
        self.count += length as u64;
        Ok(length)
    }
}
