//! Flags of `verifier compare`.

use std::path::PathBuf;

use clap::Args;
use verifier::engine::Device;
use verifier::engine::onnxruntime::Optimization;

use super::shared::PartArgs;
use super::values::{Number, count, matrix_report, path, runtime_on_device, seconds, tolerance};

/// Run several runtimes, devices and optimisation levels, and compare them with the golden and
/// with each other
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  verifier compare bundles/nano --device cpu --device openvino \\
    --runtime a/libonnxruntime.so --runtime b/libonnxruntime.so \\
    --optimization none --optimization all --report compare.md
  verifier compare bundles/nano --device cpu --run openvino/libonnxruntime.so@openvino

Every --runtime runs on every --device; --run adds a pair. Each one is a process of its own: one
that crashes or hangs is a row of the table, not the end.

Exit status:
  0  all ran, and are within tolerance of the golden
  1  all ran, and something was outside
  2  some did not come to an end")]
pub(crate) struct CompareArgs {
    #[command(flatten)]
    pub(crate) input: PartArgs,
    /// ONNX Runtime library; repeatable [default: as for `check`]
    #[arg(long = "runtime", value_name = "LIB")]
    pub(crate) runtimes: Vec<PathBuf>,
    /// Device; repeatable
    #[arg(long = "device", value_name = "NAME", required_unless_present = "runs")]
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
    /// Leave TF32 and other reduced precision to the provider, in every run [default: off]
    #[arg(long)]
    pub(crate) allow_reduced_precision: bool,
    /// Absolute tolerance [default: 5e-6]
    #[arg(long, value_name = "A", value_parser = tolerance, allow_negative_numbers = true)]
    pub(crate) atol: Option<f32>,
    /// Tolerance relative to the golden [default: 1e-5]
    #[arg(long, value_name = "R", value_parser = tolerance, allow_negative_numbers = true)]
    pub(crate) rtol: Option<f32>,
    /// Samples in one run of the model [default: on the CPU as many as stay in cache, else 64]
    #[arg(long, alias = "batch_size", value_name = "N", value_parser = count())]
    pub(crate) batch_size: Option<usize>,
    /// Threads for one operation on the CPU [default: the runtime's choice, one per core]
    #[arg(long, value_name = "N", value_parser = Number::new().range(1..=1024))]
    pub(crate) threads: Option<usize>,
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
    /// Write the tables: FILE.json or .md; repeatable
    #[arg(long = "report", value_name = "FILE", value_parser = path(matrix_report))]
    pub(crate) reports: Vec<PathBuf>,
}
