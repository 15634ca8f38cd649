//! The walk from the root: which pages count, and whether they agree with each other.

use super::Fault;
use super::blocks::Exhausted;
use super::content::Content;
use super::page::{self, Element, Header, Meta, NO_PAGE, PageKind};
use super::revision::REVISION_KEY;
use super::seen::Seen;

/// A leaf of a bucket.
pub(crate) enum Leaf<'a> {
    /// The index of its first revision, and their number.
    Revisions(u32, u16),
    /// Its elements.
    Bytes(Elements<'a>),
}

/// The elements of a page, whose bytes may end before the last element.
#[derive(Clone, Copy)]
pub(crate) struct Elements<'a> {
    bytes: &'a [u8],
    header: Header,
}

/// A key of a bucket, at most as long as bbolt permits (`MaxKeySize`): more is not kept.
type Key<'a> = &'a [u8];

impl<'a> Elements<'a> {
    /// Reads the elements of the page of this index, of which at least the table is present.
    fn read(bytes: &'a [u8], id: u64) -> Option<Self> {
        Header::read(bytes, id).map(|header| Self { bytes, header })
    }

    /// Reads the page in an inline bucket's value; `None` if it is not complete.
    pub(crate) fn inline(bytes: &'a [u8]) -> Option<Self> {
        let header = bytes.get(..page::HEADER).and_then(|_| Header::read(bytes, 0))?;
        let size = bytes.len() as u64;
        let is_whole = matches!(page::layout(bytes, header, size), page::Layout::Ordered(_));
        let elements = Self { bytes, header };
        let is_sorted = || elements.pairs().is_sorted_by(|(_, a, _), (_, b, _)| a < b);
        (is_whole && header.kind == PageKind::Leaf && header.span == 1 && is_sorted())
            .then_some(elements)
    }

    /// Their number.
    pub(crate) fn count(&self) -> u64 {
        self.header.count.into()
    }

    fn all(&self) -> impl Iterator<Item = Element> + use<'a> {
        page::elements(self.bytes, self.header.kind, self.header.count)
    }

    fn bytes(&self, begin: usize, end: usize) -> Option<&'a [u8]> {
        self.bytes.get(begin..end)
    }

    /// Keys and values with their flags; `None` for what was not kept.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (u32, Option<Key<'a>>, Option<&'a [u8]>)> {
        let this = *self;
        this.all().map(move |e| (e.flags, this.bytes(e.key, e.value), this.bytes(e.value, e.end)))
    }
}

/// A branch on the path down.
struct Branch<'a> {
    elements: Elements<'a>,
    next: usize,
    /// All of its keys must be less than this one.
    below: Option<Key<'a>>,
}

/// The state of the walk.
pub(crate) struct Walk<'a, O> {
    seen: &'a Seen<O>,
    /// A bit for each page that was reached.
    reached: Vec<u64>,
    /// The number of pages that were reached, those of the metas included.
    live: u64,
}

impl<'a, O> Walk<'a, O> {
    /// A walk that has reached the meta pages and the freelist.
    pub(crate) fn new(seen: &'a Seen<O>, meta: &Meta) -> Result<Self, Fault> {
        let words = usize::try_from(meta.high_water.div_ceil(64)).map_err(|_| Exhausted)?;
        seen.budget.clone().take(words.saturating_mul(8))?;
        let mut reached = Vec::new();
        reached.try_reserve_exact(words).map_err(|_| Exhausted)?;
        reached.resize(words, 0);
        let mut walk = Self { seen, reached, live: 0 };
        walk.reach(0, 2)?;
        if meta.freelist != NO_PAGE {
            match seen.page(meta.freelist) {
                Some(page) if page.content == Content::Freelist => {
                    walk.reach(page.id, page.span)?
                }
                _ => return Err(corrupt(meta.freelist, "it is not a freelist")),
            }
        }
        Ok(walk)
    }

    /// The number of pages that were reached.
    pub(crate) fn live(&self) -> u64 {
        self.live
    }

    fn reach(&mut self, id: u64, span: u64) -> Result<(), Fault> {
        for page in id..id + span {
            let (word, bit) = ((page / 64) as usize, 1 << (page % 64));
            if self.reached.get(word).is_none_or(|word| word & bit != 0) {
                return Err(corrupt(page, "two other pages refer to it"));
            }
            self.reached[word] |= bit;
        }
        self.live += span;
        Ok(())
    }

    /// Takes the leaves of a tree in the order of their keys.
    pub(crate) fn tree(
        &mut self,
        root: u64,
        mut leaf: impl FnMut(Leaf<'a>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut branches: Vec<Branch<'a>> = Vec::new();
        // The last key of the previous leaf; the next leaf must begin after it.
        let mut last: Option<KeyOf<'a>> = None;
        let mut next = Some((root, None, None));
        while let Some((id, from, below)) = next.take() {
            let page =
                self.seen.page(id).ok_or_else(|| corrupt(id, "it is not a page of a tree"))?;
            self.reach(id, page.span)?;
            match page.content {
                Content::Revisions(first, count) => {
                    let key =
                        |index: u32| KeyOf::Revision(self.seen.revisions.get(index as usize).key());
                    for index in first..first + u32::from(count) {
                        follow(id, &mut last, key(index), from, below)?;
                    }
                    leaf(Leaf::Revisions(first, count))?;
                }
                Content::Bytes(at) => {
                    let elements = Elements::read(self.seen.texts.get(at), id)
                        .ok_or_else(|| corrupt(id, "it is not a page of a tree"))?;
                    if elements.header.kind == PageKind::Branch {
                        if elements.count() == 0 {
                            return Err(corrupt(id, "it is a branch without a page below it"));
                        }
                        branches.push(Branch { elements, next: 0, below });
                    } else {
                        for (_, key, _) in elements.pairs() {
                            if let Some(key) = key {
                                follow(id, &mut last, KeyOf::Bytes(key), from, below)?;
                            }
                        }
                        leaf(Leaf::Bytes(elements))?;
                    }
                }
                Content::Unread(why) => {
                    return Err(Fault::Unread(format!("page {id} was not read: {why}")));
                }
                Content::Broken(why) => return Err(corrupt(id, why)),
                Content::Freelist => return Err(corrupt(id, "it is a freelist")),
                Content::Open => return Err(corrupt(id, "it reaches beyond the end")),
            }
            while let Some(branch) = branches.last_mut() {
                let mut pages = branch.elements.all().skip(branch.next);
                let Some(child) = pages.next() else {
                    branches.pop();
                    continue;
                };
                let key = |e: Element| {
                    branch
                        .elements
                        .bytes(e.key, e.value)
                        .ok_or_else(|| Fault::Unread("a branch is larger than supported".into()))
                };
                let below = match pages.next() {
                    Some(sibling) => Some(key(sibling)?),
                    None => branch.below,
                };
                next = Some((child.child, Some(key(child)?), below));
                branch.next += 1;
                break;
            }
        }
        Ok(())
    }
}

/// A key, in the form in which it is kept.
#[derive(Clone, Copy)]
enum KeyOf<'a> {
    Bytes(&'a [u8]),
    Revision(([u8; REVISION_KEY + 1], usize)),
}

impl KeyOf<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            KeyOf::Bytes(bytes) => bytes,
            KeyOf::Revision((bytes, length)) => &bytes[..*length],
        }
    }
}

/// Takes the next key of a tree, which must be in the range that its branches state.
fn follow<'a>(
    id: u64,
    last: &mut Option<KeyOf<'a>>,
    key: KeyOf<'a>,
    from: Option<Key<'a>>,
    below: Option<Key<'a>>,
) -> Result<(), Fault> {
    let bytes = key.bytes();
    if last.is_some_and(|last| last.bytes() >= bytes)
        || from.is_some_and(|from| bytes < from)
        || below.is_some_and(|below| bytes >= below)
    {
        return Err(corrupt(id, "a key of it is out of order"));
    }
    *last = Some(key);
    Ok(())
}

fn corrupt(id: u64, why: &str) -> Fault {
    Fault::Corrupt(format!("page {id} of the database is damaged: {why}"))
}
