//! Flags. Meaning lives in the library, printing in `commands`.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand};
use verifier::device::Device;

/// Whole numbers in a range.
type Number = RangedU64ValueParser<usize>;

/// Runs a bundle's submodel on the target and compares every element with the golden.
#[derive(Debug, Parser)]
#[command(
    name = "verifier",
    version,
    after_help = "Example:\n  verifier check bundles/nano --device cpu\n\nExit status:\n  0  everything compared and within tolerance\n  1  compared, and something was outside\n  2  could not run or could not finish"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the submodel on every sample and compare it with the golden
    #[command(
        after_help = "Example:\n  verifier check bundles/nano --device cuda --atol 5e-6 --rtol 1e-5 --batch-size 64\n  verifier check bundles/nano --device cpu --inject --report faults.json\n\nA device asked for is a device used: if any part would run elsewhere, the exit status is 2.\n\nExit status:\n  0  everything compared and within tolerance\n  1  compared, and something was outside\n  2  could not run or could not finish"
    )]
    Check(CheckArgs),
    /// Show what a bundle, an ONNX file or an NPY file holds
    #[command(
        after_help = "Example:\n  verifier inspect bundles/nano\n  verifier inspect bundles/nano/onnx/submodel/model.onnx\n  verifier inspect bundles/nano/npy/logits.npy"
    )]
    Inspect(InspectArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Folder that `exporter bundle` wrote
    pub(crate) bundle: PathBuf,
    /// Device to run on
    #[arg(long, value_enum, default_value = "cuda")]
    pub(crate) device: Device,
    /// Absolute tolerance
    #[arg(long, default_value_t = 5e-6, value_name = "A", value_parser = tolerance, allow_negative_numbers = true)]
    pub(crate) atol: f32,
    /// Tolerance relative to the golden
    #[arg(long, default_value_t = 1e-5, value_name = "R", value_parser = tolerance, allow_negative_numbers = true)]
    pub(crate) rtol: f32,
    /// Samples in one run of the submodel
    #[arg(long, alias = "batch_size", default_value_t = 64, value_name = "N", value_parser = Number::new().range(1..))]
    pub(crate) batch_size: usize,
    /// Self-test: put the five wrong values of the Python repository into the golden, to see them found (needs 301 samples)
    #[arg(long, overrides_with = "no_inject")]
    pub(crate) inject: bool,
    /// Put no error anywhere (the default)
    #[arg(long, hide = true)]
    pub(crate) no_inject: bool,
    /// Write the result as JSON
    #[arg(long, value_name = "FILE.json", value_parser = json_file)]
    pub(crate) report: Option<PathBuf>,
    /// ONNX Runtime library [default: ORT_DYLIB_PATH, beside the executable, .deps, the system's]
    #[arg(long, value_name = "LIB")]
    pub(crate) runtime: Option<PathBuf>,
    /// Threads for one operation on the CPU [default: the runtime's choice, one per core]
    #[arg(long, value_name = "N", value_parser = Number::new().range(1..=1024))]
    pub(crate) threads: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// A bundle's folder, an ONNX file or an NPY file
    pub(crate) path: PathBuf,
}

fn tolerance(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err("expected a finite number from 0".to_owned()),
    }
}

fn json_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension() {
        Some(extension) if extension == "json" => Ok(path),
        _ => Err("expected a name that ends in .json".to_owned()),
    }
}
