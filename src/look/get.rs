//! `get`: the value of one key.

use super::{
    KeyJson, Outcome, Style, damaged, flush, lease, text, text_or_base64, too_much, write,
};
use crate::error::Result;
use crate::etcd::messages::{Id, KeyValue};
use crate::json;
use crate::options::PROOF_MEMORY_MOST;
use crate::proof::blocks::{Budget, Exhausted};
use crate::proof::observer::{Observer, Wanted};
use crate::proof::revision::Revision;
use crate::stored::Source;
use bytes::Bytes;
use prost::Message;
use serde::Serialize;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Write;
use std::rc::Rc;

/// A key and its value, on a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    key: KeyJson<'a>,
    create_revision: i64,
    mod_revision: i64,
    version: i64,
    lease: Option<Id>,
    /// The size of the value, in bytes.
    size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    /// The value in base64, if it is not text.
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
}

pub(super) fn run(
    key: &[u8],
    source: &Source,
    style: Style,
    out: &mut impl Write,
) -> Result<Outcome> {
    let copies = Rc::new(RefCell::new(Copies { key: key.to_vec(), ..Copies::default() }));
    let keyspace = source.read(PROOF_MEMORY_MOST, copies.clone())?;
    let shown = text::show_key(key);
    let revision = keyspace.found.revision;
    let name = keyspace.hash_of(key);
    let newest = keyspace.newest().find(|(_, row)| row.name == name);
    let index = match newest {
        Some((index, row)) if !row.is_tombstone() => index,
        Some((_, row)) => {
            let deleted = row.main;
            return Ok(Outcome::Absent(format!(
                "`{shown}` does not exist at revision {revision}: it was deleted at {deleted}"
            )));
        }
        None => {
            return Ok(Outcome::Absent(format!("`{shown}` does not exist at revision {revision}")));
        }
    };
    drop(keyspace);
    let copies = std::mem::take(&mut *copies.borrow_mut());
    let encoded = copies.value(index).ok_or_else(too_much)?;
    let pair = KeyValue::decode(encoded).map_err(|_| damaged(key))?;
    if pair.key != key {
        return Err(damaged(key));
    }
    match style {
        Style { json: true, .. } => {
            let (value, value_base64) = text_or_base64(&pair.value);
            let line = json::line(&Line {
                key: KeyJson::of(key),
                create_revision: pair.create_revision,
                mod_revision: pair.mod_revision,
                version: pair.version,
                lease: lease(pair.lease),
                size: pair.value.len(),
                value,
                value_base64,
            });
            write(out, line.as_bytes())?;
        }
        Style { terminal: true, .. } => write(out, text::show_value(&pair.value).as_bytes())?,
        Style { .. } => write(out, &pair.value)?,
    }
    flush(out)?;
    Ok(Outcome::Printed)
}

/// Keeps every copy of the revisions of one key, including those in free pages.
#[derive(Default)]
struct Copies {
    key: Vec<u8>,
    copies: Vec<Kept>,
    /// The index of the first copy of each revision. Free pages may hold many more.
    first: HashMap<(u64, u32), usize>,
}

struct Kept {
    /// The index of its row.
    index: u32,
    /// The value as etcd encodes it; `None` if it does not fit into the memory.
    value: Option<Bytes>,
}

impl Copies {
    /// The value of the row of this index; `None` if it did not fit into the memory.
    fn value(self, index: u32) -> Option<Bytes> {
        self.copies.into_iter().find(|copy| copy.index == index).and_then(|copy| copy.value)
    }
}

impl Observer for Copies {
    fn wants(&self, name: &[u8]) -> Wanted {
        if name == self.key { Wanted::Value } else { Wanted::Nothing }
    }

    fn take(
        &mut self,
        budget: &mut Budget,
        index: u32,
        row: Revision,
        _: &[u8],
        value: Option<&[u8]>,
    ) -> std::result::Result<(), Exhausted> {
        /// The memory of a copy besides its value, in bytes, if vectors and maps double.
        const OVERHEAD: usize = 256;
        budget.take(OVERHEAD)?;
        let known = self
            .first
            .get(&(row.main, row.sub))
            .and_then(|at| self.copies[*at].value.clone())
            .filter(|known| Some(known.as_ref()) == value);
        let kept = known.or_else(|| {
            value.filter(|value| budget.take(value.len()).is_ok()).map(Bytes::copy_from_slice)
        });
        self.first.entry((row.main, row.sub)).or_insert(self.copies.len());
        self.copies.push(Kept { index, value: kept });
        Ok(())
    }
}
