//! A real member with a database of a given size, and the account of what it did.

use crate::measure::{self, Cost, Running};
use crate::meter::Meter;
use crate::results::{Quantity, Sample};
use crate::rows::Pass;
use host_tests::certs::{Authority, Identity, Key, Leaf};
use host_tests::etcd::{Etcd, Settings, Version};
use host_tests::process::Pid;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The version that everything is measured with.
pub(crate) const VERSION: Version = Version::V3_6_14;

/// A member that waits for its disk as one in production does, and a folder to
/// save into.
pub(crate) struct Bed {
    /// The member. It serves TLS at a second endpoint.
    pub(crate) etcd: Etcd,
    authority: Authority,
    client: Identity,
    /// Megabytes of its database.
    pub(crate) size: u64,
    pid: Pid,
    folder: TempDir,
}

impl Bed {
    /// A member with about `size` megabytes that no compression shrinks.
    pub(crate) fn new(size: u64) -> Result<Bed, String> {
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
        let authority = Authority::new();
        let server = authority.issue(Leaf::server(&["127.0.0.1"]).key(Key::RsaPkcs1));
        let client = authority.issue(Leaf::client(Some("backup")).key(Key::RsaPkcs1));
        // The last mention of a flag holds.
        let settings = Settings::default().flag("--unsafe-no-fsync=false");
        let settings = settings.secure(&server).client_auth(&authority);
        let etcd = Etcd::restore_with(VERSION, &dump, settings);
        if etcd.metric("etcd_disk_wal_fsync_duration_seconds_count") == 0.0 {
            return Err("the member skips fsync: what it takes to write would look too good".into());
        }
        std::fs::remove_file(dump).map_err(|error| error.to_string())?;
        let pid = pid_of(&etcd)?;
        Ok(Bed { etcd, authority, client, size, pid, folder })
    }

    /// Where commands have their home: caches that stay.
    pub(crate) fn home(&self) -> &Path {
        self.folder.path()
    }

    /// A place to save to, where nothing is. What was saved there is removed.
    pub(crate) fn target(&self) -> Result<PathBuf, String> {
        fresh(self.folder.path().join("target"))
    }

    /// The same in memory: saving there leaves the member's disk alone.
    pub(crate) fn target_in_memory(&self) -> Result<PathBuf, String> {
        fresh(in_memory(&tempfile::env::temp_dir()))
    }

    /// The door in the clear.
    pub(crate) fn door(&self) -> Door<'_> {
        self.open(Security::None)
    }

    fn open(&self, security: Security) -> Door<'_> {
        match security {
            Security::None => Door { endpoint: self.etcd.endpoint(), tls: None },
            Security::Mutual => Door {
                endpoint: self.etcd.secure_endpoint(),
                tls: Some((&self.authority, &self.client)),
            },
        }
    }

    /// Does something over one of the member's ports, and returns its cost.
    ///
    /// The pass that is not timed goes through a meter, and reports only the
    /// bytes between client and member.
    pub(crate) fn account(
        &self,
        pass: Pass,
        security: Security,
        work: impl FnOnce(&Door<'_>) -> Result<Cost, String>,
    ) -> Result<Sample, String> {
        let mut door = self.open(security);
        if pass == Pass::WarmUp {
            let meter = Meter::start(door.endpoint).map_err(|error| error.to_string())?;
            door.endpoint = meter.endpoint();
            work(&door)?;
            return Ok(vec![(Quantity::Wire, meter.bytes() as f64)]);
        }
        let cpu = || measure::cpu(self.pid).ok_or_else(|| "etcd is gone".to_owned());
        measure::settle()?;
        let before = cpu()?;
        let cost = work(&door)?;
        Ok(vec![
            (Quantity::Wall, cost.wall),
            (Quantity::EtcdCpu, cpu()? - before),
            (Quantity::Cpu, cost.cpu),
            (Quantity::Memory, cost.memory as f64),
        ])
    }

    /// Bytes of its database, free pages included: what its quota is about.
    pub(crate) fn database_bytes(&self) -> f64 {
        let size = self.etcd.status()["dbSize"].as_str().and_then(|size| size.parse().ok());
        size.unwrap_or(f64::NAN)
    }
}

/// Whether what goes through a door is TLS, with certificates on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Security {
    /// In the clear.
    None,
    /// As kubeadm sets etcd up.
    Mutual,
}

/// Where a client gets in.
pub(crate) struct Door<'a> {
    /// `HOST:PORT`.
    pub(crate) endpoint: String,
    /// Whom to trust, and what to show.
    pub(crate) tls: Option<(&'a Authority, &'a Identity)>,
}

impl Door<'_> {
    /// The URL, with what follows the endpoint.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http{}://{}{path}", if self.tls.is_some() { "s" } else { "" }, self.endpoint)
    }

    /// The connector's location.
    pub(crate) fn location(&self) -> String {
        format!("etcd+{}", self.url(""))
    }

    /// The arguments that make a client use its certificate, by the client's own
    /// names for them.
    pub(crate) fn certificates(&self, [ca, cert, key]: [&str; 3]) -> Vec<String> {
        let Some((authority, client)) = self.tls else { return Vec::new() };
        [(ca, authority.file()), (cert, client.cert.clone()), (key, client.key.clone())]
            .into_iter()
            .flat_map(|(name, file)| [name.to_owned(), file])
            .collect()
    }

    /// The connector's options for the same.
    pub(crate) fn options(&self) -> Vec<String> {
        let Some((authority, client)) = self.tls else { return Vec::new() };
        let [cert, key] = client.options();
        [authority.option(), cert, key].into_iter().flat_map(|o| ["-o".into(), o]).collect()
    }
}

/// The folder in memory that goes with a scratch directory.
pub(crate) fn in_memory(scratch: &Path) -> PathBuf {
    Path::new("/dev/shm").join(scratch.file_name().expect("it has a name of its own"))
}

fn fresh(folder: PathBuf) -> Result<PathBuf, String> {
    let removed = if folder.is_dir() { std::fs::remove_dir_all(&folder) } else { Ok(()) };
    let made = removed.and_then(|()| std::fs::create_dir(&folder));
    made.map_err(|error| format!("`{}`: {error}", folder.display()))?;
    Ok(folder)
}

/// A folder of this run's own.
pub(crate) fn folder() -> Result<TempDir, String> {
    TempDir::new().map_err(|error| format!("no temporary directory: {error}"))
}

/// Runs commands one after the other.
pub(crate) fn in_turn(steps: Vec<(Command, Stdio)>) -> Result<Cost, String> {
    let run = |(command, output)| Running::start(command, output)?.wait(&mut |_| {});
    steps.into_iter().map(run).try_fold(Cost::default(), |sum, cost| Ok(sum.then(cost?)))
}

/// The member's process, found by its port.
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
            words.nth(1).is_some_and(|word| {
                String::from_utf8_lossy(word).split(',').any(|listens| listens.ends_with(&url))
            })
        })
        .and_then(Pid::from_raw)
        .ok_or_else(|| format!("no process of etcd at {} is to be seen", etcd.endpoint()))
}
