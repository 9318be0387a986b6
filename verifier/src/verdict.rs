//! What a check came to.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::compare::{Peak, SampleComparison, ulp_distance};
use crate::fault::Fault;
use crate::geometry::Geometry;
use crate::histogram::Histogram;

/// The result of a check.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verdict {
    /// Samples compared.
    pub samples: usize,
    /// Samples with an element that is not equal to the golden, in the first run.
    pub differing_samples: usize,
    /// Each output of the model, over all samples and runs.
    pub outputs: Vec<OutputVerdict>,
    /// Every sample with an element outside, in order; a sample that later runs do not repeat may
    /// come again.
    pub faulty: Vec<FaultySample>,
    /// For each fault, in the order of the request, what it changed and whether that was seen.
    pub faults: Vec<FaultResult>,
    /// Whether runs repeat bit for bit, if there were several.
    pub repeats: Option<Repeats>,
    /// Why not all samples were compared.
    pub stopped: Option<Stop>,
    /// Where the time went.
    pub seconds: Seconds,
}

/// How one output of the model compares.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OutputVerdict {
    /// Its name.
    pub name: String,
    /// Elements compared.
    pub elements: usize,
    /// Elements not equal to the golden.
    pub differing_elements: usize,
    /// Elements outside the tolerance, both sides finite.
    pub mismatches: usize,
    /// Elements outside because a side is infinite or not a number.
    pub non_finite: usize,
    /// Largest absolute error over pairs of finite numbers.
    pub max_abs_error: Extreme<f64>,
    /// Largest ULP distance over pairs of finite numbers.
    pub max_ulp: Extreme<u32>,
    /// Sizes of all errors, where they were asked for.
    pub histogram: Option<Histogram>,
}

/// The largest value of something, and its position; no position when there is none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extreme<T> {
    /// The value.
    pub value: T,
    /// The sample, then the element.
    pub index: Option<Vec<usize>>,
}

/// A sample with at least one element outside the tolerance.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultySample {
    /// Its row in the bundle.
    pub sample: usize,
    /// In which run of its batch, from 0.
    pub run: usize,
    /// The outputs with an element outside, at least one.
    pub outputs: Vec<FaultyOutput>,
}

/// An output of a faulty sample.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultyOutput {
    /// Its position among the model's outputs.
    pub output: usize,
    /// Elements outside, both sides finite.
    pub mismatches: usize,
    /// Elements outside because a side is infinite or not a number.
    pub non_finite: usize,
    /// The first element outside.
    pub first: ElementPair,
    /// The element that is furthest off: a non-finite one before any finite one.
    pub worst: ElementPair,
    /// The shape that the elements outside make.
    pub geometry: Geometry,
}

/// An element and its golden.
#[derive(Debug, Clone, PartialEq)]
pub struct ElementPair {
    /// The sample, then the element.
    pub index: Vec<usize>,
    /// The golden, with faults.
    pub golden: f32,
    /// What the runtime computed, with faults.
    pub actual: f32,
}

/// What a fault changed, and whether that was seen.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct FaultResult {
    /// Largest absolute change of an output (of the golden, for a fault there), over finite
    /// numbers.
    pub largest_change: f64,
    /// Whether a value became or stopped being finite.
    pub non_finite: bool,
    /// Samples in which it moved an element beyond the tolerance.
    pub samples_beyond: usize,
    /// Those of them that were flagged for it.
    pub samples_flagged: usize,
}

/// What became of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// It moved outputs beyond the tolerance, and every such sample was flagged.
    Detected,
    /// It moved no output beyond the tolerance.
    Masked,
    /// It moved an output beyond the tolerance, and that was not flagged.
    Missed,
}

/// Whether the runs of a batch gave the same bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, JsonSchema)]
pub struct Repeats {
    /// Runs of each batch.
    pub runs: usize,
    /// Samples of later runs with another bit than in the first.
    pub differing_samples: usize,
    /// Elements of later runs with another bit than in the first.
    pub differing_elements: usize,
    /// Largest absolute difference between a later run and the first, over finite numbers.
    pub largest_difference: f64,
}

/// Why a check ended before its last sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// A signal.
    Interrupted,
    /// A faulty batch, where asked to end with the first.
    FailFast,
}

/// Where the time went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, JsonSchema)]
pub struct Seconds {
    /// Mapping the recorded tensors, and looking for input values that are not finite.
    pub reading: f64,
    /// In the runtime.
    pub running: f64,
    /// Comparing.
    pub comparing: f64,
}

impl Verdict {
    /// Whether everything was compared and within the tolerance. Nothing compared is not a pass.
    pub fn is_pass(&self) -> bool {
        self.samples > 0 && self.faulty.is_empty() && self.stopped.is_none()
    }

    /// All outputs together; an index is that of the output it is in.
    pub fn total(&self) -> OutputVerdict {
        let mut total = OutputVerdict::default();
        for output in &self.outputs {
            total.elements += output.elements;
            total.differing_elements += output.differing_elements;
            total.mismatches += output.mismatches;
            total.non_finite += output.non_finite;
            take_larger(&mut total.max_abs_error, &output.max_abs_error);
            take_larger(&mut total.max_ulp, &output.max_ulp);
        }
        total
    }

    /// Samples with an element outside and no fault in them; with a weight fault, there is one in
    /// every sample.
    pub fn flagged_without_fault(&self, faults: &[Fault]) -> usize {
        let touched = |sample: usize| {
            faults
                .iter()
                .any(|fault| fault.sample().is_none_or(|own| own == sample))
        };
        self.faulty
            .iter()
            .map(|faulty| faulty.sample)
            .filter(|&sample| !touched(sample))
            .collect::<BTreeSet<_>>()
            .len()
    }

    /// Samples with an element outside, each once.
    pub fn faulty_samples(&self) -> usize {
        self.faulty
            .iter()
            .map(|faulty| faulty.sample)
            .collect::<BTreeSet<_>>()
            .len()
    }
}

impl OutputVerdict {
    /// Adds the errors of one sample.
    pub fn add_histogram(&mut self, counts: &Histogram) {
        self.histogram.get_or_insert_default().merge(counts);
    }

    /// Adds a sample.
    pub fn add(
        &mut self,
        sample: usize,
        shape: &[usize],
        comparison: &SampleComparison,
        elements: usize,
    ) {
        self.elements += elements;
        self.differing_elements += comparison.differing;
        self.mismatches += comparison.mismatches;
        self.non_finite += comparison.non_finite;
        raise(
            &mut self.max_abs_error,
            comparison.max_abs_error,
            sample,
            shape,
        );
        raise(&mut self.max_ulp, comparison.max_ulp, sample, shape);
    }
}

impl ElementPair {
    /// The bits in which the two differ.
    pub fn xor(&self) -> u32 {
        self.golden.to_bits() ^ self.actual.to_bits()
    }

    /// Absolute error; `None` when a side is not finite.
    pub fn abs_error(&self) -> Option<f64> {
        let finite = self.golden.is_finite() && self.actual.is_finite();
        finite.then(|| (f64::from(self.actual) - f64::from(self.golden)).abs())
    }

    /// ULP distance; `None` when a side is not finite.
    pub fn ulp(&self) -> Option<u32> {
        let finite = self.golden.is_finite() && self.actual.is_finite();
        finite.then(|| ulp_distance(self.actual, self.golden))
    }
}

impl FaultResult {
    /// What became of it.
    pub fn fate(&self) -> Fate {
        match (self.samples_beyond, self.samples_flagged) {
            (0, _) => Fate::Masked,
            (beyond, flagged) if flagged == beyond => Fate::Detected,
            _ => Fate::Missed,
        }
    }

    /// Takes note of a value before and after.
    pub fn raise(&mut self, before: f32, after: f32) {
        if before.is_finite() && after.is_finite() {
            self.largest_change = self
                .largest_change
                .max((f64::from(after) - f64::from(before)).abs());
        } else {
            self.non_finite |= before.is_finite() != after.is_finite();
        }
    }

    /// Takes note of another result's changes.
    pub fn merge_effect(&mut self, other: &Self) {
        self.largest_change = self.largest_change.max(other.largest_change);
        self.non_finite |= other.non_finite;
    }

    /// Takes note of a sample.
    pub fn judge(&mut self, beyond: bool, flagged: bool) {
        self.samples_beyond += usize::from(beyond);
        self.samples_flagged += usize::from(beyond && flagged);
    }
}

impl Repeats {
    /// Takes note of two values that should be the same.
    pub fn raise(&mut self, first: f32, later: f32) {
        if first.is_finite() && later.is_finite() {
            self.largest_difference = self
                .largest_difference
                .max((f64::from(later) - f64::from(first)).abs());
        }
    }
}

/// A flat element of a sample as the sample and its axes.
pub fn index(sample: usize, element: usize, shape: &[usize]) -> Vec<usize> {
    let mut rest = element;
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|&length| {
            let place = rest % length.max(1);
            rest /= length.max(1);
            place
        })
        .collect();
    index.push(sample);
    index.reverse();
    index
}

fn raise<T: PartialOrd + Copy>(
    extreme: &mut Extreme<T>,
    peak: Peak<T>,
    sample: usize,
    shape: &[usize],
) {
    if let Some(element) = peak.element
        && (extreme.index.is_none() || peak.value > extreme.value)
    {
        *extreme = Extreme {
            value: peak.value,
            index: Some(index(sample, element, shape)),
        };
    }
}

fn take_larger<T: PartialOrd + Copy>(largest: &mut Extreme<T>, other: &Extreme<T>) {
    if other.index.is_some() && (largest.index.is_none() || other.value > largest.value) {
        *largest = other.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_the_flat_one_in_its_axes() {
        assert_eq!(index(7, 0, &[65, 96]), [7, 0, 0]);
        assert_eq!(index(7, 64 * 96 + 95, &[65, 96]), [7, 64, 95]);
        assert_eq!(index(7, 3, &[10]), [7, 3]);
        assert_eq!(index(0, 100, &[3, 4, 16]), [0, 1, 2, 4]);
    }

    #[test]
    fn nothing_compared_and_not_everything_compared_are_no_pass() {
        assert!(!Verdict::default().is_pass());
        assert!(
            !Verdict {
                samples: 3,
                stopped: Some(Stop::Interrupted),
                ..Verdict::default()
            }
            .is_pass()
        );
        assert!(
            Verdict {
                samples: 3,
                ..Verdict::default()
            }
            .is_pass()
        );
    }

    #[test]
    fn a_fault_is_missed_when_one_of_its_samples_is() {
        let fate = |beyond, flagged| {
            FaultResult {
                samples_beyond: beyond,
                samples_flagged: flagged,
                ..FaultResult::default()
            }
            .fate()
        };
        assert_eq!(
            [fate(0, 0), fate(3, 3), fate(3, 2)],
            [Fate::Masked, Fate::Detected, Fate::Missed]
        );
    }
}
