//! Flags. Meaning lives in the library, printing in `commands`.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand};
use proto::config::Preset;
use proto::module::Module;
use trainer::device::DeviceChoice;

/// Whole numbers in a range.
type Number = RangedU64ValueParser<usize>;

/// Turns trained weights into a bundle: ONNX models, golden tensors, and a manifest that explains them.
#[derive(Debug, Parser)]
#[command(name = "exporter", version, after_help = "Example:\n  exporter bundle --model nano")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a bundle: full model and submodel as ONNX, golden inputs and outputs as NPY
    #[command(
        after_help = "Example:\n  exporter bundle --weights trained_models/vit_base_cifar10.safetensors --out bundles/base\n\nA bundle is whole or absent: it is written beside its place and renamed when complete."
    )]
    Bundle(BundleArgs),
}

#[derive(Debug, Args)]
pub(crate) struct BundleArgs {
    /// Weights file that `trainer train` wrote
    #[arg(long, value_name = "FILE", required_unless_present = "model")]
    pub(crate) weights: Option<PathBuf>,
    /// Preset the weights must be of; alone, stands for trained_models/vit_PRESET_cifar10.safetensors
    #[arg(long, value_name = "PRESET")]
    pub(crate) model: Option<Preset>,
    /// Folder of the bundle [default: bundles/PRESET]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Module to cut out as the submodel: transformer.layers.K.0.fn, the attention of block K
    #[arg(long, default_value = Module::DEFAULT_NAME, value_name = "NAME")]
    pub(crate) module: String,
    /// Use only the first N test images [default: all 10,000]
    #[arg(long, value_name = "N")]
    pub(crate) samples: Option<usize>,
    /// Images in a forward pass
    #[arg(long, alias = "batch_size", default_value_t = 8, value_name = "N", value_parser = Number::new().range(1..))]
    pub(crate) batch_size: usize,
    /// Replace a bundle that is there already
    #[arg(long)]
    pub(crate) force: bool,
    /// Folder that holds CIFAR-10
    #[arg(long, default_value = "data", value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Device that the golden is recorded on: cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu", value_name = "DEVICE")]
    pub(crate) device: DeviceChoice,
    /// Threads for one operation [default: libtorch's choice, one per core]
    #[arg(long, value_name = "N", value_parser = Number::new().range(1..=1024))]
    pub(crate) threads: Option<usize>,
}
