//! Compares a dump with the SHA-256 at its end: the check that `etcdctl snapshot
//! save` leaves out.

use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

const DIGEST: u64 = 32;
const PIECE: usize = 1 << 20;

/// Whether the dump is what its digest says.
pub(crate) fn dump(path: &Path) -> Result<(), String> {
    let reported = |error| format!("`{}`: {error}", path.display());
    let mut file = File::open(path).map_err(reported)?;
    let length = file.metadata().map_err(reported)?.len();
    let size =
        length.checked_sub(DIGEST).ok_or_else(|| reported(std::io::Error::other("too short")))?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE];
    let mut bytes = (&mut file).take(size);
    loop {
        match bytes.read(&mut piece).map_err(reported)? {
            0 => break,
            read => hash.update(&piece[..read]),
        }
    }
    file.seek(SeekFrom::Start(size)).map_err(reported)?;
    let mut digest = [0; DIGEST as usize];
    file.read_exact(&mut digest).map_err(reported)?;
    if hash.finalize()[..] == digest {
        Ok(())
    } else {
        Err(format!("`{}` does not match its SHA-256", path.display()))
    }
}
