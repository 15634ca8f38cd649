//! The calls that a file system may refuse; those of the tests refuse more.

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs::{File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The calls in which file systems differ, or on which a backup's safety depends.
pub(super) trait Disk: Send + Sync + 'static {
    /// Syncs a file's content.
    fn sync_data(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    /// Syncs a file, or what a directory lists.
    fn sync_all(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    /// Sets the permission bits.
    fn set_mode(&self, file: &File, mode: u32) -> io::Result<()> {
        file.set_permissions(Permissions::from_mode(mode))
    }

    /// Moves a file or directory, or exchanges two.
    fn rename(&self, from: &Path, to: &Path, flags: RenameFlags) -> io::Result<()> {
        // Flags need a system call that not every kernel has, and not every filter allows.
        if flags.is_empty() {
            return std::fs::rename(from, to);
        }
        renameat_with(CWD, from, CWD, to, flags).map_err(io::Error::from)
    }

    /// Locks a file until it is closed, unless it is locked already.
    fn lock(&self, file: &File) -> Result<(), TryLockError> {
        file.try_lock()
    }
}

/// This machine's file systems.
pub(super) struct Kernel;

impl Disk for Kernel {}

fn is_one_of(error: &io::Error, errors: &[Errno]) -> bool {
    Errno::from_io_error(error).is_some_and(|errno| errors.contains(&errno))
}

/// Returns whether a rename failed because this file system does not support the flag.
pub(super) fn has_no_flag(error: &io::Error) -> bool {
    is_one_of(error, &[Errno::INVAL, Errno::NOSYS, Errno::NOTSUP])
}

/// Returns whether there are no locks on this file system.
pub(super) fn has_no_locks(error: &io::Error) -> bool {
    is_one_of(error, &[Errno::NOLCK, Errno::NOSYS, Errno::NOTSUP, Errno::INVAL])
}

/// Syncs what a directory lists; returns whether that was possible. Some file systems do
/// not support it, and some directories may be written but not read: databases continue
/// then, and so does a backup, because every file in it was synced by itself.
pub(super) fn sync_directory(disk: &dyn Disk, directory: &Path) -> io::Result<bool> {
    match File::open(directory).and_then(|file| disk.sync_all(&file)) {
        Ok(()) => Ok(true),
        Err(error)
            if is_one_of(&error, &[Errno::ACCESS, Errno::INVAL, Errno::NOTSUP, Errno::NOSYS]) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
