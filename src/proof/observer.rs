//! A consumer of the pairs of a database, called as they arrive.

use super::blocks::{Budget, Exhausted};
use super::revision::Revision;
use std::cell::RefCell;
use std::rc::Rc;

/// Receives the pairs of candidates as they arrive, whether they count or not.
pub trait Observer {
    /// Returns what it requests of a pair whose key has this name.
    fn wants(&self, _name: &[u8]) -> Wanted {
        Wanted::Nothing
    }

    /// Takes what it requested of a pair: the index of its row, which rises from call to call,
    /// the row, the name of its key, and its value as etcd encodes it; `None` if that was
    /// not requested, or does not fit into the memory. What is kept is counted against `budget`.
    fn take(
        &mut self,
        _budget: &mut Budget,
        _index: u32,
        _revision: Revision,
        _name: &[u8],
        _value: Option<&[u8]>,
    ) -> Result<(), Exhausted> {
        Ok(())
    }
}

/// What an [`Observer`] requests of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing.
    Nothing,
    /// The name of its key.
    Name,
    /// The name of its key, and its value as etcd encodes it.
    Value,
}

/// Requests nothing.
impl Observer for () {}

/// A shared observer, which the caller can read afterwards.
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
