//! The command line.
//!
//! | module | what it does |
//! | --- | --- |
//! | `arguments` | what can be typed |
//! | `backup`, `ping`, `inspect`, `run`, `plugin` | one command each |
//! | `schema` | the JSON Schema of a connector's options |
//! | `config` | options from a file and from `-o`, which takes precedence |
//! | `report` | events and outcomes, for people and as JSON lines |
//! | `exit` | every exit code, and the table in the help |
//! | `machine` | threads, files and memory, and the message if they run out |
//! | `signals` | what SIGINT, SIGTERM and SIGHUP do |

mod arguments;
mod backup;
mod config;
mod exit;
mod inspect;
mod machine;
mod ping;
mod plugin;
mod report;
mod run;
mod schema;
mod signals;

use arguments::{Arguments, Command, Output};
use clap::{CommandFactory, Parser};
use plakar_connector::ErrorKind;
use plakar_connector::text::escaped;
use plakar_policy::Error;
use plakar_wasm::output;
use report::Report;
use signals::Signals;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

/// Threads beside the main one, which runs the component: one that reads from the network
/// meanwhile. More would only slow each other down.
const WORKERS: usize = 1;

/// How much this program lowers its priority for others on the machine, often the member
/// that is backed up: as much as the command `nice` does.
const NICENESS: i32 = 10;

/// Parses the arguments, does what they say, and returns the exit code.
pub(crate) fn main() -> ExitCode {
    machine::prepare();
    if let Err(error) = machine::stack() {
        return ExitCode::from(failed(&error));
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // The help and the version are output like any other, except that a reader may stop
        // reading.
        Err(text) if !text.use_stderr() => {
            return ExitCode::from(match text.print() {
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => 0,
                printed => end_of_output(printed),
            });
        }
        Err(error) => match without_connector() {
            Some(error) => return ExitCode::from(failed(&error)),
            None => error.exit(),
        },
    };
    if arguments.output.json && !arguments.command.has_json() {
        let what = format!("`{}` does not accept `--json`", arguments.command.name());
        let remedy = "use it with `backup`, `ping` or `inspect`";
        return ExitCode::from(failed(&Error::invalid(what).remedy(remedy)));
    }
    match &arguments.command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "plakar-wasm", &mut script);
            return ExitCode::from(write(&script));
        }
        Command::Man { command } => return ExitCode::from(man(command.as_deref())),
        _ => {}
    }
    ExitCode::from(start(&arguments).unwrap_or_else(|error| failed(&error)))
}

/// The error of a command that was given a location where its connector belongs, so that
/// clap reports the location as missing.
fn without_connector() -> Option<Error> {
    let partial = Arguments::command().ignore_errors(true).try_get_matches().ok()?;
    let (_, matches) = partial.subcommand()?;
    let connector = matches.try_get_one::<PathBuf>("connector").ok()??;
    connector.to_str().filter(|typed| typed.contains("://"))?;
    let error = Error::invalid("the connector is missing before the location");
    Some(error.remedy("write its file first, such as `connector.wasm`"))
}

/// Starts what a command needs, and runs it.
fn start(arguments: &Arguments) -> Result<u8, Error> {
    let Arguments { command, output } = arguments;
    machine::check()?;
    let no_threads = |error| machine::no_threads(&error);
    let report = Report::new(output, command.name()).map_err(no_threads)?;
    log(output, report.clone());
    let signals = match command {
        Command::Backup(_) | Command::Ping(_) => {
            Some(Signals::catch(report.clone()).map_err(no_threads)?)
        }
        _ => None,
    };
    // Before the worker threads start, because they inherit it.
    let _ = rustix::process::nice(NICENESS);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(no_threads)?;
    let code = runtime.block_on(async {
        signals::survive_large_files();
        match (command, signals) {
            (Command::Backup(backup), Some(signals)) => {
                backup::main(backup, &report, signals).await
            }
            (Command::Ping(ping), Some(signals)) => ping::main(ping, &report, signals).await,
            (Command::Inspect(inspect), _) => inspect::main(inspect, output.json, &report).await,
            (Command::Run(run), _) => run::main(run, &report).await,
            (Command::Plugin(plugin), _) => plugin::main(plugin, &report).await,
            _ => unreachable!("these need no runtime"),
        }
    });
    // A name that is still being resolved must not keep the process running.
    runtime.shutdown_background();
    Ok(code)
}

/// Reports on standard error why a command failed; returns the exit code.
fn failed(error: &Error) -> u8 {
    let _ = writeln!(std::io::stderr(), "error: {error}");
    error.fault().exit_code()
}

fn man(name: Option<&str>) -> u8 {
    let mut command = Arguments::command();
    command.build();
    let page = match name {
        None => command,
        Some(name) => match command.find_subcommand(name) {
            Some(found) => found.clone().display_name(format!("plakar-wasm-{name}")),
            None => return failed(&unknown_page(name, &command)),
        },
    };
    let mut text = Vec::new();
    match clap_mangen::Man::new(page).render(&mut text) {
        Ok(()) => write(&text),
        Err(_) => ErrorKind::Other.exit_code(),
    }
}

fn unknown_page(name: &str, command: &clap::Command) -> Error {
    let names: Vec<String> =
        command.get_subcommands().map(|command| format!("`{}`", command.get_name())).collect();
    Error::invalid(format!("unknown command `{}`", escaped(name, 64)))
        .remedy(format!("use one of {}", names.join(", ")))
}

/// Writes a text that is the whole output of a command; returns the exit code.
fn write(text: &[u8]) -> u8 {
    end_of_output(std::io::stdout().write_all(text))
}

/// Returns the exit code of a command whose output was written with this result.
fn end_of_output(written: std::io::Result<()>) -> u8 {
    let reason = match written.and_then(|()| std::io::stdout().flush()) {
        Ok(()) if output::is_closed() => output::CLOSED.to_owned(),
        Ok(()) => return 0,
        Err(error) => format!("standard output: {error}"),
    };
    let _ = writeln!(std::io::stderr(), "error: {reason}");
    ErrorKind::Other.exit_code()
}

/// Sends diagnostics to standard error: warnings always, more with `-v`.
fn log(output: &Output, report: Report) {
    let level = match output.verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    // What libraries log themselves is repeated, with more detail, in our errors.
    let ours = ["plakar_wasm", "plakar_sink"].map(|target| (target, level));
    let ours = Targets::new().with_targets(ours);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(report)
        .with_ansi(false)
        .with_target(false)
        .without_time();
    tracing_subscriber::registry().with(lines).with(ours).init();
}
