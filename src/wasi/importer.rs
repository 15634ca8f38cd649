//! The export `plakar:connector/importer`.

use super::bindings::exports::plakar::connector::importer as wit;
use super::http::WasiHttp;
use crate::error::Error;
use crate::import::{Fate, Import, Reader, Record, Step};
use crate::options::{OPTIONS, Options, PROTOCOLS, ValueKind};
use crate::session::Session;
use plakar_connector::Kind;
use std::cell::RefCell;
use std::time::UNIX_EPOCH;

/// What the component exports.
pub(crate) struct Component;

impl wit::Guest for Component {
    type Importer = EtcdImporter;
    type Import = EtcdImport;
    type Reader = EtcdReader;

    fn describe() -> wit::Description {
        wit::Description {
            name: "etcd".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "proven snapshots of an etcd cluster".into(),
            type_: "etcd".into(),
            protocols: PROTOCOLS
                .iter()
                .map(|p| wit::Protocol {
                    name: p.name.into(),
                    tls: p.tls,
                    default_port: p.default_port,
                })
                .collect(),
            options: OPTIONS
                .iter()
                .map(|option| wit::OptionDescription {
                    name: option.name.into(),
                    kind: match option.kind {
                        ValueKind::Text => wit::OptionKind::Text,
                        ValueKind::Duration => wit::OptionKind::Duration,
                        ValueKind::Authorities => wit::OptionKind::Authorities,
                        ValueKind::Choice(words) => wit::OptionKind::Choice(
                            words.iter().map(|word| word.to_string()).collect(),
                        ),
                    },
                    secret: option.secret,
                    help: option.help.into(),
                    default: option.default.map(Into::into),
                })
                .collect(),
        }
    }
}

/// A warning: by the contract, a line on standard error.
fn warn(line: &str) {
    eprintln!("{line}");
}

/// A configured source.
pub(crate) struct EtcdImporter {
    options: Options,
}

impl wit::GuestImporter for EtcdImporter {
    fn open(
        _: wit::ImportOptions,
        protocol: String,
        config: Vec<(String, String)>,
    ) -> Result<wit::Importer, wit::Error> {
        let options = Options::read(&protocol, &config)?;
        Ok(wit::Importer::new(EtcdImporter { options }))
    }

    fn origin(&self) -> String {
        self.options.origin()
    }

    fn root(&self) -> String {
        "/".into()
    }

    fn location_flags(&self) -> wit::LocationFlags {
        wit::LocationFlags::STREAM
            | wit::LocationFlags::NEED_ACKNOWLEDGEMENTS
            | wit::LocationFlags::NO_MERGE
    }

    fn ping(&self) -> Result<(), wit::Error> {
        Ok(Session::new(WasiHttp, self.options.clone(), warn).ping()?)
    }

    fn start(&self) -> Result<wit::Import, wit::Error> {
        let import = Import::new(WasiHttp, self.options.clone(), warn);
        Ok(wit::Import::new(EtcdImport(RefCell::new(import))))
    }
}

/// A running import.
pub(crate) struct EtcdImport(RefCell<Import<WasiHttp>>);

impl wit::GuestImport for EtcdImport {
    fn next(&self) -> Result<wit::Step, wit::Error> {
        Ok(match self.0.borrow_mut().advance()? {
            Step::Record(record) => wit::Step::Record(record.into()),
            Step::AwaitingAcknowledgements => wit::Step::AwaitingAcknowledgements,
            Step::Finished => wit::Step::Finished,
        })
    }

    fn ack(&self, record_id: u64, fate: wit::Fate) {
        let fate = match fate {
            wit::Fate::Stored(bytes) => Fate::Stored(bytes),
            wit::Fate::Skipped => Fate::Skipped,
            wit::Fate::Failed(reason) => Fate::Failed(reason),
        };
        self.0.borrow_mut().acknowledge(record_id, fate);
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
}

impl From<Record<WasiHttp>> for wit::Record {
    fn from(record: Record<WasiHttp>) -> Self {
        let since = record.modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        wit::Record {
            id: record.id,
            pathname: record.pathname.into(),
            mode: record.mode,
            modified: wit::Timestamp {
                seconds: since.as_secs(),
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
            Kind::InvalidConfig => wit::Error::InvalidConfig(message),
            Kind::Unreachable => wit::Error::Unreachable(message),
            Kind::TimedOut => wit::Error::TimedOut(message),
            Kind::Unauthenticated => wit::Error::Unauthenticated(message),
            Kind::PermissionDenied => wit::Error::PermissionDenied(message),
            Kind::Unsupported => wit::Error::Unsupported(message),
            Kind::Interrupted => wit::Error::Interrupted(message),
            Kind::Corrupt => wit::Error::Corrupt(message),
            Kind::Other => wit::Error::Other(message),
        }
    }
}
