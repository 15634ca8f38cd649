//! The messages of the protocol, and how the host's own types are converted to them.

use crate::Record;
use plakar_connector::ErrorKind;
use plakar_policy::{Error, Fault};
use prost_types::Timestamp;
use tonic::{Code, Status};

/// The service and its messages.
pub(super) mod importer {
    #![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
    tonic::include_proto!("importer");
}

/// What importers and exporters share.
pub(super) mod plakar {
    pub(in crate::plugin) mod connectors {
        #![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
        tonic::include_proto!("plakar.connectors");
    }
}

use plakar::connectors::{self, FileInfo};

/// Go's `fs.ModeDir`.
const MODE_DIRECTORY: u32 = 1 << 31;

/// The size of content before it was stored. An acknowledgement that repeats it says that
/// nothing was stored, which a real size could not say.
const UNKNOWN_SIZE: i64 = -1;

/// Plakar's location flags for every source. It must not start a second import to count
/// bytes, because there are none before they are read (`STREAM`); it must acknowledge,
/// because otherwise it is unknown what it stored (`NEEDACK`); and it must not put two
/// sources into one snapshot, because each has the same root (`NOMERGE`).
pub(super) const FLAGS: u32 = 1 << 2 | 1 << 3 | 1 << 4;

/// The directory that contains all records.
pub(super) const ROOT: &str = "/";

/// Converts a record for plakar.
pub(super) fn record(record: &Record) -> connectors::Record {
    let Record { pathname, mode, modified, reader, .. } = record;
    let directory = reader.is_none();
    connectors::Record {
        has_reader: !directory,
        pathname: pathname.to_string(),
        file_info: Some(FileInfo {
            name: base(pathname).to_owned(),
            size: if directory { 0 } else { UNKNOWN_SIZE },
            mode: if directory { mode | MODE_DIRECTORY } else { *mode },
            mod_time: Some(Timestamp::from(*modified)),
            uid: u64::from(rustix::process::geteuid().as_raw()),
            gid: u64::from(rustix::process::getegid().as_raw()),
            nlink: 1,
            ..FileInfo::default()
        }),
        ..connectors::Record::default()
    }
}

/// Returns the last component of a clean pathname, by which plakar files it.
fn base(pathname: &str) -> &str {
    match pathname.rsplit_once('/') {
        Some((_, base)) if !base.is_empty() => base,
        _ => pathname,
    }
}

/// Returns the record that plakar has finished, and how many bytes it keeps of it, if any.
pub(super) fn acknowledgement(result: connectors::Result) -> Result<(String, Option<u64>), Error> {
    let Some(header) = result.header else {
        return Err(Error::store("plakar acknowledged something that is not a record"));
    };
    let reason = if result.error.is_empty() { header.error } else { result.error };
    if !reason.is_empty() {
        return Err(Error::store(format!("plakar did not store `{}`: {reason}", header.pathname)));
    }
    let size = header.file_info.map_or(UNKNOWN_SIZE, |info| info.size);
    Ok((header.pathname, u64::try_from(size).ok()))
}

/// Converts a failure for plakar. Neither `Unavailable` nor `Cancelled` occurs: plakar
/// reports the first as a broken plugin, and does not report the second.
pub(super) fn status(error: &Error) -> Status {
    let code = match error.fault() {
        Fault::Reported(kind) => match kind {
            ErrorKind::InvalidConfig => Code::InvalidArgument,
            ErrorKind::Unreachable => Code::FailedPrecondition,
            ErrorKind::TimedOut => Code::DeadlineExceeded,
            ErrorKind::Unauthenticated => Code::Unauthenticated,
            ErrorKind::PermissionDenied => Code::PermissionDenied,
            ErrorKind::Unsupported => Code::Unimplemented,
            ErrorKind::Interrupted => Code::Aborted,
            ErrorKind::Corrupt => Code::DataLoss,
            ErrorKind::Other => Code::Unknown,
        },
        Fault::Store => Code::Aborted,
        Fault::Component => Code::Internal,
        Fault::Host => Code::ResourceExhausted,
    };
    Status::new(code, error.to_string())
}
