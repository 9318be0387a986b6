//! The worst of the faulty samples, with a map of each: where the elements outside lie.

use super::events::FaultyTensors;
use super::result::FaultyOutput;
use crate::compare::Tolerance;
use crate::compare::error_map::ErrorMap;

/// Samples kept.
const KEPT: usize = 20;

/// The worst outputs of faulty samples, the worst first: one with a value that is not finite before
/// any other.
#[derive(Debug)]
pub struct WorstSamples {
    tolerance: Tolerance,
    samples: Vec<WorstSample>,
}

/// An output of a faulty sample.
#[derive(Debug, Clone, PartialEq)]
pub struct WorstSample {
    pub output: FaultyOutput,
    /// Where its elements outside lie.
    pub map: ErrorMap,
}

impl WorstSamples {
    /// With none in it.
    pub fn new(tolerance: Tolerance) -> Self {
        Self {
            tolerance,
            samples: Vec::new(),
        }
    }

    /// Takes a faulty output in if it is among the worst; of equals the first.
    pub fn add(&mut self, faulty: &FaultyOutput, tensors: &FaultyTensors<'_>) {
        let severity = faulty.worst.severity();
        let place = self
            .samples
            .partition_point(|sample| sample.output.worst.severity() >= severity);
        if place >= KEPT {
            return;
        }
        let FaultyTensors { golden, actual, .. } = tensors;
        let columns = golden.shape().last().copied().unwrap_or(1).max(1);
        let pairs = actual.iter().zip(golden.iter()).enumerate();
        let outside = pairs
            .filter(|(_, (y, g))| !self.tolerance.is_close(**y, **g))
            .map(|(element, _)| element);
        let map = ErrorMap::new(golden.len() / columns, columns, outside);
        let output = faulty.clone();
        self.samples.insert(place, WorstSample { output, map });
        self.samples.truncate(KEPT);
    }

    /// The worst first.
    pub fn into_samples(self) -> Vec<WorstSample> {
        self.samples
    }
}
