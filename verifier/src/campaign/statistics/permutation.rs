//! A permutation of 0 to n − 1 that is computed for one position alone.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng as _;

const ROUNDS: usize = 8;

/// Below 2^8 values, a Feistel network of so few bits would reach few of the permutations.
const FEWEST_HALF_BITS: u32 = 4;

/// Draws without replacement, without a list of what was drawn: position i of the permutation is
/// draw i. A balanced Feistel network (Luby and Rackoff 1988) over the next even number of bits, as
/// often as it takes to land below n (cycle walking: Black and Rogaway 2002, section 3).
#[derive(Debug, Clone)]
pub(super) struct Permutation {
    size: u64,
    half_bits: u32,
    keys: [u64; ROUNDS],
}

impl Permutation {
    /// Of `size` values, 2^62 at most, chosen by the generator.
    pub(super) fn new(size: u64, random: &mut ChaCha8Rng) -> Self {
        let bits = u64::BITS - size.saturating_sub(1).leading_zeros();
        Self {
            size,
            half_bits: bits.div_ceil(2).max(FEWEST_HALF_BITS),
            keys: std::array::from_fn(|_| random.next_u64()),
        }
    }

    /// The value at a position below the size.
    pub(super) fn at(&self, position: u64) -> u64 {
        assert!(position < self.size, "{position} of {}", self.size);
        let mut value = self.permuted(position);
        while value >= self.size {
            value = self.permuted(value);
        }
        value
    }

    fn permuted(&self, value: u64) -> u64 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (value >> self.half_bits, value & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mixed(right ^ key) & mask));
        }
        left << self.half_bits | right
    }
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood 2014; Stafford's variant 13).
fn mixed(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng as _;

    #[test]
    fn every_value_appears_once() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for size in [1, 2, 3, 255, 256, 257, 1000, 65_537] {
            let permutation = Permutation::new(size, &mut random);
            let mut values: Vec<u64> = (0..size).map(|at| permutation.at(at)).collect();
            values.sort_unstable();
            assert!(values.into_iter().eq(0..size), "{size}");
        }
        let large = Permutation::new(1 << 62, &mut random);
        assert!((0..1000).all(|at| large.at(at) < 1 << 62));
    }

    #[test]
    fn each_value_is_equally_likely_at_each_position() {
        // Of 24 permutations of 4 values, and of the first 2 of 5: χ² at 0.1 % is 49.7 and 43.8.
        for (size, drawn, cells, limit) in [(4, 4, 24, 49.7), (5, 2, 20, 43.8)] {
            let repeats = 24_000;
            let mut counts = std::collections::BTreeMap::new();
            for seed in 0..repeats {
                let mut random = ChaCha8Rng::seed_from_u64(seed);
                let permutation = Permutation::new(size, &mut random);
                let values: Vec<u64> = (0..drawn).map(|at| permutation.at(at)).collect();
                *counts.entry(values).or_insert(0u32) += 1;
            }
            let expected = repeats as f64 / f64::from(cells);
            let term = |&count: &u32| (f64::from(count) - expected).powi(2) / expected;
            let chi_squared: f64 = counts.values().map(term).sum();
            assert_eq!(counts.len(), cells as usize);
            assert!(chi_squared < limit, "size {size}: {chi_squared}");
        }
    }
}
