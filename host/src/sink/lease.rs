//! The hidden directory that one run writes to, and what is left of dead ones.

use std::fs::{DirBuilder, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

const PREFIX: &str = ".plakar-wasm-";
const SUFFIX: &str = ".partial";

/// A run's own hidden directory. Dropping it removes it and all that is in it.
pub(super) struct Lease {
    directory: TempDir,
    records: PathBuf,
    /// Locked while the run lives, whatever ends it.
    _lock: File,
}

impl Lease {
    /// Makes one inside `target`, and removes those whose runs are dead.
    pub(super) fn take(target: &Path) -> io::Result<Self> {
        let _beginning = alone(target)?;
        sweep(target);

        let directory = tempfile::Builder::new()
            .prefix(PREFIX)
            .suffix(SUFFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(target)?;
        let lock = File::create_new(directory.path().join("lock"))?;
        lock.lock()?;
        let records = directory.path().join("records");
        DirBuilder::new().mode(0o700).create(&records)?;
        Ok(Self { directory, records, _lock: lock })
    }

    /// Where the records are written.
    pub(super) fn records(&self) -> &Path {
        &self.records
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(self.directory.path()) {
            tracing::warn!("cannot remove `{}`: {error}", self.directory.path().display());
        }
    }
}

/// Keeps other runs from beginning: none must take another's directory for a dead
/// one before it is locked. Where a directory cannot be locked, as on some network
/// file systems, or somebody else keeps it locked, that is left to chance.
fn alone(target: &Path) -> io::Result<File> {
    let directory = File::open(target)?;
    for _ in 0..20 {
        match directory.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(50)),
            _ => break,
        }
    }
    Ok(directory)
}

/// Removes the hidden directories that nobody has locked any more.
fn sweep(target: &Path) {
    let Ok(entries) = std::fs::read_dir(target) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if !(name.starts_with(PREFIX) && name.ends_with(SUFFIX)) {
            continue;
        }
        let Ok(lock) = File::open(entry.path().join("lock")) else { continue };
        if lock.try_lock().is_err() {
            continue;
        }
        match std::fs::remove_dir_all(entry.path()) {
            Ok(()) => tracing::warn!("removed `{name}`, which an interrupted run had left behind"),
            Err(error) => tracing::warn!("cannot remove `{name}`: {error}"),
        }
    }
}
