//! A candidate of several pages, while its pages arrive.

use super::blocks::{Exhausted, TEXT_MOST};
use super::content::Content;
use super::observer::{Observer, Wanted};
use super::page::{self, Element, Header, PageKind};
use super::revision::{Name, REVISION_KEY, Revision, name};
use super::seen::Seen;

/// The longest beginning of a pair that is kept until the name of its key is known, in bytes.
const HEAD_MOST: usize = 64 << 10;

/// A candidate of several pages, as far as it has arrived.
pub(super) struct Spanning {
    /// Its index among the candidates.
    row: usize,
    /// The number of bytes of it that are still to come.
    left: usize,
    kept: Kept,
}

enum Kept {
    Bytes(Vec<u8>),
    Revisions(Pairs),
    Nothing(Content),
}

impl Spanning {
    /// The candidate with this index, this first page, and this end of its elements in bytes.
    pub(super) fn new(row: usize, header: Header, page: &[u8], end: usize) -> Self {
        let elements = || page::elements(page, header.kind, header.count);
        let is_revision = |e: Element| {
            e.flags == 0 && (REVISION_KEY..=REVISION_KEY + 1).contains(&(e.value - e.key))
        };
        let kept = if header.kind == PageKind::Leaf && elements().all(is_revision) {
            let mut sizes: Vec<_> = elements().map(|e| (e.value - e.key, e.end - e.key)).collect();
            sizes.reverse();
            Kept::Revisions(Pairs::new(sizes, page::table_end(header.count)))
        } else {
            Kept::Bytes(Vec::new())
        };
        Self { row, left: end, kept }
    }

    /// Its index among the candidates.
    pub(super) fn row(&self) -> usize {
        self.row
    }

    /// Whether more of its pages are needed.
    pub(super) fn is_open(&self) -> bool {
        self.left > 0 && !matches!(self.kept, Kept::Nothing(_))
    }

    /// Takes its next page.
    pub(super) fn feed<O: Observer>(
        &mut self,
        page: &[u8],
        seen: &mut Seen<O>,
    ) -> Result<(), Exhausted> {
        let bytes = &page[..page.len().min(self.left)];
        self.left -= bytes.len();
        match &mut self.kept {
            Kept::Bytes(kept) => {
                kept.extend_from_slice(&bytes[..bytes.len().min(TEXT_MOST - kept.len())]);
            }
            Kept::Revisions(pairs) => {
                if let Err(content) = pairs.feed(bytes, seen)? {
                    seen.budget.give_back(pairs.counted());
                    self.kept = Kept::Nothing(content);
                }
            }
            Kept::Nothing(_) => {}
        }
        Ok(())
    }

    /// Ends it, and adds what is kept of it to the other candidates.
    pub(super) fn finish<O: Observer>(self, seen: &mut Seen<O>) -> Result<Content, Exhausted> {
        match self.kept {
            Kept::Bytes(bytes) => Ok(Content::Bytes(seen.texts.push(&mut seen.budget, &bytes)?)),
            Kept::Nothing(content) => Ok(content),
            Kept::Revisions(pairs) => pairs.finish(seen),
        }
    }
}

/// The pairs of a leaf of revisions, as far as they have arrived.
struct Pairs {
    /// The sizes of the keys and of the pairs that have not ended, the next one last.
    sizes: Vec<(usize, usize)>,
    rows: Vec<Revision>,
    /// The number of bytes to skip: the header and the table.
    skip: usize,
    next: Next,
    /// The pairs that the observer requested, until all of the page has arrived.
    taken: Vec<Taken>,
}

/// The pair that is being read.
#[derive(Default)]
struct Next {
    /// The CRC-32C and the number of its bytes that have arrived.
    crc: u32,
    came: usize,
    /// Its bytes until the name of its key is known, or all of them if they are requested.
    head: Vec<u8>,
    /// The hash of that name, and what is requested of the pair.
    named: Option<(u64, Wanted)>,
}

/// A pair that the observer requested.
struct Taken {
    /// The index of its row among those of the page.
    row: usize,
    /// The size of its bucket key.
    key: usize,
    /// Its bytes, at least up to the end of its name. They are counted against the budget.
    bytes: Vec<u8>,
    is_whole: bool,
}

impl Pairs {
    fn new(sizes: Vec<(usize, usize)>, skip: usize) -> Self {
        let rows = Vec::with_capacity(sizes.len());
        Self { sizes, rows, skip, next: Next::default(), taken: Vec::new() }
    }

    /// The number of its bytes that are counted against the budget.
    fn counted(&self) -> usize {
        let next = match (self.next.named, self.sizes.last()) {
            (Some((_, Wanted::Value)), Some((_, size))) => *size,
            _ => 0,
        };
        self.taken.iter().map(|taken| taken.bytes.len()).sum::<usize>() + next
    }

    /// Takes the next bytes. The inner error is the content of the page if these are not revisions.
    fn feed<O: Observer>(
        &mut self,
        bytes: &[u8],
        seen: &mut Seen<O>,
    ) -> Result<Result<(), Content>, Exhausted> {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        let mut bytes = &bytes[skipped..];
        while let (Some(&(key, size)), false) = (self.sizes.last(), bytes.is_empty()) {
            let (piece, rest) = bytes.split_at(bytes.len().min(size - self.next.came));
            bytes = rest;
            if let Err(content) = self.next.feed(piece, (key, size), seen)? {
                return Ok(Err(content));
            }
            if self.next.came == size {
                if let Err(content) = self.end_of_pair((key, size), seen)? {
                    return Ok(Err(content));
                }
                self.sizes.pop();
            }
        }
        Ok(Ok(()))
    }

    /// Makes a row of the pair that is complete.
    fn end_of_pair<O>(
        &mut self,
        (key, size): (usize, usize),
        seen: &mut Seen<O>,
    ) -> Result<Result<(), Content>, Exhausted> {
        let next = &mut self.next;
        let Some((hash, wanted)) = next.named else { return Ok(Err(Content::NO_NAME)) };
        let row = match Revision::new(&next.head[..key], hash, next.crc, size) {
            Ok(row) => row,
            Err(content) => return Ok(Err(content)),
        };
        if wanted != Wanted::Nothing {
            let is_whole = wanted == Wanted::Value;
            if !is_whole {
                seen.budget.take(next.head.len())?;
            }
            let bytes = std::mem::take(&mut next.head);
            self.taken.push(Taken { row: self.rows.len(), key, bytes, is_whole });
        }
        self.rows.push(row);
        next.head.clear();
        *next = Next { head: std::mem::take(&mut next.head), ..Next::default() };
        Ok(Ok(()))
    }

    /// Adds the rows to the others, and passes to the observer what it requested.
    fn finish<O: Observer>(self, seen: &mut Seen<O>) -> Result<Content, Exhausted> {
        let first = seen.next_revision()?;
        for row in &self.rows {
            seen.revisions.push(&mut seen.budget, *row)?;
        }
        for Taken { row, key, bytes, is_whole } in self.taken {
            let value = &bytes[key..];
            if let Name::Known(name) = name(value) {
                let (index, value) = (first + row as u32, is_whole.then_some(value));
                seen.observer.take(&mut seen.budget, index, self.rows[row], name, value)?;
            }
            seen.budget.give_back(bytes.len());
        }
        Ok(Content::Revisions(first, self.rows.len() as u16))
    }
}

impl Next {
    /// Takes the next bytes of the pair with these sizes of its key and of itself.
    fn feed<O: Observer>(
        &mut self,
        piece: &[u8],
        (key, size): (usize, usize),
        seen: &mut Seen<O>,
    ) -> Result<Result<(), Content>, Exhausted> {
        self.crc = crc32c::crc32c_append(self.crc, piece);
        self.came += piece.len();
        match self.named {
            Some((_, Wanted::Value)) => self.head.extend_from_slice(piece),
            Some(_) => {}
            None => {
                self.head.extend_from_slice(piece);
                match self.head.get(key..).map_or(Name::Beyond, name) {
                    Name::Known(name) => {
                        let (hash, mut wanted) = (seen.hash(name), seen.observer.wants(name));
                        if wanted == Wanted::Value && seen.budget.take(size).is_err() {
                            wanted = Wanted::Name;
                        }
                        if wanted == Wanted::Value {
                            // All at once: a vector that doubles takes three times its size.
                            let more = size - self.head.len();
                            self.head.try_reserve_exact(more).map_err(|_| Exhausted)?;
                        }
                        self.named = Some((hash, wanted));
                    }
                    Name::None => return Ok(Err(Content::NO_NAME)),
                    Name::Beyond if self.head.len() > HEAD_MOST => {
                        return Ok(Err(Content::Unread("the name of a key is too long")));
                    }
                    Name::Beyond => {}
                }
            }
        }
        Ok(Ok(()))
    }
}
