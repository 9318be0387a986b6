//! Two recordings of the same samples against each other, element by element.

use std::ops::Range;

use proto::npy::NpyError;
use rayon::prelude::*;
use serde::Serialize;

use crate::compare::ulp_distance;
use crate::recording::Recording;

/// Bytes of a recording that are mapped at once.
const WINDOW_BYTES: usize = 8 << 20;

/// How far two recordings are apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Difference {
    /// Elements compared.
    pub elements: usize,
    /// Elements with the same bits: +0 and −0 are not, two NaN with the same bits are.
    pub identical_elements: usize,
    /// Elements of which at least one is not finite and whose bits differ; they have no part in the
    /// largest values.
    pub non_finite_elements: usize,
    /// Largest absolute difference over pairs of finite numbers.
    pub max_abs_difference: f64,
    /// Largest ULP distance over pairs of finite numbers.
    pub max_ulp: u32,
    /// Samples with the same largest element, where a sample is one row of scores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_argmax: Option<usize>,
    /// Samples compared.
    pub samples: usize,
}

impl Difference {
    /// The share of elements with the same bits; `None` without elements.
    pub fn identical_share(&self) -> Option<f64> {
        (self.elements > 0).then(|| self.identical_elements as f64 / self.elements as f64)
    }

    /// With another output of the same samples.
    pub fn and_output(self, other: Self) -> Self {
        Self {
            samples: self.samples,
            ..self.merge(other)
        }
    }

    fn merge(mut self, other: Self) -> Self {
        self.elements += other.elements;
        self.identical_elements += other.identical_elements;
        self.non_finite_elements += other.non_finite_elements;
        self.max_abs_difference = self.max_abs_difference.max(other.max_abs_difference);
        self.max_ulp = self.max_ulp.max(other.max_ulp);
        self.samples += other.samples;
        self.same_argmax = match (self.same_argmax, other.same_argmax) {
            (Some(own), Some(others)) => Some(own + others),
            (own, others) => own.or(others),
        };
        self
    }
}

/// Compares samples of `a` with as many of `b`; their samples have the same shape.
pub fn difference(
    a: &Recording,
    of_a: Range<usize>,
    b: &Recording,
    of_b: Range<usize>,
) -> Result<Difference, NpyError> {
    assert_eq!(
        (a.sample_shape(), of_a.len()),
        (b.sample_shape(), of_b.len()),
        "the same samples of the same tensor"
    );
    let length = a.sample_elements().max(1);
    let is_scores = a.sample_shape().len() == 1;
    let step = (WINDOW_BYTES / (4 * length)).max(1);
    let mut total = Difference::default();
    for offset in (0..of_a.len()).step_by(step) {
        let end = (offset + step).min(of_a.len());
        let a = a.window(of_a.start + offset..of_a.start + end)?;
        let b = b.window(of_b.start + offset..of_b.start + end)?;
        let samples = a.par_chunks(length).zip(b.par_chunks(length));
        let found = samples
            .map(|(a, b)| of_sample(a, b, is_scores))
            .reduce(Difference::default, Difference::merge);
        total = total.merge(found);
    }
    Ok(total)
}

fn of_sample(a: &[f32], b: &[f32], is_scores: bool) -> Difference {
    let mut found = Difference {
        elements: a.len(),
        samples: 1,
        ..Difference::default()
    };
    for (&a, &b) in a.iter().zip(b) {
        if a.to_bits() == b.to_bits() {
            found.identical_elements += 1;
        } else if a.is_finite() && b.is_finite() {
            found.max_abs_difference = found
                .max_abs_difference
                .max((f64::from(a) - f64::from(b)).abs());
            found.max_ulp = found.max_ulp.max(ulp_distance(a, b));
        } else {
            found.non_finite_elements += 1;
        }
    }
    found.same_argmax = is_scores.then(|| usize::from(argmax(a) == argmax(b)));
    found
}

/// The first of the largest elements; NaN is none.
fn argmax(scores: &[f32]) -> Option<usize> {
    let numbers = scores
        .iter()
        .enumerate()
        .filter(|(_, score)| !score.is_nan());
    numbers
        .reduce(|best, other| if other.1 > best.1 { other } else { best })
        .map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(values: &[f32]) -> Recording {
        Recording::in_memory("logits", vec![values.len() / 2, 2], values.to_vec()).expect("pairs")
    }

    #[test]
    fn bits_numbers_and_largest_elements_are_compared_apart() {
        let a = scores(&[1.0, 2.0, 0.0, 1.0, f32::NAN, 5.0, f32::INFINITY, 0.0]);
        let b = scores(&[9.0, 9.0, 1.5, 2.0, -0.0, 1.0, f32::NAN, 5.0, 1.0, 0.0]);
        let found = difference(&a, 0..4, &b, 1..5).expect("in memory");
        assert_eq!(
            (found.elements, found.samples, found.identical_elements),
            (8, 4, 5)
        );
        assert_eq!(
            found.non_finite_elements, 1,
            "NaN with the same bits is the same"
        );
        assert_eq!((found.max_abs_difference, found.max_ulp), (0.5, 1 << 22));
        assert_eq!(found.same_argmax, Some(4));
        let other = difference(&a, 0..1, &scores(&[2.0, 1.0]), 0..1).expect("in memory");
        assert_eq!(other.same_argmax, Some(0));
    }

    #[test]
    fn only_rows_of_scores_have_a_largest_element() {
        let cube = Recording::in_memory("x", vec![1, 2, 2], vec![0.0; 4]).expect("four");
        let found = difference(&cube, 0..1, &cube, 0..1).expect("in memory");
        assert_eq!(
            (found.same_argmax, found.identical_share()),
            (None, Some(1.0))
        );
    }
}
