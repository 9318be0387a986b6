//! Flags of `verifier bench`.

use std::path::PathBuf;

use clap::Args;

use super::engine::EngineArgs;
use super::shared::{PartArgs, TargetArgs};
use super::values::{Number, bench_report, count, path, seconds, tolerance};

/// Time a part at several batch sizes, and compare everything that is timed with the golden
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  verifier bench bundles/nano --device cuda --batch-size 1 --batch-size 64 --report latency.md

Latency is from handing over a batch to having its outputs; percentiles are nearest-rank.

Exit status:
  0  timed, and everything within tolerance
  1  timed, and something was outside
  2  could not run or could not finish")]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) input: PartArgs,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// Samples in one run of the model; repeatable [default: the model's, if --model fixes it; else
    /// 1, 8 and 64, as far as there are so many samples]
    #[arg(
        long = "batch-size",
        alias = "batch_size",
        value_name = "N",
        value_parser = count()
    )]
    pub(crate) batch_sizes: Vec<usize>,
    /// Runs before those that are timed [default: 3; of an engine's process 1]
    #[arg(
        long,
        value_name = "N",
        value_parser = Number::new().range(1..=1_000_000)
    )]
    pub(crate) warmup: Option<usize>,
    /// Timed runs of each batch size; an engine's process runs for all samples [default: 100; of
    /// an engine's process 3]
    #[arg(
        long,
        value_name = "N",
        value_parser = Number::new().range(1..=1_000_000)
    )]
    pub(crate) runs: Option<usize>,
    /// Seconds after which no further timed run of a batch size begins
    #[arg(
        long,
        default_value = "30",
        value_name = "SECONDS",
        value_parser = seconds,
        allow_negative_numbers = true
    )]
    pub(crate) seconds: f64,
    /// Absolute tolerance [default: 5e-6]
    #[arg(long, value_name = "A", value_parser = tolerance, allow_negative_numbers = true)]
    pub(crate) atol: Option<f32>,
    /// Tolerance relative to the golden [default: 1e-5]
    #[arg(long, value_name = "R", value_parser = tolerance, allow_negative_numbers = true)]
    pub(crate) rtol: Option<f32>,
    /// Write the times: FILE.json, .md or .csv; repeatable
    #[arg(long = "report", value_name = "FILE", value_parser = path(bench_report))]
    pub(crate) reports: Vec<PathBuf>,
}
