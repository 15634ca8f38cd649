//! The connector's core without WebAssembly: what is left of a backup's cost when
//! the sandbox is taken away. Same rules, same sink, same kind of runtime.

use crate::network::Hyper;
use plakar_etcd::Options;
use plakar_etcd::import::{Fate, Import, Reader, Step};
use plakar_sink::DirectorySink;
use plakar_sink::{Entry, Sink};
use std::path::Path;
use tokio::runtime::Runtime;

/// How much the host asks of a connector at a time, in bytes.
const PIECE: usize = 512 << 10;

/// Backs up `location` into the directory `to`.
pub(crate) fn save(transport: &str, location: &str, to: &Path) -> Result<(), String> {
    let config =
        [("location", location), ("transport", transport)].map(|(k, v)| (k.into(), v.into()));
    let options = Options::read(&config).map_err(|error| error.to_string())?;
    let hyper = Hyper::new();
    let runtime = hyper.runtime();
    let mut import = Import::new(hyper, options, |line| eprintln!("{line}"));
    let mut sink = DirectorySink::create(to, false).map_err(|error| error.to_string())?;
    loop {
        let record = match import.advance().map_err(|error| error.to_string())? {
            Step::Record(record) => record,
            Step::Finished => break,
            Step::AwaitingAcknowledgements => return Err("every record is acknowledged".into()),
        };
        let entry = Entry {
            pathname: record.pathname.into(),
            mode: record.mode,
            modified: record.modified,
        };
        let stored = match record.content {
            None => runtime.block_on(sink.directory(&entry)).map(|()| 0),
            Some(reader) => store(&runtime, &mut sink, &entry, reader)?,
        };
        let stored = stored.map_err(|error| error.to_string())?;
        import.acknowledge(record.id, Fate::Stored(stored));
    }
    sink.commit().map_err(|error| error.to_string())
}

fn store(
    runtime: &Runtime,
    sink: &mut DirectorySink,
    entry: &Entry,
    mut reader: Reader<Hyper>,
) -> Result<Result<u64, plakar_policy::Error>, String> {
    let failed = |error: plakar_policy::Error| error.to_string();
    runtime.block_on(sink.begin_file(entry)).map_err(failed)?;
    while let Some(bytes) = reader.read(PIECE).map_err(|error| error.to_string())? {
        runtime.block_on(sink.write(bytes.into())).map_err(failed)?;
    }
    Ok(runtime.block_on(sink.finish_file()))
}
