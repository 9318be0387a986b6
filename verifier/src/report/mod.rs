//! The verdict in files: everything a reader needs to repeat the run, in the format that the file's ending names.

mod csv;
mod html;
mod junit;
mod markdown;
pub(crate) mod table;

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proto::bundle::Bundle;
use proto::manifest::Golden;
use proto::staging;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::calibration::file::Entry;
use crate::compare::Tolerance;
use crate::device::Device;
use crate::fault::Fault;
use crate::gallery::Picture;
use crate::geometry::Geometry;
use crate::histogram::Bin;
use crate::onnxruntime::{Library, OnnxRuntime, Optimization, Options};
use crate::placement::Placement;
use crate::verdict::{
    ElementPair, Extreme, Fate, FaultResult, FaultyOutput, FaultySample, OutputVerdict, Repeats, Seconds, Stop, Verdict,
};

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

/// The machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// Operating system.
    pub os: String,
    /// Processor architecture.
    pub arch: String,
    /// The processor's own name.
    pub cpu: String,
    /// Processors this process may use.
    pub cores: usize,
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
    /// Largest absolute change of an output (of the golden, for a fault there), over finite numbers.
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

impl CalibrationReport {
    /// From a file's entry.
    pub fn new(path: &Path, entry: &Entry) -> Self {
        Self {
            file: path.to_owned(),
            started_unix_seconds: entry.started_unix_seconds,
            passes: entry.passes,
            samples: entry.samples,
            smallest_atol: entry.smallest_atol,
            margin: entry.margin,
        }
    }
}

impl OptionsReport {
    /// The tolerance and where it comes from.
    pub fn tolerance_text(&self) -> String {
        let Tolerance { atol, rtol } = self.tolerance;
        let origin = match (&self.calibration, self.tolerance_origin) {
            (Some(calibration), _) => format!(
                "calibrated in {} passes of samples {}: {}",
                grouped(calibration.passes),
                range_text(calibration.samples),
                calibration.file.display()
            ),
            (None, ToleranceOrigin::Flags) => "given".to_owned(),
            (None, _) => "the default".to_owned(),
        };
        format!("atol {atol:e}, rtol {rtol:e} ({origin})")
    }
}

/// Samples from the first one to the one before the end.
pub fn range_text([start, end]: [usize; 2]) -> String {
    format!("{start} to {}", end.saturating_sub(1))
}

impl fmt::Display for TargetReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.device)?;
        if let Some(id) = self.device_id {
            write!(f, " {id}")?;
        }
        for option in &self.device_options {
            write!(f, ", {option}")?;
        }
        match self.threads {
            Some(threads) => write!(f, ", {threads} threads"),
            None => Ok(()),
        }
    }
}

impl BundleReport {
    /// From an open bundle.
    pub fn new(bundle: &Bundle) -> Self {
        let manifest = bundle.manifest();
        Self {
            blake3: bundle.blake3(),
            preset: manifest.model.preset.clone(),
            module: manifest.module.clone(),
            weights_sha256: manifest.model.weights_sha256.clone(),
            golden: manifest.golden.clone(),
        }
    }
}

impl RuntimeReport {
    /// From a loaded runtime.
    pub fn new(library: &Library, runtime: &OnnxRuntime, options: &Options) -> Self {
        Self {
            library: library.clone(),
            provider: options.device.provider(),
            precision: options.precision(),
            nodes: runtime.placement().clone(),
            optimization: options.optimization,
            deterministic: true,
            load_seconds: runtime.load_seconds(),
        }
    }
}

impl ResultReport {
    /// From a verdict; `sample_index` gives a row's position in the split of CIFAR-10.
    pub fn new(
        verdict: &Verdict,
        faults: &[Fault],
        sample_index: impl Fn(usize) -> i64,
        recorded_in: &'static str,
    ) -> Self {
        let names: Vec<&str> = verdict.outputs.iter().map(|output| output.name.as_str()).collect();
        Self {
            stopped: verdict.stopped,
            recorded_in,
            samples: verdict.samples,
            differing_samples: verdict.differing_samples,
            faulty_samples: verdict.faulty_samples(),
            total: output_report(None, &verdict.total()),
            outputs: verdict.outputs.iter().map(|output| output_report(Some(output.name.clone()), output)).collect(),
            repeats: verdict.repeats,
            faults: faults.iter().zip(&verdict.faults).map(|(fault, result)| fault_report(fault, result)).collect(),
            flagged_without_fault: verdict.flagged_without_fault(faults),
            faulty: verdict
                .faulty
                .iter()
                .flat_map(|sample| sample.outputs.iter().map(move |output| (sample, output)))
                .map(|(sample, output)| {
                    faulty_report(sample, output, names[output.output], sample_index(sample.sample))
                })
                .collect(),
            seconds: verdict.seconds,
        }
    }
}

fn output_report(name: Option<String>, output: &OutputVerdict) -> OutputReport {
    OutputReport {
        name,
        elements: output.elements,
        differing_elements: output.differing_elements,
        mismatched_elements: output.mismatches,
        non_finite_elements: output.non_finite,
        max_abs_error: extreme(&output.max_abs_error),
        max_ulp: extreme(&output.max_ulp),
        histogram: output.histogram.as_ref().map(|counts| HistogramReport {
            equal: counts.equal,
            non_finite: counts.non_finite,
            bins: counts.bins().collect(),
        }),
    }
}

fn fault_report(fault: &Fault, result: &FaultResult) -> FaultReport {
    FaultReport {
        fault: fault.to_string(),
        fate: result.fate(),
        found: result.fate() == Fate::Detected,
        largest_change: result.largest_change,
        non_finite: result.non_finite,
        samples_beyond: result.samples_beyond,
        samples_flagged: result.samples_flagged,
    }
}

fn faulty_report(sample: &FaultySample, output: &FaultyOutput, name: &str, sample_index: i64) -> FaultyReport {
    FaultyReport {
        sample: sample.sample,
        sample_index,
        run: sample.run,
        output: name.to_owned(),
        mismatched_elements: output.mismatches,
        non_finite_elements: output.non_finite,
        geometry: output.geometry,
        first: element(&output.first),
        worst: element(&output.worst),
    }
}

impl Heading {
    /// When the run began, as RFC 3339 has it.
    pub fn started(&self) -> String {
        humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(self.started_unix_seconds)).to_string()
    }

    /// Of a run that begins now: as long as it has not ended, there is no result.
    pub fn begun() -> Self {
        Self {
            verifier: env!("CARGO_PKG_VERSION"),
            verdict: "error",
            exit_status: 2,
            error: Some("the run did not finish".to_owned()),
            started_unix_seconds: unix_seconds(),
            host: Host::this(),
            bundle: None,
        }
    }
}

impl Host {
    /// This machine.
    pub fn this() -> Self {
        Self {
            os: std::env::consts::OS.to_owned(),
            arch: std::env::consts::ARCH.to_owned(),
            cpu: cpu_name().unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// The formats a report can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Everything.
    Json,
    /// For people: a page of text.
    Markdown,
    /// To look at: a page with pictures, in one file.
    Html,
    /// One line for each output of a faulty sample.
    Csv,
    /// For test runners: a test case for the run itself, for each output and for each fault.
    Junit,
}

impl Format {
    /// By a file's ending.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "json" => Some(Self::Json),
            "md" => Some(Self::Markdown),
            "html" => Some(Self::Html),
            "csv" => Some(Self::Csv),
            "xml" => Some(Self::Junit),
            _ => None,
        }
    }
}

impl Report {
    /// The verdict in words.
    pub fn sentence(&self) -> String {
        let Some(result) = &self.result else { return "Nothing was compared, so nothing can be concluded.".to_owned() };
        let samples = grouped(result.samples);
        match (self.heading.verdict, self.options.expect_detected) {
            ("pass", false) => format!("Every element of {samples} samples is within the tolerance."),
            ("pass", true) => {
                format!("Every fault beyond the tolerance was flagged, and no other of {samples} samples.")
            }
            ("fail", true) => "A fault was missed, or a sample without one was flagged.".to_owned(),
            ("fail", false) => {
                format!("{} of {samples} samples have an element outside.", grouped(result.faulty_samples))
            }
            _ => format!("{samples} samples were compared, but the check did not come to its end."),
        }
    }

    /// The JSON Schema of the JSON report, draft 2020-12; no field may stand there that it does not name.
    pub fn schema() -> Schema {
        let generator = SchemaSettings::draft2020_12().for_serialize().with_transform(RecursiveTransform(closed));
        generator.into_generator().into_root_schema_for::<Self>()
    }

    /// Writes the report in the format of the file's ending; the file is whole or as it was.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let format = Format::of(path).ok_or_else(|| io::Error::other("no format has this ending"))?;
        staging::write_file(path, |writer| match format {
            Format::Json => {
                serde_json::to_writer_pretty(&mut *writer, self)?;
                writer.write_all(b"\n")
            }
            Format::Markdown => writer.write_all(markdown::page(self).as_bytes()),
            Format::Html => writer.write_all(html::page(self).as_bytes()),
            Format::Csv => csv::write(self, writer),
            Format::Junit => writer.write_all(junit::document(self)?.as_bytes()),
        })
    }
}

fn closed(schema: &mut Schema) {
    if schema.get("properties").is_some() {
        schema.insert("additionalProperties".to_owned(), false.into());
    }
}

fn extreme<T: Copy>(extreme: &Extreme<T>) -> ExtremeReport<T> {
    ExtremeReport { value: extreme.value, index: extreme.index.clone() }
}

fn element(pair: &ElementPair) -> ElementReport {
    ElementReport {
        index: pair.index.clone(),
        golden: format!("{:e}", pair.golden),
        actual: format!("{:e}", pair.actual),
        xor: format!("{:08x}", pair.xor()),
    }
}

/// A number with its thousands apart.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Seconds since 1970-01-01 UTC.
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

fn cpu_name() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name") || line.starts_with("Model"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!([0, 999, 1000, 62_400_000].map(grouped), ["0", "999", "1,000", "62,400,000"]);
    }
}
