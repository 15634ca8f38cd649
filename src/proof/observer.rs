//! What is shown the pairs of a database while they pass.

use super::blocks::{Budget, Exhausted};
use super::revision::Revision;
use std::cell::RefCell;
use std::rc::Rc;

/// Is shown the pairs of candidates while they pass, whether they count or not.
pub trait Observer {
    /// Returns what is wanted of a pair whose key has this name.
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

/// Wants nothing.
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

/// One that is still held elsewhere, to ask it later for what it took.
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
