//! What happened to each record of an import, and whether that is a success.
//!
//! ```text
//! admit ─▶ Announced ─open─▶ Reading ─end─▶ Read ─acknowledge─▶ Settled
//!              └──────────── acknowledge ──────────────────────────▲
//! ```
//!
//! A file is settled successfully only if it was read to its end and the store reports that
//! it keeps exactly the bytes that were read. Everything else is a failed import; only a
//! dry run may leave content unread.

use crate::Error;
use crate::records::Admitted;
use std::collections::HashMap;
use std::sync::Arc;

/// Why content may be left out without having been read.
#[derive(Debug, Clone, Default)]
pub struct Exemption {
    /// The run is to store nothing.
    pub dry_run: bool,
    /// The patterns of pathnames that the store excludes.
    pub excludes: Vec<String>,
}

/// How a record was settled successfully.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The store keeps this many bytes of content; 0 for a directory.
    Stored(u64),
    /// It was not read, because nothing is to be stored.
    Skipped,
}

/// The account of one import.
#[derive(Debug, Default)]
pub struct Account {
    admitted: Admitted,
    entries: HashMap<Arc<str>, Entry>,
    unsettled: usize,
    exemption: Exemption,
    /// Records stored.
    pub records: u64,
    /// Bytes of content stored.
    pub bytes: u64,
}

#[derive(Debug)]
struct Entry {
    id: u64,
    stage: Stage,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    /// A directory: there is nothing to read.
    Directory,
    /// A file that has not been opened.
    Announced,
    /// This many bytes were read.
    Reading(u64),
    /// It was read to its end, after this many bytes.
    Read(u64),
    /// It was acknowledged.
    Settled,
}

impl Account {
    /// Returns an account without records.
    pub fn new(exemption: Exemption) -> Self {
        Self { exemption, ..Self::default() }
    }

    /// Adds a record, or refuses it.
    pub fn admit(&mut self, id: u64, pathname: &Arc<str>, directory: bool) -> Result<(), Error> {
        self.admitted.admit(id, pathname, directory)?;
        let stage = if directory { Stage::Directory } else { Stage::Announced };
        self.entries.insert(Arc::clone(pathname), Entry { id, stage });
        self.unsettled += 1;
        Ok(())
    }

    /// Returns an error if the component waits for acknowledgements and none is missing.
    pub fn await_acknowledgements(&self) -> Result<(), Error> {
        if self.unsettled > 0 {
            return Ok(());
        }
        Err(Error::broke(
            "`import-run.next` awaits acknowledgements, and every record has been acknowledged",
        ))
    }

    /// Records that a file is about to be read, which may happen once.
    pub fn open(&mut self, pathname: &str) -> Result<(), Error> {
        let Entry { stage, .. } = self.entry(pathname)?;
        match stage {
            Stage::Announced => {
                *stage = Stage::Reading(0);
                Ok(())
            }
            Stage::Directory => {
                Err(Error::store(format!("`{pathname}` was opened and is a directory")))
            }
            _ => Err(Error::store(format!("`{pathname}` was opened twice"))),
        }
    }

    /// Records that this many more bytes of a file were read.
    pub fn read(&mut self, pathname: &str, more: u64) -> Result<(), Error> {
        match &mut self.entry(pathname)?.stage {
            Stage::Reading(bytes) => {
                *bytes += more;
                Ok(())
            }
            _ => Err(Error::store(format!("`{pathname}` is not open"))),
        }
    }

    /// Records the proven end of a file that was announced with `known` bytes.
    pub fn end(&mut self, pathname: &str, known: Option<u64>) -> Result<(), Error> {
        let Entry { stage, .. } = self.entry(pathname)?;
        let Stage::Reading(bytes) = *stage else {
            return Err(Error::store(format!("`{pathname}` is not open")));
        };
        match known {
            Some(known) if known != bytes => Err(Error::broke(format!(
                "`{pathname}` was announced with {known} bytes and ended after {bytes}"
            ))),
            _ => {
                *stage = Stage::Read(bytes);
                Ok(())
            }
        }
    }

    /// Records that the store has finished a record, and keeps this many bytes of it, or
    /// nothing. Returns the record's id and how it was settled.
    pub fn acknowledge(&mut self, pathname: &str, kept: Option<u64>) -> Result<(u64, Fate), Error> {
        let stage = self.entry(pathname)?.stage;
        let fate = match (stage, kept) {
            (Stage::Directory, _) => Fate::Stored(0),
            (Stage::Read(read), Some(kept)) if read == kept => Fate::Stored(kept),
            (Stage::Read(read), Some(kept)) => {
                return Err(Error::store(format!(
                    "`{pathname}`: the store kept {kept} of {read} bytes"
                )));
            }
            (Stage::Read(_), None) => {
                return Err(Error::store(format!(
                    "`{pathname}` was read to its end, but the store does not keep it"
                )));
            }
            (Stage::Reading(read), _) => {
                return Err(Error::store(format!(
                    "the store stopped reading `{pathname}` after {read} bytes"
                )));
            }
            (Stage::Announced, Some(_)) => {
                return Err(Error::store(format!(
                    "the store kept an older `{pathname}` instead of reading it"
                ))
                .remedy("back up with `-cache no`"));
            }
            (Stage::Announced, None) => self.exemption.left_out(pathname)?,
            (Stage::Settled, _) => {
                return Err(Error::store(format!("`{pathname}` was acknowledged twice")));
            }
        };
        let entry = self.entry(pathname)?;
        entry.stage = Stage::Settled;
        let id = entry.id;
        self.unsettled -= 1;
        if let Fate::Stored(bytes) = fate {
            self.records += 1;
            self.bytes += bytes;
        }
        Ok((id, fate))
    }

    /// Returns the number of records that are not acknowledged yet.
    pub fn unsettled(&self) -> usize {
        self.unsettled
    }

    fn entry(&mut self, pathname: &str) -> Result<&mut Entry, Error> {
        self.entries.get_mut(pathname).ok_or_else(|| {
            Error::store(format!(
                "the store asks for `{}`, which is not a record",
                pathname.escape_debug()
            ))
        })
    }
}

impl Exemption {
    /// Returns `Fate::Skipped` if a file may be neither read nor kept.
    fn left_out(&self, pathname: &str) -> Result<Fate, Error> {
        if !self.excludes.is_empty() {
            let patterns: Vec<String> = self.excludes.iter().map(|p| format!("`{p}`")).collect();
            return Err(Error::invalid(format!(
                "`{pathname}` was excluded, but the backup is incomplete without it"
            ))
            .remedy(format!(
                "remove the pattern that matches it from `-ignore` or `-ignore-file` ({})",
                patterns.join(", ")
            )));
        }
        if !self.dry_run {
            return Err(Error::store(format!(
                "`{pathname}` was skipped without being read, as \
                plakar does if the store is at that path"
            ))
            .remedy("move the store"));
        }
        Ok(Fate::Skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "/dump";

    fn announced(exemption: Exemption) -> Account {
        let mut account = Account::new(exemption);
        account.admit(1, &"/".into(), true).expect("the root");
        account.admit(2, &DUMP.into(), false).expect("a file");
        account
    }

    fn read(bytes: u64) -> Account {
        let mut account = announced(Exemption::default());
        account.open(DUMP).expect("opened");
        account.read(DUMP, bytes - 1).expect("read");
        account.read(DUMP, 1).expect("read");
        account.end(DUMP, Some(bytes)).expect("ended");
        account
    }

    fn refused<T: std::fmt::Debug>(result: Result<T, Error>, part: &str) {
        let message = result.expect_err(part).to_string();
        assert!(message.contains(part), "{message}");
    }

    #[test]
    fn a_file_that_was_read_and_kept_whole_is_stored() {
        let mut account = read(5);
        assert_eq!(account.unsettled(), 2);
        assert_eq!(account.acknowledge(DUMP, Some(5)).expect("stored"), (2, Fate::Stored(5)));
        assert_eq!(account.acknowledge("/", Some(0)).expect("stored"), (1, Fate::Stored(0)));
        assert_eq!(account.unsettled(), 0);
    }

    #[test]
    fn a_file_that_the_store_keeps_in_part_or_not_at_all_fails() {
        refused(read(5).acknowledge(DUMP, Some(4)), "kept 4 of 5 bytes");
        refused(read(5).acknowledge(DUMP, None), "does not keep it");
    }

    #[test]
    fn a_file_that_was_not_read_to_its_end_fails() {
        let mut account = announced(Exemption::default());
        account.open(DUMP).expect("opened");
        account.read(DUMP, 5).expect("read");
        refused(account.end(DUMP, Some(6)), "was announced with 6 bytes and ended after 5");
        refused(account.acknowledge(DUMP, Some(5)), "stopped reading `/dump` after 5 bytes");
    }

    #[test]
    fn content_from_a_cache_fails() {
        refused(announced(Exemption::default()).acknowledge(DUMP, Some(5)), "`-cache no`");
    }

    #[test]
    fn an_excluded_file_fails_and_is_named_even_in_a_dry_run() {
        for dry_run in [false, true] {
            let exemption = Exemption { dry_run, excludes: vec!["/du*".into()] };
            refused(announced(exemption).acknowledge(DUMP, None), "`/dump` was excluded");
        }
    }

    #[test]
    fn only_a_dry_run_may_skip_a_file() {
        let dry_run = Exemption { dry_run: true, excludes: Vec::new() };
        let mut account = announced(dry_run);
        assert_eq!(account.acknowledge(DUMP, None).expect("skipped"), (2, Fate::Skipped));
        refused(announced(Exemption::default()).acknowledge(DUMP, None), "move the store");
    }

    #[test]
    fn records_are_opened_and_acknowledged_once() {
        let mut account = read(5);
        refused(account.open(DUMP), "opened twice");
        refused(account.open("/"), "is a directory");
        refused(account.open("/other"), "is not a record");
        account.acknowledge(DUMP, Some(5)).expect("stored");
        refused(account.acknowledge(DUMP, Some(5)), "acknowledged twice");
    }
}
