//! bbolt's layout of a page (`internal/common/page.go`, `meta.go` and `inode.go` of
//! bbolt 1.3 and 1.4; little-endian).
//!
//! ```text
//! header   id u64, flags u16, count u16, overflow u32
//! meta     magic u32, version u32, page size u32, flags u32, root (page u64, sequence u64),
//!          freelist u64, high-water mark u64, transaction u64, checksum u64
//! leaf     elements of flags u32, position u32, key size u32, value size u32; keys and values
//! branch   elements of position u32, key size u32, page u64; keys
//! ```
//! Positions count from the element itself. Keys and values follow the table without a gap,
//! in the order of the elements, each key before its value. A page with `overflow` n owns the
//! n pages after it, which have no header.

/// The size of a page's header, and of an element, in bytes.
pub(crate) const HEADER: usize = 16;

/// The size of a header and the meta after it, in bytes.
pub(crate) const META_END: usize = HEADER + 64;

const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const META: u16 = 0x04;
const FREELIST: u16 = 0x10;

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;

/// The sizes that a page may have, in bytes: that of a memory page on the machine that created
/// the database, or the size that was set there.
const PAGE_SIZES: std::ops::RangeInclusive<u32> = 512..=64 << 10;

/// The flag of an element whose value is a bucket.
pub(crate) const BUCKET: u32 = 1;

/// No page: what a meta page states as its freelist if none is stored.
pub(crate) const NO_PAGE: u64 = u64::MAX;

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

/// The number at `at`.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// The fields of a meta page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// The size of a page, in bytes.
    pub page_size: u32,
    /// The page of the root bucket.
    pub root: u64,
    /// The page of the freelist, or [`NO_PAGE`].
    pub freelist: u64,
    /// The number of pages.
    pub high_water: u64,
    /// The transaction that wrote it.
    pub transaction: u64,
}

impl Meta {
    /// Reads the meta page of this index. An error says what is wrong with it. `page` has at
    /// least [`META_END`] bytes.
    pub fn read(page: &[u8], index: u64) -> Result<Self, &'static str> {
        let checksum =
            page[HEADER..META_END - 8].iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
        let meta = Self {
            page_size: u32_at(page, 24),
            root: u64_at(page, 32),
            freelist: u64_at(page, 48),
            high_water: u64_at(page, 56),
            transaction: u64_at(page, 64),
        };
        if u32_at(page, 16) != MAGIC {
            return Err("this is not a bbolt database");
        }
        if u32_at(page, 20) != VERSION {
            return Err("this is not version 2 of bbolt's format");
        }
        if u64_at(page, 72) != checksum {
            return Err("the checksum of a meta page is wrong");
        }
        if u64_at(page, 0) != index || u16_at(page, 8) != META {
            return Err("a meta page is not where it belongs");
        }
        if !meta.page_size.is_power_of_two() || !PAGE_SIZES.contains(&meta.page_size) {
            return Err("the size of its pages is impossible");
        }
        if !(2..meta.high_water).contains(&meta.root) {
            return Err("the root is not a page of it");
        }
        Ok(meta)
    }

    /// Whether this is the second meta page of a copy whose first one is `first`
    /// (`tx.go`, `WriteTo`).
    pub fn follows(&self, first: &Meta) -> bool {
        *self == Self { transaction: first.transaction.wrapping_sub(1), ..*first }
    }

    /// The size of the database, in bytes.
    pub fn size(&self) -> Option<u64> {
        self.high_water.checked_mul(self.page_size.into())
    }
}

/// The kind of page in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageKind {
    /// It names other pages.
    Branch,
    /// It holds keys and values.
    Leaf,
    /// It lists free pages.
    Freelist,
}

/// The header of a page that may be part of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// What it is.
    pub kind: PageKind,
    /// The number of its elements.
    pub count: u16,
    /// The number of pages that it owns, itself included.
    pub span: u64,
}

impl Header {
    /// Reads the header of the page of this index; `None` if it is not a valid one.
    pub(crate) fn read(page: &[u8], index: u64) -> Option<Self> {
        if u64_at(page, 0) != index {
            return None;
        }
        let kind = match u16_at(page, 8) {
            BRANCH => PageKind::Branch,
            LEAF => PageKind::Leaf,
            FREELIST => PageKind::Freelist,
            _ => return None,
        };
        let span = u64::from(u32_at(page, 12)) + 1;
        Some(Self { kind, count: u16_at(page, 10), span })
    }
}

/// One element of a leaf or a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Element {
    /// A leaf's flags.
    pub flags: u32,
    /// A branch's page.
    pub child: u64,
    /// Where its key begins, from the beginning of the page.
    pub key: usize,
    /// Where its key ends and its value begins.
    pub value: usize,
    /// Where its value ends.
    pub end: usize,
}

/// Where the table of elements ends.
pub(crate) fn table_end(count: u16) -> usize {
    HEADER + usize::from(count) * HEADER
}

/// The elements of a page, of which at least the table is present.
pub(crate) fn elements(page: &[u8], kind: PageKind, count: u16) -> impl Iterator<Item = Element> {
    (1..=usize::from(count)).map(move |number| {
        let at = number * HEADER;
        let [first, second, third, fourth] = [0, 4, 8, 12].map(|offset| u32_at(page, at + offset));
        let (flags, child, position, key, value) = match kind {
            PageKind::Leaf => (first, 0, second, third, fourth),
            _ => (0, u64_at(page, at + 8), first, second, 0),
        };
        // Four 32-bit numbers do not overflow a 64-bit one; a wasm address has 32 bits.
        let begin = (at as u64).saturating_add(position.into());
        let middle = begin.saturating_add(key.into());
        let end = middle.saturating_add(value.into());
        let offset = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        Element { flags, child, key: offset(begin), value: offset(middle), end: offset(end) }
    })
}

/// How the elements of a page are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// As bbolt writes them; the last one ends at this offset.
    Ordered(usize),
    /// In a form that bbolt does not write, but that can be read.
    Unknown,
    /// Beyond the page.
    Broken,
}

/// Checks the table of a page that owns `size` bytes, of which `page` is the first page.
pub(crate) fn layout(page: &[u8], Header { kind, count, .. }: Header, size: u64) -> Layout {
    let mut expected = table_end(count);
    if expected as u64 > size {
        return Layout::Broken;
    }
    if expected > page.len() {
        return Layout::Unknown;
    }
    let mut is_ordered = true;
    for element in elements(page, kind, count) {
        if element.end as u64 > size {
            return Layout::Broken;
        }
        is_ordered &= element.key == expected;
        expected = element.end;
    }
    if is_ordered { Layout::Ordered(expected) } else { Layout::Unknown }
}
