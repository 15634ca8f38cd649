//! Where compiled components are kept.
//!
//! ```text
//! ~/.cache/plakar-wasm/modules/   wasmtime's: compiled code
//! ~/.cache/plakar-wasm/sums/      ours: the digests of its files, taken when they were new
//! ```
//!
//! Compiled code is run as it is, so no other user may write there, and a file that has
//! changed on disk is compiled again.

use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use wasmtime::{Cache, CacheConfig};

/// A file is written within seconds, or the process that wrote it is gone. wasmtime does
/// not write a file again while such a file is there.
const STALE: Duration = Duration::from_secs(60);

/// A cache that can be used.
#[derive(Clone)]
pub(super) struct Cached {
    pub(super) cache: Cache,
    directory: PathBuf,
}

/// Opens the cache; `None` if it cannot be trusted or made, which only costs time.
pub(super) fn open() -> Option<Cached> {
    let directory = directory()?;
    let opened = prepare(&directory).and_then(|()| {
        let mut config = CacheConfig::new();
        config.with_directory(&directory);
        // Compressing a frequently used entry again takes more memory than anything else.
        config.with_optimized_compression_usage_counter_threshold(u64::MAX);
        Cache::new(config).map_err(|error| format!("{error:#}"))
    });
    match opened {
        Ok(cache) => {
            tidy(&directory, SystemTime::now());
            Some(Cached { cache, directory })
        }
        Err(reason) => {
            tracing::info!("no cache in `{}`: {reason}", directory.display());
            None
        }
    }
}

impl Cached {
    /// Stores the digests of files that are new.
    pub(super) fn remember(&self) {
        for file in compiled(&self.directory) {
            let Some(sum) = sum_of(&self.directory, &file).filter(|sum| !sum.exists()) else {
                continue;
            };
            let remembered = digest(&file).is_some_and(|digest| {
                let parent = sum.parent().unwrap_or(&self.directory);
                fs::create_dir_all(parent).and_then(|()| fs::write(&sum, digest)).is_ok()
            });
            if !remembered {
                let _ = fs::remove_file(&sum);
            }
        }
    }
}

/// Returns `$XDG_CACHE_HOME/plakar-wasm`, or the same below `~/.cache`.
fn directory() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(base.join("plakar-wasm"))
}

/// Makes the cache, and refuses it if other users can write to it, because its code is run
/// as it is.
fn prepare(directory: &Path) -> Result<(), String> {
    let user = rustix::process::geteuid();
    // What root makes in a user's home, as with `sudo -E`, would be in that user's way
    // later.
    let existing = directory.ancestors().find_map(|above| above.metadata().ok());
    if user.is_root() && existing.is_some_and(|above| above.uid() != 0) {
        return Err("it belongs to another user".into());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| format!("it cannot be made: {error}"))?;
    let metadata =
        directory.symlink_metadata().map_err(|error| format!("it cannot be read: {error}"))?;
    if !metadata.is_dir() {
        return Err("it is not a directory".into());
    }
    if metadata.uid() != user.as_raw() || metadata.mode() & 0o022 != 0 {
        return Err("other users can write to it".into());
    }
    Ok(())
}

/// Removes what a killed process was writing, and code that differs from what was written.
fn tidy(directory: &Path, now: SystemTime) {
    for file in entries(directory) {
        let gone = if is_unfinished(&file) {
            file.metadata()
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|modified| now.duration_since(modified).is_ok_and(|age| age > STALE))
        } else {
            file.extension().is_none()
                && sum_of(directory, &file).and_then(|sum| fs::read_to_string(sum).ok())
                    != digest(&file)
        };
        if gone {
            tracing::info!("removed `{}`, which is damaged or incomplete", file.display());
            let _ = fs::remove_file(&file);
            let _ = sum_of(directory, &file).map(fs::remove_file);
        }
    }
}

/// Iterates over wasmtime's files.
fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let below = |directory: PathBuf| {
        fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
    };
    below(directory.join("modules")).flat_map(below)
}

/// Iterates over the files that contain compiled code. The others are statistics.
fn compiled(directory: &Path) -> impl Iterator<Item = PathBuf> {
    entries(directory).filter(|file| file.extension().is_none())
}

fn is_unfinished(file: &Path) -> bool {
    file.extension().and_then(|end| end.to_str()).is_some_and(|end| end.starts_with("wip-"))
}

/// Returns where the digest of a file is stored. wasmtime's own cleanup expects files in
/// directories of directories.
fn sum_of(directory: &Path, file: &Path) -> Option<PathBuf> {
    Some(directory.join("sums").join("sha256").join(file.file_name()?))
}

fn digest(file: &Path) -> Option<String> {
    let digest = Sha256::digest(fs::read(file).ok()?);
    Some(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}
