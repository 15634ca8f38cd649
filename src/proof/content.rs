//! The content of a page.

use super::Fault;
use super::blocks::TextAt;

/// The content of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A leaf of revisions: the index of the first one, and their number.
    Revisions(u32, u16),
    /// A leaf or branch of another bucket: its bytes, at most [`TEXT_MOST`].
    Bytes(TextAt),
    /// A list of free pages.
    Freelist,
    /// A page that is beyond a limit, or not in the form that bbolt writes: why it was not read.
    Unread(&'static str),
    /// A page that cannot be part of a database: what is wrong.
    Broken(&'static str),
    /// A candidate whose last page has not arrived.
    Open,
}

impl Content {
    /// A value that does not begin with the name of a key.
    pub const NO_NAME: Self = Self::Broken("a value is not one of etcd's");
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
