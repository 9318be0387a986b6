//! Engines for tests.

use std::ops::Range;

use ndarray::{ArrayD, ArrayViewD};

use super::interface::{Engine, RunError};

/// Gives back its first input, changed by the number of the run, from 0.
pub(crate) struct Echo<F> {
    change: F,
    run: usize,
    output: ArrayD<f32>,
}

impl<F: FnMut(usize, &mut ArrayD<f32>)> Echo<F> {
    pub(crate) fn new(change: F) -> Self {
        Self {
            change,
            run: 0,
            output: ArrayD::default(ndarray::IxDyn(&[0])),
        }
    }
}

impl<F: FnMut(usize, &mut ArrayD<f32>)> Engine for Echo<F> {
    fn run(
        &mut self,
        _: &Range<usize>,
        inputs: &[ArrayViewD<'_, f32>],
    ) -> Result<Vec<ArrayViewD<'_, f32>>, RunError> {
        self.output = inputs[0].to_owned();
        (self.change)(self.run, &mut self.output);
        self.run += 1;
        Ok(vec![self.output.view()])
    }
}

/// Claims success and gives nothing back.
pub(crate) struct Silent;

impl Engine for Silent {
    fn run(
        &mut self,
        _: &Range<usize>,
        _: &[ArrayViewD<'_, f32>],
    ) -> Result<Vec<ArrayViewD<'_, f32>>, RunError> {
        Ok(vec![])
    }
}
