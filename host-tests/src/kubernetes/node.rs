//! Nodes with names, addresses, `/etc` and `/var/lib` of their own, on one network.

use crate::process::{Pid, Process, command};
use crate::run::Run;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A network that begins empty, and ends with this value.
#[derive(Debug)]
pub struct Network {
    holder: Process,
}

impl Network {
    /// A network without nodes.
    pub fn new() -> Network {
        let mut holder = command("unshare");
        holder.args(["--map-root-user", "--net", "--mount", "sh", "-c"]).arg(
            "ip link set lo up && ip link add nodes type bridge && ip link set nodes up \
             && echo up && exec cat",
        );
        Network { holder: Process::start_until_up(holder) }
    }

    /// Adds a node with an IPv4 address of 24 bits of network.
    pub fn node(&self, name: &str, address: &str) -> Node {
        let folder = TempDir::with_prefix("node-").expect("the temporary directory can be written");
        let network = self.holder.pid();
        let mut holder = command("nsenter");
        holder
            .args(["--target", &network.to_string(), "--user", "--preserve-credentials"])
            .args(["unshare", "--net", "--mount", "--uts", "sh", "-c"])
            .args([include_str!("node.sh"), "node.sh", &network.to_string(), name, address])
            .arg(folder.path());
        std::fs::create_dir(folder.path().join("bin")).expect("it is ours");
        let holder = Process::start_until_up(holder);
        Node { name: name.into(), address: address.into(), holder, folder }
    }
}

impl Default for Network {
    fn default() -> Network {
        Network::new()
    }
}

/// A node; a process on it is ended by the code that started it.
#[derive(Debug)]
pub struct Node {
    /// Its host name.
    pub name: String,
    /// Its address on the network.
    pub address: String,
    holder: Process,
    // Dropped last: it is mounted there.
    folder: TempDir,
}

impl Node {
    /// A command that runs on the node, with its folder `bin` first on the PATH.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = command("nsenter");
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .args(["--target", &self.pid().to_string(), "--user", "--preserve-credentials"])
            .args(["--net", "--mount", "--uts", "--"])
            .arg(program)
            .env_clear()
            .env("PATH", format!("{}:{path}", self.programs().display()));
        command
    }

    /// A shell's script that runs on the node.
    pub fn run(&self, script: &str) -> Run {
        Run::of(self.command("sh")).args(["-c", script])
    }

    /// The folder of the programs that only this node has.
    pub fn programs(&self) -> PathBuf {
        self.folder.path().join("bin")
    }

    /// A folder for whatever belongs to the node.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// How a path on the node is reached from outside.
    pub fn seen_from_outside(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.pid()))
    }

    fn pid(&self) -> Pid {
        self.holder.pid()
    }
}

impl Process {
    /// Starts what prints a line once it is set up, and lasts until its input ends.
    fn start_until_up(mut command: Command) -> Process {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(command);
        let mut line = String::new();
        let stdout = process.child().stdout.as_mut().expect("it is a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a pipe can be read");
        assert_eq!(line, "up\n", "the namespaces of a node cannot be made here");
        process
    }
}
