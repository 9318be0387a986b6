//! Flags of `verifier record`.

use std::path::PathBuf;

use clap::Args;

use super::shared::{PartArgs, TargetArgs};
use super::values::{Number, count, tolerance};

/// Keep what this device computes without a fault, to compare with it bit for bit
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  verifier record bundles/nano --device cuda --golden golden_of_this_gpu/
  verifier check bundles/nano --device cuda --golden golden_of_this_gpu/

A flip that is smaller than the tolerance is seen by such a golden alone. It holds for the same
model, library, device, options, batch size and machine. Where passes do not give the same bits, it
says so, and `check` and `watch` refuse it.

Exit status:
  0  recorded, and all passes gave the same bits
  1  some element is outside the tolerance of the bundle's golden: nothing was recorded; or later
     passes had other bits: recorded, and of no use for a comparison
  2  could not run or could not finish")]
pub(crate) struct RecordArgs {
    #[command(flatten)]
    pub(crate) input: PartArgs,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    /// Folder to write, which does not exist yet
    #[arg(long, value_name = "DIR")]
    pub(crate) golden: PathBuf,
    /// Passes over all samples; all must give the same bits
    #[arg(long, default_value_t = 3, value_name = "N",
        value_parser = Number::new().range(2..=1_000_000))]
    pub(crate) passes: usize,
    /// Absolute tolerance to the bundle's golden [default: calibrated, else 5e-6]
    #[arg(long, value_name = "A", value_parser = tolerance, allow_negative_numbers = true)]
    pub(crate) atol: Option<f32>,
    /// Tolerance relative to the bundle's golden [default: calibrated, else 1e-5]
    #[arg(long, value_name = "R", value_parser = tolerance, allow_negative_numbers = true)]
    pub(crate) rtol: Option<f32>,
    /// Samples in one run of the model [default: on the CPU as many as stay in cache, else 64]
    #[arg(long, alias = "batch_size", value_name = "N", value_parser = count())]
    pub(crate) batch_size: Option<usize>,
}
