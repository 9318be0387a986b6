//! Flags of `verifier compare`.

use std::path::{Path, PathBuf};

use clap::Args;
use verifier::compare::Tolerance;
use verifier::engine::Device;
use verifier::engine::onnxruntime::Optimization;

use super::shared::PartArgs;
use super::values::{
    NamedPath, Number, count, matrix_report, named_path, path, runtime_on_device, seconds,
    tolerance,
};

/// Run several engines, devices and settings, and compare them with the golden and with each other
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  verifier compare bundles/nano --device cpu --device openvino \\
    --runtime a/libonnxruntime.so --runtime b/libonnxruntime.so \\
    --optimization none --optimization all --report compare.md
  verifier compare bundles/nano --device cpu --engines engines/engines.toml --report compare.html
  verifier compare bundles/nano --outputs jetson=a/outputs --outputs server=b/outputs

Every --runtime runs on every --device at every --optimization; --run adds a pair. These and every
--engine run with every --batch-size and --threads. Each run is a process of its own: one that
crashes or hangs is a row of the table, not the end.

Exit status:
  0  all ended as expected: within tolerance of the golden, and controls outside
  1  all ended, and something was outside, or a control was not
  2  some did not come to an end, or cannot run here")]
pub(crate) struct CompareArgs {
    #[command(flatten)]
    pub(crate) input: PartArgs,
    /// ONNX Runtime library; repeatable [default: as for `check`]
    #[arg(long = "runtime", value_name = "LIB")]
    pub(crate) runtimes: Vec<PathBuf>,
    /// Device of ONNX Runtime; repeatable
    #[arg(
        long = "device",
        value_name = "NAME",
        required_unless_present_any = ["runs", "engines", "engines_file", "outputs"]
    )]
    pub(crate) devices: Vec<Device>,
    /// One runtime on one device alone, beside all combinations of the above; repeatable
    #[arg(long = "run", value_name = "LIB@DEVICE", value_parser = path(runtime_on_device))]
    pub(crate) runs: Vec<(PathBuf, Device)>,
    /// How far the runtime may rewrite the graph; repeatable
    #[arg(
        long = "optimization",
        value_enum,
        value_name = "LEVEL",
        default_value = "all"
    )]
    pub(crate) optimizations: Vec<Optimization>,
    /// Leave TF32 and other reduced precision to the provider, in every run of ONNX Runtime
    /// [default: off]
    #[arg(long)]
    pub(crate) allow_reduced_precision: bool,
    /// Another engine: its name in the file of --engines, or NAME=COMMAND; repeatable; see
    /// docs/engines.md
    #[arg(long = "engine", value_name = "ENGINE")]
    pub(crate) engines: Vec<String>,
    /// File of engines, all of which run unless --engine names some [default: for names
    /// engines/engines.toml]
    #[arg(long = "engines", value_name = "FILE.toml")]
    pub(crate) engines_file: Option<PathBuf>,
    /// Outputs that something else computed, in any form that `check --outputs` takes; repeatable
    #[arg(long = "outputs", value_name = "[NAME=]PATH", value_parser = named_path)]
    pub(crate) outputs: Vec<NamedPath>,
    /// Absolute tolerance [default: 5e-6]
    #[arg(long, value_name = "A", value_parser = tolerance, allow_negative_numbers = true)]
    pub(crate) atol: Option<f32>,
    /// Tolerance relative to the golden [default: 1e-5]
    #[arg(long, value_name = "R", value_parser = tolerance, allow_negative_numbers = true)]
    pub(crate) rtol: Option<f32>,
    /// Samples in one run of the model; repeatable [default: on the CPU as many as stay in cache,
    /// else 64]
    #[arg(long = "batch-size", alias = "batch_size", value_name = "N", value_parser = count())]
    pub(crate) batch_sizes: Vec<usize>,
    /// Threads for one operation on the CPU; repeatable [default: the engine's choice, one per
    /// core]
    #[arg(long = "threads", value_name = "N", value_parser = Number::new().range(1..=1024))]
    pub(crate) threads: Vec<usize>,
    /// Do not carry outputs through `tail` to see how many classes are the same
    #[arg(long)]
    pub(crate) no_tail: bool,
    /// Seconds after which a run is killed
    #[arg(
        long,
        default_value = "600",
        value_name = "SECONDS",
        value_parser = seconds,
        allow_negative_numbers = true
    )]
    pub(crate) timeout: f64,
    /// Folder for the outputs of all runs, which are removed in the end [default: the system's
    /// temporary folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) scratch: Option<PathBuf>,
    /// Write the tables: FILE.html, .json or .md; repeatable
    #[arg(long = "report", value_name = "FILE", value_parser = path(matrix_report))]
    pub(crate) reports: Vec<PathBuf>,
}

impl CompareArgs {
    /// Files and folders that are read, beside the bundle.
    pub(crate) fn inputs(&self) -> Vec<Option<&Path>> {
        let outputs = self.outputs.iter().map(|outputs| outputs.path.as_path());
        let libraries = self.runs.iter().map(|(library, _)| library);
        let libraries = self.runtimes.iter().chain(libraries).map(PathBuf::as_path);
        let inputs = outputs.chain(libraries).map(Some);
        inputs.chain([self.engines_file.as_deref()]).collect()
    }

    /// When an element is close.
    pub(crate) fn tolerance(&self) -> Tolerance {
        let default = Tolerance::DEFAULT;
        Tolerance {
            atol: self.atol.unwrap_or(default.atol),
            rtol: self.rtol.unwrap_or(default.rtol),
        }
    }
}
