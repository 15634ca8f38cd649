//! Where compiled components are kept.
//!
//! ```text
//! ~/.cache/plakar-wasm/modules/   wasmtime's: compiled code
//! ~/.cache/plakar-wasm/sums/      ours: what its files' digests were when they were new
//! ```
//!
//! Compiled code is run as it is, so nobody else may write there, and a file that has
//! changed on disk is compiled again.

use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use wasmtime::{Cache, CacheConfig};

/// A file is written within seconds, or not any more. wasmtime writes no file again
/// while such a file is there.
const STALE: Duration = Duration::from_secs(60);

/// A cache that can be used.
#[derive(Clone)]
pub(super) struct Cached {
    pub(super) cache: Cache,
    directory: PathBuf,
}

/// Opens the cache; none if it cannot be trusted or made, which costs time only.
pub(super) fn open() -> Option<Cached> {
    let directory = directory()?;
    let opened = prepare(&directory).and_then(|()| {
        let mut config = CacheConfig::new();
        config.with_directory(&directory);
        // Repacking an often used entry harder takes more memory than all else.
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
    /// Remembers the digests of files that are new.
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

/// `$XDG_CACHE_HOME/plakar-wasm`, or the same below `~/.cache`.
fn directory() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(base.join("plakar-wasm"))
}

/// What is in the cache is run as it is, so nobody else may write there.
fn prepare(directory: &Path) -> Result<(), String> {
    let user = rustix::process::geteuid();
    // What root made in somebody's home, as by `sudo -E`, would be in his way later.
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

/// Removes what a killed process was writing, and code that is not what was written.
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

/// Every file of wasmtime's.
fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let below = |directory: PathBuf| {
        fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
    };
    below(directory.join("modules")).flat_map(below)
}

/// Those that hold compiled code. Others are statistics.
fn compiled(directory: &Path) -> impl Iterator<Item = PathBuf> {
    entries(directory).filter(|file| file.extension().is_none())
}

fn is_unfinished(file: &Path) -> bool {
    file.extension().and_then(|end| end.to_str()).is_some_and(|end| end.starts_with("wip-"))
}

/// Where the digest of a file is remembered. wasmtime's own tidying knows files in
/// folders of folders.
fn sum_of(directory: &Path, file: &Path) -> Option<PathBuf> {
    Some(directory.join("sums").join("sha256").join(file.file_name()?))
}

fn digest(file: &Path) -> Option<String> {
    let digest = Sha256::digest(fs::read(file).ok()?);
    Some(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}
