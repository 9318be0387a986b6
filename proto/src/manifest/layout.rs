//! The types of `manifest.json`, field by field.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::rust::maps_duplicate_key_is_error;

use crate::config::VitConfig;
use crate::digest::FileDigest;
use crate::graph;
pub use crate::graph::{Axis, Deployment};
use crate::npy::Dtype;
use crate::preprocessing::Preprocessing;
use crate::tier::Tiers;

/// The whole description.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// `major.minor` of this layout.
    pub format_version: String,
    pub producer: Producer,
    pub model: Model,
    /// The module that was cut out, by its name in the Python model.
    pub module: String,
    /// What the models are written for; absent where they have opset 17 and a free first axis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Deployment>,
    /// The ONNX models, by name.
    #[serde(with = "maps_duplicate_key_is_error")]
    #[schemars(with = "BTreeMap<String, Part>")]
    pub parts: BTreeMap<String, Part>,
    /// The NPY files, by name.
    #[serde(with = "maps_duplicate_key_is_error")]
    #[schemars(with = "BTreeMap<String, Dataset>")]
    pub datasets: BTreeMap<String, Dataset>,
    /// Which images the samples are.
    pub selection: Selection,
    /// Spread of the samples over confidence tiers.
    pub tiers: Tiers,
    /// From CIFAR-10 pixels to the full model's input.
    pub preprocessing: Preprocessing,
    /// Where the golden tensors come from.
    pub golden: Golden,
    /// How many samples the full model classifies correctly.
    pub accuracy: Accuracy,
    /// Size and hashes of every file but this one and SHA256SUMS, by path with forward slashes.
    #[serde(with = "maps_duplicate_key_is_error")]
    #[schemars(with = "BTreeMap<String, FileDigest>")]
    pub files: BTreeMap<String, FileDigest>,
}

/// A program and its version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Producer {
    pub name: String,
    pub version: String,
}

/// The network and its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Model {
    /// The preset's name, or `custom` when the numbers are no preset's.
    pub preset: String,
    /// Every number of the network.
    pub config: VitConfig,
    /// How many numbers it learned.
    pub parameters: usize,
    /// SHA-256 of the weights file it was loaded from.
    pub weights_sha256: String,
}

/// One ONNX model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// Path in the bundle, with forward slashes.
    pub file: String,
    /// Graph inputs, in the graph's order.
    pub inputs: Vec<Tensor>,
    /// Graph outputs, in the graph's order.
    pub outputs: Vec<Tensor>,
    /// Initializers that hold parameters, by the initializer's name.
    #[serde(with = "maps_duplicate_key_is_error")]
    #[schemars(with = "BTreeMap<String, Initializer>")]
    pub initializers: BTreeMap<String, Initializer>,
    /// Path in the bundle of the file with the large initializers, of a model that one file cannot
    /// hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_data: Option<String>,
    /// Samples of the test data sets beside the model, `test_data_set_0` and so on, by the position
    /// of each one's image in the split. A set holds one sample, or a fixed batch of them.
    #[serde(default)]
    pub test_data_sets: Vec<usize>,
}

/// An input or output of a graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tensor {
    /// Name in the graph.
    pub name: String,
    pub dtype: Dtype,
    /// Axes; the first is `batch`, or the samples of a fixed batch.
    pub shape: Vec<Axis>,
}

/// Where an initializer comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Initializer {
    /// The parameter's name in the Python model.
    pub parameter: String,
    /// Whether the matrix is stored as `[in, out]`, transposed from PyTorch's `[out, in]`.
    pub transposed: bool,
}

/// One NPY file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Dataset {
    /// Path in the bundle, with forward slashes.
    pub file: String,
    /// What it is for.
    pub role: Role,
    pub dtype: Dtype,
    /// Axes, slowest first; the first is the samples.
    pub shape: Vec<usize>,
}

/// What a dataset is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Raw pixels, fed to the preprocessing.
    Pixels,
    /// Fed to the submodel.
    SubmodelInput,
    /// Golden output of the submodel.
    SubmodelOutput,
    /// The submodel's output computed in float64, to tell a runtime's error from the golden's own.
    SubmodelReference,
    /// Golden output of the full model.
    FullOutput,
    /// About the samples.
    SampleInfo,
    /// A role of a later minor version.
    #[serde(other)]
    Other,
}

/// How the golden tensors were made. Of tensors that come from files of another program `recorded`
/// says so, and the rest is about what was computed beside them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Golden {
    /// Version of libtorch.
    pub libtorch: String,
    /// Device the network ran on.
    pub device: String,
    /// Arithmetic, always float32.
    pub dtype: Dtype,
    /// Intra-op threads.
    pub threads: usize,
    /// Samples per forward pass.
    pub batch_size: usize,
    /// The CPU's vector extensions that libtorch's kernels choose by.
    pub cpu_features: Vec<String>,
    /// The golden's own error, where the outputs were also computed in float64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub float64: Option<Float64Golden>,
    /// The tensors that another program recorded, by the name of their dataset.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        with = "maps_duplicate_key_is_error"
    )]
    #[schemars(with = "BTreeMap<String, RecordedElsewhere>")]
    pub recorded: BTreeMap<String, RecordedElsewhere>,
}

/// A golden tensor from a file of another program, and how far it lies from what the network gave
/// here for the same images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordedElsewhere {
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// Its name in the file, if the file holds more than it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// Largest |recorded − computed| over all elements.
    pub largest_difference: f64,
    /// Samples with an element beyond `atol + rtol · |computed|`.
    pub samples_outside: usize,
    /// Absolute part of that tolerance.
    pub atol: f64,
    /// Part of it that is relative to what was computed.
    pub rtol: f64,
}

/// How far the float32 golden lies from the same computation in float64.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Float64Golden {
    /// Largest |float32 − float64| over all elements of the submodel's outputs.
    pub largest_error: f64,
}

/// A split of CIFAR-10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// The 10,000 test images.
    Test,
    /// The 50,000 training images.
    Train,
}

/// Which images the samples are; `sample_index` has the position of each in the split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Selection {
    pub split: Split,
    /// How the samples were chosen from another bundle's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subset: Option<Subset>,
}

/// A choice of another bundle's samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Subset {
    /// BLAKE3 of the other bundle's `manifest.json`.
    pub of: String,
    /// Samples of the other bundle.
    pub of_samples: usize,
    #[serde(flatten)]
    pub choice: Choice,
}

/// By which rule samples were chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "mode", rename_all = "lowercase")]
pub enum Choice {
    /// The first correctly classified ones of each confidence tier, tiers ascending.
    Conf {
        /// Samples of each tier.
        group_sizes: Vec<usize>,
    },
    /// Consecutive ones.
    Range {
        /// Position of the first in the other bundle.
        start: usize,
        /// Position after the last.
        end: usize,
    },
}

/// Correct classifications.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Accuracy {
    /// Samples in the bundle.
    pub samples: usize,
    /// Of these, correctly classified.
    pub correct: usize,
}

impl Split {
    /// Images in it.
    pub fn images(self) -> usize {
        match self {
            Self::Test => 10_000,
            Self::Train => 50_000,
        }
    }

    /// The name used on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Train => "train",
        }
    }
}

impl fmt::Display for Golden {
    /// Who recorded the golden, for a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            libtorch, device, ..
        } = self;
        match self.recorded.is_empty() {
            true => write!(f, "libtorch {libtorch} on {device}"),
            false => write!(
                f,
                "another program, compared with libtorch {libtorch} on {device}"
            ),
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Manifest {
    /// What the models are written for.
    pub fn deployment(&self) -> Deployment {
        self.deployment.unwrap_or_default()
    }
}

impl Part {
    /// The description of a model that is to lie at `file`: its inputs and outputs.
    pub fn of_model(file: &str, model: &graph::Model<'_>) -> Self {
        let tensors = |values: &[graph::Value]| values.iter().map(Tensor::of_value).collect();
        Self {
            file: file.to_owned(),
            inputs: tensors(&model.inputs),
            outputs: tensors(&model.outputs),
            initializers: BTreeMap::new(),
            external_data: None,
            test_data_sets: vec![],
        }
    }

    /// The name of the file with the large initializers, if it lies beside the model, where ONNX
    /// looks for it.
    pub fn external_file_name(&self) -> Option<&str> {
        let (folder, name) = split(self.external_data.as_ref()?);
        (folder == split(&self.file).0).then_some(name)
    }
}

/// A path's folder, if it has one, and its last component.
fn split(file: &str) -> (Option<&str>, &str) {
    match file.rsplit_once('/') {
        Some((folder, name)) => (Some(folder), name),
        None => (None, file),
    }
}

impl Tensor {
    fn of_value(value: &graph::Value) -> Self {
        Self {
            name: value.name().to_owned(),
            dtype: value.dtype(),
            shape: value.shape(),
        }
    }

    /// The axes after the first, if all of them are fixed.
    pub fn sample_shape(&self) -> Option<Vec<usize>> {
        let fixed = |axis: &Axis| match axis {
            Axis::Fixed(length) => Some(*length),
            Axis::Named(_) => None,
        };
        self.shape.get(1..)?.iter().map(fixed).collect()
    }
}
