//! Names of keys, each kept once as it arrives.

use super::too_much;
use crate::error::Result;
use crate::etcd::messages::KeyValue;
use crate::proof::blocks::{Budget, Exhausted, Table, TextAt, Texts};
use crate::proof::observer::{Observer, Wanted};
use crate::proof::revision::Revision;
use crate::stored::Source;
use prost::Message;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Keeps the names of keys that begin with these bytes.
#[derive(Default)]
struct Names {
    prefix: Vec<u8>,
    has_details: bool,
    /// The place of the name with a hash.
    places: HashMap<u64, TextAt>,
    texts: Texts,
    /// In the order of their indexes.
    details: Table<Detail>,
}

/// The facts about a value, without its bytes.
#[derive(Debug, Clone, Copy)]
#[repr(C, packed(4))]
pub(crate) struct Detail {
    /// The index of its row.
    index: u32,
    /// The size of the value, in bytes.
    pub size: u32,
    /// The revision that created the key.
    pub create_revision: i64,
    /// How many times it was written since.
    pub version: i64,
    /// Its lease, or zero.
    pub lease: i64,
}

/// A key that exists.
#[derive(Clone, Copy)]
pub(crate) struct Live {
    name: TextAt,
    index: u32,
    /// Its newest revision.
    pub row: Revision,
}

/// The keys that exist, in the order of their bytes.
pub(crate) struct Listed {
    texts: Texts,
    details: Table<Detail>,
    /// The keys.
    pub keys: Vec<Live>,
}

impl Names {
    fn new(prefix: &[u8], has_details: bool) -> Self {
        Self { prefix: prefix.to_vec(), has_details, ..Self::default() }
    }

    /// Makes room for one more name. A map that grows keeps its old and its new entries at the
    /// same time for a moment.
    fn grow(&mut self, budget: &mut Budget) -> std::result::Result<(), Exhausted> {
        /// A map has a byte for each entry, and an eighth of its entries stays free.
        const ENTRY: usize = (size_of::<(u64, TextAt)>() + 1) * 8 / 7;
        const FEWEST: usize = 448;
        let capacity = self.places.capacity();
        if self.places.len() < capacity {
            return Ok(());
        }
        let more = capacity.max(FEWEST);
        budget.take((capacity + more) * ENTRY)?;
        self.places.try_reserve(more).map_err(|_| Exhausted)?;
        budget.give_back(capacity * ENTRY);
        Ok(())
    }
}

impl Observer for Names {
    fn wants(&self, name: &[u8]) -> Wanted {
        match (name.starts_with(&self.prefix), self.has_details) {
            (false, _) => Wanted::Nothing,
            (true, false) => Wanted::Name,
            (true, true) => Wanted::Value,
        }
    }

    fn take(
        &mut self,
        budget: &mut Budget,
        index: u32,
        row: Revision,
        name: &[u8],
        value: Option<&[u8]>,
    ) -> std::result::Result<(), Exhausted> {
        if !self.places.contains_key(&{ row.name }) {
            self.grow(budget)?;
            let at = self.texts.push(budget, name)?;
            self.places.insert(row.name, at);
        }
        // Reading a value makes another copy of it.
        let value = value.filter(|value| budget.clone().take(value.len()).is_ok());
        if let Some(Ok(pair)) = value.map(KeyValue::decode) {
            let KeyValue { create_revision, version, lease, value, .. } = pair;
            let size = value.len() as u32;
            self.details.push(budget, Detail { index, size, create_revision, version, lease })?;
        }
        Ok(())
    }
}

impl Listed {
    /// Reads the existing keys that begin with these bytes, and the revision of the database;
    /// with the facts about their values, if requested. Takes at most `memory` bytes.
    pub(crate) fn read(
        source: &Source,
        memory: usize,
        prefix: &[u8],
        has_details: bool,
    ) -> Result<(i64, Self)> {
        let names = Rc::new(RefCell::new(Names::new(prefix, has_details)));
        let keyspace = source.read(memory, names.clone())?;
        let places = std::mem::take(&mut names.borrow_mut().places);
        let live = || {
            let there = keyspace.newest().filter(|(_, row)| !row.is_tombstone());
            there.filter_map(|(index, row)| {
                places.get(&{ row.name }).map(|&name| Live { name, index, row })
            })
        };
        let count = live().count();
        let mut keys = Vec::new();
        keyspace.budget().take(count * size_of::<Live>()).map_err(|_| too_much())?;
        keys.try_reserve_exact(count).map_err(|_| too_much())?;
        keys.extend(live());
        let revision = keyspace.found.revision;
        drop(keyspace);
        let Names { texts, details, .. } = std::mem::take(&mut *names.borrow_mut());
        keys.sort_unstable_by(|a, b| texts.get(a.name).cmp(texts.get(b.name)));
        Ok((revision, Self { texts, details, keys }))
    }

    /// The name of one of them.
    pub(crate) fn name(&self, key: &Live) -> &[u8] {
        self.texts.get(key.name)
    }

    /// The facts about its value; `None` if not requested or if it cannot be read.
    pub(crate) fn detail(&self, key: &Live) -> Option<Detail> {
        let (mut low, mut high) = (0, self.details.count());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.details.get(middle) {
                detail if detail.index < key.index => low = middle + 1,
                detail if detail.index > key.index => high = middle,
                detail => return Some(detail),
            }
        }
        None
    }

    /// The memory that it takes, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.texts.memory() + self.keys.capacity() * size_of::<Live>()
    }
}
