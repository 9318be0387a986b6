//! Flags of `verifier check`.

use std::path::{Path, PathBuf};

use clap::Args;
use verifier::inject::Fault;

use super::engine::EngineArgs;
use super::outputs::OutputsArgs;
use super::shared::{PartArgs, TargetArgs, inputs};
use super::values::{check_report, count, path, tolerance};

/// Run a part on every sample and compare it with the golden
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  verifier check bundles/nano --device cuda --atol 5e-6 --rtol 1e-5 --batch-size 64
  verifier check bundles/nano --device cpu --inject --report faults.json --report faults.md
  verifier check bundles/nano --device cpu --fault 'weight:to_qkv_weight[10,20]^30' \\
    --expect-detected

A device asked for is a device used: if any node of the model would run elsewhere, the exit status
is 2.
Faults act all at once, in copies in memory: the bundle stays as it is.

Exit status:
  0  everything compared and within tolerance
  1  compared, and something was outside
  2  could not run or could not finish")]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) input: PartArgs,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) outputs: OutputsArgs,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// Absolute tolerance [default: calibrated, else 5e-6]
    #[arg(long, value_name = "A", value_parser = tolerance, allow_negative_numbers = true)]
    pub(crate) atol: Option<f32>,
    /// Tolerance relative to the golden [default: calibrated, else 1e-5]
    #[arg(long, value_name = "R", value_parser = tolerance, allow_negative_numbers = true)]
    pub(crate) rtol: Option<f32>,
    /// Calibrations, one of them of this setting [default: <BUNDLE>.calibration.json, if it has
    /// one]
    #[arg(long, value_name = "FILE", conflicts_with = "no_calibration")]
    pub(crate) calibration: Option<PathBuf>,
    /// Use no calibration
    #[arg(long)]
    pub(crate) no_calibration: bool,
    /// Samples in one run of the model [default: on the CPU as many as stay in cache, else 64]
    #[arg(long, alias = "batch_size", value_name = "N", value_parser = count())]
    pub(crate) batch_size: Option<usize>,
    /// Run every batch N times: each run is compared with the golden, and bit for bit with the
    /// first
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = count())]
    pub(crate) repeat: usize,
    /// End with the first batch that has a faulty sample
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Keep golden, output and positions of every faulty sample as NPY in this new folder
    #[arg(long, value_name = "DIR")]
    pub(crate) dump_faulty: Option<PathBuf>,
    /// Keep all that the engine computed, before any fault of outputs, as NPY in this new folder
    #[arg(long, value_name = "DIR", conflicts_with = "fail_fast")]
    pub(crate) save_outputs: Option<PathBuf>,
    /// Self-test: put the five wrong values of the Python repository into the golden, to see them
    /// detected (needs 301 samples)
    #[arg(long, overrides_with = "no_inject")]
    pub(crate) inject: bool,
    /// Put no error anywhere (the default)
    #[arg(long, hide = true)]
    pub(crate) no_inject: bool,
    /// Change one value: TARGET[INDEX]=VALUE or TARGET[INDEX]^BIT, TARGET one of golden, input,
    /// output, edge:NAME, weight:NAME; repeatable
    #[arg(long = "fault", value_name = "SPEC", allow_hyphen_values = true)]
    pub(crate) faults: Vec<Fault>,
    /// Do not carry faulty samples through `tail` to see whether their class changes
    #[arg(long)]
    pub(crate) no_tail: bool,
    /// Carry every sample through `tail`, to count the right classes
    #[arg(long, conflicts_with = "no_tail")]
    pub(crate) classify_all: bool,
    /// Exit status 0 if every fault beyond the tolerance was flagged, and no sample without a
    /// fault; else 1
    #[arg(long)]
    pub(crate) expect_detected: bool,
    /// Write the result: FILE.html, .json, .md, .csv or .xml (JUnit); repeatable
    #[arg(long = "report", value_name = "FILE", value_parser = path(check_report))]
    pub(crate) reports: Vec<PathBuf>,
}

impl CheckArgs {
    /// Files and folders that are read, beside the bundle.
    pub(crate) fn inputs(&self) -> Vec<Option<&Path>> {
        let [outputs, model, runtime, engines] =
            inputs(&self.target, Some(&self.outputs), &self.engine);
        vec![
            outputs,
            model,
            runtime,
            engines,
            self.calibration.as_deref(),
        ]
    }

    /// Whether the user gave a tolerance, which then is the one.
    pub(crate) fn has_tolerance(&self) -> bool {
        self.atol.is_some() || self.rtol.is_some()
    }
}
