//! Flags of commands that take outputs which something else computed.

use std::path::PathBuf;

use clap::Args;
use verifier::engine::recorded::Reading;
use verifier::engine::recorded::element_type::FloatType;
use verifier::report::outputs::OutputsOptions;

use super::values::engine_name;

/// What runs something, and so has no part in outputs from files. Each flag of theirs refuses it
/// too: one that requires `--outputs` does not where that is excluded.
const WHAT_RUNS: [&str; 8] = [
    "device",
    "device_id",
    "device_options",
    "allow_reduced_precision",
    "optimization",
    "threads",
    "model",
    "engine",
];

/// Outputs from files; nothing is run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Outputs that something else computed")]
pub(crate) struct OutputsArgs {
    /// Compare these outputs and run nothing: a file .npy, .npz, .raw, .bin, .pb (TensorProto) or
    /// .json (Polygraphy, trtexec), or a folder with one for each output or each batch
    #[arg(long, value_name = "PATH", conflicts_with_all = WHAT_RUNS)]
    pub(crate) outputs: Option<PathBuf>,
    /// Elements of raw files, and of 16-bit words without a type: float32, float16, bfloat16 or
    /// float64, little endian
    #[arg(long, value_name = "TYPE", requires = "outputs", conflicts_with_all = WHAT_RUNS)]
    pub(crate) dtype: Option<FloatType>,
    /// Reorder the axes as numpy.transpose does, such as 0,2,1; the samples stay the first
    #[arg(
        long,
        value_name = "AXES",
        value_delimiter = ',',
        requires = "outputs",
        conflicts_with_all = WHAT_RUNS
    )]
    pub(crate) transpose: Option<Vec<usize>>,
    /// What computed them, for the report and for calibrations
    #[arg(
        long,
        value_name = "NAME",
        requires = "outputs",
        conflicts_with_all = WHAT_RUNS,
        value_parser = engine_name
    )]
    pub(crate) engine_name: Option<String>,
    /// Where they come from, for the report
    #[arg(long, value_name = "TEXT", requires = "outputs", conflicts_with_all = WHAT_RUNS)]
    pub(crate) note: Option<String>,
}

impl OutputsArgs {
    /// As records have it, if there are outputs from files.
    pub(crate) fn record(&self) -> Option<OutputsOptions> {
        self.outputs.as_ref().map(|path| OutputsOptions {
            path: path.clone(),
            engine_name: self.engine_name.clone(),
            note: self.note.clone(),
            dtype: self.dtype,
            transpose: self.transpose.clone(),
        })
    }

    /// How the files are to be read.
    pub(crate) fn reading(&self, batch_size: Option<usize>) -> Reading {
        Reading {
            dtype: self.dtype,
            transpose: self.transpose.clone(),
            batch_size,
        }
    }
}
