//! A backup under test: from where, with which options, and what came of it.
//!
//! ```no_run
//! use host_tests::backup::Backup;
//! use host_tests::etcd::{Etcd, Version};
//!
//! let etcd = Etcd::start(Version::NEWEST);
//! let backup = Backup::of(etcd.location()).option("transport=grpc").run();
//! backup.assert_ok();
//! assert_eq!(backup.target.manifest()["transport"], "grpc");
//! ```

use crate::run::{Outcome, Run};
use crate::target::Target;
use crate::tools;
use plakar_connector::ErrorKind;
use std::path::{Path, PathBuf};

/// `plakar-wasm backup` before it runs.
#[derive(Debug, Clone)]
pub struct Backup {
    connector: PathBuf,
    location: String,
    arguments: Vec<String>,
}

impl Backup {
    /// A backup of this location.
    pub fn of(location: impl Into<String>) -> Backup {
        Backup { connector: tools::connector(), location: location.into(), arguments: Vec::new() }
    }

    /// A backup by the component that misbehaves in this way.
    pub fn misbehaving(behaviour: &str) -> Backup {
        let backup = Backup {
            connector: tools::misbehaving_connector(),
            ..Backup::of("test://127.0.0.1:80")
        };
        backup.option(format!("behaviour={behaviour}"))
    }

    /// A backup from these endpoints, in this order.
    pub fn from_endpoints(endpoints: &[String]) -> Backup {
        Backup::of("etcd://").endpoints(endpoints)
    }

    /// Adds the option `endpoints`.
    pub fn endpoints(self, endpoints: &[String]) -> Backup {
        self.option(format!("endpoints={}", endpoints.join(",")))
    }

    /// Adds an option, `NAME=VALUE`.
    pub fn option(self, option: impl AsRef<str>) -> Backup {
        self.arguments(["-o", option.as_ref()])
    }

    /// Adds options, each `NAME=VALUE`.
    pub fn options(self, options: impl IntoIterator<Item = impl AsRef<str>>) -> Backup {
        options.into_iter().fold(self, |backup, option| backup.option(option))
    }

    /// Adds arguments.
    pub fn arguments(mut self, arguments: impl IntoIterator<Item = impl AsRef<str>>) -> Backup {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_string()));
        self
    }

    /// The command that backs up into this place.
    pub fn to(&self, target: &Target) -> Run {
        self.to_path(&target.path())
    }

    /// The command that backs up into this directory.
    pub fn to_path(&self, path: &Path) -> Run {
        self.command("backup").args(["--to"]).path(path)
    }

    /// The command that only checks whether a backup could start.
    pub fn ping(&self) -> Run {
        self.command("ping")
    }

    fn command(&self, name: &str) -> Run {
        Run::plakar_wasm([name]).path(&self.connector).args([&self.location]).args(&self.arguments)
    }

    /// Runs it to its end, into a new place.
    pub fn run(&self) -> BackedUp {
        self.run_with(|run| run)
    }

    /// Runs the changed command to its end, into a new place.
    pub fn run_with(&self, change: impl FnOnce(Run) -> Run) -> BackedUp {
        let target = Target::new();
        let outcome = change(self.to(&target)).wait();
        BackedUp { outcome, target }
    }
}

/// What came of a backup.
#[derive(Debug)]
pub struct BackedUp {
    /// What the command printed, and its exit code.
    pub outcome: Outcome,
    /// What is in the place that was backed up into.
    pub target: Target,
}

impl BackedUp {
    /// Fails unless it succeeded and left a complete backup.
    #[track_caller]
    pub fn assert_ok(&self) -> &BackedUp {
        self.outcome.assert_ok();
        self.target.assert_whole_backup();
        self
    }

    /// Fails unless it failed with this kind, printed each of these texts, and left
    /// nothing.
    #[track_caller]
    pub fn assert_failed(&self, kind: ErrorKind, texts: &[&str]) -> &BackedUp {
        self.outcome.assert_failed(kind, texts);
        self.target.assert_nothing_left();
        self
    }
}
