//! Where compiled components are kept.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use wasmtime::{Cache, CacheConfig};

/// Opens the cache; none where it cannot be trusted or made, which costs time only.
pub(super) fn open() -> Option<Cache> {
    let directory = directory()?;
    let opened = prepare(&directory).and_then(|()| {
        let mut config = CacheConfig::new();
        config.with_directory(&directory);
        // Repacking an often used entry harder takes more memory than all else.
        config.with_optimized_compression_usage_counter_threshold(u64::MAX);
        Cache::new(config).map_err(|error| format!("{error:#}"))
    });
    match opened {
        Ok(cache) => Some(cache),
        Err(reason) => {
            tracing::info!("no cache in `{}`: {reason}", directory.display());
            None
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
    if metadata.uid() != rustix::process::geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
        return Err("others can write there".into());
    }
    Ok(())
}
