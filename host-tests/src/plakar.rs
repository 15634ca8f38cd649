//! The real plakar with the package installed, in a home of its own.
//!
//! ```no_run
//! use host_tests::etcd::{Etcd, Version};
//! use host_tests::plakar::Plakar;
//!
//! let etcd = Etcd::start(Version::V3_6_14);
//! let plakar = Plakar::new();
//! plakar.backup(&etcd.location(), &[]).wait().assert_code(0);
//! let snapshot = plakar.latest();
//! assert_eq!(snapshot.restore().dump_bytes().len() % 512, 32);
//! ```

use crate::process::{Pid, Process, Signal, command};
use crate::run::{Outcome, Run, Running};
use crate::target::{Target, below};
use crate::tools;
use rustix::process::kill_process;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The version of the package, which is that of the project.
pub const PACKAGE_VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// As Go calls it.
const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

/// The longest that something may take which only has to become visible.
const SOON: Duration = Duration::from_secs(30);

/// A plakar with a home, a store and the package of its own.
#[derive(Debug)]
pub struct Plakar {
    passphrase: Option<String>,
    // Dropped last: what is ended in `drop` writes below it.
    home: TempDir,
}

impl Plakar {
    /// With a store that is not encrypted, which is faster, and the package.
    pub fn new() -> Plakar {
        Plakar::with_package(None, &package_of(&manifest(), &files()))
    }

    /// With an encrypted store.
    pub fn encrypted(passphrase: &str) -> Plakar {
        Plakar::with_package(Some(passphrase), &package_of(&manifest(), &files()))
    }

    /// With the component that misbehaves, packaged as ours is.
    pub fn misbehaving() -> Plakar {
        Plakar::misbehaving_under(tools::plakar_wasm())
    }

    /// The same, with a host that finds no `/proc`; plakar does.
    pub fn misbehaving_without_proc() -> Plakar {
        let hidden = "mount -t tmpfs tmpfs /proc && exec \"$@\"";
        let host = tools::plakar_wasm();
        let script = format!(
            "#!/bin/sh\nexec unshare --map-root-user --mount sh -c '{hidden}' sh '{}' \"$@\"\n",
            text(&host)
        );
        let folder = TempDir::new().expect("the temporary directory can be written");
        let file = folder.path().join("plakar-wasm");
        fs::write(&file, script).expect("it is ours");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("it is ours");
        Plakar::misbehaving_under(file)
    }

    fn misbehaving_under(host: PathBuf) -> Plakar {
        let manifest = "\
name: misbehaving
connectors:
  - type: importer
    protocols: [test]
    executable: dist/plakar-wasm
    args: [plugin]
    extra_files: [dist/connector.wasm]
";
        let files =
            [("dist/plakar-wasm", host), ("dist/connector.wasm", tools::misbehaving_connector())];
        Plakar::with_package(None, &package_of(manifest, &files))
    }

    /// With the small connector of the examples, packaged as its README says.
    pub fn hello() -> Plakar {
        let manifest = tools::repository().join("examples/hello-connector/manifest.yaml");
        let manifest = fs::read_to_string(manifest).expect("it is in the repository");
        let files =
            [("plakar-wasm", tools::plakar_wasm()), ("connector.wasm", tools::hello_connector())];
        Plakar::with_package(None, &package_of(&manifest, &files))
    }

    /// Without a package and without a store.
    pub fn bare() -> Plakar {
        let home = TempDir::with_prefix("plakar-").expect("the temporary directory can be written");
        let plakar = Plakar { passphrase: None, home };
        plakar.run(&["-disable-security-check"]).wait().assert_code(0);
        plakar
    }

    /// plakar 1.1.4 may panic at the end of `pkg add` (`events.go` of kloset 1.1.3: an event
    /// after its channel was closed); then it is tried again in another home.
    fn with_package(passphrase: Option<&str>, sources: &TempDir) -> Plakar {
        for _ in 0..3 {
            let mut plakar = Plakar::bare();
            plakar.passphrase = passphrase.map(str::to_owned);
            let package = plakar.package(sources.path(), PACKAGE_VERSION);
            let added = plakar.run(&["pkg", "add", text(&package)]).wait();
            if added.stderr.contains("panic: send on closed channel") {
                continue;
            }
            added.assert_code(0);
            plakar.create(&plakar.store());
            return plakar;
        }
        panic!("plakar panicked at the end of `pkg add`, three times over");
    }

    /// Makes a package of a folder that has a manifest.
    pub fn package(&self, sources: &Path, version: &str) -> PathBuf {
        let manifest = sources.join("manifest.yaml");
        let content = fs::read_to_string(&manifest).expect("a package has a manifest");
        let name = content.lines().find_map(|line| line.strip_prefix("name: ")).expect("a name");
        let file = format!("{name}_{version}_{}_{}.ptar", std::env::consts::OS, ARCHITECTURE);
        let name = self.home.path().join(file);
        self.run(&["pkg", "create", "-out", text(&name), text(&manifest), version])
            .wait()
            .assert_code(0);
        name
    }

    /// Makes a store.
    pub fn create(&self, store: &Path) {
        let encryption: &[&str] = if self.passphrase.is_some() { &[] } else { &["-plaintext"] };
        self.run(&["at", text(store), "create"]).args(encryption).wait().assert_code(0);
    }

    /// Where its store lies.
    pub fn store(&self) -> PathBuf {
        self.home.path().join("store")
    }

    /// A folder below which all of it lies, and a test may put more.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// `plakar` with these arguments.
    pub fn run(&self, arguments: &[&str]) -> Run {
        let home = |folder: &str| text(&self.home.path().join(folder)).to_owned();
        let run = Run::of(command(tools::plakar()))
            .args(arguments)
            .env("HOME", &home(""))
            .env("XDG_CACHE_HOME", &home("cache"))
            .env("XDG_DATA_HOME", &home("data"))
            .env("XDG_CONFIG_HOME", &home("config"))
            // What it leaves there when it is killed goes with the rest.
            .env("TMPDIR", &home(""));
        match &self.passphrase {
            Some(passphrase) => run.env("PLAKAR_PASSPHRASE", passphrase),
            None => run,
        }
    }

    /// `plakar at STORE` with these arguments.
    pub fn at_store(&self, arguments: &[&str]) -> Run {
        self.run(&["at", text(&self.store())]).args(arguments)
    }

    /// `plakar at STORE backup OPTION… LOCATION`.
    pub fn backup(&self, location: &str, options: &[&str]) -> Run {
        self.at_store(&["backup"]).args(options).args([location])
    }

    /// The short ids of the snapshots, the latest first.
    pub fn snapshots(&self) -> Vec<String> {
        let listed = self.at_store(&["ls"]).wait();
        listed.assert_code(0);
        let id = |line: &str| Some(line.split_whitespace().nth(1)?.to_owned());
        listed.stdout.lines().filter_map(id).collect()
    }

    /// The latest snapshot.
    pub fn latest(&self) -> Snapshot<'_> {
        let id = self.snapshots().into_iter().next().expect("there is a snapshot");
        Snapshot { plakar: self, id }
    }

    /// Bytes of all files of the store.
    pub fn store_bytes(&self) -> u64 {
        let files = below(&self.store()).into_iter().filter(|path| path.is_file());
        files.map(|file| file.metadata().map_or(0, |metadata| metadata.len())).sum()
    }

    /// The processes that run the package.
    pub fn plugins(&self) -> Vec<Plugin> {
        let ours = |pid: &Pid| {
            let executable = fs::read_link(format!("/proc/{pid}/exe"));
            executable.is_ok_and(|path| path.starts_with(self.home.path()))
        };
        processes().filter(ours).map(Plugin).collect()
    }

    /// Waits until a plugin has handed this many bytes to plakar, and stops it
    /// there.
    #[track_caller]
    pub fn stop_plugin_after(&self, bytes: u64) -> Plugin {
        let started = Instant::now();
        loop {
            assert!(started.elapsed() < SOON, "no plugin hands {bytes} bytes to plakar");
            match self.plugins().as_slice() {
                [plugin] if plugin.bytes_written() >= bytes => {
                    plugin.signal(Signal::STOP);
                    return *plugin;
                }
                _ => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// Fails unless every plugin is gone, or goes within the second.
    #[track_caller]
    pub fn assert_no_plugin_left(&self) {
        let started = Instant::now();
        while !self.plugins().is_empty() {
            assert!(started.elapsed() < Duration::from_secs(1), "a plugin was left behind");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Fails unless a backup failed with 1, said these words, committed nothing
    /// and left no process.
    #[track_caller]
    pub fn assert_failed(&self, outcome: &Outcome, words: &[&str]) {
        outcome.assert_code(1);
        for word in words {
            assert!(outcome.says(word), "it does not say `{word}`: {outcome}");
        }
        self.assert_no_plugin_left();
        assert_eq!(self.snapshots(), [""; 0], "something was committed: {outcome}");
    }
}

impl Default for Plakar {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Plakar {
    fn drop(&mut self) {
        // plakar leaves a process behind that keeps its cache for some seconds.
        let cache = self.home.path().join("cache/plakar");
        for pid in processes() {
            let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let mut arguments = arguments.split(|&byte| byte == 0);
            if arguments.any(|argument| argument == text(&cache).as_bytes()) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// A process that runs the package.
#[derive(Debug, Clone, Copy)]
pub struct Plugin(pub Pid);

impl Plugin {
    /// Sends it a signal.
    pub fn signal(self, signal: Signal) {
        kill_process(self.0, signal).expect("the plugin runs");
    }

    /// Lets it go on after it was stopped, and waits for the end of plakar.
    pub fn resume(self, plakar: Running) -> Outcome {
        self.signal(Signal::CONT);
        plakar.wait()
    }

    /// Bytes that it wrote so far.
    pub fn bytes_written(self) -> u64 {
        let account = fs::read_to_string(format!("/proc/{}/io", self.0)).unwrap_or_default();
        let written = account.lines().find_map(|line| line.strip_prefix("wchar: "));
        written.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
    }

    /// The most memory it held resident so far, in bytes.
    pub fn peak_memory(self) -> u64 {
        Process::peak_memory(self.0).expect("the plugin runs")
    }
}

/// One snapshot in the store.
#[derive(Debug)]
pub struct Snapshot<'a> {
    plakar: &'a Plakar,
    /// Its short id.
    pub id: String,
}

impl Snapshot<'_> {
    /// The content of one file.
    pub fn cat(&self, pathname: &str) -> String {
        let outcome = self.plakar.at_store(&["cat", &self.path(pathname)]).wait();
        outcome.assert_code(0);
        outcome.stdout
    }

    /// `plakar ls` of all of it.
    pub fn list(&self) -> String {
        let outcome = self.plakar.at_store(&["ls", &self.path("/")]).wait();
        outcome.assert_code(0);
        outcome.stdout
    }

    /// `plakar info` of it.
    pub fn info(&self) -> String {
        let outcome = self.plakar.at_store(&["info", &self.id]).wait();
        outcome.assert_code(0);
        outcome.stdout
    }

    /// `plakar check` of it, which has to find nothing.
    #[track_caller]
    pub fn check(&self) {
        self.plakar.at_store(&["check", &self.id]).wait().assert_code(0);
    }

    /// Restores it.
    #[track_caller]
    pub fn restore(&self) -> Target {
        let target = Target::new();
        let restored =
            self.plakar.at_store(&["restore", "-to", &target.argument(), &self.id]).wait();
        restored.assert_code(0);
        target
    }

    fn path(&self, pathname: &str) -> String {
        format!("{}:{pathname}", self.id)
    }
}

/// The manifest that the package is made of.
pub fn manifest() -> String {
    fs::read_to_string(tools::repository().join("manifest.yaml")).expect("it is in the repository")
}

/// The files that it names.
fn files() -> [(&'static str, PathBuf); 3] {
    [
        ("dist/plakar-wasm", tools::plakar_wasm()),
        ("dist/connector.wasm", tools::connector()),
        ("packaging/schema.json", tools::repository().join("packaging/schema.json")),
    ]
}

/// A folder with this manifest and these files.
fn package_of(manifest: &str, files: &[(&str, PathBuf)]) -> TempDir {
    let folder = TempDir::with_prefix("package-").expect("the temporary directory can be written");
    for (name, file) in files {
        let place = folder.path().join(name);
        fs::create_dir_all(place.parent().expect("it lies in a folder")).expect("it is ours");
        fs::copy(file, place).expect("a file can be copied");
    }
    fs::write(folder.path().join("manifest.yaml"), manifest).expect("it is ours");
    folder
}

fn processes() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").expect("there is /proc").flatten();
    let raw = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    raw.filter_map(Pid::from_raw)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}
