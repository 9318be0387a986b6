//! What `verifier bench` adds to the record: JSON with everything needed to repeat it, Markdown for
//! people, CSV with a line for each batch size.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::CommandRecord;
use super::record::{Record, RuntimeRecord, TargetRecord};
use super::table::{range_text, table};
use crate::bench::Timing;
use crate::bench::process::ProcessTiming;
use crate::compare::Tolerance;

/// What the columns of the table are.
const LEGEND: &str = "milliseconds a batch, percentiles nearest-rank; samples/s of the \
                          latency alone; reading and comparing, medians, come beside it, and \
                          share is comparing's of all the time";

const COLUMNS: [&str; 14] = [
    "batch",
    "runs",
    "first",
    "min",
    "p50",
    "p90",
    "p99",
    "max",
    "samples/s",
    "reading",
    "comparing",
    "share",
    "largest error",
    "faulty",
];

const PROCESS_LEGEND: &str = "seconds of the whole process, which computes all samples, with its \
                              start; load, run and samples/s as the engine says";

const PROCESS_COLUMNS: [&str; 11] = [
    "batch",
    "runs",
    "samples",
    "min",
    "p50",
    "max",
    "load",
    "run",
    "samples/s",
    "largest error",
    "faulty",
];

/// What was asked for, what ran, and how long it took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bench {
    pub options: BenchOptions,
    /// The runtime and where it ran, as for the first batch size, if it could be loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<RuntimeRecord>,
    /// The engine that ran as a process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<CommandRecord>,
    /// The times of each batch size.
    pub timings: Vec<Timing>,
    /// Those of an engine's process.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<ProcessTiming>,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BenchOptions {
    /// The bundle's folder.
    #[serde(serialize_with = "proto::regular_file::path_as_text")]
    pub bundle: PathBuf,
    /// The part that runs.
    pub part: String,
    /// The device, unless an engine runs as a process.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetRecord>,
    /// The engine that is to run as a process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    #[serde(flatten)]
    pub tolerance: Tolerance,
    /// Samples in one run; empty if the run ended before they were chosen.
    pub batch_sizes: Vec<usize>,
    /// Runs before the timed ones.
    pub warmup: usize,
    /// Timed runs.
    pub runs: usize,
    /// No further timed run of a batch size begins after it.
    pub limit_seconds: f64,
    /// First sample and the one after the last; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<[usize; 2]>,
}

impl Record<Bench> {
    /// What ran, where and how, as names and values for a person.
    pub fn full_setting(&self) -> Vec<(&'static str, String)> {
        let Bench {
            options,
            runtime,
            engine,
            ..
        } = &self.body;
        let Tolerance { atol, rtol } = options.tolerance;
        let mut rows = vec![
            ("bundle", options.bundle.display().to_string()),
            ("part", options.part.clone()),
        ];
        if let Some(target) = &options.target {
            rows.push(("device", target.to_string()));
        }
        rows.extend(engine.iter().flat_map(CommandRecord::rows));
        rows.extend(runtime.iter().flat_map(RuntimeRecord::setting));
        rows.push(("tolerance", format!("atol {atol:e}, rtol {rtol:e}")));
        if let Some(samples) = options.samples {
            rows.push(("samples", range_text(samples)));
        }
        let (warmup, runs, limit) = (options.warmup, options.runs, options.limit_seconds);
        let runs =
            format!("{warmup} to warm up, then {runs}, or as many as begin within {limit} s");
        rows.push(("runs", runs));
        rows.extend(self.setting());
        rows
    }
}

impl Bench {
    /// The table alone; it reads as well on a terminal.
    pub fn table(&self) -> String {
        match self.processes.is_empty() {
            true => table(&COLUMNS, self.timings.iter().map(cells).collect()),
            false => {
                let rows = self.processes.iter().map(process_cells);
                table(&PROCESS_COLUMNS, rows.collect())
            }
        }
    }

    /// What its columns are.
    pub fn legend(&self) -> &'static str {
        match self.processes.is_empty() {
            true => LEGEND,
            false => PROCESS_LEGEND,
        }
    }

    /// Samples that were compared, and the faulty ones among them.
    pub fn compared(&self) -> (usize, usize) {
        let timings = self.timings.iter();
        let timings = timings.map(|timing| (timing.samples, timing.faulty_samples));
        let processes = self.processes.iter();
        let processes = processes.map(|timing| (timing.compared_samples, timing.faulty_samples));
        let all = timings.chain(processes);
        all.fold((0, 0), |sum, these| (sum.0 + these.0, sum.1 + these.1))
    }
}

fn cells(timing: &Timing) -> Vec<String> {
    let times = [
        timing.first_seconds,
        timing.min_seconds,
        timing.p50_seconds,
        timing.p90_seconds,
        timing.p99_seconds,
        timing.max_seconds,
    ];
    let mut cells = vec![timing.batch_size.to_string(), timing.runs.to_string()];
    cells.extend(times.map(milliseconds));
    cells.push(format!("{:.0}", timing.samples_per_second));
    cells.extend([timing.reading_seconds, timing.comparing_seconds].map(milliseconds));
    cells.push(format!("{:.1} %", 100.0 * timing.comparing_share));
    cells.push(format!("{:.3e}", timing.max_abs_error));
    cells.push(format!("{} of {}", timing.faulty_samples, timing.samples));
    cells
}

fn process_cells(timing: &ProcessTiming) -> Vec<String> {
    let seconds = |seconds: Option<f64>| match seconds {
        Some(seconds) => format!("{seconds:.3}"),
        None => "–".to_owned(),
    };
    let times = [timing.min_seconds, timing.p50_seconds, timing.max_seconds];
    let counts = [timing.batch_size, timing.runs, timing.samples];
    let mut cells: Vec<String> = counts.iter().map(usize::to_string).collect();
    cells.extend(times.map(|time| seconds(Some(time))));
    cells.extend([timing.load_seconds, timing.run_seconds].map(seconds));
    let rate = timing.samples_per_second;
    cells.push(rate.map_or("–".to_owned(), |rate| format!("{rate:.0}")));
    cells.push(format!("{:.3e}", timing.max_abs_error));
    cells.push(format!(
        "{} of {}",
        timing.faulty_samples, timing.compared_samples
    ));
    cells
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.3}", 1e3 * seconds)
}
