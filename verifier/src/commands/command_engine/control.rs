//! What an engine must show before it is believed: that it reads its inputs, and whether its bits
//! repeat.

use anyhow::{Result, ensure};
use ndarray::{ArrayD, ArrayViewD, Axis};
use verifier::engine::Engine as _;
use verifier::engine::command::GivenModel;
use verifier::engine::recorded::Recorded;

use super::runs::{Given, Runs};

/// What two more runs of the first batch showed.
pub(in crate::commands) struct Control {
    /// Samples in each of them.
    pub(super) samples: usize,
    /// Whether the second run gave the same bits.
    pub(super) repeats: bool,
    /// Whether two swapped inputs gave swapped outputs: false if there were no two samples with
    /// different inputs and outputs.
    pub(super) swapped: bool,
}

impl Control {
    /// Runs the first batch again, and once more with two samples swapped; `all` is what the run
    /// of all samples left.
    pub(in crate::commands) fn of(
        runs: &Runs<'_>,
        model: &GivenModel,
        all: &mut Recorded,
    ) -> Result<Self> {
        // A whole batch, as in the run of all samples: bits may depend on its size.
        let first = runs.opened.samples.start;
        let count = runs.opened.samples.len().min(runs.batch_size.max(2));
        let samples = first..first + count;
        let outputs = owned(all.run(&samples, &[])?);
        let run = |name, swapped| {
            let given = Given {
                samples: Some(samples.clone()),
                swapped,
                ..Given::all(name, model)
            };
            let (mut recorded, _) = runs.run(&given)?;
            Ok::<_, anyhow::Error>(owned(recorded.run(&samples, &[])?))
        };
        let repeats = same_bits(&outputs, &run("again", None)?);
        let inputs = runs.inputs(samples.clone())?;
        let other = other_sample(&inputs, &outputs);
        if let Some(other) = other {
            let swapped = run("swapped", Some((0, other)))?;
            ensure!(
                moved(&outputs, &swapped, other),
                "engine `{}`: two inputs were swapped, and its outputs were not\n\
                 hint: does it read {{inputs}}, and are its outputs in the order of the samples?",
                runs.spec.name
            );
        }
        Ok(Self {
            samples: count,
            repeats,
            swapped: other.is_some(),
        })
    }
}

/// The first sample with other inputs and outputs than sample 0: the outputs of two samples with
/// the same inputs may differ by chance, and show nothing when they are swapped.
fn other_sample(inputs: &[ArrayD<f32>], outputs: &[ArrayD<f32>]) -> Option<usize> {
    let samples = outputs.first()?.len_of(Axis(0));
    (1..samples).find(|&other| differ(inputs, 0, other) && differ(outputs, 0, other))
}

/// Whether the first sample's outputs are now those of the other one.
fn moved(outputs: &[ArrayD<f32>], swapped: &[ArrayD<f32>], other: usize) -> bool {
    let mut pairs = outputs.iter().zip(swapped);
    pairs.all(|(as_they_were, swapped)| {
        let [first, other] = [0, other].map(|sample| as_they_were.index_axis(Axis(0), sample));
        let now = swapped.index_axis(Axis(0), 0);
        distance(&now, &other) <= distance(&now, &first)
    })
}

fn owned(outputs: Vec<ArrayViewD<'_, f32>>) -> Vec<ArrayD<f32>> {
    outputs.iter().map(ArrayViewD::to_owned).collect()
}

fn differ(outputs: &[ArrayD<f32>], a: usize, b: usize) -> bool {
    let mut outputs = outputs.iter();
    outputs.any(|output| {
        let [a, b] = [a, b].map(|sample| output.index_axis(Axis(0), sample));
        distance(&a, &b) > 0.0
    })
}

fn same_bits(a: &[ArrayD<f32>], b: &[ArrayD<f32>]) -> bool {
    let bits = |arrays: &[ArrayD<f32>]| -> Vec<u32> {
        let values = arrays.iter().flatten();
        values.map(|value| value.to_bits()).collect()
    };
    bits(a) == bits(b)
}

/// The sum of the absolute differences of what is finite in both.
fn distance(a: &ArrayViewD<'_, f32>, b: &ArrayViewD<'_, f32>) -> f64 {
    let pairs = a.iter().zip(b);
    let differences = pairs.map(|(&a, &b)| (f64::from(a) - f64::from(b)).abs());
    differences
        .filter(|difference| difference.is_finite())
        .sum()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn two_samples_with_the_same_inputs_show_nothing() {
        let inputs = [array![[1.0, 2.0], [1.0, 2.0], [3.0, 4.0]].into_dyn()];
        let noisy = [array![[0.5], [0.50001], [0.7]].into_dyn()];
        assert_eq!(other_sample(&inputs, &noisy), Some(2));
        let alike = [array![[0.5], [0.50001], [0.5]].into_dyn()];
        assert_eq!(other_sample(&inputs, &alike), None);
    }

    #[test]
    fn outputs_that_stay_where_they_are_show_that_inputs_are_not_read() {
        let outputs = [array![[1.0, 2.0], [1.0, 2.0], [f32::NAN, 5.0]].into_dyn()];
        assert!(!differ(&outputs, 0, 1) && differ(&outputs, 0, 2));
        let swapped = [array![[f32::NAN, 5.0], [1.0, 2.0], [1.0, 2.0]].into_dyn()];
        assert!(moved(&outputs, &swapped, 2));
        assert!(!moved(&outputs, &outputs, 2));
        // Off by a little, as other bits in another place are.
        let near = [array![[0.0, 4.9], [1.0, 2.0], [1.1, 2.1]].into_dyn()];
        assert!(moved(&outputs, &near, 2));
        assert!(same_bits(&outputs, &outputs) && !same_bits(&outputs, &swapped));
    }
}
