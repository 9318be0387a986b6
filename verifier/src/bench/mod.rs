//! How long a batch takes in the runtime, beside reading and comparing it. Every output that is
//! timed is compared, so that a fast wrong answer shows.

pub mod report;

use std::ops::Range;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::check::{self, CheckError, Hooks, Runtimes};
use crate::runtime::Runtime;
use crate::verdict::Verdict;

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
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Timing {
    /// Samples in one run.
    pub batch_size: usize,
    /// Timed runs.
    pub runs: usize,
    /// Creating the session.
    pub load_seconds: f64,
    /// The first run of this batch size, part of the warm-up; before it comes the profiled run of
    /// one sample.
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
    /// Samples in a second of the runtime's own time, all timed runs together.
    pub samples_per_second: f64,
    /// Median of mapping a batch's inputs and goldens and of looking for values that are not
    /// finite.
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
    /// There is no whole batch.
    #[error(
        "a batch of {batch_size} samples is asked for, there are {there}\nhint: a smaller --batch-size"
    )]
    BatchSize {
        /// Asked for.
        batch_size: usize,
        /// Samples there are.
        there: usize,
    },
    /// A batch could not be run and compared.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// Stopped by the user.
    #[error("interrupted")]
    Interrupted,
}

/// Times a batch size; `progress` is told of each run, `stop` is asked before.
pub fn bench(
    request: &Request<'_>,
    runtime: &mut dyn Runtime,
    load_seconds: f64,
    progress: &mut dyn FnMut(),
    stop: &dyn Fn() -> bool,
) -> Result<Timing, BenchError> {
    let check::Request {
        batch_size,
        samples,
        ..
    } = &request.check;
    let (batch_size, warmup, batches) = (*batch_size, request.warmup, samples.len() / *batch_size);
    if batches == 0 {
        return Err(BenchError::BatchSize {
            batch_size,
            there: samples.len(),
        });
    }
    let mut verdicts: Vec<Verdict> = Vec::new();
    let mut begun = Instant::now();
    for run in 0..warmup + request.runs {
        if stop() {
            return Err(BenchError::Interrupted);
        }
        if run == warmup {
            begun = Instant::now();
        } else if run > warmup && begun.elapsed() > request.limit {
            break;
        }
        let start = samples.start + run % batches * batch_size;
        verdicts.push(one_run(&request.check, start..start + batch_size, runtime)?);
        progress();
    }
    let (warm, timed) = verdicts.split_at(warmup);
    let latency = sorted(timed.iter().map(|verdict| verdict.seconds.running));
    let reading = sorted(timed.iter().map(|verdict| verdict.seconds.reading));
    let comparing = sorted(timed.iter().map(|verdict| verdict.seconds.comparing));
    let sum = |times: &[f64]| times.iter().sum::<f64>();
    Ok(Timing {
        batch_size,
        runs: timed.len(),
        load_seconds,
        first_seconds: warm.first().map_or(0.0, |verdict| verdict.seconds.running),
        min_seconds: latency[0],
        p50_seconds: percentile(&latency, 50),
        p90_seconds: percentile(&latency, 90),
        p99_seconds: percentile(&latency, 99),
        max_seconds: latency[latency.len() - 1],
        samples_per_second: (timed.len() * batch_size) as f64 / sum(&latency),
        reading_seconds: percentile(&reading, 50),
        comparing_seconds: percentile(&comparing, 50),
        comparing_share: sum(&comparing) / (sum(&latency) + sum(&reading) + sum(&comparing)),
        samples: verdicts.iter().map(|verdict| verdict.samples).sum(),
        faulty_samples: verdicts.iter().map(Verdict::faulty_samples).sum(),
        max_abs_error: verdicts
            .iter()
            .map(|verdict| verdict.total().max_abs_error.value)
            .fold(0.0, f64::max),
    })
}

/// One run, compared: a check of one batch.
fn one_run(
    request: &check::Request<'_>,
    batch: Range<usize>,
    runtime: &mut dyn Runtime,
) -> Result<Verdict, CheckError> {
    let check = check::Request {
        samples: batch,
        ..request.clone()
    };
    let mut hooks = Hooks {
        progress: &mut |_| {},
        outputs: &mut |_| Ok(()),
        faulty: &mut |_| Ok(()),
        stop: &|| false,
    };
    check::check(
        &check,
        &mut Runtimes {
            sound: runtime,
            faulty: None,
        },
        &mut hooks,
    )
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
mod tests {
    use super::*;
    use crate::compare::Tolerance;
    use crate::recording::Recording;
    use crate::runtime::Echo;

    /// Five samples of two elements; `noise` is told the number of the run.
    fn timed(
        batch_size: usize,
        runs: usize,
        limit: Duration,
        noise: impl FnMut(usize, &mut Vec<f32>),
    ) -> Result<Timing, BenchError> {
        let values = (0..10).map(|element| element as f32).collect();
        let data = Recording::in_memory("x", vec![5, 2], values).expect("ten values");
        let request = Request {
            check: check::Request {
                inputs: std::slice::from_ref(&data),
                goldens: std::slice::from_ref(&data),
                samples: 0..5,
                batch_size,
                tolerance: Tolerance {
                    atol: 0.5,
                    rtol: 0.0,
                },
                faults: &[],
                repeat: 1,
                fail_fast: false,
                histogram: false,
            },
            warmup: 2,
            runs,
            limit,
        };
        bench(&request, &mut Echo(noise, 0), 0.25, &mut || {}, &|| false)
    }

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn percentiles_are_nearest_rank() {
        let values = [15.0, 20.0, 35.0, 40.0, 50.0];
        assert_eq!(
            [1, 30, 40, 50, 99, 100].map(|percent| percentile(&values, percent)),
            [15., 20., 20., 35., 50., 50.]
        );
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(
            [50, 90, 99].map(|percent| percentile(&hundred, percent)),
            [50.0, 90.0, 99.0]
        );
    }

    #[test]
    fn whole_batches_are_taken_in_turn_and_all_are_compared() {
        let mut firsts = Vec::new();
        let found = timed(2, 4, LONG, |_, batch| firsts.push(batch[0])).expect("timed");
        assert_eq!(firsts, [0.0, 4.0, 0.0, 4.0, 0.0, 4.0]);
        assert_eq!(
            (found.runs, found.samples, found.faulty_samples),
            (4, 12, 0)
        );
        let times = [
            found.min_seconds,
            found.p50_seconds,
            found.p90_seconds,
            found.p99_seconds,
            found.max_seconds,
        ];
        assert!(times.is_sorted() && times[0] > 0.0, "{times:?}");
        assert!(found.samples_per_second <= 2.0 / found.min_seconds && found.comparing_share < 1.0);
    }

    #[test]
    fn a_wrong_value_in_one_run_shows() {
        for wrong in [0, 5] {
            let found = timed(2, 4, LONG, |run, batch| {
                if run == wrong {
                    batch[3] += 0.75;
                }
            });
            let found = found.expect("timed");
            assert_eq!(
                (found.faulty_samples, found.max_abs_error),
                (1, 0.75),
                "run {wrong}"
            );
        }
    }

    #[test]
    fn time_and_samples_are_limits() {
        let found = timed(5, 1000, Duration::ZERO, |_, _| {
            std::thread::sleep(Duration::from_millis(1))
        });
        assert_eq!(found.expect("timed").runs, 1);
        let error = timed(6, 1, LONG, |_, _| {})
            .expect_err("too few samples")
            .to_string();
        assert!(
            error.starts_with("a batch of 6 samples is asked for, there are 5"),
            "{error}"
        );
    }
}
