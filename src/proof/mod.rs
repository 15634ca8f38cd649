//! The proof from the bytes: the facts in the pages of a database, read as they arrive.
//!
//! etcd's SHA-256 proves that the bytes arrived as they were sent. Whether they are what the
//! cluster holds is another question: a member may be damaged, or lag. The pages contain the
//! revision of the database, and [`Keyspace::hash`] is what each member computes over its own
//! keys at that revision (`HashKV`).
//!
//! | module | contents |
//! | --- | --- |
//! | [`page`] | bbolt's layout of a page |
//! | [`blocks`] | tables that stay within a budget of memory |
//! | [`candidates`] | the pages as they arrive |
//! | [`spanning`] | a candidate of several pages |
//! | [`content`] | the content of a page |
//! | [`seen`] | what is kept of the pages |
//! | [`revision`] | a revision of a key |
//! | [`observer`] | a consumer of the pairs |
//! | [`walk`] | the walk from the root: which pages count |
//! | [`buckets`] | etcd's buckets, read from the root |
//! | [`keyspace`] | the keys |
//! | [`found`] | what else was found |
//! | [`hashkv`] | the hash over it |
//!
//! The file is read in one pass, in its order. The memory grows with the number of revisions,
//! not with their size, and never beyond the budget: a reader that runs out of it gives up the
//! proof, but not the backup.

pub(crate) mod blocks;
mod buckets;
mod candidates;
mod content;
mod found;
pub(crate) mod hashkv;
pub(crate) mod keyspace;
pub(crate) mod observer;
pub(crate) mod page;
pub(crate) mod revision;
mod seen;
mod spanning;
pub(crate) mod walk;

use blocks::{Budget, Exhausted};
use candidates::Candidates;
pub use found::Found;
pub use keyspace::Keyspace;
use observer::Observer;
use page::{META_END, Meta};

/// Why there is no proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The pages contradict each other: a member cannot be restored from them.
    Corrupt(String),
    /// They were not read: a limit of this reader.
    Unread(String),
    /// They were not read: the memory is not sufficient.
    Exhausted,
}

impl From<Exhausted> for Fault {
    fn from(Exhausted: Exhausted) -> Self {
        Fault::Exhausted
    }
}

/// Reads a database page by page.
pub struct Reader<O = ()> {
    meta: Option<Meta>,
    pages: Pages<O>,
    /// The beginning of a page that has not arrived completely.
    partial: Vec<u8>,
    /// The number of pages that have arrived.
    came: u64,
}

/// What is kept of the pages.
enum Pages<O> {
    /// The first one has not arrived; the fields are for the later ones.
    Unknown(Budget, O),
    /// Those that can be part of the database.
    Kept(Candidates<O>),
    /// None: they were not requested, or the budget is used up.
    Ignored(Option<Fault>),
}

impl<O> Reader<O> {
    /// A reader that reads only the meta pages.
    pub fn of_metas() -> Self {
        Self { meta: None, pages: Pages::Ignored(None), partial: Vec::new(), came: 0 }
    }
}

impl<O: Observer> Reader<O> {
    /// A reader that takes at most this number of bytes of memory.
    pub fn new(memory: usize, observer: O) -> Self {
        let pages = Pages::Unknown(Budget::new(memory), observer);
        Self { meta: None, pages, partial: Vec::new(), came: 0 }
    }

    /// Takes the next bytes of the database. An error says what is wrong with its meta pages.
    pub fn update(&mut self, mut bytes: &[u8]) -> Result<(), &'static str> {
        loop {
            let size = self.meta.map_or(META_END, |meta| meta.page_size as usize);
            if self.partial.is_empty() && self.meta.is_some() && bytes.len() >= size {
                let (page, rest) = bytes.split_at(size);
                self.page(page)?;
                bytes = rest;
                continue;
            }
            let (piece, rest) = bytes.split_at(bytes.len().min(size - self.partial.len()));
            self.partial.extend_from_slice(piece);
            bytes = rest;
            if self.partial.len() < size {
                return Ok(());
            }
            let page = std::mem::take(&mut self.partial);
            match self.meta {
                None => {
                    self.begin(Meta::read(&page, 0)?);
                    self.partial = page;
                }
                Some(_) => {
                    self.page(&page)?;
                    self.partial = page;
                    self.partial.clear();
                }
            }
        }
    }

    fn begin(&mut self, meta: Meta) {
        self.meta = Some(meta);
        if let Pages::Unknown(..) = &self.pages
            && let Pages::Unknown(budget, observer) =
                std::mem::replace(&mut self.pages, Pages::Ignored(None))
        {
            self.pages = Pages::Kept(Candidates::new(meta.high_water, budget, observer));
        }
    }

    fn page(&mut self, page: &[u8]) -> Result<(), &'static str> {
        let index = self.came;
        self.came += 1;
        match (index, &mut self.pages) {
            (0, _) => {}
            (1, _) => {
                let meta = Meta::read(page, 1)?;
                if !self.meta.is_some_and(|first| meta.follows(&first)) {
                    return Err("its meta pages contradict each other");
                }
            }
            (_, Pages::Kept(candidates)) => {
                if let Err(exhausted) = candidates.page(index, page) {
                    self.pages = Pages::Ignored(Some(exhausted.into()));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Ends the database. An error says what is wrong with the meta pages. `None` if the
    /// other pages were not to be read.
    pub fn finish(self) -> Result<Option<Result<Keyspace<O>, Fault>>, &'static str> {
        let Some(meta) = self.meta else { return Err("this is not a bbolt database") };
        if self.came != meta.high_water || !self.partial.is_empty() {
            return Err("its meta pages state another size");
        }
        Ok(match self.pages {
            Pages::Kept(candidates) => Some(Keyspace::read(candidates.finish(), &meta)),
            Pages::Ignored(fault) => fault.map(Err),
            Pages::Unknown(..) => None,
        })
    }
}

#[cfg(test)]
mod tests;
