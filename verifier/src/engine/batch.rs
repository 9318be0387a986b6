//! A batch on an engine: what comes back must have the goldens' number and shapes.

use std::time::Instant;

use ndarray::ArrayViewD;

use super::float_mode;
use super::interface::{Engine, RunError};
use crate::samples::{Batch, Recording};

/// A batch that an engine could not run.
#[derive(Debug, thiserror::Error)]
#[error("samples {first} to {last}: {error}")]
pub struct BatchError {
    pub first: usize,
    pub last: usize,
    pub error: RunError,
}

/// What a run gave, in the shapes that the goldens have.
#[derive(Debug)]
pub struct Outputs<'e> {
    /// An array `[batch, …]` for each output.
    pub tensors: Vec<ArrayViewD<'e, f32>>,
    /// Seconds in the engine.
    pub seconds: f64,
}

/// Runs inputs of a batch, its own or corrupted ones; refuses outputs that are not of the goldens'
/// number and shapes.
pub fn run_batch<'e>(
    engine: &'e mut dyn Engine,
    batch: &Batch<'_>,
    inputs: &[ArrayViewD<'_, f32>],
    goldens: &[Recording],
) -> Result<Outputs<'e>, BatchError> {
    let at = |error| BatchError {
        first: batch.samples.start,
        last: batch.samples.end - 1,
        error,
    };
    let started = Instant::now();
    let tensors = engine.run(&batch.samples, inputs);
    float_mode::restore();
    let tensors = tensors.map_err(at)?;
    let seconds = started.elapsed().as_secs_f64();
    check_shapes(&tensors, batch.samples.len(), goldens).map_err(at)?;
    Ok(Outputs { tensors, seconds })
}

fn check_shapes(
    outputs: &[ArrayViewD<'_, f32>],
    samples: usize,
    goldens: &[Recording],
) -> Result<(), RunError> {
    let found: Vec<&[usize]> = outputs.iter().map(ArrayViewD::shape).collect();
    let expected: Vec<Vec<usize>> = goldens
        .iter()
        .map(|golden| [&[samples], golden.sample_shape()].concat())
        .collect();
    if found == expected {
        return Ok(());
    }
    if found.is_empty() {
        return Err(RunError("the engine gave back no output".to_owned()));
    }
    let names: Vec<&str> = goldens.iter().map(Recording::name).collect();
    let names = names.join(", ");
    Err(RunError(format!(
        "outputs of shape {found:?}, expected {expected:?} ({names})"
    )))
}
