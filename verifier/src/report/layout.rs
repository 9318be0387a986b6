//! What stands in a report of `verifier check`: the JSON document field by field, from which the
//! others are written.

use std::path::PathBuf;

use proto::manifest::Golden;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::compare::Tolerance;
use crate::device::Device;
use crate::gallery::Picture;
use crate::geometry::Geometry;
use crate::histogram::Bin;
use crate::host::Host;
use crate::onnxruntime::{Library, Optimization};
use crate::placement::Placement;
use crate::verdict::{Fate, Repeats, Seconds, Stop};

/// The version of the report's layout.
pub const REPORT_VERSION: &str = "2.2";

/// What `verifier check` found, with everything needed to repeat it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Report {
    /// `major.minor` of this layout.
    pub report_version: &'static str,
    /// How it ended, when and where.
    #[serde(flatten)]
    pub heading: Heading,
    /// What was asked for.
    pub options: OptionsReport,
    /// The runtime and where it ran, if it could be loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<RuntimeReport>,
    /// The comparison, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultReport>,
    /// The worst of the faulty samples, for the page.
    #[serde(skip)]
    pub pictures: Vec<Picture>,
}

/// What every report begins with.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Heading {
    /// The version of the verifier.
    pub verifier: &'static str,
    /// `pass`, `fail`, or `error` when nothing could be concluded.
    pub verdict: &'static str,
    /// The exit status: 0, 1 or 2.
    pub exit_status: u8,
    /// Why nothing could be concluded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When the run began, in seconds since 1970-01-01 UTC.
    pub started_unix_seconds: u64,
    /// The machine.
    pub host: Host,
    /// The bundle, if it could be opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle: Option<BundleReport>,
}

/// What was asked for.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OptionsReport {
    /// The bundle's folder.
    pub bundle: PathBuf,
    /// The part that runs.
    pub part: String,
    /// Where the model runs.
    #[serde(flatten)]
    pub target: TargetReport,
    /// The tolerance.
    #[serde(flatten)]
    pub tolerance: Tolerance,
    /// Where the tolerance comes from.
    pub tolerance_origin: ToleranceOrigin,
    /// The calibration that the tolerance is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<CalibrationReport>,
    /// Samples in one run.
    pub batch_size: usize,
    /// Runs of each batch.
    pub repeat: usize,
    /// First sample and the one after the last; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<[usize; 2]>,
    /// The faults, in their grammar.
    pub faults: Vec<String>,
    /// Whether the exit status says that the faults were detected.
    pub expect_detected: bool,
}

/// The device, and how it was asked for.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TargetReport {
    /// The device.
    #[schemars(with = "String")]
    pub device: Device,
    /// Which one of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<u32>,
    /// Settings of the provider, `key=value`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_options: Vec<String>,
    /// Whether reduced precision was allowed.
    pub allow_reduced_precision: bool,
    /// Threads for one operation; absent when left to the runtime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
}

/// Where a tolerance comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ToleranceOrigin {
    /// The program's own, 5e-6 and 1e-5.
    Default,
    /// The user's.
    Flags,
    /// A calibration of this setting.
    Calibration,
}

/// A calibration that was used.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CalibrationReport {
    /// Its file.
    pub file: PathBuf,
    /// When it was made, in seconds since 1970-01-01 UTC.
    pub started_unix_seconds: u64,
    /// Passes over its samples.
    pub passes: usize,
    /// The first of its samples and the one after the last.
    pub samples: [usize; 2],
    /// The least `atol` without a false alarm.
    pub smallest_atol: f32,
    /// `atol` over the least one.
    pub margin: f32,
}

/// The bundle.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BundleReport {
    /// BLAKE3 of `manifest.json`, which names the hashes of all other files.
    pub blake3: String,
    /// Preset of the network.
    pub preset: String,
    /// The module that is the submodel.
    pub module: String,
    /// SHA-256 of the weights.
    pub weights_sha256: String,
    /// Where the golden comes from.
    pub golden: Golden,
}

/// The runtime.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RuntimeReport {
    /// The library.
    #[serde(flatten)]
    pub library: Library,
    /// The execution provider asked for.
    pub provider: String,
    /// Its arithmetic.
    pub precision: String,
    /// Nodes that ran on each provider in the profiled first run.
    pub nodes: Placement,
    /// Graph optimisation level.
    pub optimization: Optimization,
    /// Whether deterministic kernels were asked for.
    pub deterministic: bool,
    /// Seconds that creating the session took.
    pub load_seconds: f64,
}

/// The comparison.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ResultReport {
    /// Whether and why not all samples were compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stop>,
    /// Where the recorded tensors come from: `npy` or `test data sets`.
    pub recorded_in: &'static str,
    /// Samples compared.
    pub samples: usize,
    /// Samples with an element that is not equal to the golden.
    pub differing_samples: usize,
    /// Samples with an element outside.
    pub faulty_samples: usize,
    /// All outputs together.
    #[serde(flatten)]
    pub total: OutputReport,
    /// Each output of the model.
    pub outputs: Vec<OutputReport>,
    /// Whether runs repeat bit for bit, if there were several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<Repeats>,
    /// The faults and what became of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultReport>,
    /// Samples with an element outside and no fault in them.
    pub flagged_without_fault: usize,
    /// Every sample with an element outside.
    pub faulty: Vec<FaultyReport>,
    /// Seconds in the runtime, in the comparison, and in reading what was recorded.
    pub seconds: Seconds,
}

/// How one output, or all of them, compare.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OutputReport {
    /// Its name; absent for all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Elements compared.
    pub elements: usize,
    /// Elements not equal to the golden.
    pub differing_elements: usize,
    /// Elements outside the tolerance, both sides finite.
    pub mismatched_elements: usize,
    /// Elements outside because a side is infinite or not a number.
    pub non_finite_elements: usize,
    /// Largest absolute error over pairs of finite numbers.
    pub max_abs_error: ExtremeReport<f64>,
    /// Largest ULP distance over pairs of finite numbers.
    pub max_ulp: ExtremeReport<u32>,
    /// Sizes of the errors; absent for all outputs together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub histogram: Option<HistogramReport>,
}

/// How many elements have an error of which size; they add up to all elements compared.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HistogramReport {
    /// Elements equal to the golden.
    pub equal: u64,
    /// Elements of which one side is infinite or not a number, and that are not equal.
    pub non_finite: u64,
    /// The other elements by the size of the error; bins without an element are left out.
    pub bins: Vec<Bin>,
}

/// The largest value of something.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ExtremeReport<T> {
    /// The value.
    pub value: T,
    /// The sample, then the element.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<Vec<usize>>,
}

/// A fault.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FaultReport {
    /// The fault, in its grammar.
    pub fault: String,
    /// What became of it.
    pub fate: Fate,
    /// Whether it was detected.
    pub found: bool,
    /// Largest absolute change of an output (of the golden, for a fault there), over finite
    /// numbers.
    pub largest_change: f64,
    /// Whether a value became or stopped being finite.
    pub non_finite: bool,
    /// Samples in which it moved an element beyond the tolerance.
    pub samples_beyond: usize,
    /// Those of them that were flagged for it.
    pub samples_flagged: usize,
}

/// An output of a faulty sample.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FaultyReport {
    /// The sample's row in the bundle.
    pub sample: usize,
    /// Its position in the split of CIFAR-10.
    pub sample_index: i64,
    /// In which run of its batch, from 0.
    pub run: usize,
    /// The output's name.
    pub output: String,
    /// Elements outside, both sides finite.
    pub mismatched_elements: usize,
    /// Elements outside because a side is infinite or not a number.
    pub non_finite_elements: usize,
    /// The shape that the elements outside make.
    pub geometry: Geometry,
    /// The first element outside.
    pub first: ElementReport,
    /// The element furthest off.
    pub worst: ElementReport,
}

/// An element and its golden.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ElementReport {
    /// The sample, then the element.
    pub index: Vec<usize>,
    /// The golden; as text, since JSON has no infinities.
    pub golden: String,
    /// What the runtime computed.
    pub actual: String,
    /// The bits in which the two differ, hexadecimal.
    pub xor: String,
}

impl Report {
    /// The JSON Schema of the JSON report, draft 2020-12; no field may stand there that it does not
    /// name.
    pub fn schema() -> Schema {
        let generator = SchemaSettings::draft2020_12()
            .for_serialize()
            .with_transform(RecursiveTransform(closed));
        generator.into_generator().into_root_schema_for::<Self>()
    }
}

fn closed(schema: &mut Schema) {
    if schema.get("properties").is_some() {
        schema.insert("additionalProperties".to_owned(), false.into());
    }
}
