//! What it was measured on and with.

use crate::bed::VERSION;
use crate::measure;
use host_tests::tools;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::path::Path;

/// Names and values, in the order of the report.
pub(crate) struct Machine(Vec<(&'static str, String)>);

impl Machine {
    /// Asks the machine and every program.
    pub(crate) fn ask(home: &Path) -> Machine {
        let version =
            |program: &dyn AsRef<OsStr>, argument| version(home, program.as_ref(), argument);
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
            ("plakar-wasm", version(&tools::plakar_wasm(), "--version")),
            ("etcd", version(&VERSION.program("etcd"), "--version")),
            ("plakar", version(&tools::plakar(), "version")),
            ("wasmtime", version(&tools::wasmtime(), "--version")),
            ("curl", version(&"curl", "--version")),
            ("rustc", version(&"rustc", "--version")),
            ("go", version(&"go", "version")),
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

/// What a program says of its version, less its own name.
fn version(home: &Path, program: &OsStr, argument: &str) -> String {
    let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy();
    let output = measure::clean(program, home).arg(argument).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.unwrap_or_default();
    // plakar greets whoever calls it for the first time.
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
