//! Flags. Meaning lives in the library, printing in `commands`.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand};
use proto::config::Preset;
use trainer::device::DeviceChoice;
use trainer::recipe::Precision;
use trainer::weights::DEFAULT_FOLDER;

/// Whole numbers in a range.
type Number = RangedU64ValueParser<usize>;

/// Trains a vision transformer on CIFAR-10 with libtorch.
#[derive(Debug, Parser)]
#[command(
    name = "trainer",
    version,
    after_help = "Example:\n  trainer data\n  trainer train --model nano\n  trainer eval --model nano"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Fetch CIFAR-10 and check it
    #[command(
        after_help = "Example:\n  trainer data --data data\n\nThe images go to data/cifar-10-batches-bin, in the official binary format."
    )]
    Data(DataArgs),
    /// Train a network and write its weights
    #[command(
        after_help = "Example:\n  trainer train --model base --batch-size 100 --epochs 100\n\nThe weights go to trained_models/vit_base_cifar10.safetensors. Flags left out take the\npreset's own recipe. --epochs 0 writes the freshly initialised weights."
    )]
    Train(TrainArgs),
    /// Measure the accuracy of trained weights on the 10,000 test images
    #[command(
        after_help = "Example:\n  trainer eval --weights trained_models/vit_base_cifar10.safetensors\n  trainer eval --model base"
    )]
    Eval(EvalArgs),
    /// Turn a PyTorch checkpoint (.pth) into a weights file
    #[command(
        after_help = "Example:\n  trainer import --pth vit_base_cifar10.pth --model base\n\nThe weights go to trained_models/vit_base_cifar10.safetensors, bit for bit. The checkpoint is\na state dict or a dict that has one under model_state_dict. Nothing in it is run."
    )]
    Import(ImportArgs),
    /// Turn a weights file into a PyTorch checkpoint (.pth)
    #[command(
        after_help = "Example:\n  trainer export --model base --pth vit_base_cifar10.pth\n\nIn Python: model.load_state_dict(torch.load(\"vit_base_cifar10.pth\", weights_only=True))"
    )]
    Export(ExportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    /// Folder that holds CIFAR-10, or that it goes to
    #[arg(long, default_value = "data", value_name = "DIR")]
    pub(crate) data: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// Preset: tiny, small, base or nano
    #[arg(long, value_name = "PRESET")]
    pub(crate) model: Preset,
    /// Images in a step
    #[arg(long, alias = "batch_size", value_name = "N", value_parser = Number::new().range(1..))]
    pub(crate) batch_size: Option<usize>,
    /// Passes over the training images
    #[arg(long, value_name = "N", value_parser = Number::new().range(0..=1_000_000))]
    pub(crate) epochs: Option<usize>,
    /// Highest learning rate
    #[arg(long, value_name = "RATE", value_parser = positive_rate, allow_negative_numbers = true)]
    pub(crate) lr: Option<f64>,
    /// Arithmetic of the matrix products in training
    #[arg(long, value_enum)]
    pub(crate) precision: Option<Precision>,
    /// The number that every random choice derives from
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Use only the first N training images
    #[arg(long, value_name = "N", value_parser = Number::new().range(1..))]
    pub(crate) train_samples: Option<usize>,
    /// Folder for the weights
    #[arg(long, default_value = DEFAULT_FOLDER, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Replace weights that are there already
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
}

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// Weights file that `trainer train` wrote
    #[arg(long, value_name = "FILE", required_unless_present = "model")]
    pub(crate) weights: Option<PathBuf>,
    /// Preset the weights must be of; alone, stands for trained_models/vit_PRESET_cifar10.safetensors
    #[arg(long, value_name = "PRESET")]
    pub(crate) model: Option<Preset>,
    /// Images in a forward pass
    #[arg(long, alias = "batch_size", default_value_t = 100, value_name = "N", value_parser = Number::new().range(1..))]
    pub(crate) batch_size: usize,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MachineArgs {
    /// Device: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    pub(crate) device: DeviceChoice,
    /// Threads for one operation [default: libtorch's choice, one per core]
    #[arg(long, value_name = "N", value_parser = Number::new().range(1..=1024))]
    pub(crate) threads: Option<usize>,
}

fn positive_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err("expected a number above 0".to_owned()),
    }
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Checkpoint that torch.save wrote
    #[arg(long, value_name = "FILE")]
    pub(crate) pth: PathBuf,
    /// Preset the checkpoint must be of: tiny, small, base or nano
    #[arg(long, value_name = "PRESET")]
    pub(crate) model: Preset,
    /// Folder for the weights
    #[arg(long, default_value = DEFAULT_FOLDER, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Replace weights that are there already
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Weights file
    #[arg(long, value_name = "FILE", required_unless_present = "model")]
    pub(crate) weights: Option<PathBuf>,
    /// Preset the weights must be of; alone, stands for trained_models/vit_PRESET_cifar10.safetensors
    #[arg(long, value_name = "PRESET")]
    pub(crate) model: Option<Preset>,
    /// Checkpoint to write
    #[arg(long, value_name = "FILE")]
    pub(crate) pth: PathBuf,
    /// Replace a file that is there already
    #[arg(long)]
    pub(crate) force: bool,
}
