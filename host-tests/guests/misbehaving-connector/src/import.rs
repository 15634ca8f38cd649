//! Records and their bytes.
//!
//! An import is a small state machine: `next` hands out one record after the
//! other, and awaits the acknowledgement of the first file before it hands out
//! the second, whose content describes it.

use crate::behaviour::{Behaviour, spin, stall, trap};
use crate::bindings::exports::plakar::connector0_2_0::importer::{
    Content, Fate, GuestImportRun, GuestReader, ImportRecord, Reader, Step,
};
use crate::bindings::exports::plakar::connector0_2_0::types::{
    Digest, DigestAlgorithm, Error, Fact, Timestamp,
};
use crate::reach;
use sha2::Sha256;
use std::cell::{Cell, RefCell};
use std::time::{SystemTime, UNIX_EPOCH};

/// The ids of the records.
const ROOT: u64 = 1;
const DATA: u64 = 2;
const REPORT: u64 = 3;

/// What a digest leaves out at the end of a file, in bytes.
const TRAILER: u64 = 100;

/// A running import.
pub(crate) struct Running {
    behaviour: Behaviour,
    bytes: u64,
    next: Cell<Next>,
    /// What the store kept of the first file.
    stored: Cell<Option<u64>>,
    /// The id of the next record of a long name.
    names: Cell<u64>,
    facts: RefCell<Vec<Fact>>,
}

/// What `next` returns next.
#[derive(Clone, Copy)]
enum Next {
    /// The root directory.
    Root,
    /// The file of known size.
    Data,
    /// The file of unknown size, once the first is stored.
    Report,
    /// No more.
    Finished,
}

impl Running {
    pub(crate) fn new(behaviour: Behaviour, bytes: u64) -> Self {
        let (next, stored) = (Cell::new(Next::Root), Cell::new(None));
        let names = Cell::new(REPORT + 1);
        Self { behaviour, bytes, next, stored, names, facts: RefCell::default() }
    }

    fn fact(&self, name: &str, value: String) {
        self.facts.borrow_mut().push(Fact { name: name.into(), value });
    }

    /// One more directory with a long name.
    fn long_name(&self) -> Step {
        let id = self.names.get();
        self.names.set(id + 1);
        let component = format!("/{}", "x".repeat(254));
        directory(id, &format!("{}/{id:0>252}", component.repeat(7)))
    }

    fn data(&self) -> Step {
        let known = match self.behaviour {
            Behaviour::ShortOfItsSize => self.bytes + 1,
            _ => self.bytes,
        };
        let path = match self.behaviour {
            Behaviour::UncleanPath => "/../data",
            Behaviour::FileForDirectory | Behaviour::LateDirectory => "/in/data",
            _ => "/data",
        };
        let bytes = Bytes {
            behaviour: self.behaviour.clone(),
            known: Some(known),
            left: Cell::new(self.bytes),
            text: Vec::new(),
        };
        let mut record = file(DATA, path, bytes);
        match self.behaviour {
            Behaviour::SetuidMode => record.mode |= 0o4000,
            // Half a second before 1970.
            Behaviour::OldFile => {
                record.modified = Timestamp { seconds: -1, nanoseconds: 500_000_000 };
            }
            _ => {}
        }
        Step::Next(record)
    }

    fn report(&self, stored: u64) -> Step {
        let (id, path) = match self.behaviour {
            Behaviour::DuplicateId => (DATA, "/report"),
            Behaviour::DuplicatePath => (REPORT, "/data"),
            Behaviour::FileForDirectory | Behaviour::LateDirectory => (REPORT, "/in"),
            _ => (REPORT, "/report"),
        };
        let text = format!("{stored} bytes of /data are stored\n").into_bytes();
        let bytes = Bytes {
            behaviour: Behaviour::Well,
            known: None,
            left: Cell::new(text.len() as u64),
            text,
        };
        let record = file(id, path, bytes);
        match self.behaviour {
            Behaviour::LateDirectory => directory(id, path),
            _ => Step::Next(record),
        }
    }
}

impl GuestImportRun for Running {
    fn next(&self) -> Result<Step, Error> {
        match self.next.get() {
            Next::Root => {
                match &self.behaviour {
                    Behaviour::Reach(url) => match reach::get(url) {
                        Ok(status) => self.fact("reached", status.to_string()),
                        Err(error) => self.fact("not-reached", error),
                    },
                    Behaviour::ReadVariable => {
                        self.fact("home", std::env::var("HOME").unwrap_or("unset".into()));
                    }
                    _ => {}
                }
                self.next.set(Next::Data);
                Ok(directory(ROOT, "/"))
            }
            Next::Data if self.behaviour == Behaviour::LongNames => Ok(self.long_name()),
            Next::Data => {
                match self.behaviour {
                    Behaviour::TrapInNext => trap(),
                    Behaviour::AwaitNothing => return Ok(Step::AwaitingAcknowledgements),
                    Behaviour::Exit => std::process::exit(0),
                    _ => {}
                }
                self.next.set(Next::Report);
                Ok(self.data())
            }
            Next::Report => match self.stored.get() {
                None => Ok(Step::AwaitingAcknowledgements),
                Some(stored) => {
                    self.next.set(Next::Finished);
                    Ok(self.report(stored))
                }
            },
            Next::Finished => {
                self.fact("stored-bytes", self.stored.get().unwrap_or(0).to_string());
                Ok(Step::Finished)
            }
        }
    }

    fn ack(&self, record_id: u64, fate: Fate) {
        if let (DATA, Fate::Stored(bytes)) = (record_id, fate) {
            self.stored.set(Some(bytes));
        }
    }

    fn finish(&self) -> Result<(), Error> {
        match self.behaviour {
            Behaviour::FinishError => {
                Err(Error::Interrupted("failing in `finish` as asked".into()))
            }
            Behaviour::StallInFinish => {
                stall();
                Ok(())
            }
            _ => {
                self.fact("finished", "yes".into());
                Ok(())
            }
        }
    }

    fn facts(&self) -> Vec<Fact> {
        if self.behaviour == Behaviour::TrapInFacts {
            trap();
        }
        if self.behaviour == Behaviour::DuplicateFact {
            self.fact("stored-bytes", "again".into());
        }
        self.facts.borrow().clone()
    }
}

/// The bytes of a file: a text, or where that is empty, as many `x` as are left.
pub(crate) struct Bytes {
    behaviour: Behaviour,
    known: Option<u64>,
    left: Cell<u64>,
    text: Vec<u8>,
}

impl GuestReader for Bytes {
    fn read(&self, max_bytes: u32) -> Result<Option<Vec<u8>>, Error> {
        self.behaviour.misbehave_anywhere()?;
        match self.behaviour {
            Behaviour::OversizedRead => return Ok(Some(vec![b'x'; max_bytes as usize + 1])),
            Behaviour::EmptyRead => return Ok(Some(Vec::new())),
            _ => {}
        }
        if self.known.is_some_and(|known| self.left.get() < known) {
            match self.behaviour {
                Behaviour::TrapInRead => trap(),
                Behaviour::ReadError => {
                    return Err(Error::Corrupt("`/data`: failing as asked".into()));
                }
                _ => {}
            }
        }
        let left = self.left.get();
        if left == 0 {
            return Ok(None);
        }
        let length = left.min(u64::from(max_bytes));
        self.left.set(left - length);
        if self.text.is_empty() {
            return Ok(Some(vec![b'x'; length as usize]));
        }
        let begin = self.text.len() - left as usize;
        Ok(Some(self.text[begin..begin + length as usize].to_vec()))
    }

    fn size(&self) -> Option<u64> {
        if self.behaviour == Behaviour::SpinInSize {
            spin();
        }
        self.known
    }

    fn digest(&self) -> Option<Digest> {
        let length = self.known?;
        let (covered, stated) = match self.behaviour {
            Behaviour::RightDigest => (length - TRAILER, length - TRAILER),
            Behaviour::WrongDigest => (length - TRAILER - 1, length - TRAILER),
            Behaviour::DigestOfMore => (length, length + 1),
            _ => return None,
        };
        let value = <Sha256 as sha2::Digest>::digest(vec![b'x'; covered as usize]).to_vec();
        let mismatch = "`/data`: stating another digest as asked".into();
        Some(Digest { algorithm: DigestAlgorithm::Sha256, bytes: stated, value, mismatch })
    }
}

fn file(id: u64, pathname: &str, bytes: Bytes) -> ImportRecord {
    record(id, pathname, 0o600, Content::File(Reader::new(bytes)))
}

fn directory(id: u64, pathname: &str) -> Step {
    Step::Next(record(id, pathname, 0o700, Content::Directory))
}

fn record(id: u64, pathname: &str, mode: u32, content: Content) -> ImportRecord {
    ImportRecord { id, pathname: pathname.into(), mode, modified: now(), content }
}

fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp { seconds: now.as_secs() as i64, nanoseconds: now.subsec_nanos() }
}
