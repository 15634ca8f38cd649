//! etcd's HashKV: CRC-32C over the keys and values of a range of revisions
//! (`server/storage/mvcc/hash.go`).

use std::collections::HashMap;

/// The polynomial of CRC-32C, reflected.
const POLYNOMIAL: u32 = 0x82F6_3B78;

/// How many lengths are cached: many values of a cluster have the same length.
const REMEMBERED: usize = 4096;

/// The product of two polynomials, modulo that of CRC-32C.
const fn product(a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    let mut bit = 1 << 31;
    while bit != 0 {
        if a & bit != 0 {
            product ^= b;
        }
        b = if b & 1 == 0 { b >> 1 } else { b >> 1 ^ POLYNOMIAL };
        bit >>= 1;
    }
    product
}

/// x to the power of 2ⁿ, for each n: up to the number of bits in 2³¹ bytes.
const POWERS: [u32; 35] = {
    let mut powers = [1 << 30; 35];
    let mut n = 1;
    while n < 35 {
        powers[n] = product(powers[n - 1], powers[n - 1]);
        n += 1;
    }
    powers
};

/// x to the power of the number of bits in `bytes` bytes.
fn shift(bytes: u32) -> u32 {
    let bits = (0..32).filter(|bit| bytes & 1 << bit != 0);
    // A byte is 2³ bits.
    bits.fold(1 << 31, |power, bit| product(POWERS[bit + 3], power))
}

/// The CRC-32C of concatenated byte strings, computed from the CRC-32C of each.
pub(crate) struct Joined {
    crc: u32,
    shifts: HashMap<u32, u32>,
}

impl Joined {
    /// The CRC-32C of these bytes.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self { crc: crc32c::crc32c(bytes), shifts: HashMap::new() }
    }

    /// Appends `bytes` bytes that have this CRC-32C.
    pub(crate) fn append(&mut self, crc: u32, bytes: u32) {
        let shift = match self.shifts.get(&bytes) {
            Some(shift) => *shift,
            None => {
                let shift = shift(bytes);
                if self.shifts.len() < REMEMBERED {
                    self.shifts.insert(bytes, shift);
                }
                shift
            }
        };
        self.crc = product(shift, self.crc) ^ crc;
    }

    /// The CRC-32C of all bytes.
    pub(crate) fn crc(&self) -> u32 {
        self.crc
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joining_gives_the_same_as_one_computation() {
        let random = &mut fastrand::Rng::with_seed(7);
        for _ in 0..200 {
            let mut whole = b"key".to_vec();
            let mut joined = Joined::new(&whole);
            for _ in 0..random.usize(..20) {
                let most = [1, 20, 5000, 100_000][random.usize(..4)];
                let piece: Vec<u8> = (0..random.usize(..most)).map(|_| random.u8(..)).collect();
                joined.append(crc32c::crc32c(&piece), piece.len() as u32);
                whole.extend_from_slice(&piece);
            }
            assert_eq!(joined.crc(), crc32c::crc32c(&whole));
        }
    }

    #[test]
    fn lengths_of_every_bit_are_shifted_correctly() {
        for bit in 0..26 {
            let zeros = vec![0; 1 << bit];
            let mut joined = Joined::new(b"x");
            joined.append(crc32c::crc32c(&zeros), zeros.len() as u32);
            assert_eq!(joined.crc(), crc32c::crc32c_append(crc32c::crc32c(b"x"), &zeros));
        }
    }
}
