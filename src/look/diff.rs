//! `diff`: what changed from one dump to the next.

use super::names::{Listed, Live};
use super::{KeyJson, Style, flush, text, write};
use crate::error::Result;
use crate::json;
use crate::options::PROOF_MEMORY_MOST;
use crate::stored::Source;
use serde::Serialize;
use std::cmp::Ordering;
use std::io::{BufWriter, Write};

/// What happened to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Change {
    Added,
    Changed,
    Removed,
}

/// A change on a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    change: Change,
    #[serde(flatten)]
    key: KeyJson<'a>,
    old_mod_revision: Option<u64>,
    new_mod_revision: Option<u64>,
}

/// The last line.
#[derive(Debug, Default, Serialize)]
struct Counts {
    old_revision: i64,
    new_revision: i64,
    added: u64,
    changed: u64,
    removed: u64,
}

pub(super) fn run(old: &Source, new: &Source, style: Style, out: &mut impl Write) -> Result<()> {
    let read = |source, memory| Listed::read(source, memory, b"", false);
    let (old_revision, old) = read(old, PROOF_MEMORY_MOST)?;
    let (new_revision, new) = read(new, PROOF_MEMORY_MOST.saturating_sub(old.memory()))?;
    let mut counts = Counts { old_revision, new_revision, ..Counts::default() };
    let out = &mut BufWriter::new(out);
    changes(&old, &new, |change, name, before, after| {
        let (count, sign) = match change {
            Change::Added => (&mut counts.added, '+'),
            Change::Changed => (&mut counts.changed, '~'),
            Change::Removed => (&mut counts.removed, '-'),
        };
        *count += 1;
        let main = |key: Option<&Live>| key.map(|key| key.row.main);
        let line = if !style.json {
            format!("{sign} {}\n", text::show_key(name))
        } else {
            json::line(&Line {
                change,
                key: KeyJson::of(name),
                old_mod_revision: main(before),
                new_mod_revision: main(after),
            })
        };
        write(out, line.as_bytes())
    })?;
    let Counts { added, changed, removed, .. } = counts;
    let last = if !style.json {
        format!(
            "{added} added, {changed} changed, {removed} removed from revision {old_revision} to \
         {new_revision}\n"
        )
    } else {
        json::line(&counts)
    };
    write(out, last.as_bytes())?;
    flush(out)
}

/// Walks both in the order of their keys.
fn changes(
    old: &Listed,
    new: &Listed,
    mut each: impl FnMut(Change, &[u8], Option<&Live>, Option<&Live>) -> Result<()>,
) -> Result<()> {
    let (mut before, mut after) = (old.keys.iter().peekable(), new.keys.iter().peekable());
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => old.name(a).cmp(new.name(b)),
        };
        let a = before.next_if(|_| order != Ordering::Greater);
        let b = after.next_if(|_| order != Ordering::Less);
        match (a, b) {
            (Some(a), None) => each(Change::Removed, old.name(a), Some(a), None)?,
            (None, Some(b)) => each(Change::Added, new.name(b), None, Some(b))?,
            (Some(a), Some(b)) if is_written(a, b) => {
                each(Change::Changed, new.name(b), Some(a), Some(b))?;
            }
            _ => {}
        }
    }
}

/// Whether a key was written in between, or belongs to another cluster.
fn is_written(a: &Live, b: &Live) -> bool {
    let content = |key: &Live| (key.row.main, key.row.sub, key.row.crc, key.row.size());
    content(a) != content(b)
}
