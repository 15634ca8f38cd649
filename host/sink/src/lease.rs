//! The hidden directory that one run writes to, and those that dead runs left.
//!
//! ```text
//! .plakar-wasm-XXXXXX.new/       is being made
//! .plakar-wasm-XXXXXX.partial/   belongs to a run
//! .plakar-wasm-commit.partial/   belongs to the run that puts its records in place
//!     lock      locked while that run lives, whatever ends it
//!     records/  the records on their way
//!     old/      what they replace, if two files cannot be exchanged
//!     commit    what is being put in place; without it there is nothing to undo
//! ```
//!
//! A lock file exists and is locked before its directory is renamed to `.partial`. So a
//! `.partial` directory without a lock, or whose lock is free, belongs to a dead run.

use super::disk::{Disk, has_no_locks};
use super::placing;
use rustix::fs::{OFlags, RenameFlags};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

const PREFIX: &str = ".plakar-wasm-";
const NEW: &str = ".new";
const PARTIAL: &str = ".partial";

/// The name of a run's directory while it puts its records in place. A directory that is
/// not empty cannot be replaced, so there is one of them at a time.
const COMMITTING: &str = ".plakar-wasm-commit.partial";

/// How long to wait for another run that puts its records in place, which takes a few
/// renames and syncs.
const PATIENCE: Duration = Duration::from_secs(30);

/// A directory that has been in preparation for longer than this is abandoned.
const ABANDONED: Duration = Duration::from_secs(3600);

/// A run's own hidden directory. Dropping it removes it and all that is in it.
pub(super) struct Lease {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    kept: bool,
    /// Locked while the run lives.
    _lock: File,
}

impl Lease {
    /// Makes a lease inside `target`, and removes those whose runs are dead.
    pub(super) fn take(disk: Arc<dyn Disk>, target: &Path) -> io::Result<Self> {
        sweep(disk.as_ref(), target)?;
        let new = tempfile::Builder::new()
            .prefix(PREFIX)
            .suffix(NEW)
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .tempdir_in(target)?
            .keep();
        let directory = new.with_extension(&PARTIAL[1..]);
        let made = prepare(disk.as_ref(), &new).and_then(|lock| {
            disk.rename(&new, &directory, RenameFlags::empty())?;
            Ok(lock)
        });
        match made {
            Ok(lock) => Ok(Self { disk, directory, kept: false, _lock: lock }),
            Err(error) => {
                remove_bare(&new);
                Err(error)
            }
        }
    }

    /// Returns where the records are written.
    pub(super) fn records(&self) -> PathBuf {
        self.directory.join("records")
    }

    /// Returns the directory itself.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Moves the lease into another directory of the same file system.
    pub(super) fn move_into(&mut self, parent: &Path) -> io::Result<()> {
        let to = parent.join(self.directory.file_name().unwrap_or_default());
        self.disk.rename(&self.directory, &to, RenameFlags::empty())?;
        self.directory = to;
        Ok(())
    }

    /// Leaves the directory to the next run, because it contains what could not be put
    /// back.
    pub(super) fn keep(&mut self) {
        self.kept = true;
    }

    /// Makes this run the only one that puts records in place below `target`, until the
    /// lease is dropped. Waits for another run that does so, and undoes what a dead one
    /// began.
    pub(super) fn claim(&mut self, target: &Path) -> io::Result<()> {
        let claimed = target.join(COMMITTING);
        let begun = Instant::now();
        loop {
            match self.disk.rename(&self.directory, &claimed, RenameFlags::empty()) {
                Ok(()) => {
                    self.directory = claimed;
                    return Ok(());
                }
                Err(error) if !is_taken(&error) => return Err(error),
                Err(_) if begun.elapsed() > PATIENCE => {
                    return Err(io::Error::other(format!(
                        "another run is moving its backup into place; if there is none, remove \
                            `{}`",
                        claimed.display()
                    )));
                }
                Err(_) => sweep_one(self.disk.as_ref(), target, &claimed)?,
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        if let Err(error) = std::fs::remove_dir_all(&self.directory) {
            tracing::warn!("cannot remove `{}`: {error}", self.directory.display());
        }
    }
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists)
}

/// Puts a locked lock file and a directory for records into a new directory.
fn prepare(disk: &dyn Disk, new: &Path) -> io::Result<File> {
    let mut lock =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(new.join("lock"))?;
    // For people who look into it.
    writeln!(lock, "{}", std::process::id())?;
    match disk.lock(&lock) {
        Ok(()) => {}
        // A running process cannot be distinguished from a dead one there, so nothing is removed.
        Err(TryLockError::Error(error)) if has_no_locks(&error) => tracing::warn!(
            "`{}` has no locks ({error}): what a killed run leaves there is not removed",
            new.parent().unwrap_or(new).display()
        ),
        Err(error) => return Err(error.into()),
    }
    DirBuilder::new().mode(0o700).create(new.join("records"))?;
    Ok(lock)
}

/// Removes what [`prepare`] made, without opening anything, because there may be no more
/// file descriptors.
fn remove_bare(new: &Path) {
    let _ = std::fs::remove_dir(new.join("records"));
    let _ = std::fs::remove_file(new.join("lock"));
    let _ = std::fs::remove_dir(new);
}

/// Removes the hidden directories of dead runs, and undoes what they had begun. Fails if
/// that cannot be undone.
pub(super) fn sweep(disk: &dyn Disk, directory: &Path) -> io::Result<()> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Ok(()) };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        if name.ends_with(PARTIAL) {
            sweep_one(disk, directory, &entry.path())?;
        } else if name.ends_with(NEW) && is_ours(&entry.path()) && age(&entry.path()) > ABANDONED {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

/// Does the same for one of them.
fn sweep_one(disk: &dyn Disk, target: &Path, lease: &Path) -> io::Result<()> {
    if !is_ours(lease) {
        return Ok(());
    }
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(flags);
    let _lock = match options.open(lease.join("lock")) {
        Ok(lock) => match disk.lock(&lock) {
            Ok(()) => Some(lock),
            Err(_) => return Ok(()),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(_) => return Ok(()),
    };
    let shown = lease.display();
    let undone = placing::recover(disk, lease, target).map_err(|error| {
        io::Error::other(format!(
            "a run was killed while it moved its backup into place, and this cannot be undone: \
                {error}; the replaced files are below `{shown}`: move them back, and remove that \
                directory"
        ))
    })?;
    if undone {
        tracing::warn!(
            "restored `{}` to its state before a run that was killed while it moved its backup \
                into place",
            target.display()
        );
    }
    match std::fs::remove_dir_all(lease) {
        Ok(()) => tracing::warn!("removed `{shown}`, which an interrupted run had left"),
        Err(error) => tracing::warn!("cannot remove `{shown}`: {error}"),
    }
    Ok(())
}

/// Returns whether it is a directory of this user: in a shared directory, those of others
/// are not trusted.
fn is_ours(lease: &Path) -> bool {
    lease.symlink_metadata().is_ok_and(|metadata| {
        metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw()
    })
}

fn age(path: &Path) -> Duration {
    let modified = path.symlink_metadata().and_then(|metadata| metadata.modified());
    modified
        .ok()
        .and_then(|modified| SystemTime::now().duration_since(modified).ok())
        .unwrap_or_default()
}
