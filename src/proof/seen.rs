//! What is kept of the pages of a database for the walk from the root.
//!
//! For a leaf of revisions that is a row for each, for any other page its bytes.

use super::Fault;
use super::blocks::{Budget, Exhausted, Table, Texts};
use super::content::Content;
use super::observer::{Observer, Wanted};
use super::revision::{Name, Revision, name};
use std::hash::{BuildHasher, RandomState};

/// A page that may be part of the database.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    /// Its index in the file.
    pub id: u64,
    /// The number of pages that it owns.
    pub span: u64,
    /// Its content.
    pub content: Content,
}

/// The candidates so far, and the observer of every pair.
pub struct Seen<O = ()> {
    /// Receives every pair.
    pub observer: O,
    /// The memory that may still be taken.
    pub budget: Budget,
    /// The candidates, in the order of the file.
    pub pages: Table<Candidate>,
    /// The revisions of all candidates.
    pub revisions: Table<Revision>,
    /// The bytes of the other candidates.
    pub texts: Texts,
    names: RandomState,
}

impl<O: Observer> Seen<O> {
    /// Adds a pair that is present in one piece, the first `key` bytes of which are its key.
    /// The inner error says what is wrong with the page if this is not a revision.
    pub fn add(&mut self, pair: &[u8], key: usize) -> Result<Result<(), Content>, Exhausted> {
        let (key, value) = pair.split_at(key);
        let Name::Known(name) = name(value) else { return Ok(Err(Content::NO_NAME)) };
        let row = Revision::new(key, self.hash(name), crc32c::crc32c(pair), pair.len());
        let row = match row {
            Ok(row) => row,
            Err(content) => return Ok(Err(content)),
        };
        let index = self.next_revision()?;
        self.revisions.push(&mut self.budget, row)?;
        let value = match self.observer.wants(name) {
            Wanted::Nothing => return Ok(Ok(())),
            Wanted::Name => None,
            Wanted::Value => Some(value),
        };
        self.observer.take(&mut self.budget, index, row, name, value)?;
        Ok(Ok(()))
    }

    /// Adds the pairs of an inline bucket; returns the index of the first one, and their
    /// number.
    pub fn inline(&mut self, pairs: &[[Vec<u8>; 2]]) -> Result<(u32, u16), Fault> {
        let first = self.next_revision()?;
        for [key, value] in pairs {
            self.add(&[key.as_slice(), value].concat(), key.len())??;
        }
        Ok((first, u16::try_from(pairs.len()).map_err(|_| Exhausted)?))
    }
}

impl<O> Seen<O> {
    /// No pages yet.
    pub fn nothing(budget: Budget, observer: O) -> Self {
        Self {
            observer,
            budget,
            pages: Table::empty(),
            revisions: Table::empty(),
            texts: Texts::empty(),
            names: RandomState::new(),
        }
    }

    /// The index of the revision that is added next.
    pub fn next_revision(&self) -> Result<u32, Exhausted> {
        u32::try_from(self.revisions.count()).map_err(|_| Exhausted)
    }

    /// The hash of a key's name, as in [`Revision::name`].
    pub fn hash(&self, name: &[u8]) -> u64 {
        self.names.hash_one(name)
    }

    /// The candidate of this index in the file.
    pub fn page(&self, id: u64) -> Option<Candidate> {
        let (mut low, mut high) = (0, self.pages.count());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.pages.get(middle) {
                page if page.id < id => low = middle + 1,
                page if page.id > id => high = middle,
                page => return Some(page),
            }
        }
        None
    }
}
