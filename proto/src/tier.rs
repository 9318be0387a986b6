//! Confidence ranges: N tiers of equal width over 0 to 1, lower bound open and upper bound closed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many tiers the Python repository uses.
pub const DEFAULT_TIERS: usize = 4;

/// More tiers than this serve nobody.
pub const MOST_TIERS: usize = 1000;

/// How the samples of a bundle spread over the tiers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tiers {
    /// Upper bound of each tier, closed, ascending; the lower bound is the one before it, open, and
    /// 0 falls in the first.
    pub upper_bounds: Vec<f64>,
    /// Correctly classified samples in each tier.
    pub correct: Vec<usize>,
    /// Wrongly classified samples in each tier.
    pub incorrect: Vec<usize>,
}

impl Tiers {
    /// `count` empty tiers of equal width.
    pub fn new(count: usize) -> Self {
        let upper_bounds = (1..=count).map(|tier| tier as f64 / count as f64).collect();
        Self {
            upper_bounds,
            correct: vec![0; count],
            incorrect: vec![0; count],
        }
    }

    /// The tier that a confidence falls in, from 0. Bounds are compared in float32, as PyTorch
    /// compares a float32 tensor with a number: a confidence of 0.2 lies on the bound 0.2.
    pub fn tier_of(&self, confidence: f32) -> usize {
        let last = self.upper_bounds.len().saturating_sub(1);
        self.upper_bounds
            .iter()
            .position(|&upper| confidence <= upper as f32)
            .unwrap_or(last)
    }

    pub fn add(&mut self, confidence: f32, is_correct: bool) {
        let tier = self.tier_of(confidence);
        let counts = if is_correct {
            &mut self.correct
        } else {
            &mut self.incorrect
        };
        counts[tier] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_belong_to_the_lower_tier() {
        let tiers = Tiers::new(DEFAULT_TIERS);
        let found = [0.0, 0.1, 0.25, 0.250_000_03, 0.5, 0.75, 0.76, 1.0]
            .map(|confidence| tiers.tier_of(confidence));
        assert_eq!(found, [0, 0, 0, 1, 1, 2, 3, 3]);
        let tiers = Tiers::new(5);
        assert_eq!(
            [0.2, 0.4, 0.6, 0.8, 1.0].map(|confidence| tiers.tier_of(confidence)),
            [0, 1, 2, 3, 4]
        );
    }

    #[test]
    fn correct_and_incorrect_samples_are_counted_apart() {
        let mut tiers = Tiers::new(2);
        tiers.add(0.2, true);
        tiers.add(0.5, false);
        tiers.add(0.9, true);
        assert_eq!((tiers.correct, tiers.incorrect), (vec![1, 1], vec![1, 0]));
    }
}
