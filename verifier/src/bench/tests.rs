//! Times of engines whose answers a test chooses.

use std::sync::atomic::AtomicBool;

use ndarray::ArrayD;

use super::*;
use crate::compare::Tolerance;
use crate::engine::fake::Echo;
use crate::samples::of_part::fixtures::echo_recordings;

const LONG: Duration = Duration::from_secs(3600);

/// Five samples of two elements; `noise` is told the number of the run.
fn timed(
    batch_size: usize,
    runs: usize,
    limit: Duration,
    noise: impl FnMut(usize, &mut ArrayD<f32>),
) -> Result<Timing, BenchError> {
    let recordings = echo_recordings(&[5, 2], |element| element as f32);
    let request = Request {
        check: check::Request {
            recordings: &recordings,
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
            verdict_only: false,
            stop: &AtomicBool::new(false),
        },
        warmup: 2,
        runs,
        limit,
    };
    bench(&request, &mut Echo::new(noise), 0.25, &mut |_| {})
}

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
    let found = timed(2, 4, LONG, |_, batch| firsts.push(batch[[0, 0]])).expect("timed");
    assert_eq!(firsts, [0.0, 4.0, 0.0, 4.0, 0.0, 4.0]);
    let counts = (found.runs, found.samples, found.faulty_samples);
    assert_eq!(counts, (4, 12, 0));
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
                batch[[1, 1]] += 0.75;
            }
        });
        let found = found.expect("timed");
        let errors = (found.faulty_samples, found.max_abs_error);
        assert_eq!(errors, (1, 0.75), "run {wrong}");
    }
}

#[test]
fn time_and_samples_are_limits() {
    let slow = |_, _: &mut ArrayD<f32>| std::thread::sleep(Duration::from_millis(1));
    assert_eq!(timed(5, 1000, Duration::ZERO, slow).expect("timed").runs, 1);
    let error = timed(6, 1, LONG, |_, _| {}).expect_err("too few samples");
    let text = error.to_string();
    assert!(
        text.starts_with("a batch of 6 samples is asked for, there are 5"),
        "{text}"
    );
}
