//! The rows: what is measured, and how one run of each goes.

mod harm;
mod save;
mod start;
mod store;

pub(crate) use harm::WINDOW;

use crate::arguments::Arguments;
use crate::bed::Bed;
use crate::results::{Quantity, Results, Sample};
use std::time::Instant;

/// A row: its name, and one run of it.
pub(crate) struct Row<'a> {
    name: &'static str,
    run: Box<dyn FnMut(Pass) -> Result<Sample, String> + 'a>,
}

impl<'a> Row<'a> {
    fn new(name: &'static str, run: impl FnMut(Pass) -> Result<Sample, String> + 'a) -> Row<'a> {
        Row { name, run: Box::new(run) }
    }
}

/// Which round a run belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// The first: caches fill, bytes are counted, nothing is timed.
    WarmUp,
    /// The others.
    Timed,
}

/// Every row's name and what it is for people, in the order of the tables.
pub(crate) const LABELS: [(&str, &str); 34] = [
    ("save/etcdctl", "`etcdctl snapshot save`"),
    ("save/etcdctl-sha256", "`etcdctl snapshot save`, then a SHA-256 check"),
    ("save/plakar-wasm-grpc", "`plakar-wasm`, gRPC"),
    ("save/plakar-wasm-grpc-digest", "`plakar-wasm`, gRPC, `proof=off`"),
    ("save/native-grpc", "the same core, native, gRPC"),
    ("save/curl-gateway", "`curl` of the gateway"),
    ("save/plakar-wasm-gateway", "`plakar-wasm`, gateway"),
    ("save/native-gateway", "the same core, native, gateway"),
    ("save/wasmtime-gateway", "stock `wasmtime run`, gateway"),
    ("mtls/etcdctl", "`etcdctl snapshot save`"),
    ("mtls/plakar-wasm-grpc", "`plakar-wasm`, gRPC"),
    ("mtls/curl-gateway", "`curl` of the gateway"),
    ("mtls/plakar-wasm-gateway", "`plakar-wasm`, gateway"),
    ("store/etcdctl-plakar", "`etcdctl snapshot save`, then `plakar backup` of the file"),
    ("store/plakar-grpc", "`plakar backup etcd://`, gRPC"),
    ("store/plakar-gateway", "`plakar backup etcd://`, gateway"),
    ("harm/nothing", "no backup"),
    ("harm/etcdctl", "`etcdctl snapshot save`"),
    ("harm/plakar-wasm-grpc", "`plakar-wasm`, gRPC"),
    ("harm/hashkv", "`etcdctl endpoint hashkv`, which saves nothing"),
    ("harm/plakar-wasm-gateway", "`plakar-wasm`, gateway"),
    ("harm/etcdctl-same-disk", "`etcdctl snapshot save` to the member's disk"),
    ("harm/plakar-wasm-grpc-same-disk", "`plakar-wasm`, gRPC, to the member's disk"),
    ("start/curl-status", "`curl` of the member's status"),
    ("start/ping-cold", "`plakar-wasm ping`, first start of all"),
    ("start/ping-warm", "`plakar-wasm ping`"),
    ("start/first-byte-curl", "first byte: `curl` of the gateway"),
    ("start/first-byte-gateway", "first byte: `plakar-wasm`, gateway"),
    ("start/first-byte-grpc", "first byte: `plakar-wasm`, gRPC"),
    ("start/first-byte-choice", "first byte: three members, one dead, one frozen"),
    ("start/plugin-cold", "plugin: first HTTP/2 frame, first start of all"),
    ("start/plugin-warm", "plugin: first HTTP/2 frame"),
    ("start/plugin-stopped", "plugin: while plakar is stopped"),
    ("start/connector", "`connector.wasm`"),
];

/// Timed runs by default: enough for a stable median, and few enough that
/// everything ends within 40 minutes on two cores.
const RUNS: usize = 5;
/// Of what takes long, or is only to show how things grow.
const FEWER_RUNS: usize = 3;
/// Above [`LARGE`].
const FEWEST_RUNS: usize = 2;

/// Megabytes above which only the most important rows are measured.
const LARGE: u64 = 1000;

/// Measures everything that was asked for. `report` is called after each group of
/// rows as well, so that an interruption loses one group at most.
pub(crate) fn measure(
    arguments: &Arguments,
    report: impl FnMut(&Results) -> Result<(), String>,
) -> Result<Results, String> {
    let mut bench =
        Bench { arguments, report, results: Results::default(), started: Instant::now() };
    if !bench.wants("") {
        return Err(format!(
            "no row's name contains `{}`: they are named like `{}`",
            arguments.rows, LABELS[0].0
        ));
    }
    for &size in &arguments.sizes {
        let main = size == arguments.main_size();
        if !main && !bench.wants("save/") {
            continue;
        }
        eprintln!("{} filling a database of {size} MB", bench.clock());
        let Some(bed) = bench.made(&format!("the database of {size} MB"), Bed::new(size)) else {
            continue;
        };
        bench.saves(&bed, main)?;
        if main {
            bench.others(&bed)?;
        }
    }
    (bench.report)(&bench.results)?;
    Ok(bench.results)
}

struct Bench<'a, R> {
    arguments: &'a Arguments,
    report: R,
    results: Results,
    started: Instant,
}

impl<R: FnMut(&Results) -> Result<(), String>> Bench<'_, R> {
    /// Whether any row whose name begins like this is wanted.
    fn wants(&self, prefix: &str) -> bool {
        LABELS.iter().any(|(name, _)| name.starts_with(prefix) && self.arguments.wants(name))
    }

    /// The copies to a file, as many as the size allows.
    fn saves(&mut self, bed: &Bed, main: bool) -> Result<(), String> {
        let mut rows = save::telling_rows(bed);
        if main || bed.size <= LARGE {
            rows.extend(save::more_rows(bed));
        }
        let runs = match bed.size > LARGE {
            true => FEWEST_RUNS,
            false if main => RUNS,
            false => FEWER_RUNS,
        };
        self.group(rows, runs, bed.size)
    }

    /// What is measured at the main size alone.
    fn others(&mut self, bed: &Bed) -> Result<(), String> {
        self.group(save::secure_rows(bed), RUNS, bed.size)?;
        if self.wants("store/")
            && let Some(stores) = self.made("plakar's stores", store::Stores::new())
        {
            self.group(store::rows(bed, &stores), FEWER_RUNS, bed.size)?;
        }
        self.group(harm::rows(bed), RUNS, bed.size)?;
        if self.wants("start/")
            && let Some(ground) = self.made("what `start/` needs", start::Ground::new(bed))
        {
            self.group(start::rows(&ground), RUNS, bed.size)?;
        }
        Ok(())
    }

    /// The result; a failure is listed beside the other results.
    fn made<T>(&mut self, what: &str, made: Result<T, String>) -> Option<T> {
        made.map_err(|error| self.failed(what.to_owned(), &error)).ok()
    }

    fn failed(&mut self, what: String, error: &str) {
        let error = without_paths(error);
        eprintln!("{} {what} failed: {error}", self.clock());
        self.results.failures.push((what, error));
    }

    /// Runs the wanted rows in turn, round after round, so that what disturbs the
    /// machine hits all alike. Of the first round nothing is kept but counted bytes.
    fn group(&mut self, mut rows: Vec<Row<'_>>, runs: usize, size: u64) -> Result<(), String> {
        let runs = self.arguments.runs.unwrap_or(runs);
        rows.retain(|row| self.arguments.wants(row.name));
        if rows.is_empty() {
            return Ok(());
        }
        for round in 0..=runs {
            let pass = if round == 0 { Pass::WarmUp } else { Pass::Timed };
            rows.retain_mut(|row| {
                eprint!("{} {size} MB, {}, {round} of {runs}: ", self.clock(), row.name);
                let begun = Instant::now();
                match (row.run)(pass) {
                    Ok(mut sample) => {
                        eprintln!("{:.1} s", begun.elapsed().as_secs_f64());
                        sample.retain(|(quantity, _)| {
                            pass == Pass::Timed || *quantity == Quantity::Wire
                        });
                        self.results.add(row.name, size, sample);
                        true
                    }
                    Err(error) => {
                        eprintln!();
                        self.failed(format!("{}, {size} MB", row.name), &error);
                        false
                    }
                }
            });
        }
        (self.report)(&self.results)
    }

    /// Minutes and seconds since the start.
    fn clock(&self) -> String {
        let seconds = self.started.elapsed().as_secs();
        format!("{:02}:{:02}", seconds / 60, seconds % 60)
    }
}

/// The error without the paths of this machine, which are no part of a report.
fn without_paths(error: &str) -> String {
    let here = tempfile::env::temp_dir();
    let repository = host_tests::tools::repository();
    let error = error.replace(&*here.to_string_lossy(), "…");
    error.replace(&*repository.to_string_lossy(), "…")
}
