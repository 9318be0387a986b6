//! How large the errors are, by powers of two: the exponent of a float32 difference is read off its
//! bits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Tables that are counted in by turns: neighbours often have the same exponent, and would wait for
/// each other.
const TABLES: usize = 4;

/// Elements whose exponents are taken at once.
const BLOCK: usize = 256;

/// Counts of `|actual − golden|`; they add up to all elements compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Bins", into = "Bins")]
#[schemars(with = "Bins")]
pub struct Histogram {
    /// Elements equal to the golden, the same infinity included.
    pub equal: u64,
    /// Elements of which one side is infinite or not a number, and that are not equal.
    pub non_finite: u64,
    /// By the biased exponent of the difference in float32; the last is of differences beyond the
    /// largest number.
    by_exponent: [u64; 256],
}

/// The counts as a record has them.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Histogram")]
struct Bins {
    /// Elements equal to the golden.
    equal: u64,
    /// Elements of which one side is infinite or not a number, and that are not equal.
    non_finite: u64,
    /// The other elements by the size of the error; bins without an element are left out.
    bins: Vec<Bin>,
}

/// A bin that is not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bin {
    /// `2^exponent ≤ |actual − golden| < 2^(exponent+1)`; −127 for all that is below 2^−126, 128
    /// for all from 2^128.
    pub exponent: i32,
    /// Elements in it.
    pub count: u64,
}

impl From<Histogram> for Bins {
    fn from(counts: Histogram) -> Self {
        Self {
            equal: counts.equal,
            non_finite: counts.non_finite,
            bins: counts.bins().collect(),
        }
    }
}

impl From<Bins> for Histogram {
    fn from(record: Bins) -> Self {
        let mut counts = Self {
            equal: record.equal,
            non_finite: record.non_finite,
            ..Self::default()
        };
        for bin in record.bins {
            let biased = usize::try_from(bin.exponent + 127).ok();
            if let Some(count) = biased.and_then(|biased| counts.by_exponent.get_mut(biased)) {
                *count = bin.count;
            }
        }
        counts
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            equal: 0,
            non_finite: 0,
            by_exponent: [0; 256],
        }
    }
}

impl Histogram {
    /// Of one tensor.
    pub fn of(actual: &[f32], golden: &[f32]) -> Self {
        let mut tables = [[0u32; 256]; TABLES];
        let mut equal = 0;
        for (actual, golden) in actual.chunks(BLOCK).zip(golden.chunks(BLOCK)) {
            let mut exponents = [0u8; BLOCK];
            let mut equal_here = 0u32;
            for ((exponent, &y), &g) in exponents.iter_mut().zip(actual).zip(golden) {
                *exponent = exponent_of(y, g);
                equal_here += u32::from(y == g);
            }
            equal += u64::from(equal_here);
            for exponents in exponents[..actual.len()].chunks(TABLES) {
                for (table, &exponent) in tables.iter_mut().zip(exponents) {
                    table[usize::from(exponent)] += 1;
                }
            }
        }
        let mut counts = Self {
            equal,
            ..Self::default()
        };
        for table in &tables {
            for (sum, &count) in counts.by_exponent.iter_mut().zip(table) {
                *sum += u64::from(count);
            }
        }
        // The exponent of no difference is 0, and 255 stands for all that is not finite: told apart
        // where there is any.
        let mut equal_infinities = 0;
        if counts.by_exponent[255] > 0 {
            for (&y, &g) in actual
                .iter()
                .zip(golden)
                .filter(|(y, g)| exponent_of(**y, **g) == 255)
            {
                equal_infinities += u64::from(y == g);
                counts.non_finite += u64::from(y != g && !(y.is_finite() && g.is_finite()));
            }
            counts.by_exponent[255] -= equal_infinities + counts.non_finite;
        }
        counts.by_exponent[0] -= equal - equal_infinities;
        counts
    }

    /// Adds another one's counts.
    pub fn merge(&mut self, other: &Self) {
        self.equal += other.equal;
        self.non_finite += other.non_finite;
        for (sum, count) in self.by_exponent.iter_mut().zip(&other.by_exponent) {
            *sum += count;
        }
    }

    /// The bins that are not empty, the smallest errors first.
    pub fn bins(&self) -> impl Iterator<Item = Bin> {
        let bins = self.by_exponent.iter().zip(-127..);
        bins.filter(|(count, _)| **count > 0)
            .map(|(&count, exponent)| Bin { exponent, count })
    }
}

fn exponent_of(actual: f32, golden: f32) -> u8 {
    ((actual - golden).abs().to_bits() >> 23) as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_kind_of_pair_has_its_place() {
        let pairs: [(f32, f32); 12] = [
            (1.0, 1.0),
            (0.0, -0.0),
            (f32::INFINITY, f32::INFINITY),
            (f32::INFINITY, f32::NEG_INFINITY),
            (f32::NAN, f32::NAN),
            (f32::NAN, 0.0),
            (f32::MAX, f32::MIN),
            (1.0, 0.0),
            (1.999, 0.0),
            (2.0, 0.0),
            (f32::from_bits(1), 0.0),
            (f32::MAX, 0.0),
        ];
        let (actual, golden): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
        let counts = Histogram::of(&actual, &golden);
        assert_eq!((counts.equal, counts.non_finite), (3, 3));
        let bins: Vec<(i32, u64)> = counts.bins().map(|bin| (bin.exponent, bin.count)).collect();
        assert_eq!(bins, [(-127, 1), (0, 2), (1, 1), (127, 1), (128, 1)]);
    }

    /// Any bits, near neighbours and the same twice.
    fn pair() -> impl Strategy<Value = (f32, f32)> {
        let special = prop_oneof![
            Just(f32::INFINITY),
            Just(f32::NEG_INFINITY),
            Just(f32::NAN),
            Just(0.0),
            Just(-0.0)
        ];
        let value = prop_oneof![any::<u32>().prop_map(f32::from_bits), special, -1f32..1f32];
        (value.clone(), value, 0..4u32).prop_map(|(y, g, kind)| match kind {
            0 => (y, y),
            1 => (y, f32::from_bits(y.to_bits() ^ 1)),
            _ => (y, g),
        })
    }

    proptest! {
        #[test]
        fn no_element_is_lost(
            pairs in proptest::collection::vec((any::<u32>(), any::<u32>()), 0..200),
        ) {
            let (actual, golden): (Vec<f32>, Vec<f32>) =
                pairs.into_iter().map(|(y, g)| (f32::from_bits(y), f32::from_bits(g))).unzip();
            let mut counts = Histogram::of(&actual, &golden);
            counts.merge(&counts.clone());
            let finite: u64 = counts.bins().map(|bin| bin.count).sum();
            let all = counts.equal + counts.non_finite + finite;
            prop_assert_eq!(all, 2 * actual.len() as u64);
        }

        #[test]
        fn counts_are_those_of_a_plain_loop(pairs in proptest::collection::vec(pair(), 0..700)) {
            let (actual, golden): (Vec<f32>, Vec<f32>) = pairs.iter().copied().unzip();
            let mut expected = Histogram::default();
            for (y, g) in pairs {
                if y == g {
                    expected.equal += 1;
                } else if !(y.is_finite() && g.is_finite()) {
                    expected.non_finite += 1;
                } else {
                    expected.by_exponent[((y - g).abs().to_bits() >> 23) as usize] += 1;
                }
            }
            prop_assert_eq!(Histogram::of(&actual, &golden), expected);
        }

        #[test]
        fn a_normal_difference_is_in_the_bin_of_its_logarithm(
            error in f32::MIN_POSITIVE..f32::MAX,
        ) {
            let bin = Histogram::of(&[error], &[0.0]).bins().next().expect("one");
            let (low, high) = (2f64.powi(bin.exponent), 2f64.powi(bin.exponent + 1));
            prop_assert!(low <= f64::from(error) && f64::from(error) < high);
        }
    }
}
