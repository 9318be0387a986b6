//! What a bundle knows about its samples: confidence, and whether they are classified correctly.

use super::error::BundleError;
use super::open::Bundle;
use crate::manifest::dataset;
use crate::npy::{Element, Npy, NpyError};
use crate::tier::Tiers;

/// One number of each kind a sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// p(best class) − p(second best class), 0 to 1.
    pub confidence: Vec<f32>,
    /// Whether the class with the largest golden logit is the true one.
    pub correct: Vec<bool>,
}

/// Why a bundle's samples cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SamplesError {
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// A confidence that is none.
    #[error("dataset `confidence`: element {sample} is {value}, expected 0 to 1")]
    Confidence { sample: usize, value: f32 },
    /// An array of another length or with more axes.
    #[error("dataset `{name}` has shape {shape:?}, expected [{samples}]")]
    Shape {
        name: &'static str,
        shape: Vec<usize>,
        /// Samples of the bundle.
        samples: usize,
    },
}

impl Samples {
    /// Reads them; their files have their hashes.
    pub fn read(bundle: &Bundle) -> Result<Self, SamplesError> {
        let confidence: Vec<f32> = read(bundle, dataset::CONFIDENCE)?;
        let is_share = |value: &f32| (0.0..=1.0).contains(value);
        if let Some(sample) = confidence.iter().position(|value| !is_share(value)) {
            return Err(SamplesError::Confidence {
                sample,
                value: confidence[sample],
            });
        }
        let labels: Vec<i64> = read(bundle, dataset::LABELS)?;
        let predictions: Vec<i64> = read(bundle, dataset::PREDICTIONS)?;
        let pairs = labels.iter().zip(&predictions);
        let correct = pairs.map(|(label, prediction)| label == prediction);
        let correct = correct.collect();
        Ok(Self {
            confidence,
            correct,
        })
    }

    /// Some of them, in the order of `rows`.
    pub fn rows(&self, rows: &[usize]) -> Self {
        Self {
            confidence: rows.iter().map(|&row| self.confidence[row]).collect(),
            correct: rows.iter().map(|&row| self.correct[row]).collect(),
        }
    }

    pub fn correct_count(&self) -> usize {
        self.correct.iter().filter(|&&correct| correct).count()
    }

    /// How they spread over tiers of equal width.
    pub fn tiers(&self, count: usize) -> Tiers {
        let mut tiers = Tiers::new(count);
        for (&confidence, &correct) in self.confidence.iter().zip(&self.correct) {
            tiers.add(confidence, correct);
        }
        tiers
    }

    /// The correctly classified samples of each tier, in the order of the bundle.
    pub fn correct_by_tier(&self, count: usize) -> Vec<Vec<usize>> {
        let tiers = Tiers::new(count);
        let mut lists = vec![vec![]; count];
        let samples = self.confidence.iter().zip(&self.correct).enumerate();
        for (sample, (&confidence, _)) in samples.filter(|(_, (_, correct))| **correct) {
            lists[tiers.tier_of(confidence)].push(sample);
        }
        lists
    }
}

fn read<T: Element>(bundle: &Bundle, name: &'static str) -> Result<Vec<T>, SamplesError> {
    let samples = bundle.manifest().accuracy.samples;
    let npy: Npy<T> = bundle.dataset(name)?;
    if npy.shape() != [samples] {
        return Err(SamplesError::Shape {
            name,
            shape: npy.shape().to_vec(),
            samples,
        });
    }
    Ok(npy.all()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_hold_the_correct_samples_in_order() {
        let confidence = vec![0.25, 0.9, 0.0, 1.0, 0.26, 0.25];
        let samples = Samples {
            confidence,
            correct: vec![true, true, true, false, true, true],
        };
        assert_eq!(
            samples.correct_by_tier(4),
            [vec![0, 2, 5], vec![4], vec![], vec![1]]
        );
        let tiers = samples.tiers(4);
        assert_eq!(
            (tiers.correct, tiers.incorrect),
            (vec![3, 1, 0, 1], vec![0, 0, 0, 1])
        );
    }
}
