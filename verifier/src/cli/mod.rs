//! Flags of the verifier. Meaning lives in the library, printing in `commands`.

mod bench;
mod calibrate;
mod campaign;
mod check;
mod compare;
mod engine;
mod outputs;
mod record;
mod shared;
mod values;
mod watch;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, Parser, Subcommand};

pub(crate) use bench::BenchArgs;
pub(crate) use calibrate::CalibrateArgs;
pub(crate) use campaign::{
    CampaignArgs, CampaignCommand, CampaignReplayArgs, CampaignReportArgs, CampaignRunArgs,
};
pub(crate) use check::CheckArgs;
pub(crate) use compare::CompareArgs;
pub(crate) use engine::{EngineArgs, find_engine, find_engines};
pub(crate) use outputs::OutputsArgs;
pub(crate) use record::RecordArgs;
pub(crate) use shared::{OtherPartsOn, PartArgs, TargetArgs, inputs};
pub(crate) use watch::{
    WatchArgs, WatchCommand, WatchConsequencesArgs, WatchReportArgs, WatchRunArgs,
};

/// Runs a bundle's submodel on the target and compares every element with the golden.
#[derive(Debug, Parser)]
#[command(
    name = "verifier",
    version,
    after_help = "\
Example:
  verifier check bundles/nano --device cpu

Exit status:
  0  everything compared and within tolerance
  1  compared, and something was outside
  2  could not run or could not finish"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Check(Box<CheckArgs>),
    Calibrate(Box<CalibrateArgs>),
    Compare(Box<CompareArgs>),
    Bench(Box<BenchArgs>),
    Campaign(Box<CampaignArgs>),
    Record(Box<RecordArgs>),
    Watch(Box<WatchArgs>),
    Devices(DevicesArgs),
    Inspect(InspectArgs),
}

/// Show what the ONNX Runtime library offers, and which devices work here
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  verifier devices --runtime /opt/onnxruntime/lib/libonnxruntime.so")]
pub(crate) struct DevicesArgs {
    /// ONNX Runtime library [default: ORT_DYLIB_PATH, beside the executable, .deps, the system's]
    #[arg(long, value_name = "LIB")]
    pub(crate) runtime: Option<PathBuf>,
}

/// Show what a bundle, an ONNX file, a file of arrays or a checkpoint holds
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  verifier inspect bundles/nano
  verifier inspect bundles/nano --sites submodel
  verifier inspect bundles/nano/onnx/submodel/model.onnx
  verifier inspect bundles/nano/npy/logits.npy")]
pub(crate) struct InspectArgs {
    /// A bundle's folder, or a file: ONNX, NPY, NPZ, safetensors, or a checkpoint of PyTorch
    pub(crate) path: PathBuf,
    /// List the tensors of a bundle's part that faults can be put into
    #[arg(long, value_name = "PART")]
    pub(crate) sites: Option<String>,
}

const OWN_MODEL: &str = "a bundle holds its model: `verifier check bundles/base`";

fn names_a_model() -> bool {
    std::env::args_os().any(|argument| argument.to_string_lossy().starts_with("--model"))
}

/// What is meant by flags of other programs, which the verifier does not have.
pub(crate) fn hint(error: &clap::Error) -> Option<&'static str> {
    match error.get(ContextKind::InvalidArg) {
        // A preset's name, as other programs take it.
        Some(ContextValue::String(flag)) if flag == "--model" => Some(OWN_MODEL),
        Some(ContextValue::Strings(missing))
            if missing.iter().any(|name| name == "<BUNDLE>") && names_a_model() =>
        {
            Some(OWN_MODEL)
        }
        Some(ContextValue::String(flag)) if flag == "--dataset" => {
            Some("a bundle holds its data: `verifier check bundles/base_cnf_4`")
        }
        Some(ContextValue::String(flag)) if flag == "--weights" => {
            Some("a bundle holds its weights: `exporter bundle --weights FILE` makes one of a file")
        }
        _ => None,
    }
}

/// The files that `--report` names in arguments that could not be understood.
pub(crate) fn named_reports(arguments: impl Iterator<Item = OsString>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut is_named = false;
    let mut arguments = arguments.skip(1).take_while(|argument| argument != "--");
    let command = arguments.next().unwrap_or_default();
    if !["check", "compare", "bench"]
        .iter()
        .any(|name| command == *name)
    {
        return files;
    }
    for argument in arguments {
        if is_named {
            files.push(PathBuf::from(&argument));
        } else if let Some(file) = argument.as_bytes().strip_prefix(b"--report=") {
            files.push(PathBuf::from(OsStr::from_bytes(file)));
        }
        is_named = !is_named && argument == "--report";
    }
    files
}

impl Command {
    /// Whether reduced precision may be left to the provider.
    pub(crate) fn allows_reduced_precision(&self) -> bool {
        match self {
            Self::Bench(arguments) => arguments.target.allow_reduced_precision,
            Self::Calibrate(arguments) => arguments.target.allow_reduced_precision,
            Self::Check(arguments) => arguments.target.allow_reduced_precision,
            // What it sets for itself, its processes inherit.
            Self::Compare(arguments) => arguments.allow_reduced_precision,
            Self::Campaign(arguments) => arguments.allows_reduced_precision(),
            Self::Record(arguments) => arguments.target.allow_reduced_precision,
            Self::Watch(arguments) => match &**arguments {
                WatchArgs::Run(run) => run.target.allow_reduced_precision,
                WatchArgs::Then(_) => false,
            },
            Self::Devices(_) | Self::Inspect(_) => false,
        }
    }
}
