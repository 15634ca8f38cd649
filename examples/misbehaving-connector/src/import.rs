//! Records and their bytes.
//!
//! An import is a small state machine: `next` hands out one record after the
//! other, and awaits the acknowledgement of the first file before it hands out
//! the second, whose content tells of it.

use crate::behaviour::{Behaviour, spin, trap};
use crate::bindings::exports::plakar::connector::importer::{
    Content, Error, Fact, Fate, GuestImport, GuestReader, Reader, Record, Step, Timestamp,
};
use crate::reach;
use std::cell::{Cell, RefCell};
use std::time::{SystemTime, UNIX_EPOCH};

/// The ids of the records.
const ROOT: u64 = 1;
const DATA: u64 = 2;
const REPORT: u64 = 3;

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

/// What `next` answers next.
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
        Step::Record(Record {
            id,
            pathname: format!("{}/{id:0>252}", component.repeat(7)),
            mode: 0o700,
            modified: now(),
            content: Content::Directory,
        })
    }

    fn data(&self) -> Step {
        let known = match self.behaviour {
            Behaviour::ShortOfItsSize => self.bytes + 1,
            _ => self.bytes,
        };
        let path = match self.behaviour {
            Behaviour::UncleanPath => "/../data",
            _ => "/data",
        };
        let bytes = Bytes {
            behaviour: self.behaviour.clone(),
            known: Some(known),
            left: Cell::new(self.bytes),
            text: Vec::new(),
        };
        file(DATA, path, bytes)
    }

    fn report(&self, stored: u64) -> Step {
        let (id, path) = match self.behaviour {
            Behaviour::DuplicateId => (DATA, "/report"),
            Behaviour::DuplicatePath => (REPORT, "/data"),
            _ => (REPORT, "/report"),
        };
        let text = format!("{stored} bytes of /data are stored\n").into_bytes();
        let bytes = Bytes {
            behaviour: Behaviour::Well,
            known: None,
            left: Cell::new(text.len() as u64),
            text,
        };
        file(id, path, bytes)
    }
}

impl GuestImport for Running {
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
                Ok(Step::Record(Record {
                    id: ROOT,
                    pathname: "/".into(),
                    mode: 0o700,
                    modified: now(),
                    content: Content::Directory,
                }))
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

    fn facts(&self) -> Vec<Fact> {
        if self.behaviour == Behaviour::TrapInFacts {
            trap();
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
                    return Err(Error::Corrupt("`/data`: told to fail".into()));
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
}

fn file(id: u64, pathname: &str, bytes: Bytes) -> Step {
    Step::Record(Record {
        id,
        pathname: pathname.into(),
        mode: 0o600,
        modified: now(),
        content: Content::File(Reader::new(bytes)),
    })
}

fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp { seconds: now.as_secs(), nanoseconds: now.subsec_nanos() }
}
