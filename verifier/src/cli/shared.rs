//! Flags that several commands have.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use verifier::engine::Device;
use verifier::engine::device::key_values;
use verifier::engine::onnxruntime::{Optimization, Options};
use verifier::report::record::TargetRecord;

use super::engine::EngineArgs;
use super::outputs::OutputsArgs;
use super::values::{Number, hash, key_value};

/// Which samples of which part of which bundle.
#[derive(Debug, Args)]
pub(crate) struct PartArgs {
    /// Folder that `exporter bundle` wrote
    pub(crate) bundle: PathBuf,
    /// The bundle must have this BLAKE3, as `verifier inspect` shows it; at least 16 digits
    #[arg(long, value_name = "HASH", value_parser = hash)]
    pub(crate) expect_bundle: Option<String>,
    /// Part to run: submodel, full, head or tail
    #[arg(long, default_value = "submodel", value_name = "NAME")]
    pub(crate) part: String,
    /// Samples START up to, but not including, END [default: all]
    #[arg(long, num_args = 2, value_names = ["START", "END"])]
    pub(crate) range: Option<Vec<usize>>,
    /// Run ONNX's test data sets beside the model, which hold every tensor of a few samples
    #[arg(long)]
    pub(crate) test_data: bool,
}

/// Where the parts around the checked one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OtherPartsOn {
    Cpu,
    Device,
}

/// What runs a model, and where.
#[derive(Debug, Args)]
pub(crate) struct TargetArgs {
    /// Device to run on: cpu, cuda, tensorrt, openvino, or another provider of the runtime by its
    /// name
    #[arg(long, default_value = "cuda", value_name = "NAME")]
    pub(crate) device: Device,
    /// Which one of several such devices
    #[arg(long, value_name = "N")]
    pub(crate) device_id: Option<u32>,
    /// A setting of the device's provider, handed on as it is; repeatable
    #[arg(long = "device-option", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) device_options: Vec<(String, String)>,
    /// Leave TF32 and other reduced precision to the provider [default: off]
    #[arg(long)]
    pub(crate) allow_reduced_precision: bool,
    /// How far the runtime may rewrite the graph
    #[arg(long, value_enum, default_value = "all", value_name = "LEVEL")]
    pub(crate) optimization: Optimization,
    /// ONNX Runtime library [default: ORT_DYLIB_PATH, beside the executable, .deps, the system's]
    #[arg(long, value_name = "LIB")]
    pub(crate) runtime: Option<PathBuf>,
    /// Run another model in the place of the bundle's own, such as a simplified or a float16 one:
    /// matched by the names of inputs and outputs, compared with the same golden
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// Threads for one operation on the CPU [default: the runtime's choice, one per core]
    #[arg(long, value_name = "N", value_parser = Number::new().range(1..=1024))]
    pub(crate) threads: Option<usize>,
    /// Where the other parts run, which compute inputs from pixels, and classes from outputs
    #[arg(long, value_enum, default_value = "cpu", value_name = "WHERE")]
    pub(crate) other_parts_on: OtherPartsOn,
}

/// Files and folders that a command reads, beside the bundle.
pub(crate) fn inputs<'a>(
    target: &'a TargetArgs,
    outputs: Option<&'a OutputsArgs>,
    engine: &'a EngineArgs,
) -> [Option<&'a Path>; 4] {
    let outputs = outputs.and_then(|outputs| outputs.outputs.as_deref());
    let (model, runtime) = (target.model.as_deref(), target.runtime.as_deref());
    [outputs, model, runtime, engine.engines.as_deref()]
}

impl PartArgs {
    /// The range as records have it.
    pub(crate) fn samples(&self) -> Option<[usize; 2]> {
        self.range
            .as_deref()
            .and_then(|range| range.try_into().ok())
    }
}

impl TargetArgs {
    /// As records have it.
    pub(crate) fn record(&self) -> TargetRecord {
        TargetRecord {
            device: self.device.clone(),
            device_id: self.device_id,
            device_options: key_values(&self.device_options),
            allow_reduced_precision: self.allow_reduced_precision,
            threads: self.threads,
        }
    }

    /// How a part is to be run.
    pub(crate) fn options(&self) -> Options {
        Options {
            device: self.device.clone(),
            device_id: self.device_id,
            device_options: self.device_options.clone(),
            allow_reduced_precision: self.allow_reduced_precision,
            threads: self.threads,
            optimization: self.optimization,
        }
    }
}
