//! The verdict for machines: everything a reader needs to repeat the run.

use std::io;
use std::path::{Path, PathBuf};

use proto::bundle::Bundle;
use proto::manifest::Golden;
use proto::staging;
use serde::Serialize;

use crate::check::{ElementPair, Extreme, Verdict};
use crate::compare::Tolerance;
use crate::device::Device;
use crate::fault::Fault;
use crate::onnxruntime::Library;
use crate::placement::Placement;

/// The version of the report's layout.
pub const REPORT_VERSION: &str = "1.0";

/// A report.
#[derive(Debug, Serialize)]
pub struct Report {
    /// `major.minor` of this layout.
    pub report_version: &'static str,
    /// The version of the verifier.
    pub verifier: &'static str,
    /// `pass`, `fail`, or `error` when nothing could be concluded.
    pub verdict: &'static str,
    /// The exit status: 0, 1 or 2.
    pub exit_status: u8,
    /// Why nothing could be concluded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What was asked for.
    pub options: OptionsReport,
    /// When the run began, in seconds since 1970-01-01 UTC.
    pub started_unix_seconds: u64,
    /// The machine.
    pub host: Host,
    /// The bundle, if it could be opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle: Option<BundleReport>,
    /// The runtime and where it ran, if it could be loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<RuntimeReport>,
    /// The comparison, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultReport>,
}

/// What was asked for.
#[derive(Debug, Clone, Serialize)]
pub struct OptionsReport {
    /// The bundle's folder.
    pub bundle: PathBuf,
    /// The device.
    pub device: Device,
    /// The tolerance.
    #[serde(flatten)]
    pub tolerance: Tolerance,
    /// Samples in one run.
    pub batch_size: usize,
    /// Threads for one operation; absent when left to the runtime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// The faults, in their grammar.
    pub faults: Vec<String>,
}

/// The machine.
#[derive(Debug, Serialize)]
pub struct Host {
    /// Operating system.
    pub os: &'static str,
    /// Processor architecture.
    pub arch: &'static str,
    /// The processor's own name.
    pub cpu: String,
    /// Processors this process may use.
    pub cores: usize,
}

/// The bundle.
#[derive(Debug, Serialize)]
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
#[derive(Debug, Serialize)]
pub struct RuntimeReport {
    /// The library.
    #[serde(flatten)]
    pub library: Library,
    /// The execution provider asked for.
    pub provider: &'static str,
    /// Its arithmetic.
    pub precision: &'static str,
    /// Nodes that ran on each provider in the profiled first run.
    pub nodes: Placement,
    /// Graph optimisation level.
    pub optimization: &'static str,
    /// Whether deterministic kernels were asked for.
    pub deterministic: bool,
}

/// The comparison.
#[derive(Debug, Serialize)]
pub struct ResultReport {
    /// Samples compared.
    pub samples: usize,
    /// Elements compared.
    pub elements: usize,
    /// Elements not equal to the golden.
    pub differing_elements: usize,
    /// Samples with such an element.
    pub differing_samples: usize,
    /// Elements outside the tolerance, both sides finite.
    pub mismatched_elements: usize,
    /// Elements outside because a side is infinite or not a number.
    pub non_finite_elements: usize,
    /// Samples with an element outside.
    pub faulty_samples: usize,
    /// Largest absolute error over pairs of finite numbers.
    pub max_abs_error: ExtremeReport<f64>,
    /// Largest ULP distance over pairs of finite numbers.
    pub max_ulp: ExtremeReport<u32>,
    /// The faults and whether they were found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultReport>,
    /// Every sample with an element outside.
    pub faulty: Vec<FaultyReport>,
    /// Seconds in the runtime and in the comparison.
    pub seconds: f64,
}

/// The largest value of something.
#[derive(Debug, Serialize)]
pub struct ExtremeReport<T> {
    /// The value.
    pub value: T,
    /// Sample, token, feature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<[usize; 3]>,
}

/// A fault.
#[derive(Debug, Serialize)]
pub struct FaultReport {
    /// The fault, in its grammar.
    pub fault: String,
    /// Whether the very element it changed was found outside the tolerance.
    pub found: bool,
}

/// A faulty sample.
#[derive(Debug, Serialize)]
pub struct FaultyReport {
    /// Its row in the bundle.
    pub sample: usize,
    /// Its position in the CIFAR-10 test set.
    pub sample_index: i64,
    /// Elements outside, both sides finite.
    pub mismatched_elements: usize,
    /// Elements outside because a side is infinite or not a number.
    pub non_finite_elements: usize,
    /// The first element outside.
    pub first: ElementReport,
    /// The element furthest off.
    pub worst: ElementReport,
}

/// An element and its golden.
#[derive(Debug, Serialize)]
pub struct ElementReport {
    /// Sample, token, feature.
    pub index: [usize; 3],
    /// The golden; as text, since JSON has no infinities.
    pub golden: String,
    /// What the runtime computed.
    pub actual: String,
    /// The bits in which the two differ, hexadecimal.
    pub xor: String,
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
    pub fn new(library: &Library, placement: &Placement, device: Device) -> Self {
        Self {
            library: library.clone(),
            provider: device.provider(),
            precision: device.precision(),
            nodes: placement.clone(),
            optimization: "all",
            deterministic: true,
        }
    }
}

impl ResultReport {
    /// From a verdict; `sample_index` gives a row's position in the CIFAR-10 test set.
    pub fn new(verdict: &Verdict, faults: &[Fault], sample_index: impl Fn(usize) -> i64, seconds: f64) -> Self {
        Self {
            samples: verdict.samples,
            elements: verdict.elements,
            differing_elements: verdict.differing_elements,
            differing_samples: verdict.differing_samples,
            mismatched_elements: verdict.mismatches,
            non_finite_elements: verdict.non_finite,
            faulty_samples: verdict.faulty.len(),
            max_abs_error: extreme(verdict.max_abs_error),
            max_ulp: extreme(verdict.max_ulp),
            faults: faults
                .iter()
                .zip(&verdict.faults_found)
                .map(|(fault, &found)| FaultReport { fault: fault.to_string(), found })
                .collect(),
            faulty: verdict
                .faulty
                .iter()
                .map(|faulty| FaultyReport {
                    sample: faulty.sample,
                    sample_index: sample_index(faulty.sample),
                    mismatched_elements: faulty.mismatches,
                    non_finite_elements: faulty.non_finite,
                    first: element(&faulty.first),
                    worst: element(&faulty.worst),
                })
                .collect(),
            seconds,
        }
    }
}

impl Host {
    /// This machine.
    pub fn this() -> Self {
        Self {
            os: std::env::consts::OS,
            arch: std::env::consts::ARCH,
            cpu: cpu_name().unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

impl Report {
    /// Writes the report; the file is whole or as it was.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        staging::write_file(path, |writer| {
            serde_json::to_writer_pretty(&mut *writer, self)?;
            io::Write::write_all(writer, b"\n")
        })
    }
}

fn extreme<T>(extreme: Extreme<T>) -> ExtremeReport<T> {
    ExtremeReport { value: extreme.value, index: extreme.index }
}

fn element(pair: &ElementPair) -> ElementReport {
    ElementReport {
        index: pair.index,
        golden: format!("{:e}", pair.golden),
        actual: format!("{:e}", pair.actual),
        xor: format!("{:08x}", pair.xor()),
    }
}

fn cpu_name() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name") || line.starts_with("Model"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
