//! The worker's engine: how long it runs, and what a rehearsal makes of its outputs.

use std::cell::Cell;
use std::ops::Range;
use std::rc::Rc;
use std::time::Instant;

use ndarray::{ArrayD, ArrayViewD};

use crate::engine::{Engine, RunError};

/// An engine whose runs are timed.
pub(super) struct Metered<'a> {
    engine: &'a mut dyn Engine,
    seconds: Rc<Cell<f64>>,
    fault: Rc<Cell<Option<OutputFault>>>,
    changed: Vec<ArrayD<f32>>,
}

/// A bit that is flipped in the first output of each run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OutputFault {
    pub(super) element: usize,
    pub(super) bit: u32,
}

impl<'a> Metered<'a> {
    pub(super) fn new(engine: &'a mut dyn Engine) -> Self {
        Self {
            engine,
            seconds: Rc::default(),
            fault: Rc::default(),
            changed: vec![],
        }
    }

    /// Seconds in the engine so far; whoever takes them sets them to 0.
    pub(super) fn seconds(&self) -> Rc<Cell<f64>> {
        Rc::clone(&self.seconds)
    }

    /// The fault of the next run.
    pub(super) fn fault(&self) -> Rc<Cell<Option<OutputFault>>> {
        Rc::clone(&self.fault)
    }
}

impl Engine for Metered<'_> {
    fn run(
        &mut self,
        samples: &Range<usize>,
        inputs: &[ArrayViewD<'_, f32>],
    ) -> Result<Vec<ArrayViewD<'_, f32>>, RunError> {
        let started = Instant::now();
        let outputs = self.engine.run(samples, inputs)?;
        let seconds = started.elapsed().as_secs_f64();
        self.seconds.set(self.seconds.get() + seconds);
        let Some(OutputFault { element, bit }) = self.fault.take() else {
            return Ok(outputs);
        };
        self.changed = outputs.iter().map(ArrayViewD::to_owned).collect();
        drop(outputs);
        let elements = self.changed.first().map_or(0, ArrayD::len).max(1);
        let first = self.changed.first_mut();
        if let Some(value) = first.and_then(|output| output.iter_mut().nth(element % elements)) {
            *value = f32::from_bits(value.to_bits() ^ (1 << bit));
        }
        Ok(self.changed.iter().map(|output| output.view()).collect())
    }
}
