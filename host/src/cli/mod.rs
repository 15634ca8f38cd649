//! The command line.
//!
//! | module | what it does |
//! | --- | --- |
//! | `arguments` | what can be typed |
//! | `backup`, `ping`, `inspect`, `run`, `plugin` | one command each |
//! | `schema` | the JSON Schema of a connector's options |
//! | `config` | options from a file and from `-o`, one over the other |
//! | `report` | events and outcomes, for people and as JSON lines |
//! | `exit` | every exit code, and the table in the help |
//! | `signals` | what SIGINT, SIGTERM and SIGHUP do |

mod arguments;
mod backup;
mod config;
mod exit;
mod inspect;
mod ping;
mod plugin;
mod report;
mod run;
mod schema;
mod signals;

use arguments::{Arguments, Command};
use clap::{CommandFactory, Parser};
use plakar_wasm::Error;
use std::io::Write;
use std::process::ExitCode;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

/// Threads beside the main one, which runs the component: one that reads from the
/// network meanwhile. More would only stand in each other's way.
const WORKERS: usize = 1;

/// By how much this program gives way to whoever shares the machine, often the very
/// member that is backed up: that of the command `nice`.
const NICENESS: i32 = 10;

/// Parses the arguments, does what they say, and answers the exit code.
pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log(&arguments);
    match &arguments.command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "plakar-wasm", &mut script);
            return write(&script);
        }
        Command::Man { command } => return man(command.as_deref()),
        _ => {}
    }
    // Before there are threads, for they inherit it.
    let _ = rustix::process::nice(NICENESS);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .expect("threads can be started");
    let code = runtime.block_on(async {
        match &arguments.command {
            Command::Backup(backup) => backup::main(backup, &arguments.output).await,
            Command::Ping(ping) => ping::main(ping, &arguments.output).await,
            Command::Inspect(inspect) => inspect::main(inspect, &arguments.output).await,
            Command::Run(run) => run::main(run).await,
            Command::Plugin(plugin) => plugin::main(plugin).await,
            Command::Completions { .. } | Command::Man { .. } => unreachable!("done above"),
        }
    });
    // A name that is still being resolved must not keep the process.
    runtime.shutdown_background();
    ExitCode::from(code)
}

/// Says on standard error why a command failed; answers the exit code.
fn failed(error: &Error) -> u8 {
    let _ = writeln!(std::io::stderr(), "error: {error}");
    error.fault().exit_code()
}

fn man(name: Option<&str>) -> ExitCode {
    let mut command = Arguments::command();
    command.build();
    let page = match name {
        None => command,
        Some(name) => match command.find_subcommand(name) {
            Some(found) => found.clone().display_name(format!("plakar-wasm-{name}")),
            None => {
                let _ = writeln!(std::io::stderr(), "error: there is no command `{name}`");
                return ExitCode::from(plakar_connector::Kind::InvalidConfig.exit_code());
            }
        },
    };
    let mut text = Vec::new();
    match clap_mangen::Man::new(page).render(&mut text) {
        Ok(()) => write(&text),
        Err(_) => ExitCode::FAILURE,
    }
}

fn write(text: &[u8]) -> ExitCode {
    match std::io::stdout().write_all(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Sends diagnostics to standard error: warnings always, more with `-v`.
fn log(arguments: &Arguments) {
    let level = match arguments.output.verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    // What libraries log by themselves is said again, and better, by our errors.
    let ours = Targets::new().with_target("plakar_wasm", level);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .without_time();
    tracing_subscriber::registry().with(lines).with(ours).init();
}
