//! Which part of a content a digest may cover.

use sha2::{Digest, Sha256};

/// The longest trailer that a digest leaves out, in bytes, as the contract states it.
const TRAILER: usize = 4096;

/// Content that passed, hashed except for the last bytes, which may be its trailer.
#[derive(Debug, Default)]
pub struct Hashed {
    sha256: Sha256,
    /// The number of bytes in `sha256`.
    bytes: u64,
    /// The last bytes, which are not in `sha256`.
    tail: Vec<u8>,
}

impl Hashed {
    /// Adds the next bytes.
    pub fn update(&mut self, piece: &[u8]) {
        let over = (self.tail.len() + piece.len()).saturating_sub(TRAILER);
        let of_tail = over.min(self.tail.len());
        let (now, later) = piece.split_at(over - of_tail);
        self.sha256.update(&self.tail[..of_tail]);
        self.sha256.update(now);
        self.bytes += over as u64;
        self.tail.drain(..of_tail);
        self.tail.extend_from_slice(later);
    }

    /// Returns the SHA-256 of the first `bytes` bytes; `None` if they leave out more than a
    /// trailer, or are more than were received.
    pub fn of_first(mut self, bytes: u64) -> Option<[u8; 32]> {
        let more = usize::try_from(bytes.checked_sub(self.bytes)?).ok()?;
        self.sha256.update(self.tail.get(..more)?);
        Some(self.sha256.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trailer_that_the_contract_allows_can_be_left_out() {
        let content: Vec<u8> = (0..20_000_u32).map(|i| (i % 251) as u8).collect();
        for piece in [1, 31, 4095, 4096, 4097, 9999, 20_000] {
            for length in [0, 1, 32, 4095, 4096, 4097, 8192, 20_000] {
                let content = &content[..length];
                for trailer in [0, 1, 32, 4096].into_iter().filter(|trailer| *trailer <= length) {
                    let mut hashed = Hashed::default();
                    content.chunks(piece).for_each(|piece| hashed.update(piece));
                    let covered = length - trailer;
                    let expected: [u8; 32] = Sha256::digest(&content[..covered]).into();
                    let found = hashed.of_first(covered as u64);
                    assert_eq!(found, Some(expected), "{piece} {length} {trailer}");
                }
            }
        }
    }

    #[test]
    fn a_digest_of_too_many_or_too_few_bytes_is_refused() {
        let hashed = || {
            let mut hashed = Hashed::default();
            hashed.update(&[1; 10_000]);
            hashed
        };
        assert_eq!(hashed().of_first(10_001), None);
        assert_eq!(hashed().of_first(10_000 - 4097), None);
        assert_eq!(hashed().of_first(u64::MAX), None);
    }
}
