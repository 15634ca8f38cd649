//! The arguments of the command line.

use super::exit;
use clap::{ArgAction, Args, Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;

/// Runs Plakar connectors that are WASI components, each in a sandbox that grants
/// only what you type
#[derive(Parser)]
#[command(
    name = "plakar-wasm",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = exit::help(),
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How much is said, and in which form.
#[derive(Args, Clone)]
pub(crate) struct Output {
    /// Print only warnings and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Print more; repeat it for timings
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Write events and the outcome of `backup`, `ping` or `inspect` as JSON lines to
    /// standard output, each with `"v":1`; ignore names that you do not know
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Back up a location into a directory: all of it, or nothing
    #[command(after_help = exit::help())]
    Backup(Backup),
    /// Check whether a backup could start now; changes nothing
    #[command(after_help = exit::help())]
    Ping(Ping),
    /// Show a connector's options, imports and exports, and what it would be granted
    Inspect(Inspect),
    /// Run the connector's own command line in the sandbox
    #[command(after_help = "\
`plakar-wasm run CONNECTOR -- --help` lists the connector's own commands, such as those that look into a stored backup.

The connector may send HTTP requests only to the authorities in `-o endpoints=…`, or otherwise to those in ARGS that are locations of its protocols. It gets this process's standard streams and no files. The exit code is the connector's.")]
    Run(Run),
    /// Serve the connector to plakar over standard input and output; plakar starts
    /// this command itself
    Plugin(Plugin),
    /// Write a completion script for a shell to standard output
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual page to standard output
    Man {
        /// The page of this command instead of the main one
        command: Option<String>,
    },
}

impl Command {
    /// Whether its output can be JSON: of the others standard output is the connector's,
    /// plakar's, or a text for another program.
    pub(crate) fn has_json(&self) -> bool {
        matches!(self, Command::Backup(_) | Command::Ping(_) | Command::Inspect(_))
    }

    /// What it is called in JSON.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Command::Backup(_) => "backup",
            Command::Ping(_) => "ping",
            Command::Inspect(_) => "inspect",
            Command::Run(_) => "run",
            Command::Plugin(_) => "plugin",
            Command::Completions { .. } => "completions",
            Command::Man { .. } => "man",
        }
    }
}

/// Which connector reads what.
#[derive(Args)]
pub(crate) struct Source {
    /// The connector: a WebAssembly component
    pub(crate) connector: PathBuf,
    /// What to import: PROTOCOL://HOST[:PORT]
    pub(crate) location: String,
    #[command(flatten)]
    pub(crate) options: Options,
}

/// The options for the connector.
#[derive(Args)]
pub(crate) struct Options {
    /// An option of the connector, a time limit, or one of the host's TLS options
    /// (`tls_…`); `inspect` lists them all. If one is repeated, the last value is used.
    /// NAME_file=PATH reads the value from a file: use it for secrets, because
    /// other users of this machine can see arguments
    #[arg(short = 'o', value_name = "NAME=VALUE")]
    pub(crate) options: Vec<String>,
    /// A TOML file of NAME = VALUE lines; `-o` takes precedence over it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

impl Options {
    /// Whether there are any.
    pub(crate) fn are_given(&self) -> bool {
        !self.options.is_empty() || self.config.is_some()
    }
}

/// `backup`.
#[derive(Args)]
pub(crate) struct Backup {
    #[command(flatten)]
    pub(crate) source: Source,
    /// The directory to write to; it is created if it does not exist
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
    /// Replace existing files
    #[arg(long)]
    pub(crate) force: bool,
}

/// `ping`.
#[derive(Args)]
pub(crate) struct Ping {
    #[command(flatten)]
    pub(crate) source: Source,
}

/// `inspect`.
#[derive(Args)]
pub(crate) struct Inspect {
    /// The connector: a WebAssembly component
    pub(crate) connector: PathBuf,
    /// Show what a run on this location would be granted
    pub(crate) location: Option<String>,
    /// Print only the JSON Schema of the configuration
    #[arg(long, conflicts_with = "location")]
    pub(crate) schema: bool,
    #[command(flatten)]
    pub(crate) options: Options,
}

/// `run`.
#[derive(Args)]
pub(crate) struct Run {
    /// The connector: a WebAssembly component
    pub(crate) connector: PathBuf,
    /// One of the host's TLS options (`tls_…`). All others are the connector's:
    /// give them after `--`
    #[arg(short = 'o', value_name = "NAME=VALUE")]
    pub(crate) options: Vec<String>,
    /// Pass this environment variable; no other is passed
    #[arg(long, value_name = "NAME")]
    pub(crate) env: Vec<String>,
    /// What the connector's command line is given
    #[arg(last = true)]
    pub(crate) args: Vec<String>,
}

/// `plugin`.
#[derive(Args)]
pub(crate) struct Plugin {
    /// The connector: a WebAssembly component; `connector.wasm` beside this
    /// executable where it is not given
    pub(crate) connector: Option<PathBuf>,
}
