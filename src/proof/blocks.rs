//! Tables that grow in fixed blocks, each counted against a budget before it is allocated.
//!
//! A vector that doubles needs its old and its new memory at once, and a host ends a
//! component that requests more memory than it may have. So nothing here is ever moved.

/// The size of one block of a table, in bytes.
const BLOCK: usize = 64 << 10;

/// The memory that a proof may still take, in bytes.
#[derive(Debug, Clone)]
pub struct Budget {
    left: usize,
}

/// The budget is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted;

impl Budget {
    /// A budget of this number of bytes.
    pub fn new(bytes: usize) -> Self {
        Self { left: bytes }
    }

    /// Counts bytes that are about to be allocated.
    pub fn take(&mut self, bytes: usize) -> Result<(), Exhausted> {
        self.left = self.left.checked_sub(bytes).ok_or(Exhausted)?;
        Ok(())
    }

    /// Returns bytes that were counted and are free again.
    pub fn give_back(&mut self, bytes: usize) {
        self.left += bytes;
    }
}

/// A table of small values.
pub struct Table<T> {
    blocks: Vec<Vec<T>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { blocks: Vec::new() }
    }
}

impl<T: Copy> Table<T> {
    /// A power of two, so that a shift splits an index.
    const PER_BLOCK: usize = 1 << (BLOCK / size_of::<T>()).ilog2();

    /// An empty table.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The number of values.
    pub fn count(&self) -> usize {
        match self.blocks.split_last() {
            Some((last, full)) => full.len() * Self::PER_BLOCK + last.len(),
            None => 0,
        }
    }

    /// Appends a value.
    pub fn push(&mut self, budget: &mut Budget, value: T) -> Result<(), Exhausted> {
        match self.blocks.last_mut().filter(|block| block.len() < Self::PER_BLOCK) {
            Some(block) => block.push(value),
            None => {
                budget.take(Self::PER_BLOCK * size_of::<T>())?;
                let mut block = Vec::new();
                block.try_reserve_exact(Self::PER_BLOCK).map_err(|_| Exhausted)?;
                block.push(value);
                self.blocks.push(block);
            }
        }
        Ok(())
    }

    /// The value at an index that [`push`](Self::push) has filled.
    pub fn get(&self, index: usize) -> T {
        self.blocks[index / Self::PER_BLOCK][index % Self::PER_BLOCK]
    }

    /// The value at an index that [`push`](Self::push) has filled, to be changed.
    pub fn get_mut(&mut self, index: usize) -> &mut T {
        &mut self.blocks[index / Self::PER_BLOCK][index % Self::PER_BLOCK]
    }
}

/// Byte strings. Those of at most [`TEXT_MOST`] bytes may share blocks.
#[derive(Default)]
pub struct Texts {
    blocks: Vec<Vec<u8>>,
}

/// The longest byte string that shares a block of [`Texts`], in bytes.
pub(crate) const TEXT_MOST: usize = 64 << 10;

/// The position of a byte string in [`Texts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextAt {
    block: u16,
    begin: u16,
}

impl Texts {
    /// A block holds the longest byte string and its length.
    const BLOCK: usize = TEXT_MOST + size_of::<u32>();

    /// No byte strings.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Keeps a byte string.
    pub fn push(&mut self, budget: &mut Budget, text: &[u8]) -> Result<TextAt, Exhausted> {
        let size = size_of::<u32>() + text.len();
        let fits = |block: &Vec<u8>| {
            block.len() + size <= Self::BLOCK && u16::try_from(block.len()).is_ok()
        };
        if !self.blocks.last().is_some_and(fits) {
            let room = Self::BLOCK.max(size);
            budget.take(room)?;
            let mut block = Vec::new();
            block.try_reserve_exact(room).map_err(|_| Exhausted)?;
            self.blocks.push(block);
        }
        let at = u16::try_from(self.blocks.len() - 1).map_err(|_| Exhausted)?;
        let block = &mut self.blocks[usize::from(at)];
        let begin = u16::try_from(block.len()).map_err(|_| Exhausted)?;
        block.extend_from_slice(&(text.len() as u32).to_le_bytes());
        block.extend_from_slice(text);
        Ok(TextAt { block: at, begin })
    }

    /// The memory that they take, in bytes.
    pub fn memory(&self) -> usize {
        self.blocks.iter().map(Vec::capacity).sum()
    }

    /// A byte string that [`push`](Self::push) has kept.
    pub fn get(&self, TextAt { block, begin }: TextAt) -> &[u8] {
        let (size, rest) =
            self.blocks[usize::from(block)][usize::from(begin)..].split_at(size_of::<u32>());
        let size = size.iter().rev().fold(0, |size, byte| size << 8 | usize::from(*byte));
        &rest[..size]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_up_to_the_budget() {
        let mut budget = Budget::new(3 * BLOCK);
        let mut table = Table::empty();
        let mut pushed = 0_u64;
        while table.push(&mut budget, pushed).is_ok() {
            pushed += 1;
        }
        assert_eq!(pushed as usize, 3 * BLOCK / size_of::<u64>());
        assert_eq!(table.count(), pushed as usize);
        assert!((0..pushed).all(|i| table.get(i as usize) == i));
        *table.get_mut(9_000) = 7;
        assert_eq!(table.get(9_000), 7);
    }

    #[test]
    fn byte_strings_of_every_length_are_kept_within_the_budget() {
        let mut budget = Budget::new(20 * Texts::BLOCK);
        let mut texts = Texts::empty();
        let mut kept = Vec::new();
        for length in [0, 1, 4096, TEXT_MOST, 0, TEXT_MOST - 1, 3, 65_000, 536, 200_000, 1, 2] {
            let text: Vec<u8> = (0..length).map(|i| (i % 253) as u8).collect();
            kept.push((texts.push(&mut budget, &text).expect("room"), text));
        }
        assert!(kept.iter().all(|(at, text)| texts.get(*at) == text));
        let most =
            (0..100).take_while(|_| texts.push(&mut budget, &[1; TEXT_MOST]).is_ok()).count();
        assert!(most < 20, "{most}");
        assert!(texts.memory() <= 20 * Texts::BLOCK);
    }
}
