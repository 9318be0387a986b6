//! One output of a sample, compared with its golden.

use ndarray::{ArrayViewD, IxDyn};

use super::result::FaultyOutput;
use crate::compare::pattern::Extent;
use crate::compare::{ClassChange, ElementPair, Histogram, SampleComparison, Tolerance, largest};
use crate::inject::place::Corrupted;
use crate::samples::{SampleInfo, elements};

/// One output of a sample, without and with its faults, `[…]` each.
#[derive(Debug)]
pub(super) struct Compared<'a> {
    /// What the engine gave back.
    pub(super) computed: ArrayViewD<'a, f32>,
    /// The golden as it was recorded.
    pub(super) recorded: ArrayViewD<'a, f32>,
    /// What the model without faults gives for inputs without faults, where any of them has one.
    pub(super) fault_free: Option<ArrayViewD<'a, f32>>,
    /// `computed` with the faults of outputs.
    pub(super) actual: Corrupted<'a>,
    /// `recorded` with the faults of the golden.
    pub(super) golden: Corrupted<'a>,
    /// Of `actual` with `golden`.
    pub(super) comparison: SampleComparison,
    /// Sizes of the errors, where they were asked for.
    pub(super) histogram: Option<Histogram>,
}

impl Compared<'_> {
    /// Whether an element is outside the tolerance.
    pub(super) fn is_outside(&self, index: &IxDyn, tolerance: Tolerance) -> bool {
        !tolerance.is_close(self.actual[index], self.golden[index])
    }

    /// What the error did to the class, where the output is logits.
    pub(super) fn class_change(&self) -> Option<ClassChange> {
        ClassChange::new(elements(&self.recorded), in_c_order(&self.actual))
    }

    /// Describes an output that has an element outside.
    pub(super) fn describe(
        &self,
        name: &str,
        sample: usize,
        info: SampleInfo,
        run: usize,
        tolerance: Tolerance,
    ) -> FaultyOutput {
        let Compared { golden, actual, .. } = self;
        let shape = golden.shape();
        let width = shape.last().copied().unwrap_or(1).max(1);
        let mut extent = Extent::new();
        let (mut first, mut worst): (Option<ElementPair>, Option<ElementPair>) = (None, None);
        let pairs = in_c_order(actual)
            .iter()
            .zip(in_c_order(golden))
            .enumerate();
        for (element, (&actual, &golden)) in pairs {
            if tolerance.is_close(actual, golden) {
                continue;
            }
            extent.add(element / width, element % width);
            let pair = ElementPair::new(largest::index_of(sample, element, shape), golden, actual);
            // Of elements that are equally far off the first.
            if worst
                .as_ref()
                .is_none_or(|worst| pair.severity() > worst.severity())
            {
                worst = Some(pair.clone());
            }
            first.get_or_insert(pair);
        }
        let at_least_one = "a faulty output has an element outside";
        FaultyOutput {
            sample,
            info,
            run,
            output: name.to_owned(),
            mismatched_elements: self.comparison.mismatches,
            non_finite_elements: self.comparison.non_finite,
            pattern: extent.pattern().expect(at_least_one),
            first: first.expect(at_least_one),
            worst: worst.expect(at_least_one),
            class: None,
        }
    }
}

pub(super) fn in_c_order<'v>(tensor: &'v Corrupted<'_>) -> &'v [f32] {
    tensor
        .as_slice()
        .expect("tensors of samples are in C order")
}
