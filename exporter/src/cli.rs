//! Flags. Meaning lives in the library, printing in `commands`.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::error::{ContextKind, ContextValue};
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use exporter::bundle::PARTS;
use proto::config::Network;
use proto::graph::{LARGEST_FIXED_BATCH, OPSET_VERSIONS};
use proto::manifest::Split;
use proto::module::Module;
use proto::tier::{DEFAULT_TIERS, MOST_TIERS};
use trainer::device::DeviceChoice;

/// Whole numbers in a range.
type Number = RangedU64ValueParser<usize>;

/// Turns trained weights into a bundle: ONNX models, golden tensors, and a manifest that explains
/// them.
#[derive(Debug, Parser)]
#[command(
    name = "exporter",
    version,
    after_help = "Example:\n  exporter bundle --model nano"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a bundle: models as ONNX, golden inputs and outputs as NPY
    #[command(after_help = "Example:\n  \
            exporter bundle --weights trained_models/vit_base_cifar10.safetensors \
            --out bundles/base\n  \
            exporter bundle --model base --recorded vit_base_attn_dataset.pt \\\n    \
            --golden-logits golden_base.pt\n\n\
            A bundle is whole or absent: it is written beside its place and renamed when \
            complete.")]
    Bundle(Box<BundleArgs>),
    /// Count a bundle's samples by confidence, correct and incorrect apart
    #[command(after_help = "Example:\n  \
            exporter tiers bundles/nano --tiers 5 --plot confidence.svg\n\n\
            Confidence is p(best class) - p(second best class). A tier's lower bound is open, \
            its upper closed; 0 falls in the first.")]
    Tiers(TiersArgs),
    /// Write a bundle of some of another bundle's samples
    #[command(
        override_usage = "exporter subset <BUNDLE> --mode <MODE> [OPTIONS]",
        after_help = "Examples:\n  \
            exporter subset bundles/base --mode conf  --group-sizes 64 64 128 256 \
            --out bundles/base_cnf_4\n  \
            exporter subset bundles/base --mode range --range 0 512               \
            --out bundles/base_0_512\n\n\
            conf takes the first correctly classified samples of each confidence tier; \
            there are as many tiers as numbers."
    )]
    Subset(SubsetArgs),
}

/// What is meant by flags of the Python scripts, which a command does not have.
pub(crate) fn hint(error: &clap::Error) -> Option<&'static str> {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag)) if flag == "--model" || flag == "--dataset" => Some(
            "tiers and subset take a bundle's folder, which holds model and data: \
             `exporter tiers bundles/base`",
        ),
        _ => None,
    }
}

#[derive(Debug, Args)]
#[command(group = source())]
pub(crate) struct BundleArgs {
    /// Weights file that `trainer train` wrote
    #[arg(long, value_name = "FILE")]
    pub(crate) weights: Option<PathBuf>,
    /// Network the weights must be of, a preset or a file; alone, stands for
    /// trained_models/vit_NAME_cifar10.safetensors
    #[arg(long, value_name = "NETWORK")]
    pub(crate) model: Option<Network>,
    /// Folder of the bundle [default: bundles/NAME]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Module to cut out as the submodel, in block K: transformer.layers.K.0.fn (attention), .0
    /// (with its LayerNorm), .1.fn (feed-forward), .1 (with its LayerNorm), or transformer.layers.K
    /// (the whole block)
    #[arg(long, default_value = Module::DEFAULT_NAME, value_name = "NAME")]
    pub(crate) module: String,
    /// Models to write; submodel must be among them
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    #[arg(default_values = PARTS, value_parser = PARTS)]
    pub(crate) parts: Vec<String>,
    /// Version of ONNX's operators: 17, or 13 for tools without LayerNormalization, such as ONNX
    /// Runtime from 1.6 and TensorRT before 8.6
    #[arg(long, value_name = "VERSION", default_value = "17", value_parser = opset)]
    pub(crate) opset: i64,
    /// Samples of every run of the models, for tools that know no free first axis
    #[arg(long, value_name = "N")]
    #[arg(value_parser = Number::new().range(1..=LARGEST_FIXED_BATCH as u64))]
    pub(crate) fixed_batch: Option<usize>,
    /// Images to record the golden of
    #[arg(long, value_name = "SPLIT", default_value = "test", value_parser = split)]
    pub(crate) split: Split,
    /// Use only the first N images of the split; 0 writes models and weights alone [default: all]
    #[arg(long, value_name = "N")]
    pub(crate) samples: Option<usize>,
    /// Use these images: a text with their positions in the split, apart by spaces, commas or
    /// lines, an .npy, or a list that torch.save wrote; or a mask of all images
    #[arg(long, value_name = "FILE", conflicts_with = "samples")]
    pub(crate) indices: Option<PathBuf>,
    /// Golden that the Python repository or another program recorded: the .pt file of test.py with
    /// `inputs` and `targets`, or two .npy files, in this order; the network's own otherwise
    #[arg(long, value_name = "FILE", num_args = 1..=2)]
    pub(crate) recorded: Vec<PathBuf>,
    /// Recorded logits, of the same samples or of the whole split: .pt or .npy
    #[arg(long, value_name = "FILE", requires = "recorded")]
    pub(crate) golden_logits: Option<PathBuf>,
    /// Take a recorded golden that these weights do not reproduce; how far off it is is said
    #[arg(long, requires = "recorded")]
    pub(crate) accept_differences: bool,
    /// Precision of the golden; f64 adds the submodel's outputs in float64, beside the float32
    /// golden
    #[arg(long, value_name = "KIND", default_value = "f32")]
    pub(crate) golden: GoldenKind,
    /// Write the arrays also as bare little-endian bytes, raw/NAME.bin
    #[arg(long)]
    pub(crate) raw: bool,
    /// ONNX test data sets beside each model, of one sample or of a fixed batch each [default: as
    /// many as hold three samples]
    #[arg(long, value_name = "N")]
    #[arg(value_parser = Number::new().range(0..=1000))]
    pub(crate) test_data_sets: Option<usize>,
    /// Images in a forward pass
    #[arg(long, alias = "batch_size", default_value_t = 8, value_name = "N")]
    #[arg(value_parser = Number::new().range(1..))]
    pub(crate) batch_size: usize,
    /// Replace a bundle that is there already
    #[arg(long)]
    pub(crate) force: bool,
    /// Folder that holds CIFAR-10
    #[arg(long, default_value = "data", value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Device that the golden is recorded on: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu", value_name = "DEVICE")]
    pub(crate) device: DeviceChoice,
    /// Threads for one operation [default: libtorch's choice, one per core]
    #[arg(long, value_name = "N", value_parser = Number::new().range(1..=1024))]
    pub(crate) threads: Option<usize>,
    /// Bytes above which a model keeps its weights in a second file
    #[arg(long, hide = true, value_name = "BYTES")]
    pub(crate) largest_model: Option<usize>,
}

/// Weights are named by file, by network, or by both.
fn source() -> ArgGroup {
    let group = ArgGroup::new("source").args(["weights", "model"]);
    group.required(true).multiple(true)
}

/// What the golden is computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GoldenKind {
    /// float32
    F32,
    /// float32, and the submodel's outputs in float64 beside it
    F64,
}

#[derive(Debug, Args)]
pub(crate) struct TiersArgs {
    /// Folder of the bundle
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: PathBuf,
    /// Tiers of equal width
    #[arg(long, value_name = "N", default_value_t = DEFAULT_TIERS)]
    #[arg(value_parser = Number::new().range(1..=MOST_TIERS as u64))]
    pub(crate) tiers: usize,
    /// Draw a histogram of the confidences
    #[arg(long, value_name = "FILE.svg")]
    pub(crate) plot: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SubsetArgs {
    /// Folder of the bundle to choose from
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: PathBuf,
    /// How to choose
    #[arg(long, value_name = "MODE")]
    pub(crate) mode: Mode,
    /// conf: samples of each tier, lowest confidence first
    #[arg(long, alias = "group_sizes", value_name = "N")]
    #[arg(num_args = 1..=MOST_TIERS, value_delimiter = ',', allow_negative_numbers = true)]
    pub(crate) group_sizes: Option<Vec<usize>>,
    /// conf: refuse group sizes that are not this many; there are as many tiers as group sizes
    #[arg(long, value_name = "N")]
    pub(crate) tiers: Option<usize>,
    /// range: first sample, and the one after the last
    #[arg(long, value_names = ["START", "END"], num_args = 2, allow_negative_numbers = true)]
    pub(crate) range: Option<Vec<usize>>,
    /// Folder of the new bundle [default: BUNDLE_cnf_TIERS or BUNDLE_START_END]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Write the arrays also as bare little-endian bytes, raw/NAME.bin
    #[arg(long)]
    pub(crate) raw: bool,
    /// Replace a bundle that is there already
    #[arg(long)]
    pub(crate) force: bool,
}

/// By which rule samples are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// By confidence
    Conf,
    /// Consecutive ones
    Range,
}

fn opset(version: &str) -> Result<i64, String> {
    OPSET_VERSIONS
        .into_iter()
        .find(|known| known.to_string() == version)
        .ok_or_else(|| "expected 13 or 17".to_owned())
}

fn split(name: &str) -> Result<Split, String> {
    [Split::Test, Split::Train]
        .into_iter()
        .find(|split| split.name() == name)
        .ok_or_else(|| "expected test or train".to_owned())
}
