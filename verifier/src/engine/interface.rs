//! The one interface of everything that gives outputs.

use std::ops::Range;

use ndarray::ArrayViewD;

/// Computes a part's outputs.
pub trait Engine {
    /// Takes an array `[batch, …]` for each input and gives one for each output, in the part's
    /// order; they are the engine's until its next run. `samples` says which samples of the bundle
    /// they are: an engine that computes needs no such thing, one that only has outputs does.
    fn run(
        &mut self,
        samples: &Range<usize>,
        inputs: &[ArrayViewD<'_, f32>],
    ) -> Result<Vec<ArrayViewD<'_, f32>>, RunError>;
}

/// An engine failed, or gave back something else than the part's outputs.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RunError(pub String);
