//! Why a model cannot be run as asked.

use std::io;
use std::path::PathBuf;

use super::super::RunError;
use super::super::device::Device;
use super::super::placement::PlacementError;

/// Why the model cannot be run as asked. Nothing was compared.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{path}: not a usable ONNX Runtime library: {reason}")]
    Library { path: PathBuf, reason: String },
    #[error(
        "device `{device}` is not available: {provider} could not be created: {reason}\n\
         nothing was run; there is no silent change to another device"
    )]
    Provider {
        device: Device,
        provider: String,
        /// What the runtime said.
        reason: String,
    },
    #[error("device `{device}`: {reason}")]
    Option {
        device: Device,
        reason: &'static str,
    },
    #[error("{path}: cannot be loaded for device `{device}`: {reason}")]
    Model {
        path: PathBuf,
        device: Device,
        /// What the runtime said.
        reason: String,
    },
    #[error("{path}: {what}: expected {expected}, found {found}")]
    Interface {
        path: PathBuf,
        /// `inputs` or `outputs`.
        what: &'static str,
        /// As in the manifest.
        expected: String,
        /// As in the model.
        found: String,
    },
    #[error("device `{device}`: the first run failed: {error}")]
    FirstRun { device: Device, error: RunError },
    #[error("device `{device}`: {error}")]
    Placement {
        device: Device,
        error: PlacementError,
    },
    #[error("no temporary folder for the runtime's profile: {0}")]
    Profile(io::Error),
}

/// The runtime's messages begin with source positions and spread over lines.
pub(super) fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
