//! A real member with a database of a given size, and the account of what it did.

use crate::measure::{self, Cost, Running};
use crate::results::{Quantity, Sample};
use host_tests::etcd::{Etcd, Version};
use host_tests::process::Pid;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The version that everything is measured with.
pub const VERSION: Version = Version::V3_6_14;

/// A member, and a folder to save into.
pub struct Bed {
    /// The member.
    pub etcd: Etcd,
    /// Megabytes of its database.
    pub size: u64,
    pid: Pid,
    folder: TempDir,
}

impl Bed {
    /// A member with about `size` megabytes that no compression shrinks.
    pub fn new(size: u64) -> Result<Bed, String> {
        let folder = folder()?;
        let dump = folder.path().join("dump");
        {
            let source = Etcd::start(VERSION);
            source.fill(size as usize * 1_000_000);
            let mut save = measure::clean(VERSION.program("etcdctl"), folder.path());
            save.args(["--endpoints", &source.endpoint(), "snapshot", "save"]).arg(&dump);
            measure::run(save)?;
        }
        // What was just filled holds all that was written in its memory and its
        // log; a member in production does not.
        let etcd = Etcd::restore(VERSION, &dump);
        std::fs::remove_file(dump).map_err(|error| error.to_string())?;
        let pid = pid_of(&etcd)?;
        Ok(Bed { etcd, size, pid, folder })
    }

    /// Where commands have their home: caches that stay.
    pub fn home(&self) -> &Path {
        self.folder.path()
    }

    /// A place to save to, where nothing is. What was saved there is removed.
    pub fn target(&self) -> Result<PathBuf, String> {
        let target = self.folder.path().join("target");
        let removed = match target.is_dir() {
            true => std::fs::remove_dir_all(&target),
            false => Ok(()),
        };
        removed.and_then(|()| std::fs::create_dir(&target)).map_err(|error| error.to_string())?;
        Ok(target)
    }

    /// Does something, and tells what it cost the member and the wire.
    pub fn account(&self, work: impl FnOnce() -> Result<Cost, String>) -> Result<Sample, String> {
        let told = || measure::cpu(self.pid).ok_or_else(|| "etcd is gone".to_owned());
        measure::settle()?;
        let (cpu, wire) = (told()?, measure::wire()?);
        let cost = work()?;
        let (cpu, wire) = (told()? - cpu, measure::wire()? - wire);
        Ok(vec![
            (Quantity::Wall, cost.wall),
            (Quantity::EtcdCpu, cpu),
            (Quantity::Cpu, cost.cpu),
            (Quantity::Memory, cost.memory as f64),
            (Quantity::Wire, wire as f64),
        ])
    }

    /// Bytes of its database file.
    pub fn database_bytes(&self) -> f64 {
        let size = self.etcd.status()["dbSize"].as_str().and_then(|size| size.parse().ok());
        size.unwrap_or(f64::NAN)
    }
}

/// A folder of this run's own.
pub fn folder() -> Result<TempDir, String> {
    TempDir::new().map_err(|error| format!("no temporary directory: {error}"))
}

/// Runs commands one after the other.
pub fn in_turn(steps: Vec<(Command, Stdio)>) -> Result<Cost, String> {
    let run = |(command, output)| Running::start(command, output)?.wait(&mut |_| {});
    steps.into_iter().map(run).try_fold(Cost::default(), |sum, cost| Ok(sum.then(cost?)))
}

/// The member's process, told from others by its port.
fn pid_of(etcd: &Etcd) -> Result<Pid, String> {
    let url = format!("//{}", etcd.endpoint());
    let processes = std::fs::read_dir("/proc").map_err(|error| error.to_string())?;
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .find(|pid: &i32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let mut words =
                line.split(|byte| *byte == 0).skip_while(|w| *w != b"--listen-client-urls");
            words.nth(1).is_some_and(|word| String::from_utf8_lossy(word).ends_with(&url))
        })
        .and_then(Pid::from_raw)
        .ok_or_else(|| format!("no process of etcd at {} is to be seen", etcd.endpoint()))
}
