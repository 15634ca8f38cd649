//! The pages of a database as they pass, in the order of the file.
//!
//! Only what can be reached from the root counts, and that is known at the end alone: a free
//! page keeps its old content, and a value may look like a page. So every page that can be
//! one is a candidate. Of each candidate there is kept what a walk from the root needs: of
//! revisions a row each, of all else the bytes.

use super::Fault;
use super::blocks::{Budget, Exhausted, TEXT_MOST, Table, TextAt, Texts};
use super::page::{self, Element, Header, Layout, PageKind};
use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;

/// How many candidates of several pages are followed at a time. Those of a database do not
/// overlap; stale ones may.
const AT_ONCE: usize = 16;

/// The longest beginning of a pair that is kept until the name of its key is known, in bytes.
const HEAD_MOST: usize = 64 << 10;

/// One revision of a key: a pair of etcd's bucket `key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, packed(4))]
pub struct Revision {
    /// A hash of the key's name, which nobody can foresee.
    pub name: u64,
    /// The number of the transaction.
    pub main: u64,
    /// The number within the transaction.
    pub sub: u32,
    /// The CRC-32C of the pair.
    pub crc: u32,
    /// The size of the pair in bytes, and [`TOMBSTONE`] and [`NEWEST`].
    size: u32,
}

const TOMBSTONE: u32 = 1 << 31;
const NEWEST: u32 = 1 << 30;

/// A bucket key of a revision has this number of bytes, and one more for a tombstone.
pub const REVISION_KEY: usize = 17;

impl Revision {
    /// The size of the pair, in bytes.
    pub fn size(&self) -> u32 {
        self.size & !(TOMBSTONE | NEWEST)
    }

    /// Whether it deletes its key.
    pub fn is_tombstone(&self) -> bool {
        self.size & TOMBSTONE != 0
    }

    /// Whether its key has no later one; known once [`mark_newest`](Self::mark_newest) was called.
    pub fn is_newest(&self) -> bool {
        self.size & NEWEST != 0
    }

    /// Notes that its key has no later one.
    pub fn mark_newest(&mut self) {
        self.size |= NEWEST;
    }

    /// The row of a pair, or what the page is that holds it.
    fn new(key: &[u8], name: u64, crc: u32, size: usize) -> Result<Self, Content> {
        let Some((main, sub, is_tombstone)) = revision_key(key) else {
            return Err(Content::Broken("a key is not a revision"));
        };
        match (i64::try_from(main), u32::try_from(sub), u32::try_from(size)) {
            (Ok(_), Ok(sub), Ok(size)) if size < NEWEST => {
                let size = if is_tombstone { size | TOMBSTONE } else { size };
                Ok(Self { name, main, sub, crc, size })
            }
            _ => Err(Content::Unread("a revision or a value is too large")),
        }
    }

    /// Its bucket key.
    pub fn key(&self) -> ([u8; REVISION_KEY + 1], usize) {
        let mut key = [b't'; REVISION_KEY + 1];
        let (main, sub) = (self.main, u64::from(self.sub));
        key[..8].copy_from_slice(&main.to_be_bytes());
        key[8] = b'_';
        key[9..17].copy_from_slice(&sub.to_be_bytes());
        (key, REVISION_KEY + usize::from(self.is_tombstone()))
    }
}

/// What a bucket key says, where it is that of a revision.
pub fn revision_key(key: &[u8]) -> Option<(u64, u64, bool)> {
    let number = |at: usize| key[at..at + 8].iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
    let is_tombstone = match key.len() {
        17 => false,
        18 if key[17] == b't' => true,
        _ => return None,
    };
    (key[8] == b'_').then(|| (number(0), number(9), is_tombstone))
}

/// What a page turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A leaf of revisions: the index of the first one, and their number.
    Revisions(u32, u16),
    /// A leaf or branch of anything else: its bytes, up to its end or the [`TEXT_MOST`]th.
    Bytes(TextAt),
    /// A list of free pages.
    Freelist,
    /// More than is followed, or written as bbolt does not write: why it was not read.
    Unread(&'static str),
    /// What a page of a database cannot be: what is wrong.
    Broken(&'static str),
    /// Not yet at its end.
    Open,
}

impl From<Content> for Fault {
    fn from(content: Content) -> Self {
        match content {
            Content::Broken(why) => {
                Fault::Corrupt(format!("the bucket `key` of the database is damaged: {why}"))
            }
            Content::Unread(why) => Fault::Unread(why.into()),
            _ => Fault::Unread("a page of the database was not read".into()),
        }
    }
}

/// A page that may be one of the database.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    /// Its index in the file.
    pub id: u64,
    /// The number of pages that it owns.
    pub span: u64,
    /// What it is.
    pub content: Content,
}

/// Who looks at the pairs of candidates as they pass, whether they count or not.
pub trait Observer {
    /// What is wanted of a pair whose key has this name.
    fn wants(&self, name: &[u8]) -> Wanted;
    /// Takes what was wanted of a pair: the index of its row, which rises from call to call,
    /// the row, the name of its key, and its value as etcd encodes it; `None` if that was
    /// not wanted, or does not fit into the memory. What is kept is counted against `budget`.
    fn take(
        &mut self,
        budget: &mut Budget,
        index: u32,
        revision: Revision,
        name: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), Exhausted>;
}

/// What an [`Observer`] wants of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing.
    Nothing,
    /// The name of its key.
    Name,
    /// The name of its key, and its value as etcd encodes it.
    Value,
}

/// Nobody.
impl Observer for () {
    fn wants(&self, _: &[u8]) -> Wanted {
        Wanted::Nothing
    }

    fn take(
        &mut self,
        _: &mut Budget,
        _: u32,
        _: Revision,
        _: &[u8],
        _: Option<&[u8]>,
    ) -> Result<(), Exhausted> {
        Ok(())
    }
}

/// One who is asked for later what it took.
impl<O: Observer + ?Sized> Observer for Rc<RefCell<O>> {
    fn wants(&self, name: &[u8]) -> Wanted {
        self.borrow().wants(name)
    }

    fn take(
        &mut self,
        budget: &mut Budget,
        index: u32,
        revision: Revision,
        name: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), Exhausted> {
        self.borrow_mut().take(budget, index, revision, name, value)
    }
}

/// All that was seen so far.
pub struct Candidates<O> {
    high_water: u64,
    observer: O,
    budget: Budget,
    pages: Table<Candidate>,
    revisions: Table<Revision>,
    texts: Texts,
    spanning: Vec<Spanning>,
    names: RandomState,
}

/// What [`Candidates`] become at the end of the file.
pub struct Seen<O = ()> {
    /// Who looked on.
    pub observer: O,
    /// What is left of the budget.
    pub budget: Budget,
    /// The candidates, in the order of the file.
    pub pages: Table<Candidate>,
    /// The revisions of all candidates.
    pub revisions: Table<Revision>,
    /// The bytes of the others.
    pub texts: Texts,
    names: RandomState,
}

impl<O: Observer> Candidates<O> {
    /// Nothing yet, of a database of this number of pages.
    pub fn new(high_water: u64, budget: Budget, observer: O) -> Self {
        Self {
            high_water,
            observer,
            budget,
            pages: Table::empty(),
            revisions: Table::empty(),
            texts: Texts::empty(),
            spanning: Vec::new(),
            names: RandomState::new(),
        }
    }

    /// Takes the page of this index, the next one of the file.
    pub fn page(&mut self, id: u64, page: &[u8]) -> Result<(), Exhausted> {
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
                let row = self.pages.count();
                let mut spanning = Spanning::new(row, header, page, end);
                let Self { names, observer, budget, .. } = self;
                spanning.feed(page, names, observer, budget)?;
                self.spanning.push(spanning);
                Content::Open
            }
        };
        self.pages.push(&mut self.budget, Candidate { id, span: header.span, content })
    }

    /// The end of the file.
    pub fn finish(self) -> Seen<O> {
        let Self { observer, budget, pages, revisions, texts, names, .. } = self;
        Seen { observer, budget, pages, revisions, texts, names }
    }

    /// A candidate whose elements are all in its first page.
    fn whole(&mut self, page: &[u8], header: Header, end: usize) -> Result<Content, Exhausted> {
        let elements = || page::elements(page, header.kind, header.count);
        let is_revision =
            |e: Element| e.flags == 0 && revision_key(&page[e.key..e.value]).is_some();
        if header.kind != PageKind::Leaf || header.count == 0 || !elements().all(is_revision) {
            return Ok(Content::Bytes(self.texts.push(&mut self.budget, &page[..end])?));
        }
        let first = index(self.revisions.count())?;
        for Element { key, value, end, .. } in elements() {
            let Self { names, observer, revisions, budget, .. } = self;
            let pair = &page[key..end];
            if let Err(content) = take(pair, value - key, revisions, names, observer, budget)? {
                return Ok(content);
            }
        }
        Ok(Content::Revisions(first, header.count))
    }

    fn continue_spanning(&mut self, page: &[u8]) -> Result<(), Exhausted> {
        let mut next = 0;
        while next < self.spanning.len() {
            let Self { names, observer, budget, spanning, .. } = self;
            let spanning = &mut spanning[next];
            spanning.feed(page, names, observer, budget)?;
            if spanning.is_open() {
                next += 1;
                continue;
            }
            let Spanning { row, kept, .. } = self.spanning.swap_remove(next);
            let content = match kept {
                Kept::Bytes(bytes) => Content::Bytes(self.texts.push(&mut self.budget, &bytes)?),
                Kept::Nothing(content) => content,
                Kept::Revisions(Pairs { rows, taken, .. }) => {
                    let first = index(self.revisions.count())?;
                    for row in &rows {
                        self.revisions.push(&mut self.budget, *row)?;
                    }
                    for Taken { row, key, bytes, is_whole } in taken {
                        let Self { observer, budget, .. } = self;
                        let value = &bytes[key..];
                        if let Name::Known(name) = name(value) {
                            let (index, value) = (first + row as u32, is_whole.then_some(value));
                            observer.take(budget, index, rows[row], name, value)?;
                        }
                        budget.give_back(bytes.len());
                    }
                    Content::Revisions(first, rows.len() as u16)
                }
            };
            self.pages.get_mut(row).content = content;
        }
        Ok(())
    }
}

/// Takes a pair that is there in one piece, its key in the first bytes; returns what the page
/// is where it cannot be one of revisions.
fn take(
    pair: &[u8],
    key: usize,
    revisions: &mut Table<Revision>,
    names: &RandomState,
    observer: &mut impl Observer,
    budget: &mut Budget,
) -> Result<Result<(), Content>, Exhausted> {
    let (key, value) = pair.split_at(key);
    let Name::Known(name) = name(value) else { return Ok(Err(Content::Broken(NO_NAME))) };
    let row = Revision::new(key, names.hash_one(name), crc32c::crc32c(pair), pair.len());
    let row = match row {
        Ok(row) => row,
        Err(content) => return Ok(Err(content)),
    };
    let index = index(revisions.count())?;
    revisions.push(budget, row)?;
    match observer.wants(name) {
        Wanted::Nothing => {}
        Wanted::Name => observer.take(budget, index, row, name, None)?,
        Wanted::Value => observer.take(budget, index, row, name, Some(value))?,
    }
    Ok(Ok(()))
}

fn index(index: usize) -> Result<u32, Exhausted> {
    u32::try_from(index).map_err(|_| Exhausted)
}

impl<O: Observer> Seen<O> {
    /// Takes the pairs of a bucket that lies within another page.
    pub fn inline(&mut self, pairs: &[[Vec<u8>; 2]]) -> Result<(u32, u16), Fault> {
        let first = index(self.revisions.count())?;
        for [key, value] in pairs {
            let Self { names, observer, revisions, budget, .. } = self;
            let pair = [key.as_slice(), value].concat();
            take(&pair, key.len(), revisions, names, observer, budget)??;
        }
        Ok((first, u16::try_from(pairs.len()).map_err(|_| Exhausted)?))
    }
}

impl<O> Seen<O> {
    /// The hash of a key's name, as it stands in [`Revision::name`].
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

/// A candidate of several pages, as far as it came.
struct Spanning {
    /// Its index among the candidates.
    row: usize,
    /// How many bytes of it are still to come.
    left: usize,
    kept: Kept,
}

enum Kept {
    Bytes(Vec<u8>),
    Revisions(Pairs),
    Nothing(Content),
}

/// The pairs of a leaf of revisions, as far as they came.
struct Pairs {
    /// The sizes of the keys and of the pairs that are still to end, the next one last.
    sizes: Vec<(usize, usize)>,
    rows: Vec<Revision>,
    /// How many bytes are to be passed over: the header and the table.
    skip: usize,
    /// The CRC-32C and the number of the bytes that came of the next pair.
    crc: u32,
    came: usize,
    /// Its bytes, until the name of its key is known, or all if they are wanted.
    head: Vec<u8>,
    /// The hash of that name, and what is wanted.
    named: Option<(u64, Wanted)>,
    /// What is wanted of those that ended.
    taken: Vec<Taken>,
}

/// What is wanted of a pair, until all of its page is there.
struct Taken {
    /// The index of its row among those of the page.
    row: usize,
    /// The size of its bucket key.
    key: usize,
    /// Its bytes, up to the name of its key at least. They are counted against the budget.
    bytes: Vec<u8>,
    is_whole: bool,
}

impl Spanning {
    fn new(row: usize, header: Header, page: &[u8], end: usize) -> Self {
        let elements = || page::elements(page, header.kind, header.count);
        let is_revision = |e: Element| {
            e.flags == 0 && (REVISION_KEY..=REVISION_KEY + 1).contains(&(e.value - e.key))
        };
        let kept = if !(header.kind == PageKind::Leaf && elements().all(is_revision)) {
            Kept::Bytes(Vec::new())
        } else {
            let mut sizes: Vec<_> = elements().map(|e| (e.value - e.key, e.end - e.key)).collect();
            sizes.reverse();
            let skip = page::table_end(header.count);
            let (rows, head) = (Vec::with_capacity(sizes.len()), Vec::new());
            let (named, taken) = (None, Vec::new());
            Kept::Revisions(Pairs { sizes, rows, skip, crc: 0, came: 0, head, named, taken })
        };
        Self { row, left: end, kept }
    }

    fn is_open(&self) -> bool {
        self.left > 0 && !matches!(self.kept, Kept::Nothing(_))
    }

    fn feed(
        &mut self,
        page: &[u8],
        names: &RandomState,
        observer: &mut impl Observer,
        budget: &mut Budget,
    ) -> Result<(), Exhausted> {
        let bytes = &page[..page.len().min(self.left)];
        self.left -= bytes.len();
        match &mut self.kept {
            Kept::Bytes(kept) => {
                kept.extend_from_slice(&bytes[..bytes.len().min(TEXT_MOST - kept.len())]);
            }
            Kept::Revisions(pairs) => {
                if let Some(content) = pairs.feed(bytes, names, observer, budget)? {
                    budget.give_back(pairs.counted());
                    self.kept = Kept::Nothing(content);
                }
            }
            Kept::Nothing(_) => {}
        }
        Ok(())
    }
}

impl Pairs {
    /// What of its bytes is counted against the budget.
    fn counted(&self) -> usize {
        let next = match (self.named, self.sizes.last()) {
            (Some((_, Wanted::Value)), Some((_, size))) => *size,
            _ => 0,
        };
        self.taken.iter().map(|taken| taken.bytes.len()).sum::<usize>() + next
    }

    /// Takes the next bytes; returns what the page is where it cannot be one of revisions.
    fn feed(
        &mut self,
        mut bytes: &[u8],
        names: &RandomState,
        observer: &mut impl Observer,
        budget: &mut Budget,
    ) -> Result<Option<Content>, Exhausted> {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        bytes = &bytes[skipped..];
        while let (Some(&(key, size)), false) = (self.sizes.last(), bytes.is_empty()) {
            let (piece, rest) = bytes.split_at(bytes.len().min(size - self.came));
            bytes = rest;
            self.crc = crc32c::crc32c_append(self.crc, piece);
            self.came += piece.len();
            match self.named {
                Some((_, Wanted::Value)) => self.head.extend_from_slice(piece),
                Some(_) => {}
                None => {
                    self.head.extend_from_slice(piece);
                    match self.head.get(key..).map_or(Name::Beyond, name) {
                        Name::Known(name) => {
                            let (hash, mut wanted) = (names.hash_one(name), observer.wants(name));
                            if wanted == Wanted::Value && budget.take(size).is_err() {
                                wanted = Wanted::Name;
                            }
                            if wanted == Wanted::Value {
                                // All at once: a vector that doubles takes thrice its size.
                                let more = size - self.head.len();
                                self.head.try_reserve_exact(more).map_err(|_| Exhausted)?;
                            }
                            self.named = Some((hash, wanted));
                        }
                        Name::None => return Ok(Some(Content::Broken(NO_NAME))),
                        Name::Beyond if self.head.len() > HEAD_MOST => {
                            return Ok(Some(Content::Unread("the name of a key is too long")));
                        }
                        Name::Beyond => {}
                    }
                }
            }
            if self.came < size {
                continue;
            }
            let Some((hash, wanted)) = self.named.take() else {
                return Ok(Some(Content::Broken(NO_NAME)));
            };
            let row = match Revision::new(&self.head[..key], hash, self.crc, size) {
                Ok(row) => row,
                Err(content) => return Ok(Some(content)),
            };
            if wanted != Wanted::Nothing {
                let is_whole = wanted == Wanted::Value;
                if !is_whole {
                    budget.take(self.head.len())?;
                }
                let bytes = std::mem::take(&mut self.head);
                self.taken.push(Taken { row: self.rows.len(), key, bytes, is_whole });
            }
            self.rows.push(row);
            (self.crc, self.came) = (0, 0);
            self.head.clear();
            self.sizes.pop();
        }
        Ok(None)
    }
}

/// What is wrong with a value that begins with no name.
const NO_NAME: &str = "a value is not one of etcd's";

/// The name of a key, in the beginning of an encoded `mvccpb.KeyValue`.
pub enum Name<'a> {
    /// It is this.
    Known(&'a [u8]),
    /// It may end after these bytes.
    Beyond,
    /// It has no value.
    None,
}

/// The name that `value` begins with: field 1, which etcd writes first.
pub fn name(value: &[u8]) -> Name<'_> {
    /// Field 1, bytes.
    const KEY: u8 = 0x0A;
    match value.first() {
        None => return Name::Beyond,
        Some(&KEY) => {}
        Some(_) => return Name::None,
    }
    let mut size = 0_usize;
    for (index, byte) in value[1..].iter().take(5).enumerate() {
        size |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            let begin = index + 2;
            return match value.get(begin..begin.saturating_add(size)) {
                Some(name) => Name::Known(name),
                None => Name::Beyond,
            };
        }
    }
    if value.len() > 5 { Name::None } else { Name::Beyond }
}
