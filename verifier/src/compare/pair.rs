//! Two recordings of the same samples against each other, element by element.

use std::ops::Add as _;

use ndarray::ArrayViewD;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ulp_distance;
use crate::samples::{Reader, Recording, SamplesError, elements, sample_of};

/// Bytes of a recording that are read at once.
const WINDOW_BYTES: usize = 8 << 20;

/// How far two recordings are apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// Elements compared.
    pub elements: usize,
    /// Elements with the same bits: +0 and −0 are not, two NaN with the same bits are; absent where
    /// numbers came as decimal text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identical_elements: Option<usize>,
    /// Elements of which at least one is not finite and whose bits differ; they have no part in the
    /// largest values.
    pub non_finite_elements: usize,
    /// Largest absolute difference over pairs of finite numbers.
    pub max_abs_difference: f64,
    /// Largest ULP distance over pairs of finite numbers; absent where numbers came as decimal
    /// text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ulp: Option<u32>,
    /// Samples with the same largest element, where a sample is one row of scores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_argmax: Option<usize>,
    /// Samples compared.
    pub samples: usize,
}

impl Difference {
    fn merge(mut self, other: Self) -> Self {
        self.elements += other.elements;
        self.non_finite_elements += other.non_finite_elements;
        self.max_abs_difference = self.max_abs_difference.max(other.max_abs_difference);
        self.samples += other.samples;
        let identical = (self.identical_elements, other.identical_elements);
        self.identical_elements = merged(identical, usize::add);
        self.max_ulp = merged((self.max_ulp, other.max_ulp), u32::max);
        self.same_argmax = merged((self.same_argmax, other.same_argmax), usize::add);
        self
    }

    /// Takes away what bits would show, which decimal text does not have.
    pub fn without_bits(&mut self) {
        self.identical_elements = None;
        self.max_ulp = None;
    }
}

fn merged<T>(both: (Option<T>, Option<T>), merge: impl Fn(T, T) -> T) -> Option<T> {
    match both {
        (Some(own), Some(others)) => Some(merge(own, others)),
        (own, others) => own.or(others),
    }
}

/// Compares the same samples of two recordings of one tensor.
pub fn difference(a: &Recording, b: &Recording) -> Result<Difference, SamplesError> {
    let mut found = differences(&[a, b])?;
    Ok(found.remove(0))
}

/// Compares every two recordings of the same samples of one tensor, each of which is read once: the
/// first with the second, the first with the third, and so on.
pub fn differences(recordings: &[&Recording]) -> Result<Vec<Difference>, SamplesError> {
    let Some(first) = recordings.first() else {
        return Ok(vec![]);
    };
    for recording in recordings {
        let (a, b) = (first.shape(), recording.shape());
        assert_eq!(a, b, "the same samples of the same tensor");
    }
    let is_scores = first.sample_shape().len() == 1;
    let samples = 0..first.samples();
    let batch_size = (WINDOW_BYTES / (4 * first.sample_elements().max(1))).max(1);
    let pairs = pairs_of(recordings.len());
    let mut total = vec![Difference::default(); pairs.len()];
    let mut readers: Vec<Reader<'_>> = recordings.iter().map(|one| one.reader()).collect();
    for start in samples.clone().step_by(batch_size) {
        let window = start..samples.end.min(start + batch_size);
        let windows = readers
            .iter_mut()
            .map(|reader| reader.window(window.clone()));
        let windows = windows.collect::<Result<Vec<_>, _>>()?;
        for (total, &(a, b)) in total.iter_mut().zip(&pairs) {
            let found = of_batch(&windows[a].view(), &windows[b].view(), is_scores);
            *total = total.merge(found);
        }
    }
    for reader in readers {
        reader.finish(|_| true)?;
    }
    Ok(total)
}

/// Every two of so many, in order.
pub fn pairs_of(count: usize) -> Vec<(usize, usize)> {
    (0..count)
        .flat_map(|a| (a + 1..count).map(move |b| (a, b)))
        .collect()
}

/// Compares several tensors of the same samples, each with its counterpart.
pub fn difference_of_outputs(a: &[Recording], b: &[Recording]) -> Result<Difference, SamplesError> {
    let mut found = differences_of_outputs(&[a, b])?;
    Ok(found.remove(0))
}

/// Compares every two sets of tensors of the same samples, each tensor with its counterpart.
pub fn differences_of_outputs(sets: &[&[Recording]]) -> Result<Vec<Difference>, SamplesError> {
    let mut total = vec![Difference::default(); pairs_of(sets.len()).len()];
    let outputs = sets.iter().map(|set| set.len()).min().unwrap_or(0);
    for output in 0..outputs {
        let recordings: Vec<&Recording> = sets.iter().map(|set| &set[output]).collect();
        for (total, found) in total.iter_mut().zip(differences(&recordings)?) {
            *total = total.merge(found);
            total.samples = found.samples; // each output has them all
        }
    }
    Ok(total)
}

/// Every sample on its own, on all cores.
fn of_batch(a: &ArrayViewD<'_, f32>, b: &ArrayViewD<'_, f32>, is_scores: bool) -> Difference {
    (0..a.shape()[0])
        .into_par_iter()
        .map(|sample| {
            let (a, b) = (sample_of(a, sample), sample_of(b, sample));
            of_sample(elements(&a), elements(&b), is_scores)
        })
        .reduce(Difference::default, Difference::merge)
}

fn of_sample(a: &[f32], b: &[f32], is_scores: bool) -> Difference {
    let mut found = Difference {
        elements: a.len(),
        samples: 1,
        ..Difference::default()
    };
    let (mut identical, mut max_ulp) = (0, 0);
    for (&a, &b) in a.iter().zip(b) {
        if a.to_bits() == b.to_bits() {
            identical += 1;
        } else if a.is_finite() && b.is_finite() {
            found.max_abs_difference = found
                .max_abs_difference
                .max((f64::from(a) - f64::from(b)).abs());
            max_ulp = ulp_distance(a, b).max(max_ulp);
        } else {
            found.non_finite_elements += 1;
        }
    }
    (found.identical_elements, found.max_ulp) = (Some(identical), Some(max_ulp));
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
    use ndarray::Array;

    use super::*;

    fn scores(values: &[f32]) -> Recording {
        let pairs = Array::from_iter(values.iter().copied());
        let pairs = pairs
            .into_shape_with_order((values.len() / 2, 2))
            .expect("pairs");
        Recording::in_memory("logits", pairs.into_dyn()).expect("two axes")
    }

    #[test]
    fn bits_numbers_and_largest_elements_are_compared_apart() {
        let a = scores(&[1.0, 2.0, 0.0, 1.0, f32::NAN, 5.0, f32::INFINITY, 0.0]);
        let b = scores(&[9.0, 9.0, 1.5, 2.0, -0.0, 1.0, f32::NAN, 5.0, 1.0, 0.0]);
        let found = difference(&a, &b.restricted(1..5)).expect("in memory");
        let counts = (found.elements, found.samples, found.identical_elements);
        assert_eq!(counts, (8, 4, Some(5)));
        assert_eq!(
            found.non_finite_elements, 1,
            "NaN with the same bits is the same"
        );
        assert_eq!(
            (found.max_abs_difference, found.max_ulp),
            (0.5, Some(1 << 22))
        );
        assert_eq!(found.same_argmax, Some(4));
        let other = difference(&a.restricted(0..1), &scores(&[2.0, 1.0])).expect("in memory");
        assert_eq!(other.same_argmax, Some(0));
    }

    #[test]
    fn only_rows_of_scores_have_a_largest_element() {
        let cube = Array::zeros((1, 2, 2)).into_dyn();
        let cube = Recording::in_memory("x", cube).expect("three axes");
        let found = difference(&cube, &cube).expect("in memory");
        assert_eq!(
            (found.same_argmax, found.identical_elements),
            (None, Some(4))
        );
    }
}
