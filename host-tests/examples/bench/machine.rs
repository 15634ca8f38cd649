//! What it was measured on and with.

use crate::bed::VERSION;
use host_tests::tools;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// Names and values, in the order of the report.
pub struct Machine(Vec<(&'static str, String)>);

impl Machine {
    /// Asks the machine and every program.
    pub fn ask() -> Machine {
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
            ("plakar-wasm", version(tools::plakar_wasm(), &["--version"])),
            ("etcd", version(VERSION.program("etcd"), &["--version"])),
            ("plakar", version(tools::plakar(), &["version"])),
            ("wasmtime", version(tools::wasmtime(), &["--version"])),
            ("curl", version("curl", &["--version"])),
            ("rustc", version("rustc", &["--version"])),
            ("go", version("go", &["version"])),
        ])
    }

    /// As an object.
    pub fn json(&self) -> Value {
        Value::Object(self.0.iter().map(|(name, value)| ((*name).into(), json!(value))).collect())
    }

    /// As lines of Markdown.
    pub fn markdown(&self) -> String {
        self.0.iter().map(|(name, value)| format!("- {name}: {value}\n")).collect()
    }
}

/// The programs that are missing, each with what provides it.
pub fn missing() -> Vec<String> {
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

/// The first line that a program says of itself, less its own name.
fn version(program: impl AsRef<OsStr>, arguments: &[&str]) -> String {
    let name =
        Path::new(program.as_ref()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let output = Command::new(program).args(arguments).output();
    let output = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let line = output.unwrap_or_default().lines().next().unwrap_or("not installed").to_owned();
    let line = line.trim().strip_prefix(&name).unwrap_or(&line);
    let line = line.trim().trim_start_matches("Version:").trim_start_matches("version").trim();
    line.trim_start_matches('/').chars().take(60).collect()
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
