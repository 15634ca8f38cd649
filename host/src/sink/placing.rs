//! Moves records from where they were written to where they belong, and back
//! again where one of them cannot be moved.

use crate::Error;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The moves of one commit. Dropping it before [`Placing::keep`] undoes them.
pub(super) struct Placing<'a> {
    from: &'a Path,
    to: &'a Path,
    force: bool,
    done: Vec<Move>,
}

/// A move that was made.
enum Move {
    /// A directory was made.
    Made(PathBuf),
    /// A directory or file was moved to where nothing was.
    Moved(PathBuf),
    /// A file changed places with the one that was there.
    Swapped(PathBuf),
}

impl<'a> Placing<'a> {
    /// From below `from` to below `to`.
    pub(super) fn new(from: &'a Path, to: &'a Path, force: bool) -> Self {
        Self { from, to, force, done: Vec::new() }
    }

    /// Whether a directory could be placed there as things stand.
    pub(super) fn check_directory(&self, record: &Path) -> Result<(), Error> {
        let place = self.to.join(record);
        match place.symlink_metadata() {
            Ok(metadata) if !metadata.is_dir() && !record.as_os_str().is_empty() => {
                Err(Error::store(format!("`{}` exists and is not a directory", place.display())))
            }
            _ => Ok(()),
        }
    }

    /// Whether a file could be placed there as things stand.
    pub(super) fn check_file(&self, record: &Path) -> Result<(), Error> {
        let place = self.to.join(record);
        for parent in record.ancestors().skip(1) {
            self.check_directory(parent)?;
        }
        match place.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => {
                Err(Error::store(format!("`{}` exists and is a directory", place.display())))
            }
            Ok(_) if !self.force => Err(exists(&place)),
            _ => Ok(()),
        }
    }

    /// Moves a record and the directories it needs. Those come before what lies
    /// in them, so that a directory is always moved empty.
    pub(super) fn place(&mut self, record: &Path) -> Result<(), Error> {
        if record.as_os_str().is_empty() {
            return Ok(());
        }
        for parent in record.ancestors().skip(1).collect::<Vec<_>>().into_iter().rev() {
            self.make_directory(parent)?;
        }
        if self.from.join(record).is_dir() {
            return self.make_directory(record);
        }
        self.check_file(record)?;
        let (from, place) = (self.from.join(record), self.to.join(record));
        let failed =
            |error| Error::store(format!("cannot put `{}` in its place: {error}", place.display()));
        match rename(&from, &place, RenameFlags::NOREPLACE) {
            Ok(()) => self.done.push(Move::Moved(record.to_owned())),
            Err(Errno::EXIST) if self.force => {
                rename(&from, &place, RenameFlags::EXCHANGE).map_err(failed)?;
                self.done.push(Move::Swapped(record.to_owned()));
            }
            Err(Errno::EXIST) => return Err(exists(&place)),
            // Some file systems know no flags. The check above must do there,
            // and what was replaced cannot be had back.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                rename(&from, &place, RenameFlags::empty()).map_err(failed)?;
                self.done.push(Move::Moved(record.to_owned()));
            }
            Err(error) => return Err(failed(error)),
        }
        Ok(())
    }

    fn make_directory(&mut self, record: &Path) -> Result<(), Error> {
        let place = self.to.join(record);
        if record.as_os_str().is_empty() || place.is_dir() {
            return self.check_directory(record);
        }
        let failed = |error: io::Error| {
            Error::store(format!("cannot make the directory `{}`: {error}", place.display()))
        };
        DirBuilder::new().mode(0o700).create(&place).map_err(failed)?;
        self.done.push(Move::Made(record.to_owned()));
        Ok(())
    }

    /// Gives a directory that was made here its mode. To be done last, for it may
    /// be one that cannot be filled any more.
    pub(super) fn set_mode(&self, record: &Path, mode: u32) -> Result<(), Error> {
        if !self.done.iter().any(|step| matches!(step, Move::Made(made) if made == record)) {
            return Ok(());
        }
        let place = self.to.join(record);
        std::fs::set_permissions(&place, Permissions::from_mode(mode)).map_err(|error| {
            Error::store(format!("cannot set the mode of `{}`: {error}", place.display()))
        })
    }

    /// Makes the moves last and keeps them.
    pub(super) fn keep(mut self) -> Result<(), Error> {
        let mut changed: BTreeSet<PathBuf> = BTreeSet::new();
        for step in &self.done {
            let (Move::Made(record) | Move::Moved(record) | Move::Swapped(record)) = step;
            changed.insert(self.to.join(record.parent().unwrap_or(Path::new(""))));
        }
        // The target itself may be new.
        changed.extend(self.to.canonicalize().ok().and_then(|to| to.parent().map(Path::to_owned)));
        for directory in changed {
            let synced = File::open(&directory).and_then(|file| file.sync_all());
            synced.map_err(|error| {
                Error::store(format!(
                    "cannot sync the directory `{}`: {error}",
                    directory.display()
                ))
            })?;
        }
        self.done.clear();
        Ok(())
    }
}

impl Drop for Placing<'_> {
    fn drop(&mut self) {
        for step in self.done.drain(..).rev() {
            let undone = match &step {
                Move::Made(record) => std::fs::remove_dir(self.to.join(record)),
                Move::Moved(record) => {
                    std::fs::rename(self.to.join(record), self.from.join(record))
                }
                Move::Swapped(record) => {
                    rename(&self.to.join(record), &self.from.join(record), RenameFlags::EXCHANGE)
                        .map_err(io::Error::from)
                }
            };
            if let Err(error) = undone {
                let (Move::Made(record) | Move::Moved(record) | Move::Swapped(record)) = &step;
                tracing::error!("cannot take `{}` back: {error}", self.to.join(record).display());
            }
        }
    }
}

fn rename(from: &Path, to: &Path, flags: RenameFlags) -> rustix::io::Result<()> {
    renameat_with(CWD, from, CWD, to, flags)
}

fn exists(place: &Path) -> Error {
    Error::store(format!("`{}` exists; use `--force` to replace it", place.display()))
}
