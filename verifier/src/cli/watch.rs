//! Flags of `verifier watch` and of what follows it.

use std::path::PathBuf;

use clap::{ArgMatches, Args, Command, Error, FromArgMatches, Subcommand};

use super::shared::{PartArgs, TargetArgs};
use super::values::{
    count, host_and_port, hours, hours_ahead, path, positive, seconds, tolerance, watch_report,
};

/// A watch, or what follows one.
#[derive(Debug)]
pub(crate) enum WatchArgs {
    Run(Box<WatchRunArgs>),
    Then(WatchCommand),
}

/// `verifier watch BUNDLE …` has no subcommand, `verifier watch report …` none of its arguments.
impl FromArgMatches for WatchArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        match matches.subcommand() {
            Some(_) => WatchCommand::from_arg_matches(matches).map(Self::Then),
            None => WatchRunArgs::from_arg_matches(matches).map(|run| Self::Run(Box::new(run))),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for WatchArgs {
    fn augment_args(command: Command) -> Command {
        WatchCommand::augment_subcommands(WatchRunArgs::augment_args(command))
            .args_conflicts_with_subcommands(true)
            .subcommand_negates_reqs(true)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum WatchCommand {
    Report(WatchReportArgs),
    Consequences(Box<WatchConsequencesArgs>),
}

/// Carry dumped wrong outputs on to the logits, on any machine: which changed the class
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  verifier watch consequences bundles/base --device cpu --dumps runs/
  verifier watch consequences bundles/base --device cpu --outputs wrong.npy --numbers samples.npy

For a log of `watch`, the table is kept there, and `watch report` counts critical SDCs. Outputs that
are no SDC of this bundle, as the log has it, are left out: own damage, stuck faults that were seen
before, other bundles, other runs. `--device` says where `tail` runs with --other-parts-on device;
else it runs on the CPU.

Exit status:
  0  all were carried on
  2  could not run or could not finish")]
pub(crate) struct WatchConsequencesArgs {
    #[command(flatten)]
    pub(crate) input: PartArgs,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    /// Log of a watch, or folder of `check --dump-faulty`
    #[arg(long, value_name = "DIR", required_unless_present = "outputs")]
    pub(crate) dumps: Option<PathBuf>,
    /// Wrong outputs of others, float32 [n, ...]
    #[arg(
        long,
        value_name = "FILE.npy",
        conflicts_with = "dumps",
        requires = "numbers"
    )]
    pub(crate) outputs: Option<PathBuf>,
    /// Their samples, rows of the bundle, int64 [n]
    #[arg(long, value_name = "FILE.npy", requires = "outputs")]
    pub(crate) numbers: Option<PathBuf>,
}

/// Sum up logs: exposure, rates and cross sections with their limits
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  verifier watch report runs/
  verifier watch report runs/ --fluence counts.csv --factor 3.2e3 --attenuation 0.98
  verifier watch report runs/ --report runs.json --report runs.md
  verifier watch report logs_of_libLogHelper/

Counts are CSV with a header that names the columns `time` (seconds since 1970, or
Y-m-dTH:M:S) and `counts`, which only grow, or begin anew with 0; or ChipIR's text. Where they
stand still there is no beam. Exposure comes from what was computed, whether or not there was an
SDC; loading, waiting and finding out are no exposure. What was run with other bundles, parts or
devices is summed up apart. Limits are two-sided, of 95 %, from the chi-square distribution. FIT is
for 13 neutrons per cm² and hour.

Exit status:
  0  summed up
  2  could not be read")]
pub(crate) struct WatchReportArgs {
    /// Folder of a watch's log; or a folder or a file of libLogHelper's logs
    pub(crate) log: PathBuf,
    /// Counts of particles over time
    #[arg(long, value_name = "FILE")]
    pub(crate) fluence: Option<PathBuf>,
    /// Particles per cm² for each count
    #[arg(
        long,
        default_value = "1",
        value_name = "F",
        value_parser = positive,
        requires = "fluence"
    )]
    pub(crate) factor: f64,
    /// Share of the particles that is left at the device
    #[arg(
        long,
        default_value = "1",
        value_name = "A",
        value_parser = positive,
        requires = "fluence"
    )]
    pub(crate) attenuation: f64,
    /// Hours that the clock of the counts is ahead of UTC, where its times do not say it
    #[arg(
        long,
        default_value = "0",
        value_name = "H",
        value_parser = hours_ahead,
        allow_negative_numbers = true,
        requires = "fluence"
    )]
    pub(crate) hours_ahead: f64,
    /// Write the report: FILE.json or .md; repeatable
    #[arg(long = "report", value_name = "FILE", value_parser = path(watch_report))]
    pub(crate) reports: Vec<PathBuf>,
}

/// Run for hours and account for every event: SDCs, crashes, hangs, and the exposure
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  verifier watch bundles/base --device cuda --log runs/ --hours 8 --on-dead reboot
  verifier watch bundles/nano --device cpu --log rehearsal/ --hours 0.5 --rehearse
  verifier watch report runs/ --fluence counts.csv --factor 3.2e3

A supervisor, which loads no runtime, starts a worker and starts it again whenever it is lost. The
log is only ever appended to, and goes on where it ended, whatever ended it. SIGTERM and SIGINT end
a watch in order.

Exit status:
  0  its time is over, or it was told to stop: no event
  1  the same, with an SDC, a DUE, or other bits than the golden of the device
  2  could not run, or nothing was compared")]
pub(crate) struct WatchRunArgs {
    #[command(flatten)]
    pub(crate) input: PartArgs,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    /// Folder of the log, which is made, or goes on
    #[arg(long, value_name = "DIR")]
    pub(crate) log: PathBuf,
    /// End after so many hours [default: when told to stop]
    #[arg(long, value_name = "H", value_parser = hours, allow_negative_numbers = true)]
    pub(crate) hours: Option<f64>,
    /// Absolute tolerance [default: calibrated, else 5e-6]
    #[arg(long, value_name = "A", value_parser = tolerance, allow_negative_numbers = true)]
    pub(crate) atol: Option<f32>,
    /// Tolerance relative to the golden [default: calibrated, else 1e-5]
    #[arg(long, value_name = "R", value_parser = tolerance, allow_negative_numbers = true)]
    pub(crate) rtol: Option<f32>,
    /// Samples in one run of the model [default: on the CPU as many as stay in cache, else 64]
    #[arg(long, alias = "batch_size", value_name = "N", value_parser = count())]
    pub(crate) batch_size: Option<usize>,
    /// Compare bit for bit too, with what `verifier record` kept of this device
    #[arg(long, value_name = "DIR")]
    pub(crate) golden: Option<PathBuf>,
    /// Seconds without a sign of life after which a worker hangs [default: 20 times the slowest
    /// batch, at least 5]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) hang_after: Option<f64>,
    /// Seconds that a worker may load
    #[arg(long, default_value = "600", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) load_limit: f64,
    /// Seconds between two records of what was computed
    #[arg(long, default_value = "5", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) beat: f64,
    /// Command of the shell after each hang, before the next worker
    #[arg(long, value_name = "CMD")]
    pub(crate) on_hang: Option<String>,
    /// Command of the shell when workers are lost one after the other: a reboot, a power cycle;
    /// repeatable: the next one after as many more
    #[arg(long, value_name = "CMD")]
    pub(crate) on_dead: Vec<String>,
    /// How many workers are lost without a pass between them before --on-dead
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = count())]
    pub(crate) dead_after: usize,
    /// Keep no tensors of wrong samples
    #[arg(long)]
    pub(crate) no_dumps: bool,
    /// Write every record here too: a second disk
    #[arg(long, value_name = "FILE")]
    pub(crate) copy: Option<PathBuf>,
    /// Folder for logs as libLogHelper writes them, beside the watch's own
    #[arg(long, value_name = "DIR")]
    pub(crate) log_helper: Option<PathBuf>,
    /// Send libLogHelper's datagrams to this server
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port)]
    pub(crate) udp: Option<String>,
    /// Say in libLogHelper's logs and datagrams that the device's memory has ECC
    #[arg(long)]
    pub(crate) ecc: bool,
    /// Page to look at, written again every minute
    #[arg(long, value_name = "FILE.html")]
    pub(crate) html: Option<PathBuf>,
    /// Cause SDCs, crashes, hangs and a full disk at random moments, and prove in the end that the
    /// log accounts for each
    #[arg(long)]
    pub(crate) rehearse: bool,
    /// Seconds between two of them, on average
    #[arg(long, default_value = "10", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) rehearse_every: f64,
    /// Seed of the rehearsal
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) seed: u64,
    /// This process is a worker: its number, and that of the next wrong batch
    #[arg(long, hide = true, value_name = "N:M", value_parser = worker_numbers)]
    pub(crate) worker: Option<(u64, u64)>,
}

fn worker_numbers(text: &str) -> Result<(u64, u64), String> {
    let numbers = text
        .split_once(':')
        .and_then(|(worker, sdc)| Some((worker.parse().ok()?, sdc.parse().ok()?)));
    numbers.ok_or_else(|| "expected two numbers".to_owned())
}
