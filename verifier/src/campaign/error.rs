//! Why faults of a campaign cannot be run.

use proto::graph::{CutError, InitializerError, RewriteError};
use thiserror::Error;

use crate::check::tail::TailError;
use crate::engine::RunError;
use crate::engine::onnxruntime::LoadError;
use crate::inject::FaultError;
use crate::samples::SamplesError;

/// Faults cannot be run.
#[derive(Debug, Error)]
pub enum RunnerError {
    #[error("the part has no site `{0}`")]
    NoSite(String),
    #[error(transparent)]
    Cut(#[from] CutError),
    #[error(transparent)]
    Weight(#[from] InitializerError),
    #[error(transparent)]
    Rewrite(#[from] RewriteError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Fault(#[from] FaultError),
    #[error("site `{site}`: {error}")]
    Run { site: String, error: RunError },
    #[error(transparent)]
    Samples(#[from] SamplesError),
    #[error(transparent)]
    Tail(#[from] TailError),
    #[error(
        "sample {0}: its logits are not finite without a fault, so that no fault can change its \
         class\nhint: --range leaves samples out"
    )]
    NotFinite(usize),
}
