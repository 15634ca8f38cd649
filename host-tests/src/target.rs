//! A directory to back up into, and what was left in it.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A directory of a test's own, and in it the place of the backup, which is
/// there only once something was backed up.
#[derive(Debug)]
pub struct Target {
    folder: TempDir,
}

impl Target {
    /// A place where nothing is.
    #[expect(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Target {
        let folder =
            TempDir::with_prefix("target-").expect("the temporary directory can be written");
        Target { folder }
    }

    /// What to give to `--to`.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("backup")
    }

    /// The path as an argument.
    pub fn argument(&self) -> String {
        self.path().to_str().expect("temporary paths are UTF-8").into()
    }

    /// The dump.
    pub fn dump(&self) -> PathBuf {
        self.path().join("dump")
    }

    /// The bytes of the dump.
    pub fn dump_bytes(&self) -> Vec<u8> {
        fs::read(self.dump()).expect("a backup has a dump")
    }

    /// The manifest.
    pub fn manifest(&self) -> Value {
        let text = fs::read(self.path().join("manifest.json")).expect("a backup has a manifest");
        serde_json::from_slice(&text).expect("the manifest is JSON")
    }

    /// The guide to a restore.
    pub fn guide(&self) -> String {
        fs::read_to_string(self.path().join("RESTORE.md")).expect("a backup has a guide")
    }

    /// How many bytes of a dump that is still on its way are there already.
    pub fn bytes_so_far(&self) -> u64 {
        let dump = below(self.folder.path()).into_iter().find(|path| path.ends_with("dump"));
        dump.and_then(|dump| dump.metadata().ok()).map_or(0, |metadata| metadata.len())
    }

    /// Fails unless nothing at all is there, hidden files included.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
        let left = below(self.folder.path());
        assert!(left.is_empty(), "something was left behind: {left:?}");
    }

    /// Fails unless a whole backup is there and nothing beside it.
    #[track_caller]
    pub fn assert_whole_backup(&self) {
        let names = ["RESTORE.md", "dump", "manifest.json"];
        assert_eq!(below(&self.path()), names.map(|name| self.path().join(name)));
    }
}

/// Every path below a directory, sorted.
pub fn below(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut paths = Vec::new();
    // A file may be moved away in the meantime, which is not a failure.
    for path in entries.flatten().map(|entry| entry.path()) {
        let inner = if path.is_dir() { below(&path) } else { Vec::new() };
        paths.push(path);
        paths.extend(inner);
    }
    paths.sort();
    paths
}
