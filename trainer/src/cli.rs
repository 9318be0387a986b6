//! Flags. Meaning lives in the library, printing in `commands`.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand};
use proto::config::{Network, Pool};
use trainer::device::DeviceChoice;
use trainer::recipe::{Keep, Optimizer, Precision, Recipe, Schedule};
use trainer::weights::DEFAULT_FOLDER;

/// Whole numbers in a range.
type Number = RangedU64ValueParser<usize>;

/// Trains a vision transformer on CIFAR-10 with libtorch.
#[derive(Debug, Parser)]
#[command(
    name = "trainer",
    version,
    after_help = "Example:
  trainer data
  trainer train --model nano
  trainer eval --model nano"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Fetch CIFAR-10, or take it as it lies there, and check it
    #[command(after_help = "Example:
  trainer data --data data

The images go to data/cifar-10-batches-bin, in the official binary format. They are made of
torchvision's cifar-10-batches-py, of cifar-10-python.tar.gz or of cifar-10-binary.tar.gz if one
of these lies in data; nothing in them is run. Else they are fetched. A download that was
interrupted is gone on with.")]
    Data(DataArgs),
    /// Train a network and write its weights
    #[command(after_help = "Example:
  trainer train --model base --batch-size 100 --epochs 100

The weights go to trained_models/vit_base_cifar10.safetensors. Beside them, in
trained_models/vit_base_cifar10/: run.json, metrics.jsonl, curve.svg, the best and the last epoch's
weights, and the state that --resume goes on from. --epochs 0 writes the freshly
initialised weights.

--model wide.toml trains a network of other sizes, such as: like = \"nano\", dim = 192, heads = 6.
Its weights go to trained_models/vit_wide_cifar10.safetensors.")]
    Train(Box<TrainArgs>),
    /// Measure the accuracy of trained weights on the 10,000 test images
    #[command(after_help = "Example:
  trainer eval --weights trained_models/vit_base_cifar10.safetensors
  trainer eval --model base")]
    Eval(EvalArgs),
    /// Turn a PyTorch checkpoint (.pth) into a weights file
    #[command(after_help = "Example:
  trainer import --pth vit_base_cifar10.pth --model base
  trainer import --pth net.pth --heads 4 --pool mean

The weights go to trained_models/vit_base_cifar10.safetensors, bit for bit. They are found in
the checkpoint by names and shapes, under any entry and behind a prefix such as module. that
all names share. Nothing in it is run. A .safetensors file of Python is read as well.

Without --model the shapes tell the sizes: image, patch, dim, layers, mlp. They do not tell how
many heads there are, which are of 64 unless --heads says otherwise, and how tokens are pooled.")]
    Import(ImportArgs),
    /// Turn a weights file into a PyTorch checkpoint (.pth)
    #[command(after_help = "Example:
  trainer export --model base --pth vit_base_cifar10.pth

In Python: model.load_state_dict(torch.load(\"vit_base_cifar10.pth\", weights_only=True))")]
    Export(ExportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    /// Folder that holds CIFAR-10; `trainer data` puts it there
    #[arg(long, default_value = "data", value_name = "DIR")]
    pub(crate) data: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// Preset (tiny, small, base, nano or micro), or a file .toml or .json with the numbers
    #[arg(long, value_name = "NETWORK")]
    pub(crate) model: Network,
    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,
    /// The number that every random choice derives from [default: 0]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Use only the first N training images
    #[arg(long, value_name = "N", value_parser = Number::new().range(1..=50_000))]
    pub(crate) train_samples: Option<usize>,
    /// Evaluate on the first N test images only
    #[arg(long, value_name = "N", value_parser = Number::new().range(1..=10_000))]
    pub(crate) test_samples: Option<usize>,
    /// Folder for the weights
    #[arg(long, default_value = DEFAULT_FOLDER, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Replace weights, and a run, that are there already
    #[arg(long, conflicts_with = "resume")]
    pub(crate) force: bool,
    /// Go on with a run that was stopped or killed
    #[arg(long)]
    pub(crate) resume: bool,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
}

/// One flag for each number of a recipe; those left out are the preset's, or those of the run that
/// is resumed. A network of a file has the recipe of `nano`, or of `tiny` beyond 32 pixels.
#[derive(Debug, Args)]
#[command(next_help_heading = "Recipe (the preset's own unless given)")]
pub(crate) struct RecipeArgs {
    /// Images in a step
    #[arg(long, alias = "batch_size", value_name = "N", value_parser = Number::new().range(1..))]
    pub(crate) batch_size: Option<usize>,
    /// Passes over the training images
    #[arg(long, value_name = "N", value_parser = Number::new().range(0..=100_000))]
    pub(crate) epochs: Option<usize>,
    /// Highest learning rate
    #[arg(
        long,
        alias = "lr",
        value_name = "RATE",
        value_parser = positive_rate,
        allow_negative_numbers = true
    )]
    pub(crate) learning_rate: Option<f64>,
    /// Update rule
    #[arg(long, value_enum)]
    pub(crate) optimizer: Option<Optimizer>,
    /// Decay of Adam's first moment
    #[arg(long, value_name = "DECAY", allow_negative_numbers = true)]
    pub(crate) beta1: Option<f64>,
    /// Decay of Adam's second moment
    #[arg(long, value_name = "DECAY", allow_negative_numbers = true)]
    pub(crate) beta2: Option<f64>,
    /// Decay of Muon's momentum; with muon only
    #[arg(long, value_name = "DECAY", allow_negative_numbers = true)]
    pub(crate) momentum: Option<f64>,
    /// Decoupled decay of the matrices
    #[arg(long, value_name = "DECAY", allow_negative_numbers = true)]
    pub(crate) weight_decay: Option<f64>,
    /// Shorten gradients that are longer than this; 0 does not
    #[arg(long, value_name = "NORM", allow_negative_numbers = true)]
    pub(crate) clip_norm: Option<f64>,
    /// Course of the learning rate
    #[arg(long, value_enum)]
    pub(crate) schedule: Option<Schedule>,
    /// Share of all steps in which the rate rises; with a warm-up schedule only
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub(crate) warmup: Option<f64>,
    /// Share of the target spread evenly over all classes
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub(crate) label_smoothing: Option<f64>,
    /// Crop training images at random from a border of four black pixels
    #[arg(long, value_name = "true|false")]
    pub(crate) crop: Option<bool>,
    /// Mirror training images at random
    #[arg(long, value_name = "true|false")]
    pub(crate) flip: Option<bool>,
    /// Share of the patches left out of each training image
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub(crate) patch_dropout: Option<f64>,
    /// Standard deviation of fresh positions and class token
    #[arg(long, value_name = "STD", allow_negative_numbers = true)]
    pub(crate) embedding_std: Option<f64>,
    /// Decay per step of the averaged weights that are evaluated and saved; 0 takes the weights
    /// themselves
    #[arg(long, value_name = "DECAY", allow_negative_numbers = true)]
    pub(crate) weight_average: Option<f64>,
    /// Arithmetic of the matrix products in training
    #[arg(long, value_enum)]
    pub(crate) precision: Option<Precision>,
    /// Which epoch's weights are kept
    #[arg(long, value_enum)]
    pub(crate) keep: Option<Keep>,
}

impl RecipeArgs {
    /// Names a flag that was given and would do nothing.
    pub(crate) fn without_effect(&self, recipe: &Recipe) -> Option<&'static str> {
        if self.warmup.is_some_and(|warmup| warmup != 0.0)
            && recipe.schedule == Schedule::CosinePerEpoch
        {
            return Some(
                "--warmup has no effect with the schedule cosine-per-epoch\n\
                 hint: --schedule warmup-cosine",
            );
        }
        if self.momentum.is_some() && recipe.optimizer != Optimizer::Muon {
            return Some("--momentum has no effect without muon\nhint: --optimizer muon");
        }
        None
    }

    /// A recipe with the numbers that were given.
    pub(crate) fn applied_to(&self, own: Recipe) -> Recipe {
        Recipe {
            batch_size: self.batch_size.unwrap_or(own.batch_size),
            epochs: self.epochs.unwrap_or(own.epochs),
            learning_rate: self.learning_rate.unwrap_or(own.learning_rate),
            optimizer: self.optimizer.unwrap_or(own.optimizer),
            beta1: self.beta1.unwrap_or(own.beta1),
            beta2: self.beta2.unwrap_or(own.beta2),
            momentum: self.momentum.unwrap_or(own.momentum),
            // Adam has none; a preset's must not stand in its way.
            weight_decay: self.weight_decay.unwrap_or(match self.optimizer {
                Some(Optimizer::Adam) => 0.0,
                _ => own.weight_decay,
            }),
            clip_norm: self.clip_norm.unwrap_or(own.clip_norm),
            schedule: self.schedule.unwrap_or(own.schedule),
            warmup: self.warmup.unwrap_or(own.warmup),
            label_smoothing: self.label_smoothing.unwrap_or(own.label_smoothing),
            crop: self.crop.unwrap_or(own.crop),
            flip: self.flip.unwrap_or(own.flip),
            patch_dropout: self.patch_dropout.unwrap_or(own.patch_dropout),
            embedding_std: self.embedding_std.unwrap_or(own.embedding_std),
            weight_average: self.weight_average.unwrap_or(own.weight_average),
            precision: self.precision.unwrap_or(own.precision),
            keep: self.keep.unwrap_or(own.keep),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// Weights file that `trainer train` or `trainer import` wrote
    #[arg(long, value_name = "FILE", required_unless_present = "model")]
    pub(crate) weights: Option<PathBuf>,
    /// Network the weights must be of, a preset or a file; alone, stands for
    /// trained_models/vit_NAME_cifar10.safetensors
    #[arg(long, value_name = "NETWORK")]
    pub(crate) model: Option<Network>,
    /// Images in a forward pass
    #[arg(
        long,
        alias = "batch_size",
        default_value_t = 100,
        value_name = "N",
        value_parser = Number::new().range(1..)
    )]
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

fn pool(text: &str) -> Result<Pool, String> {
    match text {
        "cls" => Ok(Pool::Cls),
        "mean" => Ok(Pool::Mean),
        _ => Err("expected cls or mean".to_owned()),
    }
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Checkpoint that torch.save wrote, or a .safetensors file of Python
    #[arg(long, value_name = "FILE")]
    pub(crate) pth: PathBuf,
    /// Entry that holds the weights, keys apart by dots, where several fit
    #[arg(long, value_name = "NAME")]
    pub(crate) key: Option<String>,
    /// Round float64 to float32
    #[arg(long)]
    pub(crate) convert: bool,
    /// Network the checkpoint must be of, a preset or a file .toml or .json [default: by its
    /// tensors' shapes]
    #[arg(long, value_name = "NETWORK", conflicts_with_all = ["heads", "pool"])]
    pub(crate) model: Option<Network>,
    /// Attention heads, which no shape tells [default: heads of 64]
    #[arg(long, value_name = "N", value_parser = Number::new().range(1..=1024))]
    pub(crate) heads: Option<usize>,
    /// How tokens are pooled, which no shape tells: cls or mean [default: cls]
    #[arg(long, value_name = "cls|mean", value_parser = pool)]
    pub(crate) pool: Option<Pool>,
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
    /// Network the weights must be of, a preset or a file; alone, stands for
    /// trained_models/vit_NAME_cifar10.safetensors
    #[arg(long, value_name = "NETWORK")]
    pub(crate) model: Option<Network>,
    /// Checkpoint to write
    #[arg(long, value_name = "FILE")]
    pub(crate) pth: PathBuf,
    /// Replace a file that is there already
    #[arg(long)]
    pub(crate) force: bool,
}
