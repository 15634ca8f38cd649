//! The proof of a dump that was stored earlier: from a file or from standard input.

use super::verifier::{Content, DIGEST_SIZE, Proof, Unread, check_size};
use crate::error::{Error, Result};
use crate::proof::Keyspace;
use crate::proof::observer::Observer;
use plakar_connector::ErrorKind;
use std::io::Read;

const PIECE: usize = 256 << 10;
const DIGEST: usize = DIGEST_SIZE as usize;

/// What to do about a stored backup that is damaged. The member that it came from may be gone.
pub(crate) const USE_ANOTHER: &str = "do not restore it; use another backup";

/// The proof of a dump, and the content of its pages or why they were not read.
pub(crate) type Verified<O = ()> = (Proof, std::result::Result<Keyspace<O>, Unread>);

/// Reads a dump to its end and checks that it is a bbolt database of whole pages that agree
/// with each other, followed by the SHA-256 of all its bytes. Reading the pages, which are
/// passed to `observer`, takes at most `memory` bytes.
pub(crate) fn verify<O: Observer>(
    mut dump: impl Read,
    memory: usize,
    observer: O,
) -> Result<Verified<O>> {
    let mut content = Content::observed(memory, observer);
    let mut size = 0;
    // The size of a dump is known only at its end: the last 32 bytes read are kept
    // at the front of the buffer until more arrive.
    let mut buffer = vec![0; DIGEST + PIECE];
    let mut held = 0;
    loop {
        match dump.read(&mut buffer[held..]) {
            Ok(0) => break,
            Ok(length) => {
                let end = held + length;
                let digest = end.saturating_sub(DIGEST);
                content.update(&buffer[..digest]).map_err(damaged)?;
                buffer.copy_within(digest..end, 0);
                held = end - digest;
                size += length as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(Error::new(
                    ErrorKind::Interrupted,
                    format!("cannot read the dump: {error}"),
                ));
            }
        }
    }
    if size == 0 {
        return Err(Error::new(ErrorKind::Interrupted, "the dump is empty")
            .remedy("do not restore it; check the command that wrote it, and use another backup"));
    }
    let database = size.saturating_sub(DIGEST_SIZE);
    check_size(database).map_err(|_| {
        Error::new(
            ErrorKind::Interrupted,
            format!("the dump is incomplete ({size} bytes): it was cut, or has no digest"),
        )
        .remedy("do not restore it; use an earlier copy, or another backup")
    })?;
    let (sha256, pages) = content.finish(&buffer[..held]).map_err(damaged)?;
    let Some(pages) = pages else { unreachable!("the pages were to be read") };
    Ok((Proof { size, sha256 }, pages))
}

fn damaged(error: Error) -> Error {
    error.without_remedy().remedy(USE_ANOTHER)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: usize = 1 << 20;

    fn dump(pages: usize) -> Vec<u8> {
        let buckets = [("key".into(), Vec::new())].into();
        databases::Database { page_size: 512, pages, buckets, ..databases::Database::etcd() }.dump()
    }

    /// A reader that returns as few bytes at a time as a pipe may.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let length = self.0.len().min(self.1).min(buffer.len());
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    #[test]
    fn a_whole_dump_is_proven_however_it_is_read() {
        let dump = dump(3);
        for step in [1, 31, 32, 33, 1000, 100_000] {
            let (proof, pages) = verify(Trickle(&dump, step), MEMORY, ()).expect("a proof");
            assert_eq!(pages.map(|pages| pages.found.revision), Ok(1));
            assert_eq!(proof.size, dump.len() as u64);
            assert_eq!(proof.sha256[..], dump[dump.len() - 32..]);
        }
    }

    #[test]
    fn a_dump_cut_anywhere_is_refused() {
        let dump = dump(3);
        for end in 0..dump.len() {
            assert!(verify(&dump[..end], MEMORY, ()).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn a_flipped_bit_is_refused_wherever_it_is() {
        for at in [0, 17, 100, 1023, 1024, 1535, 1536, 1567] {
            let mut dump = dump(3);
            dump[at] ^= 1;
            assert_eq!(
                verify(&dump[..], MEMORY, ()).err().map(|error| error.kind),
                Some(ErrorKind::Corrupt),
                "at {at}"
            );
        }
    }
}
