//! Writes a backup to standard output: the dump alone, or a bundle of all records.

use crate::bundle::{self, Bundle};
use crate::error::{Error, Result, Stage};
use crate::import::{DUMP, Fate, Import, Record, Step};
use crate::net::Network;
use plakar_connector::ErrorKind;
use std::io::Write;

/// How much is read at a time, in bytes.
const PIECE: usize = 256 << 10;

/// Writes a backup to `out`. `progress` is called after each piece: bytes written,
/// and the total if that is known.
pub(crate) fn backup<N: Network>(
    import: &mut Import<N>,
    bundle: bool,
    out: impl Write,
    progress: impl FnMut(u64, Option<u64>),
) -> Result<()> {
    if bundle { backup_bundle(import, out) } else { backup_dump(import, out, progress) }
}

/// Refuses to write a dump to a terminal.
pub(crate) fn check_output(is_terminal: bool) -> Result<()> {
    if is_terminal {
        let error = Error::new(ErrorKind::InvalidConfig, "standard output is a terminal");
        return Err(error.remedy("redirect it to a file"));
    }
    Ok(())
}

fn backup_bundle<N: Network>(import: &mut Import<N>, out: impl Write) -> Result<()> {
    let mut bundle = Bundle::new(out);
    while let Some(record) = next_record(import)? {
        let id = record.id;
        let size = bundle.append(record, PIECE)?;
        import.acknowledge(id, Fate::Stored(size));
    }
    import.finish()?;
    bundle.finish()
}

fn backup_dump<N: Network>(
    import: &mut Import<N>,
    mut out: impl Write,
    mut progress: impl FnMut(u64, Option<u64>),
) -> Result<()> {
    while let Some(record) = next_record(import)? {
        let mut size = 0;
        if let (DUMP, Some(mut reader)) = (record.pathname, record.content) {
            while let Some(bytes) = reader.read(PIECE)? {
                out.write_all(&bytes).map_err(bundle::write_failed)?;
                size += bytes.len() as u64;
                progress(size, reader.size());
            }
            out.flush().map_err(bundle::write_failed)?;
        }
        import.acknowledge(record.id, Fate::Stored(size));
    }
    import.finish()
}

fn next_record<N: Network>(import: &mut Import<N>) -> Result<Option<Record<N>>> {
    match import.advance()? {
        Step::Record(record) => Ok(Some(record)),
        Step::Finished => Ok(None),
        // Cannot happen: each record is acknowledged before the next step.
        Step::AwaitingAcknowledgements => Err(Error::new(
            ErrorKind::Other,
            "the import waits for an acknowledgement that it already has",
        )
        .during(Stage::Store)),
    }
}
