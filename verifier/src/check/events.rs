//! What happens during a run, told as it happens to whoever shows and keeps it.

use std::ops::Range;

use ndarray::ArrayViewD;

use super::result::FaultyOutput;

/// One event; the run goes on when it was taken.
#[derive(Debug)]
pub enum Event<'a> {
    /// What the engine computed of a batch in its first run, before faults of outputs: an array
    /// `[batch, …]` for each output.
    Outputs(Range<usize>, Vec<ArrayViewD<'a, f32>>),
    /// An output of a sample with an element outside the tolerance.
    Faulty(&'a FaultyOutput, &'a FaultyTensors<'a>),
    /// A batch is done: so many samples more.
    Done(usize),
}

/// An output of a sample and its golden, `[…]` each, with faults.
#[derive(Debug)]
pub struct FaultyTensors<'a> {
    pub golden: ArrayViewD<'a, f32>,
    pub actual: ArrayViewD<'a, f32>,
    /// The golden without faults.
    pub recorded: ArrayViewD<'a, f32>,
}

/// Takes events.
pub type Observe<'a> = dyn FnMut(Event<'_>) + 'a;
