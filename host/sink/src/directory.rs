//! Writes records as files below a directory, all of them or none.
//!
//! Everything is first written below a hidden directory inside the target, the run's
//! [lease](super::lease), so that it is on the same file system. If this run has made the
//! target, the commit is one move of the whole directory. Into a target that existed
//! before, the records are [placed](super::placing) one by one, by one run at a time.

use super::disk::{Disk, Kernel, has_no_flag, sync_directory};
use super::lease::{self, Lease};
use super::placing::{Placing, set_directory_mode};
use super::{Entry, Sink};
use bytes::Bytes;
use plakar_policy::Error;
use rustix::fs::RenameFlags;
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::task::{JoinHandle, spawn_blocking};

/// The number of bytes after which a file is synced. A single sync at its end would block
/// the disk for other processes: on a member's own host, for etcd's log.
pub(super) const SYNC_BYTES: usize = 16 << 20;

/// Writes records as files below a directory.
pub struct DirectorySink {
    disk: Arc<dyn Disk>,
    // Dropped before the target, which cannot be removed with this inside.
    lease: Lease,
    target: Target,
    force: bool,
    /// The recorded directories, and the modes that they get if they are new.
    directories: Vec<(PathBuf, u32)>,
    /// Every record's path relative to the target, in the order received.
    records: Vec<PathBuf>,
    open: Option<Open>,
}

struct Open {
    /// Some bytes are written while the next ones are being read.
    writing: JoinHandle<io::Result<File>>,
    /// What was written before is synced meanwhile.
    syncing: JoinHandle<io::Result<()>>,
    /// Bytes for which no sync has been started.
    unsynced: usize,
    entry: Entry,
    /// Its final path, for messages.
    place: PathBuf,
}

impl Open {
    /// Waits until everything is written, and returns the file.
    async fn written(&mut self) -> Result<File, Error> {
        joined(&mut self.writing).await.map_err(|error| failed("write", &self.place, &error))
    }

    /// Waits for the last sync. The kernel reports a failed write to the disk once: a later
    /// sync of the same file does not report it.
    async fn synced(&mut self) -> Result<(), Error> {
        joined(&mut self.syncing).await.map_err(|error| failed("write", &self.place, &error))
    }

    /// Starts to sync the file, once the last sync has ended.
    async fn sync(&mut self, disk: &Arc<dyn Disk>, file: &File) -> Result<(), Error> {
        self.synced().await?;
        let file = file.try_clone().map_err(|error| failed("write", &self.place, &error))?;
        let disk = Arc::clone(disk);
        self.syncing = spawn_blocking(move || disk.sync_data(&file));
        self.unsynced = 0;
        Ok(())
    }
}

/// Returns what a blocking task returned.
async fn joined<T>(
    task: impl Future<Output = Result<io::Result<T>, tokio::task::JoinError>>,
) -> io::Result<T> {
    task.await.unwrap_or_else(|error| Err(error.into()))
}

/// The directory that the user named; removed again if it was made and is not kept.
struct Target {
    path: PathBuf,
    made: bool,
    kept: bool,
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.made && !self.kept {
            // Fails, as it should, if another process has put something there.
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

pub(super) fn failed(doing: &str, path: &Path, error: &io::Error) -> Error {
    let failed = Error::store(format!("cannot {doing} `{}`: {error}", path.display()));
    match Errno::from_io_error(error) {
        Some(Errno::FBIG) => failed.remedy("check `ulimit -f` and the limits of the file system"),
        _ => failed,
    }
}

impl DirectorySink {
    /// Prepares the directory `path`: makes it if it is missing, and tries with its own
    /// files what the commit will do, so that a file system that refuses it is detected
    /// before anything is contacted. Files that exist are replaced only with `force`. May
    /// wait for the file system.
    pub fn create(path: &Path, force: bool) -> Result<Self, Error> {
        Self::create_on(Arc::new(Kernel), path, force)
    }

    pub(super) fn create_on(disk: Arc<dyn Disk>, path: &Path, force: bool) -> Result<Self, Error> {
        let made = match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => false,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(Error::store(format!("`{}` is not a directory", path.display())));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(failed("make the directory", path, &error)
                    .remedy("make the directory that it is to be in first"));
            }
            Err(error) => return Err(failed("make the directory", path, &error)),
        };
        let target = Target { path: path.to_owned(), made, kept: false };
        // A run that made its target and was killed in its commit leaves its lease here.
        if let Some(parent) = parent(path) {
            let _ = lease::sweep(disk.as_ref(), &parent);
        }
        let lease = Lease::take(Arc::clone(&disk), path)
            .map_err(|error| failed("write to the directory", path, &error))?;
        try_out(disk.as_ref(), lease.directory(), path)?;
        let (directories, records) = (Vec::new(), Vec::new());
        Ok(Self { disk, lease, target, force, directories, records, open: None })
    }

    /// Returns a record's relative path and where it is written first, and makes its
    /// parents.
    fn stage(&mut self, entry: &Entry) -> Result<(PathBuf, PathBuf), Error> {
        let relative = PathBuf::from(entry.pathname.trim_start_matches('/'));
        let staged = self.lease.records().join(&relative);
        if let Some(parent) = relative.parent() {
            let parent = self.lease.records().join(parent);
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&parent)
                .map_err(|error| failed("make the directory", &parent, &error))?;
        }
        Ok((relative, staged))
    }

    fn placing(&self) -> Placing<'_> {
        let lease = self.lease.directory();
        Placing::new(self.disk.as_ref(), lease, &self.target.path, self.force)
    }

    /// Moves all records at once to the place of the empty target. Returns false if the
    /// target is no longer empty, or they cannot be moved as a whole.
    fn place_whole(&mut self) -> Result<bool, Error> {
        let disk = Arc::clone(&self.disk);
        let Some(parent) = parent(&self.target.path) else { return Ok(false) };
        let Ok(path) = self.target.path.canonicalize() else { return Ok(false) };
        if self.lease.move_into(&parent).is_err() {
            return Ok(false);
        }
        let staged = self.lease.records();
        let records = self.records.iter().map(|record| staged.join(record));
        let mut parents: BTreeSet<PathBuf> =
            records.filter_map(|record| record.parent().map(Path::to_owned)).collect();
        parents.insert(staged.clone());
        parents.extend(self.directories.iter().map(|(directory, _)| staged.join(directory)));
        for directory in parents.iter().filter(|directory| directory.starts_with(&staged)) {
            let _ = sync_directory(disk.as_ref(), directory)
                .map_err(|error| failed("sync the directory", directory, &error))?;
        }
        // A directory can only replace an empty one.
        match disk.rename(&staged, &path, RenameFlags::empty()) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => return Ok(false),
            Err(error) => return Err(failed("put the records into", &path, &error)),
        }
        // From the innermost out: a parent may not let its children be changed.
        let mut below =
            self.directories.iter().rev().filter(|(below, _)| !below.as_os_str().is_empty());
        let kept = below
            .try_for_each(|(below, mode)| {
                set_directory_mode(disk.as_ref(), &path.join(below), *mode)
            })
            .and_then(|()| match sync_directory(disk.as_ref(), &parent) {
                Ok(_) => Ok(true),
                Err(error) => Err(failed("sync the directory", &parent, &error)),
            });
        kept.map_err(|kept| match disk.rename(&path, &staged, RenameFlags::empty()) {
            Ok(()) => kept,
            Err(error) => Error::store(format!(
                "{kept}; and `{}` cannot be moved back ({error}): its files are complete, but may be \
                    lost in a power failure",
                path.display()
            ))
            .remedy("remove it, and run the backup again"),
        })
    }

    /// Puts the records one by one into a target that existed before.
    fn place_each(&mut self) -> Result<(), Error> {
        let cannot = |error| failed("put the records into", &self.target.path, &error);
        self.lease.claim(&self.target.path).map_err(cannot)?;
        let mut placing = self.placing();
        let placed = placing.place(&self.records).and_then(|()| placing.keep(&self.directories));
        if placed.is_err() && !placing.undo() {
            self.lease.keep();
        }
        placed
    }
}

/// Returns the directory that a path is listed in; `None` for a root.
fn parent(path: &Path) -> Option<PathBuf> {
    Some(path.canonicalize().ok()?.parent()?.to_owned())
}

/// Tries in a lease everything that a commit will do, so that it is refused here.
fn try_out(disk: &dyn Disk, lease: &Path, target: &Path) -> Result<(), Error> {
    let (one, other) = (lease.join("try-1"), lease.join("try-2"));
    let cannot = |doing: &'static str| {
        move |error: io::Error| failed(&format!("{doing} in the directory"), target, &error)
    };
    let file = |path: &Path| OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut first = file(&one).map_err(cannot("make a file"))?;
    first.write_all(b"try").map_err(cannot("write a file"))?;
    disk.set_mode(&first, 0o600).map_err(cannot("set a file's permissions"))?;
    first.set_modified(SystemTime::now()).map_err(cannot("set a file's time"))?;
    disk.sync_data(&first).map_err(cannot("sync a file"))?;
    disk.sync_all(&first).map_err(cannot("sync a file"))?;
    file(&other).map_err(cannot("make a file"))?;
    match disk.rename(&one, &other, RenameFlags::EXCHANGE) {
        Err(error) if !has_no_flag(&error) => return Err(cannot("move a file")(error)),
        _ => {}
    }
    std::fs::remove_file(&other).map_err(cannot("remove a file"))?;
    match disk.rename(&one, &other, RenameFlags::NOREPLACE) {
        Err(error) if has_no_flag(&error) => disk.rename(&one, &other, RenameFlags::empty()),
        moved => moved,
    }
    .map_err(cannot("move a file"))?;
    std::fs::remove_file(&other).map_err(cannot("remove a file"))?;
    if !sync_directory(disk, target).map_err(cannot("sync what is listed"))? {
        tracing::warn!(
            "the directory `{}` cannot be synced: after a power failure the names of its \
             newest files may be missing",
            target.display()
        );
    }
    Ok(())
}

impl Sink for DirectorySink {
    async fn directory(&mut self, entry: &Entry) -> Result<(), Error> {
        let (relative, staged) = self.stage(entry)?;
        self.placing().check_directory(&relative)?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&staged)
            .map_err(|error| failed("make the directory", &staged, &error))?;
        self.directories.push((relative.clone(), entry.mode));
        self.records.push(relative);
        Ok(())
    }

    async fn begin_file(&mut self, entry: &Entry) -> Result<(), Error> {
        let (relative, staged) = self.stage(entry)?;
        self.placing().check_file(&relative)?;
        let place = self.target.path.join(&relative);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let writing = spawn_blocking(move || options.open(staged));
        self.records.push(relative);
        let syncing = spawn_blocking(|| Ok(()));
        self.open = Some(Open { writing, syncing, unsynced: 0, entry: entry.clone(), place });
        Ok(())
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        let open = self.open.as_mut().ok_or_else(|| Error::store("no file was begun"))?;
        let mut file = open.written().await?;
        if open.unsynced >= SYNC_BYTES {
            open.sync(&self.disk, &file).await?;
        }
        open.unsynced += bytes.len();
        open.writing = spawn_blocking(move || file.write_all(&bytes).map(|()| file));
        Ok(())
    }

    async fn finish_file(&mut self) -> Result<u64, Error> {
        let mut open = self.open.take().ok_or_else(|| Error::store("no file was begun"))?;
        let file = open.written().await?;
        open.synced().await?;
        let Open { entry, place, .. } = open;
        let disk = Arc::clone(&self.disk);
        let finished = spawn_blocking(move || {
            let length = file.metadata()?.len();
            disk.set_mode(&file, entry.mode)?;
            file.set_modified(entry.modified)?;
            disk.sync_all(&file)?;
            Ok(length)
        });
        joined(finished).await.map_err(|error| failed("finish", &place, &error))
    }

    fn commit(mut self) -> Result<(), Error> {
        if self.open.is_some() {
            return Err(Error::store("a file was begun and not finished"));
        }
        let whole = self.target.made && self.place_whole()?;
        if !whole {
            self.place_each()?;
        }
        self.target.kept = true;
        Ok(())
    }
}
