//! The pages of a database as they arrive, in the order of the file.
//!
//! Only pages that can be reached from the root count, and which those are is known only at the
//! end: a free page keeps its old content, and a value may look like a page. So every page that
//! can be part of the database is a candidate.

use super::blocks::{Budget, Exhausted};
use super::content::Content;
use super::observer::Observer;
use super::page::{self, Element, Header, Layout, PageKind};
use super::revision::revision_key;
use super::seen::{Candidate, Seen};
use super::spanning::Spanning;

/// The number of candidates of several pages that are followed at a time. Those of the current
/// database do not overlap; stale ones may.
const AT_ONCE: usize = 16;

/// The candidates among the pages so far.
pub(super) struct Candidates<O> {
    /// The number of pages of the database.
    high_water: u64,
    seen: Seen<O>,
    /// Those whose last page has not arrived.
    spanning: Vec<Spanning>,
}

impl<O: Observer> Candidates<O> {
    /// No candidates yet, for a database of this number of pages.
    pub(super) fn new(high_water: u64, budget: Budget, observer: O) -> Self {
        Self { high_water, seen: Seen::nothing(budget, observer), spanning: Vec::new() }
    }

    /// Takes the page of this index, the next one of the file.
    pub(super) fn page(&mut self, id: u64, page: &[u8]) -> Result<(), Exhausted> {
        self.continue_spanning(page)?;
        let Some(header) = Header::read(page, id) else { return Ok(()) };
        if id.checked_add(header.span).is_none_or(|end| end > self.high_water) {
            return Ok(());
        }
        let size = header.span.saturating_mul(page.len() as u64);
        let content = match (header.kind, page::layout(page, header, size)) {
            (PageKind::Freelist, _) => Content::Freelist,
            (_, Layout::Broken) => Content::Broken("its elements do not fit into it"),
            (_, Layout::Unknown) => {
                Content::Unread("its elements are not laid out as bbolt writes them")
            }
            (_, Layout::Ordered(end)) if end <= page.len() => self.whole(page, header, end)?,
            (_, Layout::Ordered(_)) if self.spanning.len() == AT_ONCE => {
                Content::Unread("too many pages overlap it")
            }
            (_, Layout::Ordered(end)) => {
                let row = self.seen.pages.count();
                let mut spanning = Spanning::new(row, header, page, end);
                spanning.feed(page, &mut self.seen)?;
                self.spanning.push(spanning);
                Content::Open
            }
        };
        let candidate = Candidate { id, span: header.span, content };
        self.seen.pages.push(&mut self.seen.budget, candidate)
    }

    /// Returns what is kept of them at the end of the file.
    pub(super) fn finish(self) -> Seen<O> {
        self.seen
    }

    /// A candidate whose elements are all in its first page.
    fn whole(&mut self, page: &[u8], header: Header, end: usize) -> Result<Content, Exhausted> {
        let elements = || page::elements(page, header.kind, header.count);
        let is_revision =
            |e: Element| e.flags == 0 && revision_key(&page[e.key..e.value]).is_some();
        let seen = &mut self.seen;
        if header.kind != PageKind::Leaf || header.count == 0 || !elements().all(is_revision) {
            return Ok(Content::Bytes(seen.texts.push(&mut seen.budget, &page[..end])?));
        }
        let first = seen.next_revision()?;
        for Element { key, value, end, .. } in elements() {
            if let Err(content) = seen.add(&page[key..end], value - key)? {
                return Ok(content);
            }
        }
        Ok(Content::Revisions(first, header.count))
    }

    /// Shows the page to the candidates that own it.
    fn continue_spanning(&mut self, page: &[u8]) -> Result<(), Exhausted> {
        let mut next = 0;
        while let Some(spanning) = self.spanning.get_mut(next) {
            spanning.feed(page, &mut self.seen)?;
            if spanning.is_open() {
                next += 1;
                continue;
            }
            let spanning = self.spanning.swap_remove(next);
            let row = spanning.row();
            self.seen.pages.get_mut(row).content = spanning.finish(&mut self.seen)?;
        }
        Ok(())
    }
}
