//! Moves records to their places, and back again if one of them cannot be moved.
//!
//! The moves are written to a journal before the first one, and struck out after the last
//! one is synced. So the next run can undo what a run that was killed in between had begun.

use super::disk::{Disk, has_no_flag, sync_directory};
use plakar_policy::Error;
use rustix::fs::RenameFlags;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, Metadata};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The moves of one commit, from the lease to the target.
pub(super) struct Placing<'a> {
    disk: &'a dyn Disk,
    lease: &'a Path,
    to: &'a Path,
    force: bool,
    done: Vec<Move>,
}

/// A planned move, as it is written to the journal. Paths are relative to the target.
#[derive(Serialize, Deserialize)]
enum Plan {
    /// A directory is to be made.
    Make(PathBuf),
    /// A file is to be put.
    Put(PathBuf, Identity),
}

/// What distinguishes a file from others at the same path before or after it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Identity {
    /// Reused for the next file once a file is removed.
    inode: u64,
    length: u64,
    /// Has a resolution of two seconds on some file systems.
    modified: i64,
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self { inode: metadata.ino(), length: metadata.len(), modified: metadata.mtime() }
    }

    /// Returns that of the file at this path.
    fn at(path: &Path) -> Option<Self> {
        path.symlink_metadata().ok().as_ref().map(Self::of)
    }

    fn is(&self, other: &Self) -> bool {
        self.inode == other.inode
            && self.length == other.length
            && self.modified.abs_diff(other.modified) <= 2
    }
}

/// A move that was made.
#[derive(Debug, PartialEq)]
enum Move {
    /// A directory was made.
    Made(PathBuf),
    /// An old file was moved into the lease.
    SetAside(PathBuf),
    /// A file was moved to a place where nothing was.
    Moved(PathBuf),
    /// A file was exchanged with the one that was there.
    Swapped(PathBuf),
}

impl<'a> Placing<'a> {
    /// Prepares moves from a lease to below `to`.
    pub(super) fn new(disk: &'a dyn Disk, lease: &'a Path, to: &'a Path, force: bool) -> Self {
        Self { disk, lease, to, force, done: Vec::new() }
    }

    /// Checks whether a directory could be placed there now.
    pub(super) fn check_directory(&self, record: &Path) -> Result<(), Error> {
        let place = self.to.join(record);
        match place.symlink_metadata() {
            Ok(metadata) if !metadata.is_dir() && !record.as_os_str().is_empty() => {
                Err(Error::store(format!("`{}` exists and is not a directory", place.display())))
            }
            _ => Ok(()),
        }
    }

    /// Checks whether a file could be placed there now.
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

    /// Puts all records in place; `keep` makes that durable.
    pub(super) fn place(&mut self, records: &[PathBuf]) -> Result<(), Error> {
        let plan = self.plan(records)?;
        let journal = |error| failed("write", &self.lease.join(JOURNAL), &error);
        write_journal(self.disk, self.lease, &plan).map_err(journal)?;
        for step in &plan {
            match step {
                Plan::Make(directory) => self.make(directory)?,
                Plan::Put(file, _) => self.put(file)?,
            }
        }
        Ok(())
    }

    /// Returns the moves for these records, directories before their content.
    fn plan(&self, records: &[PathBuf]) -> Result<Vec<Plan>, Error> {
        let mut plan = Vec::new();
        let mut known = BTreeSet::new();
        for record in records.iter().filter(|record| !record.as_os_str().is_empty()) {
            let staged = self.staged(record);
            let metadata =
                staged.symlink_metadata().map_err(|error| failed("read", &staged, &error))?;
            let own = metadata.is_dir().then_some(record.as_path());
            let parents: Vec<&Path> = record.ancestors().skip(1).collect();
            for directory in parents.into_iter().rev().chain(own) {
                self.check_directory(directory)?;
                if known.insert(directory.to_owned()) && !self.to.join(directory).is_dir() {
                    plan.push(Plan::Make(directory.to_owned()));
                }
            }
            if own.is_none() {
                self.check_file(record)?;
                plan.push(Plan::Put(record.clone(), Identity::of(&metadata)));
            }
        }
        Ok(plan)
    }

    fn make(&mut self, record: &Path) -> Result<(), Error> {
        let place = self.to.join(record);
        DirBuilder::new()
            .mode(0o700)
            .create(&place)
            .map_err(|error| failed("make the directory", &place, &error))?;
        self.done.push(Move::Made(record.to_owned()));
        Ok(())
    }

    fn put(&mut self, record: &Path) -> Result<(), Error> {
        self.check_file(record)?;
        let (from, place) = (self.staged(record), self.to.join(record));
        let failed =
            |error| Error::store(format!("cannot move `{}` into place: {error}", place.display()));
        match self.disk.rename(&from, &place, RenameFlags::NOREPLACE) {
            Ok(()) => {
                self.done.push(Move::Moved(record.to_owned()));
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if self.force {
                    self.swap(record).map_err(failed)
                } else {
                    Err(exists(&place))
                }
            }
            // Without such a flag the check above must be enough.
            Err(error) if has_no_flag(&error) => match place.symlink_metadata() {
                Ok(_) => self.swap(record).map_err(failed),
                Err(_) => self.move_there(record).map_err(failed),
            },
            Err(error) => Err(failed(error)),
        }
    }

    /// Moves a file to the place of another one, and keeps the old one in the lease.
    fn swap(&mut self, record: &Path) -> io::Result<()> {
        let (from, place) = (self.staged(record), self.to.join(record));
        match self.disk.rename(&from, &place, RenameFlags::EXCHANGE) {
            Ok(()) => {
                self.done.push(Move::Swapped(record.to_owned()));
                Ok(())
            }
            Err(error) if has_no_flag(&error) => {
                let aside = self.aside(record)?;
                self.disk.rename(&place, &aside, RenameFlags::empty())?;
                self.done.push(Move::SetAside(record.to_owned()));
                self.move_there(record)
            }
            Err(error) => Err(error),
        }
    }

    fn move_there(&mut self, record: &Path) -> io::Result<()> {
        self.disk.rename(&self.staged(record), &self.to.join(record), RenameFlags::empty())?;
        self.done.push(Move::Moved(record.to_owned()));
        Ok(())
    }

    /// Gives the directories that were made here their modes, the innermost first, because
    /// a parent may not let its children be changed; and makes all moves durable.
    pub(super) fn keep(&mut self, modes: &[(PathBuf, u32)]) -> Result<(), Error> {
        let mut changed: BTreeSet<PathBuf> = BTreeSet::new();
        for step in &self.done {
            let record = step.record();
            changed.insert(self.to.join(record.parent().unwrap_or(Path::new(""))));
            if let Move::Made(made) = step {
                changed.insert(self.to.join(made));
            }
        }
        for directory in &changed {
            sync_directory(self.disk, directory)
                .map_err(|error| failed("sync the directory", directory, &error))?;
        }
        for (directory, mode) in modes.iter().rev() {
            if self.done.iter().any(|step| matches!(step, Move::Made(made) if made == directory)) {
                set_directory_mode(self.disk, &self.to.join(directory), *mode)?;
            }
        }
        strike_out(self.disk, self.lease)
            .map_err(|error| failed("remove", &self.lease.join(JOURNAL), &error))
    }

    /// Undoes the moves, the last one first. Returns whether everything is as it was
    /// before; what could not be put back stays in the lease.
    #[must_use]
    pub(super) fn undo(&mut self) -> bool {
        let mut undone = true;
        for step in std::mem::take(&mut self.done).into_iter().rev() {
            let record = step.record();
            let (place, staged) = (self.to.join(record), self.lease.join(RECORDS).join(record));
            let moved = match &step {
                Move::Made(_) => match std::fs::remove_dir(&place) {
                    // Another process has put something there.
                    Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(()),
                    removed => removed,
                },
                Move::SetAside(_) => {
                    self.disk.rename(&aside(self.lease, record), &place, RenameFlags::empty())
                }
                Move::Moved(_) => self.disk.rename(&place, &staged, RenameFlags::empty()),
                Move::Swapped(_) => self.swap_back(record),
            };
            if let Err(error) = moved {
                undone = false;
                tracing::error!(
                    "cannot move `{}` back, so it may be the new file or the old \
                    one: {error}",
                    place.display()
                );
            }
        }
        undone
    }

    /// Exchanges the new file and the old one, which is in the lease, back again.
    fn swap_back(&self, record: &Path) -> io::Result<()> {
        let (staged, place) = (self.staged(record), self.to.join(record));
        match self.disk.rename(&place, &staged, RenameFlags::EXCHANGE) {
            Err(error) if has_no_flag(&error) => {
                // Each step leads to a state that `recover` knows.
                let aside = self.aside(record)?;
                self.disk.rename(&staged, &aside, RenameFlags::empty())?;
                self.disk.rename(&place, &staged, RenameFlags::empty())?;
                self.disk.rename(&aside, &place, RenameFlags::empty())
            }
            swapped => swapped,
        }
    }

    /// Returns where an old file that was moved out of the way is kept, and makes the
    /// parents.
    fn aside(&self, record: &Path) -> io::Result<PathBuf> {
        let aside = aside(self.lease, record);
        if let Some(parent) = aside.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        Ok(aside)
    }

    fn staged(&self, record: &Path) -> PathBuf {
        self.lease.join(RECORDS).join(record)
    }
}

impl Move {
    fn record(&self) -> &Path {
        match self {
            Move::Made(path) | Move::SetAside(path) | Move::Moved(path) | Move::Swapped(path) => {
                path
            }
        }
    }
}

/// Gives a directory its mode and makes that durable.
pub(super) fn set_directory_mode(disk: &dyn Disk, path: &Path, mode: u32) -> Result<(), Error> {
    // Opened first, because the new mode may not let it be opened any more.
    File::open(path)
        .and_then(|directory| {
            disk.set_mode(&directory, mode)?;
            match disk.sync_all(&directory) {
                Err(error) if has_no_flag(&error) => Ok(()),
                synced => synced,
            }
        })
        .map_err(|error| failed("set the mode of", path, &error))
}

const RECORDS: &str = "records";

/// The journal of the moves. It appears complete, by a rename, and disappears by one.
const JOURNAL: &str = "commit";
/// The journal while it is written, and when it is no longer valid.
const JOURNAL_NEW: &str = "commit.new";
const JOURNAL_DONE: &str = "commit.done";

fn aside(lease: &Path, record: &Path) -> PathBuf {
    lease.join("old").join(record)
}

fn write_journal(disk: &dyn Disk, lease: &Path, plan: &[Plan]) -> io::Result<()> {
    let new = lease.join(JOURNAL_NEW);
    let mut journal = File::create_new(&new)?;
    journal.write_all(&serde_json::to_vec(plan)?)?;
    disk.sync_all(&journal)?;
    disk.rename(&new, &lease.join(JOURNAL), RenameFlags::empty())?;
    sync_directory(disk, lease).map(drop)
}

/// Strikes the journal out. If that cannot be made durable, the journal becomes valid
/// again: what follows is an undo, and the next run must find one that is killed.
fn strike_out(disk: &dyn Disk, lease: &Path) -> io::Result<()> {
    let (journal, done) = (lease.join(JOURNAL), lease.join(JOURNAL_DONE));
    disk.rename(&journal, &done, RenameFlags::empty())?;
    if let Err(error) = sync_directory(disk, lease) {
        disk.rename(&done, &journal, RenameFlags::empty())?;
        return Err(error);
    }
    Ok(())
}

/// Undoes what the run of a dead lease had begun; returns whether there was anything to
/// undo. If a file cannot be distinguished from the one that it replaces, nothing is moved.
pub(super) fn recover(disk: &dyn Disk, lease: &Path, to: &Path) -> io::Result<bool> {
    let plan: Vec<Plan> = match std::fs::read(lease.join(JOURNAL)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Ok(journal) => serde_json::from_slice(&journal).map_err(|error| {
            io::Error::other(format!("the list of its moves cannot be read ({error})"))
        })?,
        Err(error) => return Err(error),
    };
    let mut placing = Placing::new(disk, lease, to, true);
    for step in plan {
        match step {
            Plan::Make(directory) => {
                if to.join(&directory).is_dir() {
                    placing.done.push(Move::Made(directory));
                }
            }
            Plan::Put(file, new) => {
                let found = Found::look(lease, to, &file, new)?;
                placing.done.extend(found.moves(file));
            }
        }
    }
    let begun = !placing.done.is_empty();
    if placing.undo() { Ok(begun) } else { Err(io::Error::other("files could not be moved back")) }
}

/// Where the files of one record are.
struct Found {
    staged: bool,
    placed: bool,
    aside: bool,
}

impl Found {
    fn look(lease: &Path, to: &Path, record: &Path, new: Identity) -> io::Result<Self> {
        let staged = Identity::at(&lease.join(RECORDS).join(record));
        let place = Identity::at(&to.join(record));
        let aside = Identity::at(&aside(lease, record)).is_some();
        let unknown = |what: &str| {
            let place = to.join(record);
            Err(io::Error::other(format!("`{}` {what}", place.display())))
        };
        let placed = match (staged, place) {
            (_, Some(place)) if place.is(&new) => true,
            // The new one is still in the lease, so what is in its place is the old one.
            (Some(staged), Some(_)) if staged.is(&new) => false,
            // It is neither of them: it was put there later.
            (None, Some(_)) if !aside => false,
            (_, Some(_)) => return unknown("may be the old file or the new one"),
            (Some(staged), None) if !aside && !staged.is(&new) => {
                return unknown("is missing, and the old one may be in the hidden directory");
            }
            (_, None) => false,
        };
        Ok(Self { staged: staged.is_some(), placed, aside })
    }

    /// Returns the moves that led to this state.
    fn moves(&self, record: PathBuf) -> Vec<Move> {
        match self {
            Found { aside: true, placed: true, .. } => {
                vec![Move::SetAside(record.clone()), Move::Moved(record)]
            }
            Found { aside: true, .. } => vec![Move::SetAside(record)],
            Found { placed: true, staged: true, .. } => vec![Move::Swapped(record)],
            Found { placed: true, .. } => vec![Move::Moved(record)],
            Found { .. } => Vec::new(),
        }
    }
}

fn exists(place: &Path) -> Error {
    Error::store(format!("`{}` exists", place.display())).remedy("use `--force` to replace it")
}

fn failed(doing: &str, path: &Path, error: &io::Error) -> Error {
    super::directory::failed(doing, path, error)
}
