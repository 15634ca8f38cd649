//! The export `plakar:connector/importer`.

use super::bindings::exports::plakar::connector::importer as wit;
use super::bindings::exports::plakar::connector::types;
use super::http::WasiHttp;
use crate::error::Error;
use crate::import::{Fate, Import, Reader, Record, Step};
use crate::options::Options;
use crate::session::Session;
use crate::snapshot::stream::Stated;
use crate::snapshot::verifier::{Checks, Hashing};
use plakar_connector::{Authority, ErrorKind};
use std::cell::RefCell;
use std::time::UNIX_EPOCH;

/// The exports of the component.
pub(crate) struct Component;

impl wit::Guest for Component {
    type Importer = EtcdImporter;
    type ImportRun = EtcdImport;
    type Reader = EtcdReader;
}

/// A warning: by the contract, a line on standard error.
fn warn(line: &str) {
    super::say(line);
}

/// A configured source.
pub(crate) struct EtcdImporter {
    options: Options,
}

impl wit::GuestImporter for EtcdImporter {
    fn open(options: wit::ImportOptions) -> Result<wit::Importer, wit::Error> {
        let authority =
            |types::Authority { host, port, tls }: types::Authority| Authority { host, port, tls };
        let authorities = options.authorities.into_iter().map(authority).collect();
        let hashing = if options.digests.contains(&types::DigestAlgorithm::Sha256) {
            Hashing::ByHost
        } else {
            Hashing::Here
        };
        let options = Options::new(authorities, &options.config)?;
        let checks = Checks { hashing, ..options.checks };
        Ok(wit::Importer::new(EtcdImporter { options: Options { checks, ..options } }))
    }

    fn origin(&self) -> String {
        self.options.origin()
    }

    fn ping(&self) -> Result<(), wit::Error> {
        Ok(Session::new(WasiHttp, self.options.clone(), warn).ping()?)
    }

    fn start(&self) -> Result<wit::ImportRun, wit::Error> {
        let import = Import::new(WasiHttp, self.options.clone(), warn);
        Ok(wit::ImportRun::new(EtcdImport(RefCell::new(import))))
    }
}

/// A running import.
pub(crate) struct EtcdImport(RefCell<Import<WasiHttp>>);

impl wit::GuestImportRun for EtcdImport {
    fn next(&self) -> Result<wit::Step, wit::Error> {
        Ok(match self.0.borrow_mut().advance()? {
            Step::Record(record) => wit::Step::Next(record.into()),
            Step::AwaitingAcknowledgements => wit::Step::AwaitingAcknowledgements,
            Step::Finished => wit::Step::Finished,
        })
    }

    fn ack(&self, record_id: u64, fate: wit::Fate) {
        let fate = match fate {
            wit::Fate::Stored(bytes) => Fate::Stored(bytes),
            wit::Fate::Skipped => Fate::Skipped,
        };
        self.0.borrow_mut().acknowledge(record_id, fate);
    }

    fn finish(&self) -> Result<(), wit::Error> {
        Ok(self.0.borrow().finish()?)
    }

    fn facts(&self) -> Vec<wit::Fact> {
        let facts = self.0.borrow().facts();
        facts.into_iter().map(|(name, value)| wit::Fact { name: name.into(), value }).collect()
    }
}

/// The bytes of a record.
pub(crate) struct EtcdReader(RefCell<Reader<WasiHttp>>);

impl wit::GuestReader for EtcdReader {
    fn read(&self, max_bytes: u32) -> Result<Option<Vec<u8>>, wit::Error> {
        Ok(self.0.borrow_mut().read(max_bytes as usize)?)
    }

    fn size(&self) -> Option<u64> {
        self.0.borrow().size()
    }

    fn digest(&self) -> Option<wit::Digest> {
        let Stated { bytes, sha256, mismatch } = self.0.borrow().digest()?;
        Some(wit::Digest {
            algorithm: wit::DigestAlgorithm::Sha256,
            bytes,
            value: sha256.to_vec(),
            mismatch: mismatch.to_string(),
        })
    }
}

impl From<Record<WasiHttp>> for wit::ImportRecord {
    fn from(record: Record<WasiHttp>) -> Self {
        let since = record.modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        wit::ImportRecord {
            id: record.id,
            pathname: record.pathname.into(),
            mode: record.mode,
            modified: wit::Timestamp {
                seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
                nanoseconds: since.subsec_nanos(),
            },
            content: match record.content {
                None => wit::Content::Directory,
                Some(reader) => {
                    wit::Content::File(wit::Reader::new(EtcdReader(RefCell::new(reader))))
                }
            },
        }
    }
}

impl From<Error> for wit::Error {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error.kind {
            ErrorKind::InvalidConfig => wit::Error::InvalidConfig(message),
            ErrorKind::Unreachable => wit::Error::Unreachable(message),
            ErrorKind::TimedOut => wit::Error::TimedOut(message),
            ErrorKind::Unauthenticated => wit::Error::Unauthenticated(message),
            ErrorKind::PermissionDenied => wit::Error::PermissionDenied(message),
            ErrorKind::Unsupported => wit::Error::Unsupported(message),
            ErrorKind::Interrupted => wit::Error::Interrupted(message),
            ErrorKind::Corrupt => wit::Error::Corrupt(message),
            ErrorKind::Other => wit::Error::Other(message),
        }
    }
}
