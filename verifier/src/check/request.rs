//! What a check is asked for, and what it runs on.

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use crate::compare::Tolerance;
use crate::engine::{BatchError, Engine};
use crate::inject::{Fault, FaultError};
use crate::samples::{Recordings, SamplesError};

/// What is compared, and how.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    pub recordings: &'a Recordings,
    pub samples: Range<usize>,
    /// Samples in one run of the engine.
    pub batch_size: usize,
    /// When an element is close.
    pub tolerance: Tolerance,
    /// Deliberate changes, all at once.
    pub faults: &'a [Fault],
    /// How often every batch is run; each run is compared.
    pub repeat: usize,
    /// End with the first faulty batch.
    pub fail_fast: bool,
    /// Count the sizes of all errors.
    pub histogram: bool,
    /// Find only what is outside the tolerance, of inputs and goldens that are known to be finite:
    /// of a sample that is close, neither errors nor other bits are counted.
    pub verdict_only: bool,
    /// When it is set, the check ends with what was compared until then.
    pub stop: &'a AtomicBool,
}

/// What runs the model.
pub struct Engines<'a> {
    /// The model as it is.
    pub fault_free: &'a mut dyn Engine,
    /// The model with its weight faults, if there are any.
    pub corrupted: Option<&'a mut dyn Engine>,
}

/// Why nothing could be concluded.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error(transparent)]
    Samples(#[from] SamplesError),
    #[error(transparent)]
    Fault(#[from] FaultError),
    #[error(transparent)]
    Run(#[from] BatchError),
}
