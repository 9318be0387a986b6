//! Flags of `verifier campaign`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use verifier::campaign::model::FaultEffect;
use verifier::campaign::results::Shard;
use verifier::campaign::settings::{EngineSettings, RatesOf};
use verifier::engine::Device;
use verifier::inject::Region;

use super::shared::{OtherPartsOn, PartArgs, TargetArgs};
use super::values::{
    Number, campaign_report, confidence, count, half_width, key_value, path, tolerance,
};

/// Run many faults and say at what rates they reach the output and change the class
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  verifier campaign run bundles/nano --device cpu --out studies/nano
  verifier campaign report studies/nano --report nano.html --report nano.csv
  verifier campaign replay studies/nano 12345")]
pub(crate) struct CampaignArgs {
    #[command(subcommand)]
    pub(crate) command: CampaignCommand,
}

impl CampaignArgs {
    /// Whether reduced precision may be left to the provider.
    pub(super) fn allows_reduced_precision(&self) -> bool {
        match &self.command {
            CampaignCommand::Run(run) => run.target.allow_reduced_precision,
            CampaignCommand::Replay(replay) => replay.allow_reduced_precision,
            CampaignCommand::Report(_) => false,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum CampaignCommand {
    Run(Box<CampaignRunArgs>),
    Report(CampaignReportArgs),
    Replay(Box<CampaignReplayArgs>),
}

/// Run the faults of a campaign, or go on with it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  verifier campaign run bundles/nano --device cpu --out studies/nano
  verifier campaign run bundles/nano --device cpu --out studies/softmax --sites edge:softmax \\
    --faults adjacent:2 --margin 0.5%
  verifier campaign run bundles/nano --device cpu --out studies/nano --count 1000000 --shard 3/16

The same command goes on where an earlier one ended. Shards may run anywhere and at any time, as
long as their results come into one folder.

Exit status:
  0   all faults were run, or all of the shard's
  2   could not run, or results do not fit together
  75  ended before the end, or the next round waits for other shards: the same command goes on")]
// Always refused: faults go into the bundle's own model, on samples of its datasets.
#[command(mut_arg("model", |arg| arg.hide(true)), mut_arg("test_data", |arg| arg.hide(true)))]
pub(crate) struct CampaignRunArgs {
    #[command(flatten)]
    pub(crate) input: PartArgs,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    /// Folder of plan and results; an earlier campaign in it goes on
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Sites by name (edge:softmax, weight:to_qkv.weight), by kind (inputs, edges, outputs,
    /// weights; edge is the same as edges) or all, between commas; `verifier inspect` lists them
    #[arg(
        long,
        default_value = "all",
        value_name = "LIST",
        value_delimiter = ','
    )]
    pub(crate) sites: Vec<String>,
    /// What a fault does: bit, adjacent:K, bits:K, stuck-at-0, stuck-at-1, zero, value:V,
    /// value:0xBITS or random
    #[arg(long, default_value = "bit", value_name = "EFFECT")]
    pub(crate) faults: FaultEffect,
    /// What it does it to: element, row, column, block:RxC, head, token or every:N
    #[arg(long, default_value = "element", value_name = "REGION")]
    pub(crate) region: Region,
    /// Run so many faults of all
    #[arg(long, value_name = "N", value_parser = count(),
        conflicts_with_all = ["per_stratum", "margin"])]
    pub(crate) count: Option<usize>,
    /// Run so many faults of each site, bit and tier
    #[arg(long, value_name = "N", value_parser = count(), conflicts_with = "margin")]
    pub(crate) per_stratum: Option<usize>,
    /// Run faults until half of the width of the interval of critical SDC is at most this; without
    /// classes, of what is beyond the tolerance [default: 1%]
    #[arg(long, value_name = "SHARE", value_parser = half_width)]
    pub(crate) margin: Option<f64>,
    /// Which rates are to be known to the margin: total, sites, bits, tiers, between commas
    #[arg(long, default_value = "total", value_name = "LIST", value_delimiter = ',',
        conflicts_with_all = ["count", "per_stratum"])]
    pub(crate) margin_of: Vec<RatesOf>,
    /// Of every interval, from 50% to 99.9999%
    #[arg(long, default_value = "95%", value_name = "SHARE", value_parser = confidence)]
    pub(crate) confidence: f64,
    /// Decides which faults are drawn
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) seed: u64,
    /// Run part I of N of the same campaign
    #[arg(long, default_value = "1/1", value_name = "I/N")]
    pub(crate) shard: Shard,
    /// Absolute tolerance
    #[arg(long, default_value = "5e-6", value_name = "A", value_parser = tolerance)]
    pub(crate) atol: f32,
    /// Tolerance relative to the output without the fault
    #[arg(long, default_value = "1e-5", value_name = "R", value_parser = tolerance)]
    pub(crate) rtol: f32,
    /// Samples in one run of the model [default: on the CPU as many as stay in cache, else 64]
    #[arg(long, value_name = "N", value_parser = count())]
    pub(crate) batch_size: Option<usize>,
    /// Samples that each fault of a weight is run on, about: each tier has one at least that is
    /// classified correctly and one that is not. More than there are stands for all
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = count())]
    pub(crate) samples_per_weight_fault: usize,
    /// Do not carry faulty outputs through `tail`: rates of SDC only
    #[arg(long)]
    pub(crate) no_tail: bool,
    /// Write the report when all faults were run: FILE.html, .json, .md or .csv (a line for each
    /// fault); repeatable
    #[arg(long = "report", value_name = "FILE", value_parser = path(campaign_report))]
    pub(crate) reports: Vec<PathBuf>,
}

/// Merge the results of a campaign that has all of them into a report
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  verifier campaign report studies/nano --report nano.html --report nano.csv")]
pub(crate) struct CampaignReportArgs {
    /// Folder of plan and results
    pub(crate) folder: PathBuf,
    /// The bundle, where it is no longer where the campaign found it
    #[arg(long, value_name = "DIR")]
    pub(crate) bundle: Option<PathBuf>,
    /// Write the report: FILE.html, .json, .md or .csv (a line for each fault); repeatable
    #[arg(long = "report", value_name = "FILE", value_parser = path(campaign_report))]
    pub(crate) reports: Vec<PathBuf>,
}

/// Run one fault of a campaign again, and say what it is and does
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  verifier campaign replay studies/nano 12345

Exit status:
  0  the fault does what the campaign recorded
  1  it does something else
  2  could not run")]
pub(crate) struct CampaignReplayArgs {
    /// Folder of plan and results; the campaign's device and settings are taken from it
    pub(crate) folder: PathBuf,
    /// The fault's number, from 0
    pub(crate) number: u64,
    /// The bundle, where it is no longer where the campaign found it
    #[arg(long, value_name = "DIR")]
    pub(crate) bundle: Option<PathBuf>,
    /// Which one of several such devices
    #[arg(long, value_name = "N")]
    pub(crate) device_id: Option<u32>,
    /// A setting of the device's provider, handed on as it is; repeatable
    #[arg(long = "device-option", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) device_options: Vec<(String, String)>,
    /// Leave TF32 and other reduced precision to the provider, where the campaign did
    #[arg(long)]
    pub(crate) allow_reduced_precision: bool,
    /// ONNX Runtime library [default: ORT_DYLIB_PATH, beside the executable, .deps, the system's]
    #[arg(long, value_name = "LIB")]
    pub(crate) runtime: Option<PathBuf>,
    /// Threads for one operation on the CPU [default: the runtime's choice, one per core]
    #[arg(long, value_name = "N", value_parser = Number::new().range(1..=1024))]
    pub(crate) threads: Option<usize>,
}

impl CampaignReplayArgs {
    /// What runs the fault: what ran it in the campaign.
    pub(crate) fn target(&self, engine: &EngineSettings) -> TargetArgs {
        TargetArgs {
            device: engine.device.clone(),
            device_id: self.device_id,
            device_options: self.device_options.clone(),
            allow_reduced_precision: self.allow_reduced_precision,
            optimization: engine.optimization,
            runtime: self.runtime.clone(),
            model: None,
            threads: self.threads,
            other_parts_on: match engine.other_parts_on {
                Device::Cpu => OtherPartsOn::Cpu,
                _ => OtherPartsOn::Device,
            },
        }
    }
}
