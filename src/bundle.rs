//! All records of a backup in one stream: a tar archive.

use crate::error::{Error, Result, Stage};
use crate::import::{DUMP, GUIDE, MANIFEST, Reader, Record};
use crate::manifest::DatabaseInfo;
use crate::net::Network;
use crate::options::PROOF_MEMORY_MOST;
use crate::snapshot::file;
use crate::snapshot::verifier::{Pages, Proof};
use plakar_connector::Kind;
use std::io::{self, Read, Write};
use std::time::UNIX_EPOCH;

/// The largest `manifest.json` that is read back, in bytes.
const MANIFEST_MOST: u64 = 1 << 20;

/// Writes a bundle.
pub struct Bundle<W: Write> {
    archive: tar::Builder<W>,
}

impl<W: Write> Bundle<W> {
    /// A bundle that goes to `out`.
    pub fn new(out: W) -> Self {
        Self { archive: tar::Builder::new(out) }
    }

    /// Appends a record, read to its end. Answers the size of its content.
    pub fn append<N: Network>(&mut self, record: Record<N>, most: usize) -> Result<u64> {
        let mut header = tar::Header::new_gnu();
        header.set_mode(record.mode);
        header.set_mtime(
            record.modified.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        );
        let Some(mut reader) = record.content else {
            return Ok(0);
        };
        // A snapshot tells its size with its first bytes.
        let first = reader.read(most)?.unwrap_or_default();
        let size = reader.size().unwrap_or(first.len() as u64);
        header.set_size(size);
        header.set_path(record.pathname.trim_start_matches('/')).map_err(write_failed)?;
        header.set_cksum();
        let content = Content { piece: first, taken: 0, reader, most };
        self.archive.append(&header, content).map_err(|error| match error.downcast::<Error>() {
            Ok(error) => error,
            Err(error) => write_failed(error),
        })?;
        Ok(size)
    }

    /// Ends the archive.
    pub fn finish(self) -> Result<()> {
        self.archive.into_inner().and_then(|mut out| out.flush()).map_err(write_failed)
    }
}

/// What a failed write means.
pub fn write_failed(error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::TimedOut => Kind::TimedOut,
        _ => Kind::Other,
    };
    Error::new(kind, format!("cannot write the output: {error}"))
        .remedy("throw away what was written, and run the backup again")
        .during(Stage::Store)
}

/// A reader as the standard library knows readers.
struct Content<N: Network> {
    piece: Vec<u8>,
    taken: usize,
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
        Ok(length)
    }
}

/// Checks a dump or a bundle, whichever comes.
pub fn verify(mut input: impl Read) -> Result<(Proof, Pages)> {
    // A tar archive says so at byte 257; a database has zeros there.
    let mut start = [0; 512];
    let mut length = 0;
    while length < start.len() {
        match input.read(&mut start[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(Error::new(Kind::Other, format!("cannot read the input: {error}")));
            }
        }
    }
    let start = &start[..length];
    let whole = start.chain(input);
    match start.get(257..262) == Some(b"ustar") {
        true => verify_bundle(whole),
        false => file::verify(whole, PROOF_MEMORY_MOST),
    }
}

fn verify_bundle(input: impl Read) -> Result<(Proof, Pages)> {
    #[derive(serde::Deserialize)]
    struct Manifest {
        dump: Dump,
        /// What the pages said then.
        #[serde(default)]
        database: Option<serde_json::Value>,
    }
    #[derive(serde::Deserialize)]
    struct Dump {
        bytes: u64,
        sha256: String,
    }
    let broken = |error: io::Error| incomplete(&format!("it cannot be read ({error})"));
    let (mut proof, mut manifest, mut guide) = (None, None, false);
    for entry in tar::Archive::new(input).entries().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        let path = entry.path().map_err(broken)?.to_string_lossy().into_owned();
        let pathname = format!("/{}", path.trim_start_matches("./"));
        match pathname.as_str() {
            DUMP => {
                let size = entry.size();
                let found = file::verify(entry, PROOF_MEMORY_MOST)?;
                if found.0.size != size {
                    return Err(incomplete("its dump was cut"));
                }
                proof = Some(found);
            }
            MANIFEST => {
                let parsed: Manifest =
                    serde_json::from_reader(entry.take(MANIFEST_MOST)).map_err(|error| {
                        incomplete(&format!("its `manifest.json` cannot be read ({error})"))
                    })?;
                manifest = Some(parsed);
            }
            GUIDE => guide = true,
            _ => {}
        }
    }
    match (proof, manifest, guide) {
        (Some((proof, pages)), Some(Manifest { dump, database }), true) => {
            let is_the_dump =
                dump.bytes == proof.size && dump.sha256 == crate::manifest::hex(&proof.sha256);
            let is_as_told = match (&pages, database) {
                (Some(Ok(keyspace)), Some(told)) => DatabaseInfo::of(keyspace).is_as_told(&told),
                _ => true,
            };
            match is_the_dump && is_as_told {
                true => Ok((proof, pages)),
                false => Err(Error::new(
                    Kind::Corrupt,
                    "the dump is not the one that `manifest.json` tells of",
                )
                .remedy("do not restore it; take another backup")),
            }
        }
        (None, ..) => Err(incomplete("it holds no `dump`")),
        (_, None, _) => Err(incomplete("it holds no `manifest.json`")),
        (_, _, false) => Err(incomplete("it holds no `RESTORE.md`")),
    }
}

fn incomplete(what: &str) -> Error {
    Error::new(Kind::Interrupted, format!("the bundle is not whole: {what}"))
        .remedy("do not restore it; take another backup")
}
