//! The detection floor: for each bit of a float32, the share of flips in an output that a tolerance
//! would catch.

use crate::compare::Tolerance;

/// Bits of a float32: 31 is the sign, 30 to 23 the exponent, 22 to 0 the mantissa.
pub const BITS: usize = 32;

/// Elements whose every bit is flipped; of more, samples at equal distances are taken.
const MOST_ELEMENTS: usize = 1 << 26;

/// How many flips of each bit were caught.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Floor {
    /// Elements in which each bit was flipped.
    pub elements: usize,
    /// By bit, how many of these flips put the element outside the tolerance.
    pub caught: [usize; BITS],
}

impl Floor {
    /// Flips every bit of every element, one at a time.
    pub fn add(&mut self, actual: &[f32], golden: &[f32], tolerance: Tolerance) {
        self.elements += actual.len();
        for (bit, caught) in self.caught.iter_mut().enumerate() {
            let flipped = |y: f32| f32::from_bits(y.to_bits() ^ 1 << bit);
            let pairs = actual.iter().zip(golden);
            let outside = pairs.filter(|&(&y, &g)| !tolerance.is_close(flipped(y), g));
            *caught += outside.count();
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.elements += other.elements;
        for (own, caught) in self.caught.iter_mut().zip(other.caught) {
            *own += caught;
        }
    }

    /// Of the flips of a bit, the share that is caught; nothing was flipped without elements.
    pub fn share(&self, bit: usize) -> Option<f64> {
        (self.elements > 0).then(|| self.caught[bit] as f64 / self.elements as f64)
    }

    /// Of the flips of all bits, the share that is caught.
    pub fn overall(&self) -> Option<f64> {
        let caught: usize = self.caught.iter().sum();
        (self.elements > 0).then(|| caught as f64 / (self.elements * BITS) as f64)
    }
}

/// Every how many samples one is taken, so that no more than [`MOST_ELEMENTS`] are.
pub(super) fn stride(samples: usize, sample_elements: usize) -> usize {
    let most = (MOST_ELEMENTS / sample_elements.max(1)).max(1);
    samples.div_ceil(most).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn high_bits_are_caught_and_low_ones_are_not() {
        let mut floor = Floor::default();
        // 1.0 has every exponent bit but the highest set; a mantissa bit b is worth 2^(b − 23).
        floor.add(
            &[1.0; 4],
            &[1.0; 4],
            Tolerance {
                atol: 1.5 / 1024.0,
                rtol: 0.0,
            },
        );
        assert_eq!(
            (floor.elements, floor.share(31), floor.share(30)),
            (4, Some(1.0), Some(1.0))
        );
        assert_eq!(
            [floor.caught[13], floor.caught[14]],
            [0, 4],
            "2^-10 is within 1.5·2^-10, 2^-9 is not"
        );
        assert!(floor.caught[..13].iter().all(|&caught| caught == 0));
        assert_eq!(floor.overall(), Some(18.0 / 32.0));
        assert_eq!(Floor::default().share(3), None);
    }

    #[test]
    fn no_more_elements_are_taken_than_are_allowed() {
        assert_eq!(stride(10_000, 6_240), 1);
        assert_eq!(stride(10_000, 151_296), 23);
        assert_eq!(stride(0, 0), 1);
        assert_eq!(stride(3, usize::MAX), 3);
    }
}
