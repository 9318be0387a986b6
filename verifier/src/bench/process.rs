//! How long an engine's process takes for all samples, as this program measures it and as the
//! engine says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{percentile, sorted};
use crate::check::CheckResult;
use crate::engine::command::{EngineSays, Finished};

/// One process, and how its outputs compare.
#[derive(Debug)]
pub struct ProcessRun {
    pub finished: Finished,
    pub result: CheckResult,
}

/// The times of several processes, in seconds; medians are nearest-rank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessTiming {
    /// Samples that the engine was told to take at a time.
    pub batch_size: usize,
    /// Timed processes.
    pub runs: usize,
    /// Samples that each of them computed.
    pub samples: usize,
    /// The quickest process, from its start to its end.
    pub min_seconds: f64,
    /// The median.
    pub p50_seconds: f64,
    /// The slowest.
    pub max_seconds: f64,
    /// Median of loading the model, where the engine says it.
    pub load_seconds: Option<f64>,
    /// Median of computing all samples, where the engine says it.
    pub run_seconds: Option<f64>,
    /// Samples in a second of that.
    pub samples_per_second: Option<f64>,
    /// Samples compared, those of the warm-up included.
    pub compared_samples: usize,
    /// Those with an element outside.
    pub faulty_samples: usize,
    /// Largest absolute error over pairs of finite numbers.
    pub max_abs_error: f64,
}

impl ProcessTiming {
    /// Of at least one process after those that warm up.
    pub fn new(batch_size: usize, runs: &[ProcessRun], warmup: usize) -> Self {
        let timed = &runs[warmup..];
        let seconds = sorted(timed.iter().map(|run| run.finished.seconds));
        let median = |said: fn(&EngineSays) -> Option<f64>| {
            let said: Option<Vec<f64>> = timed.iter().map(|run| said(&run.finished.says)).collect();
            said.map(|times| percentile(&sorted(times.into_iter()), 50))
        };
        let samples = timed[0].result.samples;
        let run_seconds = median(|says| says.run_seconds);
        let results = runs.iter().map(|run| &run.result);
        Self {
            batch_size,
            runs: timed.len(),
            samples,
            min_seconds: seconds[0],
            p50_seconds: percentile(&seconds, 50),
            max_seconds: seconds[seconds.len() - 1],
            load_seconds: median(|says| says.load_seconds),
            run_seconds,
            samples_per_second: run_seconds
                .filter(|seconds| *seconds > 0.0)
                .map(|seconds| samples as f64 / seconds),
            compared_samples: results.clone().map(|result| result.samples).sum(),
            faulty_samples: results.clone().map(|result| result.faulty_samples).sum(),
            max_abs_error: results
                .map(|result| result.total.max_abs_error.value)
                .fold(0.0, f64::max),
        }
    }
}
