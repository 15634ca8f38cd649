//! What it was measured on and with.

use crate::bed::VERSION;
use crate::measure;
use host_tests::tools;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names and values, in the order of the report.
pub(crate) struct Machine(Vec<(&'static str, String)>);

impl Machine {
    /// Asks the machine and every program.
    pub(crate) fn ask(home: &Path) -> Machine {
        let ask = |program: &dyn AsRef<OsStr>, argument| {
            let mut command = measure::clean(program, home);
            command.arg(argument);
            version(program.as_ref(), command)
        };
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let memory = field("/proc/meminfo", "MemTotal").and_then(|kib| {
            let kib: f64 = kib.trim_end_matches("kB").trim().parse().ok()?;
            Some(format!("{:.0} GiB", kib / f64::from(1 << 20)))
        });
        let unknown = || "unknown".to_owned();
        Machine(vec![
            ("cores", cores.to_string()),
            ("processor", field("/proc/cpuinfo", "model name").unwrap_or_else(unknown)),
            ("memory", memory.unwrap_or_else(unknown)),
            ("kernel", read("/proc/sys/kernel/osrelease").trim().into()),
            (
                "file system of the database and of what is saved",
                file_system(home).unwrap_or_else(unknown),
            ),
            ("plakar-wasm", ask(&tools::plakar_wasm(), "--version")),
            ("etcd", ask(&VERSION.program("etcd"), "--version")),
            ("plakar", ask(&tools::plakar(), "version")),
            ("wasmtime", ask(&tools::wasmtime(), "--version")),
            ("curl", ask(&"curl", "--version")),
            ("rustc", version("rustc".as_ref(), rustc())),
            ("go", ask(&"go", "version")),
        ])
    }

    /// As an object.
    pub(crate) fn json(&self) -> Value {
        Value::Object(self.0.iter().map(|(name, value)| ((*name).into(), json!(value))).collect())
    }

    /// As lines of Markdown.
    pub(crate) fn markdown(&self) -> String {
        self.0.iter().map(|(name, value)| format!("- {name}: {value}\n")).collect()
    }
}

/// The programs that are missing, each with what provides it.
pub(crate) fn missing() -> Vec<String> {
    let found = |program: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    };
    [
        ("curl", "install the package `curl`"),
        ("setpriv", "install the package `util-linux`"),
        ("sync", "install the package `coreutils`"),
    ]
    .into_iter()
    .filter(|(program, _)| !found(program))
    .map(|(program, remedy)| format!("`{program}` is not on the PATH: {remedy}"))
    .collect()
}

/// The compiler as cargo finds it. It may be one of several that a manager in the
/// user's home chooses from, so it gets the user's environment.
fn rustc() -> Command {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let program = variable("RUSTC").map(PathBuf::from).or_else(|| {
        let home = || Some(Path::new(&variable("HOME")?).join(".cargo"));
        let cargo = variable("CARGO_HOME").map(PathBuf::from).or_else(home)?.join("bin");
        let path = variable("PATH").unwrap_or_default();
        let mut folders = std::env::split_paths(&path).chain([cargo]);
        folders.find_map(|folder| Some(folder.join("rustc")).filter(|rustc| rustc.is_file()))
    });
    let mut rustc = Command::new(program.unwrap_or_else(|| "rustc".into()));
    rustc.arg("--version").current_dir(tools::repository());
    rustc
}

/// The kind of file system that a folder is on.
fn file_system(folder: &Path) -> Option<String> {
    let mut df = measure::clean("df", folder);
    let output = df.arg("--output=fstype").arg(folder).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).lines().nth(1)?.trim().into())
}

/// What a program says of its version, less its own name.
fn version(program: &OsStr, mut command: Command) -> String {
    let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy();
    let output = command.output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.unwrap_or_default();
    // plakar prints a greeting when it is called for the first time.
    let line = text.lines().find(|line| line.starts_with(&*name)).unwrap_or("not installed");
    let line = line.strip_prefix(&*name).unwrap_or(line).trim_start_matches([' ', '/']);
    line.trim_start_matches("Version:").trim_start_matches("version").trim().into()
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = read(file);
    let (_, value) =
        text.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.trim() == name)?;
    Some(value.trim().into())
}

fn read(file: &str) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}
