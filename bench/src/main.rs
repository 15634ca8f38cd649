//! Measures the connector beside its peers: time, processor, memory, harm.
//!
//! ```text
//! arguments ─▶ rows ──────────────▶ results ─▶ figures ─▶ report
//!              save, store,          medians    reached?   tables, JSON, SVG
//!              harm, start
//! ```
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`arguments`] | what can be typed |
//! | [`rows`] | what is measured, in turn, round after round |
//! | [`bed`] | a real member with a database of a given size |
//! | [`savers`] | the ways to save a snapshot that are compared |
//! | [`measure`] | what a command costs |
//! | [`meter`] | counts the bytes between a client and the member |
//! | [`puts`] | a steady load of writes, and how long each takes |
//! | [`native`], [`network`] | the connector's core without WebAssembly, as a command of this program |
//! | [`check`] | the SHA-256 of a dump, likewise |
//! | [`results`], [`figures`], [`machine`], [`report`] | what came of it |
//!
//! Each process is started by this one, ended by its id, and dies with it. All
//! files lie in one temporary directory and one in memory, which are removed at
//! the end, at a signal and at a panic.

#![forbid(unsafe_code)]

mod arguments;
mod bed;
mod check;
mod figures;
mod machine;
mod measure;
mod meter;
mod native;
mod network;
mod puts;
mod report;
mod results;
mod rows;
mod savers;

use arguments::{Arguments, Task};
use machine::Machine;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tempfile::TempDir;

fn main() -> ExitCode {
    let done = arguments::read().and_then(|task| match task {
        Task::Help => {
            print!("{}", arguments::HELP);
            Ok(true)
        }
        Task::Native { transport, location, to } => {
            native::save(&transport, &location, &to).map(|()| true)
        }
        Task::Check(file) => check::dump(&file).map(|()| true),
        Task::Measure(arguments) => measure(&arguments),
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and reports; whether every row could be measured.
fn measure(arguments: &Arguments) -> Result<bool, String> {
    let missing = machine::missing();
    if !missing.is_empty() {
        return Err(missing.join("; "));
    }
    let scratch = Scratch::new()?;
    // Asks every program, and so ends here where one is missing.
    let machine = Machine::ask(scratch.0.path());
    let mut table = String::new();
    let results = rows::measure(arguments, |results| {
        let figures = figures::figures(results, arguments.main_size());
        table = report::write(arguments, &machine, results, &figures)?;
        Ok(())
    })?;
    drop(scratch);
    println!("{table}\nwritten to {}", shown(&arguments.out).display());
    Ok(results.failures.is_empty())
}

/// The one directory below which everything is written, but what is written to
/// memory.
struct Scratch(TempDir);

impl Scratch {
    fn new() -> Result<Scratch, String> {
        let folder = TempDir::with_prefix("bench-").map_err(|error| error.to_string())?;
        tempfile::env::override_temp_dir(folder.path())
            .map_err(|_| "the temporary directory is set")?;
        let path = folder.path().to_owned();
        let reported = std::panic::take_hook();
        let at_panic = path.clone();
        std::panic::set_hook(Box::new(move |panic| {
            reported(panic);
            remove(&at_panic);
        }));
        at_signals(path)?;
        Ok(Scratch(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(self.0.path());
    }
}

/// Removes what is there of it.
fn remove(scratch: &Path) {
    let _ = std::fs::remove_dir_all(bed::in_memory(scratch));
    let _ = std::fs::remove_dir_all(scratch);
}

/// Removes all files at SIGINT and SIGTERM, and ends. What was started dies
/// with this process.
fn at_signals(path: PathBuf) -> Result<(), String> {
    use tokio::signal::unix::{SignalKind, signal};

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        let catch = |kind| signal(kind).map_err(|error| error.to_string());
        (catch(SignalKind::interrupt())?, catch(SignalKind::terminate())?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        remove(&path);
        std::process::exit(130);
    });
    Ok(())
}

/// A path as seen from the repository, where it lies there.
fn shown(path: &Path) -> &Path {
    path.strip_prefix(host_tests::tools::repository()).unwrap_or(path)
}
