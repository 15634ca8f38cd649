//! `plakar-wasm` and stock `wasmtime`, run as a user runs them, for no longer
//! than a test may last.
//!
//! | module | what it holds |
//! | --- | --- |
//! | here | [`Run`]: a command before it runs |
//! | `namespaces` | runs that see other files than the machine has |
//! | `running` | [`Running`]: its lines as they come, its signals, its end |
//! | `outcome` | [`Outcome`]: exit code and output, and what a test asserts of them |

mod namespaces;
mod outcome;
mod running;

pub use outcome::Outcome;
pub use running::Running;

use crate::kubernetes::Node;
use crate::process::command;
use crate::tools;
use std::ffi::OsStr;
use std::fs::File;
use std::process::Command;

/// A command before it runs.
#[derive(Debug)]
pub struct Run {
    command: Command,
    input: Vec<u8>,
    output: Option<File>,
}

impl Run {
    /// `plakar-wasm` with these arguments.
    pub fn plakar_wasm(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
        let mut run = Run::of(command(tools::plakar_wasm()));
        run.command.args(arguments);
        run
    }

    /// `wasmtime run -S http CONNECTOR` with these arguments for the component.
    pub fn wasmtime(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
        Run::wasmtime_with([""; 0], arguments)
    }

    /// The same, with more of wasmtime's own flags.
    pub fn wasmtime_with(
        flags: impl IntoIterator<Item = impl AsRef<OsStr>>,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Run {
        let run = Run::of(command(tools::wasmtime())).args(["run", "-S", "http"]).args(flags);
        run.path(tools::connector()).args(arguments)
    }

    /// The example that backs up under Node.
    pub fn node(location: &str, to: &str) -> Run {
        let run = Run::of(command("node")).path(tools::backup_under_node());
        run.path(tools::connector()).args([location, to])
    }

    /// `plakar-wasm run CONNECTOR -- …`: the same command line in our sandbox.
    pub fn in_our_sandbox(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
        Run::plakar_wasm(["run"]).path(tools::connector()).args(["--"]).args(arguments)
    }

    /// Any other command.
    pub fn of(command: Command) -> Run {
        Run { command, input: Vec::new(), output: None }
    }

    /// Adds arguments.
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
        self.command.args(arguments);
        self
    }

    /// Adds a path as an argument.
    pub fn path(self, path: impl AsRef<OsStr>) -> Run {
        self.args([path])
    }

    /// Runs it on a node, with the node's environment.
    pub fn on(mut self, node: &Node) -> Run {
        let mut outer = node.command(self.command.get_program());
        outer.args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            outer.env(name, value.expect("a run takes no variable away"));
        }
        self.command = outer;
        self
    }

    /// Lets another program, which gets arguments of its own first, run it.
    pub fn through(
        mut self,
        program: &str,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Run {
        let mut outer = command(program);
        outer.args(arguments).arg(self.command.get_program()).args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            outer.env(name, value.expect("a run takes no variable away"));
        }
        self.command = outer;
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Run {
        self.command.env(name, value);
        self
    }

    /// What it reads on standard input; nothing otherwise.
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Run {
        self.input = input.into();
        self
    }

    /// Sends standard output to a file, as the shell's `>` does.
    pub fn output_to(mut self, file: File) -> Run {
        self.output = Some(file);
        self
    }

    /// Runs it to its end.
    pub fn wait(self) -> Outcome {
        self.start().wait()
    }

    /// Starts it.
    pub fn start(self) -> Running {
        Running::start(self.command, self.input, self.output)
    }
}
