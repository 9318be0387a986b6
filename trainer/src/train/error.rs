//! Why training cannot go on.

/// Why training cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The loss is infinite or not a number.
    #[error("the loss became {loss} in step {step} of epoch {epoch}")]
    NotFinite {
        /// The epoch, from 1.
        epoch: usize,
        /// The step in the epoch, from 1.
        step: usize,
        loss: f32,
    },
    /// A parameter or moment is infinite or not a number though no loss was.
    #[error("the weights became infinite or not a number by step {step} of epoch {epoch}")]
    ParametersNotFinite {
        /// The epoch, from 1.
        epoch: usize,
        /// The step in the epoch, from 1, after which it was noticed.
        step: usize,
    },
    /// The loss on the test split is infinite or not a number.
    #[error("the test loss became {loss} after epoch {epoch}")]
    TestNotFinite {
        /// The epoch, from 1.
        epoch: usize,
        loss: f64,
    },
}
