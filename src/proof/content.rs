//! What a page turned out to be.

use super::Fault;
use super::blocks::TextAt;

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
