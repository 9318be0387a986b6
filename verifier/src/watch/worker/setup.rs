//! What a worker is asked for, how it loads what it needs, and why it ends.

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::rehearsal::Plan;
use crate::check::CheckError;
use crate::compare::Tolerance;
use crate::engine::Engine;
use crate::watch::resident::Resident;

/// What a worker is to do.
#[derive(Debug)]
pub struct Setup<'a> {
    pub samples: Range<usize>,
    pub batch_size: usize,
    pub tolerance: Tolerance,
    /// Where the tensors of wrong batches are kept.
    pub dumps: Option<PathBuf>,
    /// Its own number, and that of the next wrong batch.
    pub worker: u64,
    pub next_sdc: u64,
    /// Signs of life are given no more often: each costs the supervisor some microseconds too.
    pub apart: Duration,
    /// What goes wrong on purpose.
    pub rehearsal: Option<Plan>,
    /// When it is set, the worker ends in order.
    pub stop: &'a AtomicBool,
}

/// Loads what a worker needs, and again when it may have been hit.
pub trait Load {
    /// Inputs and goldens, whose files have the hashes of the bundle.
    fn resident(&mut self) -> Result<Resident, String>;
    /// The model, whose file has the hash of the bundle, on the device.
    fn engine(&mut self) -> Result<Box<dyn Engine>, String>;
}

/// Why a worker ends.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// Nobody hears what it says.
    #[error("the supervisor is gone: {0}")]
    Alone(#[from] io::Error),
    /// A batch stays wrong, whatever is loaded again.
    #[error("a batch stays wrong after everything was loaded again")]
    Stuck,
    #[error(transparent)]
    Check(#[from] CheckError),
    #[error("{0}")]
    Load(String),
}
