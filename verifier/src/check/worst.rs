//! The worst of the faulty samples, each with a map of its errors and the image that it is of.

use ndarray::Array3;
use proto::npy::NpyError;

use super::events::FaultyTensors;
use super::result::FaultyOutput;
use crate::compare::Tolerance;
use crate::compare::error_map::ErrorMap;
use crate::samples::{Images, elements};

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
    /// Where its errors lie.
    pub map: ErrorMap,
    /// What it is an image of, `[32, 32, 3]`: row, column, channel R, G, B; absent where the bundle
    /// has no pixels.
    pub image: Option<Array3<u8>>,
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
        let (actual, golden) = (elements(actual), elements(golden));
        let sample = WorstSample {
            output: faulty.clone(),
            map: ErrorMap::new(actual, golden, columns, self.tolerance),
            image: None,
        };
        self.samples.insert(place, sample);
        self.samples.truncate(KEPT);
    }

    /// Adds the images that the samples are of.
    pub fn add_images(&mut self, images: &Images) -> Result<(), NpyError> {
        let positions = self.samples.iter().map(WorstSample::position);
        let images = images.read(positions)?;
        for sample in &mut self.samples {
            sample.image = images.get(&sample.position()).cloned();
        }
        Ok(())
    }

    /// The worst first.
    pub fn into_samples(self) -> Vec<WorstSample> {
        self.samples
    }
}

impl WorstSample {
    /// Of its image in the split.
    fn position(&self) -> i64 {
        self.output.info.sample_index
    }
}
