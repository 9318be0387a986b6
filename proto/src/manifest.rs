//! `manifest.json`: what a bundle is, in one file that every tool can read.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::rust::maps_duplicate_key_is_error;

use crate::config::{Preset, VitConfig};
use crate::digest::FileDigest;
use crate::module::Module;
use crate::npy::Dtype;
use crate::preprocessing::Preprocessing;
use crate::tier::Tiers;

/// The version this code writes. Another major version is refused, another minor one is read.
pub const FORMAT_VERSION: &str = "1.0";

/// The manifest's name in the bundle.
pub const MANIFEST_FILE: &str = "manifest.json";

/// The name of the list of SHA-256 hashes in the bundle.
pub const SHA256SUMS_FILE: &str = "SHA256SUMS";

/// Names of the parts of a bundle, also their folders under `onnx/`.
pub mod part {
    /// Image to logits.
    pub const FULL: &str = "full";
    /// Image to residual and submodel input.
    pub const HEAD: &str = "head";
    /// Submodel input to submodel output.
    pub const SUBMODEL: &str = "submodel";
    /// Residual and submodel output to logits.
    pub const TAIL: &str = "tail";
}

/// Names of the datasets, also their file stems under `npy/`.
pub mod dataset {
    /// `[samples, tokens, dim]` f32.
    pub const SUBMODEL_INPUT: &str = "submodel_input";
    /// `[samples, tokens, dim]` f32.
    pub const SUBMODEL_OUTPUT: &str = "submodel_output";
    /// `[samples, classes]` f32.
    pub const LOGITS: &str = "logits";
    /// `[samples]` i64, the true class.
    pub const LABELS: &str = "labels";
    /// `[samples]` i64, the class with the largest golden logit.
    pub const PREDICTIONS: &str = "predictions";
    /// `[samples]` f32, p(best class) − p(second best class).
    pub const CONFIDENCE: &str = "confidence";
    /// `[samples]` i64, position in the split of CIFAR-10.
    pub const SAMPLE_INDEX: &str = "sample_index";
    /// `[samples, tokens, dim]` f64, the submodel's output computed in float64 from the same
    /// float32 input and weights.
    pub const SUBMODEL_OUTPUT_F64: &str = "submodel_output_f64";
    /// `[samples]` i64, the confidence tier from 0, in a subset made by tiers.
    pub const TIER: &str = "tier";
}

/// The whole description.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// `major.minor` of this layout.
    pub format_version: String,
    /// The program that wrote the bundle.
    pub producer: Producer,
    /// The network.
    pub model: Model,
    /// The module that was cut out, by its name in the Python model.
    pub module: String,
    /// The ONNX models, by name.
    #[serde(with = "maps_duplicate_key_is_error")]
    pub parts: BTreeMap<String, Part>,
    /// The NPY files, by name.
    #[serde(with = "maps_duplicate_key_is_error")]
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
    pub files: BTreeMap<String, FileDigest>,
}

/// A program and its version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Producer {
    /// Program.
    pub name: String,
    /// Version.
    pub version: String,
}

/// The network and its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Path in the bundle, with forward slashes.
    pub file: String,
    /// Graph inputs, in the graph's order.
    pub inputs: Vec<Tensor>,
    /// Graph outputs, in the graph's order.
    pub outputs: Vec<Tensor>,
    /// Initializers that hold parameters, by the initializer's name.
    #[serde(with = "maps_duplicate_key_is_error")]
    pub initializers: BTreeMap<String, Initializer>,
    /// Path in the bundle of the file with the large initializers, of a model that one file cannot
    /// hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_data: Option<String>,
    /// Test data sets beside the model, `test_data_set_0` and so on, by the position of each one's
    /// image in the split.
    #[serde(default)]
    pub test_data_sets: Vec<usize>,
}

/// An input or output of a graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tensor {
    /// Name in the graph.
    pub name: String,
    /// Element type.
    pub dtype: Dtype,
    /// Axes; the first is `batch`.
    pub shape: Vec<Axis>,
}

/// The length of an axis: a number, or a name for one that is free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Axis {
    /// A fixed length.
    Fixed(usize),
    /// Free, such as `batch`.
    Named(String),
}

/// Where an initializer comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Initializer {
    /// The parameter's name in the Python model.
    pub parameter: String,
    /// Whether the matrix is stored as `[in, out]`, transposed from PyTorch's `[out, in]`.
    pub transposed: bool,
}

/// One NPY file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dataset {
    /// Path in the bundle, with forward slashes.
    pub file: String,
    /// What it is for.
    pub role: Role,
    /// Element type.
    pub dtype: Dtype,
    /// Axes, slowest first; the first is the samples.
    pub shape: Vec<usize>,
}

/// What a dataset is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
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

/// How the golden tensors were made.
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
}

/// How far the float32 golden lies from the same computation in float64.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Float64Golden {
    /// Largest |float32 − float64| over all elements of the submodel's outputs.
    pub largest_error: f64,
}

/// A split of CIFAR-10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// The 10,000 test images.
    Test,
    /// The 50,000 training images.
    Train,
}

/// Which images the samples are; `sample_index` has the position of each in the split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Selection {
    /// The split.
    pub split: Split,
    /// How the samples were chosen from another bundle's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subset: Option<Subset>,
}

/// A choice of another bundle's samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subset {
    /// BLAKE3 of the other bundle's `manifest.json`.
    pub of: String,
    /// Samples of the other bundle.
    pub of_samples: usize,
    /// The rule.
    #[serde(flatten)]
    pub choice: Choice,
}

/// By which rule samples were chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Manifest {
    /// Refuses a description that contradicts itself; says how.
    pub fn check(&self) -> Result<(), String> {
        let config = &self.model.config;
        config.validate().map_err(|error| error.to_string())?;
        let preset = Preset::of(config).map_or("custom", Preset::name);
        if self.model.preset != preset {
            return Err(format!(
                "preset {}, but its config is that of {preset}",
                self.model.preset
            ));
        }
        Module::parse(&self.module, config).map_err(|error| error.to_string())?;
        for name in self.datasets.keys().chain(self.parts.keys()) {
            // They become names of files.
            if name.is_empty()
                || !name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            {
                return Err(format!(
                    "{name:?} names a dataset or a part: expected letters, digits and underscores"
                ));
            }
        }
        for (name, dataset) in &self.datasets {
            if dataset.shape.first() != Some(&self.accuracy.samples) {
                return Err(format!(
                    "dataset `{name}` has shape {:?}, but the bundle has {} samples",
                    dataset.shape, self.accuracy.samples
                ));
            }
        }
        let edge = [
            Axis::Named("batch".to_owned()),
            Axis::Fixed(config.tokens()),
            Axis::Fixed(config.dim),
        ];
        for tensor in self
            .parts
            .get(part::SUBMODEL)
            .iter()
            .flat_map(|part| part.inputs.iter().chain(&part.outputs))
        {
            if tensor.shape != edge {
                let (tokens, dim) = (config.tokens(), config.dim);
                return Err(format!(
                    "tensor `{}` of the submodel: expected [batch, {tokens}, {dim}]",
                    tensor.name
                ));
            }
        }
        Ok(())
    }

    /// The text of `manifest.json`: keys in a fixed order, one newline at the end.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self)
            .expect("plain data with text keys always serialises");
        text.push('\n');
        text
    }

    /// The text of `SHA256SUMS` for a bundle whose manifest has this text: every other file, sorted
    /// by path.
    pub fn sha256sums(&self, manifest_json: &str) -> String {
        let manifest_sha256 = crate::digest::sha256_bytes(manifest_json.as_bytes());
        let mut sums: BTreeMap<&str, &str> = self
            .files
            .iter()
            .map(|(file, digest)| (file.as_str(), digest.sha256.as_str()))
            .collect();
        sums.insert(MANIFEST_FILE, &manifest_sha256);
        sums.iter()
            .map(|(file, sha256)| format!("{sha256}  {file}\n"))
            .collect()
    }
}

impl Tensor {
    /// The axes after the first, if all of them are fixed.
    pub fn sample_shape(&self) -> Option<Vec<usize>> {
        let fixed = |axis: &Axis| match axis {
            Axis::Fixed(length) => Some(*length),
            Axis::Named(_) => None,
        };
        self.shape.get(1..)?.iter().map(fixed).collect()
    }
}
