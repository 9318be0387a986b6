//! Flags of `verifier calibrate`.

use std::path::PathBuf;

use clap::Args;

use super::engine::EngineArgs;
use super::outputs::OutputsArgs;
use super::shared::{PartArgs, TargetArgs};
use super::values::{count, margin, path, percent, svg_file, tolerance};

/// Find the tolerance that fits this device, and which bit flips it would catch
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  verifier calibrate bundles/nano --device cuda --passes 20 --plot floor.svg

  verifier calibrate bundles/nano --outputs trt_fp16/ --engine-name 'TensorRT 10, fp16'

Runs without faults; writes bundles/nano.calibration.json, which `check` uses for the same model,
part, runtime library, device, options, threads, batch size and machine. A file that is there keeps
its other settings. Outputs from files are calibrated for the engine that --engine-name names. A
subset of the bundle has the same model: --calibration names the file there.

Exit status:
  0  written
  1  a further pass had a false alarm, or too few flips are caught: nothing was written
  2  could not run or could not finish")]
pub(crate) struct CalibrateArgs {
    #[command(flatten)]
    pub(crate) input: PartArgs,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) outputs: OutputsArgs,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// Passes over all samples before the tolerance is chosen, one if outputs come from files; one
    /// more checks it
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = count())]
    pub(crate) passes: usize,
    /// Relative part of the tolerance; the absolute part is found
    #[arg(
        long,
        default_value = "0",
        value_name = "R",
        value_parser = tolerance,
        allow_negative_numbers = true
    )]
    pub(crate) rtol: f32,
    /// How many times the least absolute tolerance without a false alarm to choose
    #[arg(
        long,
        default_value = "2",
        value_name = "F",
        value_parser = margin,
        allow_negative_numbers = true
    )]
    pub(crate) margin: f32,
    /// Which share of the flips of the sign, and of each bit of the exponent, the tolerance must
    /// catch, in per cent: a device that gives wrong numbers needs a tolerance that lets anything
    /// pass
    #[arg(
        long,
        default_value = "95",
        value_name = "PERCENT",
        value_parser = percent,
        allow_negative_numbers = true
    )]
    pub(crate) least_caught: f64,
    /// Samples in one run of the model [default: on the CPU as many as stay in cache, else 64]
    #[arg(long, alias = "batch_size", value_name = "N", value_parser = count())]
    pub(crate) batch_size: Option<usize>,
    /// File to write, or to add this setting to [default: <BUNDLE>.calibration.json]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Draw the detection floor, which share of the flips of each bit is caught
    #[arg(long, value_name = "FILE.svg", value_parser = path(svg_file))]
    pub(crate) plot: Option<PathBuf>,
}
