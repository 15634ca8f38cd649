//! The rows: what is measured, and how one run of each goes.

mod harm;
mod save;
mod start;
mod store;

pub(crate) use harm::WINDOW;

use crate::arguments::Arguments;
use crate::bed::Bed;
use crate::results::{Quantity, Results, Sample};

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
pub(crate) const LABELS: [(&str, &str); 30] = [
    ("save/etcdctl", "`etcdctl snapshot save`"),
    ("save/etcdctl-sha256", "`etcdctl snapshot save`, then a SHA-256 check"),
    ("save/plakar-wasm-grpc", "`plakar-wasm`, gRPC"),
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
    ("harm/plakar-wasm-gateway", "`plakar-wasm`, gateway"),
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

/// Measures everything that was asked for.
pub(crate) fn measure(arguments: &Arguments) -> Result<Results, String> {
    let mut results = Results::default();
    for size in arguments.sizes.iter().copied() {
        let main = size == arguments.main_size();
        let wanted = |prefix: &str| {
            LABELS.iter().any(|(name, _)| name.starts_with(prefix) && arguments.wants(name))
        };
        let needed =
            wanted("save/") || main && LABELS.iter().any(|(name, _)| arguments.wants(name));
        if !needed {
            continue;
        }
        eprintln!("filling a database of {size} MB");
        let bed = Bed::new(size)?;
        let runs = arguments.runs_at(size);
        let mut stage = |rows: Vec<Row<'_>>| {
            let rows = rows.into_iter().filter(|row| arguments.wants(row.name)).collect();
            interleave(rows, runs, Some(size), &mut results);
        };
        stage(save::rows(&bed));
        if main {
            stage(save::secure_rows(&bed));
            if wanted("store/") {
                let store = store::Stores::new()?;
                stage(store::rows(&bed, &store));
            }
            stage(harm::rows(&bed));
            if wanted("start/") {
                let start = start::Ground::new(&bed)?;
                stage(start::rows(&start));
            }
        }
    }
    Ok(results)
}

/// Runs the rows in turn, round after round, so that what disturbs the machine
/// hits all alike. Of the first round nothing is kept but counted bytes.
fn interleave(mut rows: Vec<Row<'_>>, runs: usize, size: Option<u64>, results: &mut Results) {
    for round in 0..=runs {
        let pass = if round == 0 { Pass::WarmUp } else { Pass::Timed };
        rows.retain_mut(|row| {
            eprint!("\r\x1b[K{} MB, {}: {round} of {runs}", size.unwrap_or_default(), row.name);
            let ran = (row.run)(pass);
            match ran {
                Ok(mut sample) => {
                    sample
                        .retain(|(quantity, _)| pass == Pass::Timed || *quantity == Quantity::Wire);
                    results.add(row.name, size, sample);
                    true
                }
                Err(error) => {
                    let error = without_paths(&error);
                    eprintln!("\r\x1b[K{} failed: {error}", row.name);
                    results.failures.push((row.name, error));
                    false
                }
            }
        });
    }
    eprint!("\r\x1b[K");
}

/// The error without the paths of this machine, which are no part of a report.
fn without_paths(error: &str) -> String {
    let here = tempfile::env::temp_dir();
    let repository = host_tests::tools::repository();
    let error = error.replace(&*here.to_string_lossy(), "…");
    error.replace(&*repository.to_string_lossy(), "…")
}
