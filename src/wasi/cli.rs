//! The export `wasi:cli/run`.

use super::bindings::exports::wasi::cli::run::Guest;
use super::http::WasiHttp;
use super::importer::Component;
use super::say;
use super::stdout::Stdout;
use crate::command::{self, ABSENT_EXIT_CODE, Command, Target};
use crate::error::Result;
use crate::import::Import;
use crate::look::{self, Outcome, PATIENCE, Style};
use crate::options::Options;
use crate::session::Session;
use crate::stored::Source;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// How often a long run reports its progress.
const PROGRESS: Duration = Duration::from_secs(5);

impl Guest for Component {
    fn run() -> std::result::Result<(), ()> {
        let (message, code) = match run() {
            Ok(Outcome::Printed) => return Ok(()),
            Ok(Outcome::Absent(why)) => (why, ABSENT_EXIT_CODE),
            Err(error) => (error.to_string(), error.kind.exit_code()),
        };
        say(format_args!("error: {message}"));
        wasip2::cli::exit::exit_with_code(code);
        Err(())
    }
}

fn run() -> Result<Outcome> {
    match command::parse(std::env::args_os().skip(1))? {
        Command::Print(text) => print(&text)?,
        Command::Verify(source) => {
            if source == Source::Stdin && std::io::stdin().is_terminal() {
                say("reading a dump or a bundle from standard input");
            }
            print(&source.verify()?)?;
        }
        Command::Look(look, json) => {
            let style = Style { json, terminal: std::io::stdout().is_terminal() };
            return look.run(style, &mut Stdout::new(PATIENCE));
        }
        Command::Ping(target) => {
            let options = options(target)?;
            let origin = options.origin();
            Session::new(WasiHttp, options, warn).ping()?;
            print(&format!("ok: a backup of `{origin}` could start\n"))?;
        }
        Command::Backup { target, bundle } => backup(options(target)?, bundle)?,
    }
    Ok(Outcome::Printed)
}

fn print(text: &str) -> Result<()> {
    look::print(&mut Stdout::new(PATIENCE), text.as_bytes())
}

fn backup(options: Options, bundle: bool) -> Result<()> {
    command::check_output(std::io::stdout().is_terminal())?;
    let out = Stdout::new(options.limits.store);
    let mut import = Import::new(WasiHttp, options, warn);
    let started = Instant::now();
    let mut reported = started;
    command::backup(&mut import, bundle, out, |bytes, size| {
        if reported.elapsed() >= PROGRESS {
            reported = Instant::now();
            let size = size.map(|size| format!(" of {size}")).unwrap_or_default();
            say(format_args!("{bytes}{size} bytes in {} s", started.elapsed().as_secs()));
        }
    })?;
    for (name, value) in import.facts() {
        say(format_args!("{name}: {value}"));
    }
    say(format_args!("ok: complete and verified after {} ms", started.elapsed().as_millis()));
    Ok(())
}

fn warn(line: &str) {
    say(format_args!("warning: {line}"));
}

fn options(target: Target) -> Result<Options> {
    let password = target.password.as_ref();
    let password =
        password.map(|source| source.read(std::io::stdin().lock(), |v| std::env::var(v)));
    target.options(password.transpose()?)
}
