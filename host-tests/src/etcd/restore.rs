//! Bringing a dump back, as the runbook does.

use super::member::{NAME, PEER_URL, data_dir, new_folder};
use super::{Etcd, Settings, Version};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

impl Etcd {
    /// Restores `dump` with the version's own tool, which checks its SHA-256,
    /// and starts a member from it.
    pub fn restore(version: Version, dump: &Path) -> Etcd {
        Etcd::restore_with(version, dump, Settings::default())
    }

    /// The same with these settings.
    pub fn restore_with(version: Version, dump: &Path, settings: Settings) -> Etcd {
        let folder = new_folder();
        let output = Command::new(version.restorer())
            .args(["snapshot", "restore"])
            .arg(dump)
            .args(["--name", NAME, "--initial-advertise-peer-urls", PEER_URL])
            .args(["--initial-cluster", &format!("{NAME}={PEER_URL}"), "--data-dir"])
            .arg(data_dir(folder.path()))
            .output()
            .expect("the restoring tool can be run");
        assert!(
            output.status.success(),
            "etcd {version} refused to restore `{}`: {}",
            dump.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        Etcd::start_with(version, Settings { data: Some(folder), ..settings })
    }

    /// Starts a member on the data directory `data` in this folder.
    pub fn start_on(version: Version, folder: TempDir) -> Etcd {
        Etcd::start_with(version, Settings { data: Some(folder), ..Settings::default() })
    }
}
