//! How far a run is, and what its epochs came to.

use serde::{Deserialize, Serialize};

/// What an epoch came to. Everything here is a function of the plan, not of the clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRow {
    /// From 1.
    pub epoch: usize,
    /// Learning rate of the epoch's first step.
    pub learning_rate: f64,
    /// Mean loss over the epoch's steps, label smoothing included, in nats.
    pub train_loss: f64,
    /// Mean cross-entropy on the test split, in nats.
    pub test_loss: f64,
    /// Correctly classified test images.
    pub test_correct: usize,
    pub test_samples: usize,
}

/// How far a run is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done in the epoch under way.
    pub step: usize,
    /// One row for each epoch that is complete.
    pub history: Vec<EpochRow>,
}

impl EpochRow {
    /// Share of correctly classified test images, 0 to 1.
    pub fn test_accuracy(&self) -> f64 {
        self.test_correct as f64 / self.test_samples as f64
    }
}

impl Progress {
    /// Epochs that are complete.
    pub fn epochs(&self) -> usize {
        self.history.len()
    }
}

/// The epoch with the best accuracy on the test split, the first of equals.
pub fn best_epoch(history: &[EpochRow]) -> Option<&EpochRow> {
    history.iter().reduce(|best, row| {
        if row.test_correct > best.test_correct {
            row
        } else {
            best
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_epoch_is_the_first_of_equals() {
        let row = |epoch, test_correct| EpochRow {
            epoch,
            test_correct,
            learning_rate: 0.0,
            train_loss: 0.0,
            test_loss: 0.0,
            test_samples: 10,
        };
        let history = [row(1, 3), row(2, 7), row(3, 7), row(4, 5)];
        assert_eq!(best_epoch(&history).map(|row| row.epoch), Some(2));
    }
}
