//! Why weights cannot be used.

use std::io;
use std::path::PathBuf;

use proto::config::ConfigError;
use safetensors::tensor::SafeTensorError;

use super::info::METADATA_KEY;

/// Why weights cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {fault}")]
pub struct WeightsError {
    pub path: PathBuf,
    pub fault: WeightsFault,
}

/// The rule that a weights file breaks.
#[derive(Debug, thiserror::Error)]
pub enum WeightsFault {
    #[error("no such file\nhint: `trainer train` or `trainer import` writes one")]
    Absent,
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A file of PyTorch.
    #[error(
        "a PyTorch checkpoint, not a weights file\n\
         hint: `trainer import --pth FILE` makes one of it"
    )]
    PyTorch,
    /// Not the format.
    #[error("not a valid safetensors file: {0}")]
    Format(#[from] SafeTensorError),
    /// The file does not say which network it belongs to.
    #[error(
        "no `{METADATA_KEY}` in its metadata: \
         expected a file that `trainer train` or `trainer import` wrote"
    )]
    NoMetadata,
    /// The metadata cannot be understood.
    #[error("malformed `{METADATA_KEY}` metadata: {0}")]
    Metadata(#[from] serde_json::Error),
    /// The config is no network.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The network is not the one asked for.
    #[error("weights of network {found}, expected {expected}: {difference}")]
    Network {
        expected: String,
        /// The file's preset, or what its sizes are.
        found: String,
        difference: String,
    },
    /// The network is not one for CIFAR-10.
    #[error(
        "a network for {channels} channels and {classes} classes: \
         expected 3 and 10, as CIFAR-10 has"
    )]
    NotCifar10 { channels: usize, classes: usize },
    #[error("tensor `{0}` is missing")]
    Missing(String),
    /// A tensor belongs to no parameter.
    #[error("tensor `{0}` is no parameter of the network in the file's config")]
    Extra(String),
    /// A parameter has another shape.
    #[error("tensor `{name}`: expected shape {expected:?}, found {found:?}")]
    Shape {
        name: String,
        expected: Vec<usize>,
        found: Vec<usize>,
    },
    /// A parameter is not float32.
    #[error("tensor `{name}`: expected dtype F32, found {found}")]
    Dtype { name: String, found: String },
    /// A parameter is infinite or not a number.
    #[error("tensor `{name}`: element {element} is {value}, expected a finite number")]
    NotFinite {
        name: String,
        /// Flat index.
        element: usize,
        value: f32,
    },
}
