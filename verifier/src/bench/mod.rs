//! How long a batch takes in the engine, beside reading and comparing it. Every output that is
//! timed is compared, because only right answers count.

pub mod process;

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::{self, CheckError, CheckResult, Engines, Observe};
use crate::engine::Engine;

/// What is timed, and how often.
#[derive(Debug)]
pub struct Request<'a> {
    /// A check of all samples, whose whole batches the runs take in turn.
    pub check: check::Request<'a>,
    /// Runs before the timed ones, at least one.
    pub warmup: usize,
    /// Timed runs, at least one.
    pub runs: usize,
    /// No timed run begins after it, but for the first.
    pub limit: Duration,
}

/// A batch size's times, all in seconds. Percentiles are nearest-rank: times that were measured,
/// with no value between.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Timing {
    /// Samples in one run.
    pub batch_size: usize,
    /// Timed runs.
    pub runs: usize,
    /// Creating the session.
    pub load_seconds: f64,
    /// The first run of the warm-up; before it comes the profiled run, which has the same batch
    /// size.
    pub first_seconds: f64,
    /// The quickest timed run.
    pub min_seconds: f64,
    /// The median.
    pub p50_seconds: f64,
    /// Nine of ten runs took at most that.
    pub p90_seconds: f64,
    /// 99 of 100 runs did; the slowest one when there are fewer.
    pub p99_seconds: f64,
    /// The slowest.
    pub max_seconds: f64,
    /// Samples in a second of the engine's own time, all timed runs together.
    pub samples_per_second: f64,
    /// Median of reading and hashing a batch's inputs and goldens and of looking for input values
    /// that are not finite.
    pub reading_seconds: f64,
    /// Median of comparing a batch.
    pub comparing_seconds: f64,
    /// Share of comparing in all the time of the timed runs.
    pub comparing_share: f64,
    /// Samples compared, those of the warm-up included.
    pub samples: usize,
    /// Those with an element outside.
    pub faulty_samples: usize,
    /// Largest absolute error over pairs of finite numbers.
    pub max_abs_error: f64,
}

/// Why there is no time.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    #[error("a batch of {batch_size} samples is asked for, there are {available}")]
    BatchSize { batch_size: usize, available: usize },
    #[error(transparent)]
    Check(#[from] CheckError),
    #[error("interrupted")]
    Interrupted,
}

/// Times a batch size; `observe` is told of each run.
pub fn bench(
    request: &Request<'_>,
    engine: &mut dyn Engine,
    load_seconds: f64,
    observe: &mut Observe<'_>,
) -> Result<Timing, BenchError> {
    let check::Request {
        batch_size,
        samples,
        stop,
        ..
    } = &request.check;
    let batches = samples.len() / batch_size;
    if batches == 0 {
        return Err(BenchError::BatchSize {
            batch_size: *batch_size,
            available: samples.len(),
        });
    }
    let mut results: Vec<CheckResult> = Vec::new();
    let mut begun = Instant::now();
    for run in 0..request.warmup + request.runs {
        if stop.load(Ordering::Relaxed) {
            return Err(BenchError::Interrupted);
        }
        if run == request.warmup {
            begun = Instant::now();
        } else if run > request.warmup && begun.elapsed() > request.limit {
            break;
        }
        let start = samples.start + run % batches * batch_size;
        let batch = start..start + batch_size;
        let result = one_run(&request.check, batch, engine, observe)?;
        if result.samples < *batch_size {
            return Err(BenchError::Interrupted); // told to stop before the run
        }
        results.push(result);
    }
    Ok(timing(*batch_size, &results, request.warmup, load_seconds))
}

/// One run, compared: a check of one batch.
fn one_run(
    request: &check::Request<'_>,
    batch: Range<usize>,
    engine: &mut dyn Engine,
    observe: &mut Observe<'_>,
) -> Result<CheckResult, CheckError> {
    let check = check::Request {
        samples: batch,
        ..request.clone()
    };
    let mut engines = Engines {
        fault_free: engine,
        corrupted: None,
    };
    check::check(&check, &mut engines, observe)
}

fn timing(batch_size: usize, runs: &[CheckResult], warmup: usize, load_seconds: f64) -> Timing {
    let (warm, timed) = runs.split_at(warmup);
    let latency = sorted(timed.iter().map(|run| run.seconds.running));
    let reading = sorted(timed.iter().map(|run| run.seconds.reading));
    let comparing = sorted(timed.iter().map(|run| run.seconds.comparing));
    let sum = |times: &[f64]| times.iter().sum::<f64>();
    Timing {
        batch_size,
        runs: timed.len(),
        load_seconds,
        first_seconds: warm.first().map_or(0.0, |run| run.seconds.running),
        min_seconds: latency[0],
        p50_seconds: percentile(&latency, 50),
        p90_seconds: percentile(&latency, 90),
        p99_seconds: percentile(&latency, 99),
        max_seconds: latency[latency.len() - 1],
        samples_per_second: (timed.len() * batch_size) as f64 / sum(&latency),
        reading_seconds: percentile(&reading, 50),
        comparing_seconds: percentile(&comparing, 50),
        comparing_share: sum(&comparing) / (sum(&latency) + sum(&reading) + sum(&comparing)),
        samples: runs.iter().map(|run| run.samples).sum(),
        faulty_samples: runs.iter().map(|run| run.faulty_samples).sum(),
        max_abs_error: runs
            .iter()
            .map(|run| run.total.max_abs_error.value)
            .fold(0.0, f64::max),
    }
}

fn sorted(times: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut times: Vec<f64> = times.collect();
    times.sort_by(f64::total_cmp);
    times
}

/// The nearest-rank percentile of sorted values: the least one with at least that many per cent at
/// or below it.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(percent * sorted.len()).div_ceil(100).max(1) - 1]
}

#[cfg(test)]
mod tests;
