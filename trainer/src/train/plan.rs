//! What decides the course of a training run.

use serde::{Deserialize, Serialize};

use crate::recipe::{Recipe, RecipeError};

/// What decides the course of a training run, apart from the network. The same plan on the same
/// machine, with the same number of threads, gives the same weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The recipe, after all flags.
    pub recipe: Recipe,
    /// The number that every random choice derives from.
    pub seed: u64,
    /// Training images used.
    pub train_samples: usize,
    /// Test images used.
    pub test_samples: usize,
}

/// Images in the training split.
pub const TRAIN_IMAGES: usize = 50_000;
/// Images in the test split.
pub const TEST_IMAGES: usize = 10_000;
/// More would make the history longer than the header of a weights file may be.
pub const MOST_EPOCHS: usize = 100_000;

/// A plan that cannot be followed.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum PlanError {
    /// A number of the recipe is out of its range.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A step needs more images than there are.
    #[error("batch_size is {batch_size}, more than the {train_samples} training images")]
    Batch {
        batch_size: usize,
        train_samples: usize,
    },
    /// A count is out of its range.
    #[error("{field} is {found}, expected {least} to {most}")]
    Range {
        field: &'static str,
        found: usize,
        least: usize,
        most: usize,
    },
}

impl Plan {
    /// Refuses what cannot be done with CIFAR-10.
    pub fn validate(&self) -> Result<(), PlanError> {
        self.recipe.validate()?;
        let Self {
            recipe: Recipe {
                batch_size, epochs, ..
            },
            train_samples,
            test_samples,
            ..
        } = *self;
        for (field, found, least, most) in [
            ("train_samples", train_samples, 1, TRAIN_IMAGES),
            ("test_samples", test_samples, 1, TEST_IMAGES),
            ("batch_size", batch_size, 1, TRAIN_IMAGES),
            ("epochs", epochs, 0, MOST_EPOCHS),
        ] {
            if !(least..=most).contains(&found) {
                return Err(PlanError::Range {
                    field,
                    found,
                    least,
                    most,
                });
            }
        }
        if batch_size > train_samples && epochs > 0 {
            return Err(PlanError::Batch {
                batch_size,
                train_samples,
            });
        }
        Ok(())
    }
}
