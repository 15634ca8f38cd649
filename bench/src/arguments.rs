//! What can be typed.

use std::ffi::OsString;
use std::path::PathBuf;

/// What to measure, and how thoroughly.
pub(crate) struct Arguments {
    /// Timed runs of each row, if typed.
    pub(crate) runs: Option<usize>,
    /// Sizes of database, in megabytes, ascending. All rows are measured at
    /// [`Arguments::main_size`], the copies to a file at each of them.
    pub(crate) sizes: Vec<u64>,
    /// Only rows whose name contains this.
    pub(crate) rows: String,
    /// Where the results go.
    pub(crate) out: PathBuf,
}

/// What the process is to do.
pub(crate) enum Task {
    /// Measure.
    Measure(Arguments),
    /// Save a snapshot with the connector's core, without WebAssembly.
    Native { transport: String, location: String, to: PathBuf },
    /// Compare a dump with the SHA-256 at its end.
    Check(PathBuf),
    /// Print this.
    Help,
}

pub(crate) const HELP: &str = "\
Measures the connector beside its peers, against real etcd on 127.0.0.1

Usage: just bench [OPTIONS]

  --quick          16 MB only, 3 runs: to see that everything works
  --rows PATTERN   only rows whose name contains PATTERN, such as `save/`
  --sizes LIST     sizes in MB, comma-separated [default: 16,128,512,2048]
  --runs N         timed runs of each row, after one that is not timed
                   [default: 5 at 512 MB, 3 into a store and at other sizes, 2 above 1 GB]
  --out DIR        where results go [default: docs/bench for a full run, else target/bench]

A full run takes about 40 minutes on two cores. It needs disk for about four times
the largest size, 1 GB in /dev/shm, and an otherwise idle machine. Results are written after each
group of rows: an interrupted run keeps them.
";

/// The size at which every row is measured, where it is among the sizes.
const MAIN_SIZE: u64 = 512;
const SIZES: [u64; 4] = [16, 128, MAIN_SIZE, 2048];

impl Arguments {
    /// The size at which all rows are measured.
    pub(crate) fn main_size(&self) -> u64 {
        let largest = self.sizes.last().copied().unwrap_or(MAIN_SIZE);
        if self.sizes.contains(&MAIN_SIZE) { MAIN_SIZE } else { largest }
    }

    /// Whether a row is wanted.
    pub(crate) fn wants(&self, row: &str) -> bool {
        row.contains(&self.rows)
    }
}

/// Reads the command line.
pub(crate) fn read() -> Result<Task, String> {
    use lexopt::Arg::{Long, Short, Value};

    let (mut runs, mut sizes, mut rows, mut out) = (None, None, String::new(), None);
    let mut words: Vec<String> = Vec::new();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next().map_err(wrong)? {
        match argument {
            Short('h') | Long("help") => return Ok(Task::Help),
            Long("quick") => (runs, sizes) = (runs.or(Some(3)), sizes.or(Some(vec![16]))),
            Long("rows") => rows = value(&mut parser)?,
            Long("runs") => runs = Some(number(&value(&mut parser)?)? as usize),
            Long("sizes") => {
                let mut list: Vec<u64> =
                    value(&mut parser)?.split(',').map(number).collect::<Result<_, _>>()?;
                list.sort_unstable();
                list.dedup();
                sizes = Some(list);
            }
            Long("out") => out = Some(PathBuf::from(value(&mut parser)?)),
            Value(word) => words.push(text(word)?),
            other => return Err(wrong(other.unexpected())),
        }
    }
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => {}
        ["native", transport, location, to] => {
            let (transport, location) = (transport.to_string(), location.to_string());
            return Ok(Task::Native { transport, location, to: to.into() });
        }
        ["check", file] => return Ok(Task::Check(file.into())),
        [word, ..] => return Err(format!("`{word}` is no option; see `--help`")),
    }
    // Only a full run may replace the published results.
    let full = runs.is_none() && sizes.is_none() && rows.is_empty();
    let repository = host_tests::tools::repository();
    let default = repository.join(if full { "docs/bench" } else { "target/bench" });
    Ok(Task::Measure(Arguments {
        runs,
        sizes: sizes.unwrap_or(SIZES.into()),
        rows,
        out: out.unwrap_or(default),
    }))
}

fn value(parser: &mut lexopt::Parser) -> Result<String, String> {
    text(parser.value().map_err(wrong)?)
}

fn text(argument: OsString) -> Result<String, String> {
    argument.into_string().map_err(|_| "an argument is not UTF-8".into())
}

fn wrong(error: lexopt::Error) -> String {
    format!("{error}; see `--help`")
}

fn number(text: &str) -> Result<u64, String> {
    match text.trim().parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("`{text}` is not a number above zero")),
    }
}
