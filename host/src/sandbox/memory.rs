//! Counts the memory and the tables of a component.

use plakar_policy::limits::{INSTANCES, MEMORY, TABLE_ELEMENTS};
use std::fmt;
use wasmtime::ResourceLimiter;

/// A component asked for more than it gets.
#[derive(Debug)]
pub(crate) struct OverLimit(String);

impl fmt::Display for OverLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OverLimit {}

/// The bytes and elements in use. Exceeding a limit traps: a component that is refused
/// memory rarely knows how to continue, and its own message about it is worse.
#[derive(Default)]
pub(crate) struct Meter {
    memory: usize,
    elements: usize,
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.memory = self.memory.saturating_add(desired - current);
        if self.memory <= MEMORY {
            Ok(true)
        } else {
            Err(OverLimit(format!(
                "the component requested more than its {} MiB of memory",
                MEMORY >> 20
            ))
            .into())
        }
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.elements = self.elements.saturating_add(desired - current);
        if self.elements <= TABLE_ELEMENTS {
            Ok(true)
        } else {
            Err(OverLimit(format!(
                "the component requested more than its {TABLE_ELEMENTS} table elements"
            ))
            .into())
        }
    }

    fn instances(&self) -> usize {
        INSTANCES
    }

    fn tables(&self) -> usize {
        INSTANCES
    }

    fn memories(&self) -> usize {
        INSTANCES
    }
}
