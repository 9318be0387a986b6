//! Outputs against what the same device gave without a fault, bit for bit: NaN with the same bits
//! is the same, and −0 is not 0.

use std::ops::Range;

use ndarray::ArrayViewD;

use crate::samples::{Recording, SamplesError, elements, sample_of};

/// An output of a sample that has other bits, `[…]` each.
#[derive(Debug)]
pub struct OtherBits<'a> {
    pub sample: usize,
    /// The output's name.
    pub output: &'a str,
    pub golden: ArrayViewD<'a, f32>,
    pub actual: ArrayViewD<'a, f32>,
}

/// Tells every output of consecutive samples, `[samples, …]` each, that has other bits than its
/// golden.
pub fn other_bits(
    samples: &Range<usize>,
    outputs: &[ArrayViewD<'_, f32>],
    goldens: &[Recording],
    tell: &mut dyn FnMut(&OtherBits<'_>),
) -> Result<(), SamplesError> {
    for (output, golden) in outputs.iter().zip(goldens) {
        let window = golden.reader().window(samples.clone())?;
        let expected = window.view();
        // Nearly always all of them are the same.
        if same_bits(elements(output), elements(&expected)) {
            continue;
        }
        for (position, sample) in samples.clone().enumerate() {
            let pair = OtherBits {
                sample,
                output: golden.name(),
                golden: sample_of(&expected, position),
                actual: sample_of(output, position),
            };
            if !same_bits(elements(&pair.actual), elements(&pair.golden)) {
                tell(&pair);
            }
        }
    }
    Ok(())
}

/// Without an early end, so that the compiler makes vector code of it.
fn same_bits(a: &[f32], b: &[f32]) -> bool {
    let pairs = a.iter().zip(b);
    a.len() == b.len() && pairs.fold(0, |all, (a, b)| all | (a.to_bits() ^ b.to_bits())) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::of_part::fixtures::recording;

    #[test]
    fn a_bit_is_seen_whatever_it_is_worth() {
        let value = |element| [f32::NAN, 0.0, 1.0][element % 3];
        let golden = recording("y", &[4, 3], value);
        let window = golden.reader().window(1..4).expect("in memory");
        let found = |element: usize, to: f32| {
            let mut outputs = window.view().to_owned();
            *outputs.iter_mut().nth(element).expect("an element") = to;
            let mut samples = Vec::new();
            let goldens = std::slice::from_ref(&golden);
            other_bits(&(1..4), &[outputs.view()], goldens, &mut |other| {
                samples.push(other.sample);
            })
            .expect("in memory");
            samples
        };
        assert!(found(0, f32::NAN).is_empty());
        assert_eq!(found(4, -0.0), [2]);
        assert_eq!(found(8, f32::from_bits(1.0f32.to_bits() + 1)), [3]);
    }
}
