//! Records as files below a directory, all of them or none.
//!
//! Everything is written below a hidden directory inside the target first, so
//! that it is on the same file system, and moved to its place at the commit:
//!
//! ```text
//! TARGET/.plakar-wasm-XXXXXX.partial/lock      held by the run that writes here
//! TARGET/.plakar-wasm-XXXXXX.partial/records/  the records
//! ```

use super::lease::Lease;
use super::placing::Placing;
use super::{Entry, Sink};
use crate::Error;
use bytes::Bytes;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tokio::task::{JoinHandle, spawn_blocking};

/// After how many bytes a file is brought to the disk. All at its end would keep
/// the disk from whoever shares it: on a member's own host, from etcd's log.
const SYNC_BYTES: usize = 16 << 20;

/// Writes records as files below a directory.
pub struct DirectorySink {
    // Dropped before the target, which cannot be removed with this inside.
    lease: Lease,
    target: Target,
    force: bool,
    /// The directories recorded, and the modes they get where they are new.
    directories: Vec<(PathBuf, u32)>,
    /// Every record's path relative to the target, in the order they came.
    records: Vec<PathBuf>,
    open: Option<Open>,
}

struct Open {
    /// Some bytes are written while the next ones are being read.
    writing: JoinHandle<io::Result<File>>,
    /// What was written before is brought to the disk meanwhile.
    syncing: JoinHandle<io::Result<()>>,
    /// Bytes that are not even on their way to the disk.
    unsynced: usize,
    entry: Entry,
    /// Where it will be, for messages.
    place: PathBuf,
}

impl Open {
    /// The file, once all that it was given is written.
    async fn written(&mut self) -> Result<File, Error> {
        joined(&mut self.writing).await.map_err(|error| failed("write", &self.place, &error))
    }

    /// Starts to bring the file to the disk, once the last time is over.
    async fn sync(&mut self, file: &File) -> Result<(), Error> {
        let cannot = |error| failed("write", &self.place, &error);
        joined(&mut self.syncing).await.map_err(cannot)?;
        let file = file.try_clone().map_err(cannot)?;
        self.syncing = spawn_blocking(move || file.sync_data());
        self.unsynced = 0;
        Ok(())
    }
}

/// What a blocking task answered.
async fn joined<T>(
    task: impl Future<Output = Result<io::Result<T>, tokio::task::JoinError>>,
) -> io::Result<T> {
    task.await.unwrap_or_else(|error| Err(error.into()))
}

/// The directory that the user named; removed again where it was made in vain.
struct Target {
    path: PathBuf,
    made: bool,
    kept: bool,
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.made && !self.kept {
            // Fails, rightly, where somebody else has put something there.
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

fn failed(doing: &str, path: &Path, error: &io::Error) -> Error {
    Error::store(format!("cannot {doing} `{}`: {error}", path.display()))
}

impl DirectorySink {
    /// Prepares the directory `path`: makes it where it is missing, and checks by
    /// doing that it can be written. Files that exist are replaced only with `force`.
    pub fn create(path: &Path, force: bool) -> Result<Self, Error> {
        let made = match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => false,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(Error::store(format!("`{}` is not a directory", path.display())));
            }
            Err(error) => return Err(failed("make the directory", path, &error)),
        };
        let target = Target { path: path.to_owned(), made, kept: false };
        let lease =
            Lease::take(path).map_err(|error| failed("write to the directory", path, &error))?;
        Ok(Self { lease, target, force, directories: Vec::new(), records: Vec::new(), open: None })
    }

    /// Where a record is written first, its parents made.
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
        Placing::new(self.lease.records(), &self.target.path, self.force)
    }
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
            open.sync(&file).await?;
        }
        open.unsynced += bytes.len();
        open.writing = spawn_blocking(move || file.write_all(&bytes).map(|()| file));
        Ok(())
    }

    async fn finish_file(&mut self) -> Result<u64, Error> {
        let mut open = self.open.take().ok_or_else(|| Error::store("no file was begun"))?;
        let file = open.written().await?;
        let Open { entry, place, .. } = open;
        let finished = spawn_blocking(move || {
            let length = file.metadata()?.len();
            file.set_permissions(Permissions::from_mode(entry.mode))?;
            file.set_modified(entry.modified)?;
            file.sync_all()?;
            Ok(length)
        });
        joined(finished).await.map_err(|error| failed("finish", &place, &error))
    }

    fn commit(mut self) -> Result<(), Error> {
        let mut placing = self.placing();
        for record in &self.records {
            placing.place(record)?;
        }
        // From the innermost out: a parent may not let its children be changed.
        for (directory, mode) in self.directories.iter().rev() {
            placing.set_mode(directory, *mode)?;
        }
        placing.keep()?;
        self.target.kept = true;
        Ok(())
    }
}
