//! Tests of the check with engines that do what a test wants.

use std::sync::atomic::{AtomicBool, Ordering};

use ndarray::{ArrayD, Axis, IxDyn, Slice};
use proptest::prelude::*;

use super::*;
use crate::compare::{Pattern, Tolerance, largest};
use crate::engine::Engine;
use crate::engine::fake::{Echo, Silent};
use crate::inject::{Change, Fault, Positions, Target};
use crate::samples::Recordings;
use crate::samples::of_part::fixtures::{echo_recordings, recording, recordings};

const TOLERANCE: Tolerance = Tolerance::DEFAULT;

fn faults(texts: &[&str]) -> Vec<Fault> {
    let parse = |text: &&str| text.parse().expect("a fault");
    texts.iter().map(parse).collect()
}

struct Case<'a> {
    recordings: &'a Recordings,
    faults: &'a [Fault],
    repeat: usize,
    fail_fast: bool,
    verdict_only: bool,
    /// Told to stop when so many samples are done.
    stop_after: usize,
}

impl<'a> Case<'a> {
    fn of(recordings: &'a Recordings) -> Self {
        Self {
            recordings,
            faults: &[],
            repeat: 1,
            fail_fast: false,
            verdict_only: false,
            stop_after: usize::MAX,
        }
    }

    fn run(&self, engine: &mut dyn Engine) -> Result<CheckResult, CheckError> {
        self.run_with(engine, None)
    }

    fn run_with<'e>(
        &self,
        fault_free: &'e mut dyn Engine,
        corrupted: Option<&'e mut dyn Engine>,
    ) -> Result<CheckResult, CheckError> {
        let stop = AtomicBool::new(false);
        let request = Request {
            recordings: self.recordings,
            samples: 0..self.recordings.samples().max(1),
            batch_size: 2,
            tolerance: TOLERANCE,
            faults: self.faults,
            repeat: self.repeat,
            fail_fast: self.fail_fast,
            histogram: true,
            verdict_only: self.verdict_only,
            stop: &stop,
        };
        let mut done = 0;
        let mut engines = Engines {
            fault_free,
            corrupted,
        };
        check(&request, &mut engines, &mut |event| {
            if let Event::Done(samples) = event {
                done += samples;
                stop.store(done >= self.stop_after, Ordering::Relaxed);
            }
        })
    }
}

fn exact() -> Echo<impl FnMut(usize, &mut ArrayD<f32>)> {
    Echo::new(|_, _: &mut ArrayD<f32>| {})
}

fn outcomes(result: &CheckResult) -> Vec<FaultOutcome> {
    result.faults.iter().map(|fault| fault.outcome).collect()
}

fn faulty_samples(result: &CheckResult) -> Vec<usize> {
    result.faulty.iter().map(|faulty| faulty.sample).collect()
}

#[test]
fn an_exact_engine_passes_and_every_element_is_counted() {
    let data = echo_recordings(&[5, 3, 4], |i| i as f32);
    let result = Case::of(&data).run(&mut exact()).expect("check");
    assert!(result.is_pass());
    let total = &result.total;
    let differing = total.bits.as_ref().map(|bits| bits.differing_elements);
    let counts = (result.samples, total.elements, differing);
    assert_eq!(counts, (5, 60, Some(0)));
    assert_eq!(total.max_abs_error.index, None);
}

#[test]
fn a_wrong_element_of_a_later_batch_is_found_where_it_is() {
    let data = echo_recordings(&[5, 3, 4], |i| i as f32);
    let mut engine = Echo::new(|run, output: &mut ArrayD<f32>| {
        if run == 1 {
            output[[1, 1, 3]] += 0.5; // the second sample of the batch of samples 2 and 3
            output[[1, 2, 1]] = f32::NAN;
        }
    });
    let result = Case::of(&data).run(&mut engine).expect("check");
    assert!(!result.is_pass());
    let total = &result.total;
    let outside = (total.mismatched_elements, total.non_finite_elements);
    assert_eq!((outside, result.differing_samples), ((1, 1), Some(1)));
    assert_eq!(total.max_abs_error.value, 0.5);
    assert_eq!(total.max_abs_error.index, Some(vec![3, 1, 3]));
    let [faulty] = result.faulty.as_slice() else {
        panic!("one output: {:?}", result.faulty)
    };
    assert_eq!((faulty.sample, faulty.pattern), (3, Pattern::Scattered));
    assert_eq!(
        (faulty.first.index.as_slice(), faulty.first.golden),
        (&[3, 1, 3][..], 43.0)
    );
    assert_eq!(
        faulty.worst.index,
        [3, 2, 1],
        "a value that is not finite is the worst"
    );
}

#[test]
fn faults_in_the_golden_flag_their_samples_and_no_other() {
    let data = echo_recordings(&[301, 35, 55], |i| (i % 1000) as f32 * 1e-3);
    let faults = Fault::python_repository_faults();
    let case = Case {
        faults: &faults,
        ..Case::of(&data)
    };
    let result = case.run(&mut exact()).expect("check");
    assert_eq!(faulty_samples(&result), [150, 200, 201, 300]);
    assert_eq!(result.total.mismatched_elements, 3);
    assert_eq!(result.total.non_finite_elements, 2);
    assert_eq!(outcomes(&result), [FaultOutcome::Detected; 5]);
    assert_eq!(
        (result.faulty[0].pattern, result.flagged_without_fault),
        (Pattern::Row, 0)
    );
}

#[test]
fn a_fault_is_not_detected_by_another_error_in_its_sample() {
    let data = echo_recordings(&[2, 2, 2], |i| i as f32);
    let faults = faults(&["golden[1,0,1]=5", "golden[1,1,0]=12", "output[0,0,0]=1e-7"]);
    let case = Case {
        faults: &faults,
        ..Case::of(&data)
    };
    let result = case.run(&mut exact()).expect("check");
    let expected = [
        FaultOutcome::Masked, // the golden is 5 there
        FaultOutcome::Detected,
        FaultOutcome::WithinTolerance,
    ];
    assert_eq!(outcomes(&result), expected);
    assert_eq!(result.faulty.len(), 1);
    assert!((result.faults[2].largest_change - 1e-7).abs() < 1e-12);
}

#[test]
fn a_fault_in_an_input_is_judged_by_what_comes_out() {
    let data = echo_recordings(&[4, 2, 2], |i| 1.0 + i as f32);
    let faults = faults(&["input[2,0,1]^30", "input[3,0,0]^0", "input[0,1,1]^0"]);
    // The last bit of what the first sample is given does not come out.
    let mut engine = Echo::new(|run, output: &mut ArrayD<f32>| {
        if run < 2 {
            output[[0, 1, 1]] = 4.0;
        }
    });
    let case = Case {
        faults: &faults,
        ..Case::of(&data)
    };
    let result = case.run(&mut engine).expect("check");
    let expected = [
        FaultOutcome::Detected,
        FaultOutcome::WithinTolerance,
        FaultOutcome::Masked,
    ];
    assert_eq!(outcomes(&result), expected);
    assert_eq!(faulty_samples(&result), [2]);
    assert!(result.faults[1].largest_change > 0.0);
}

#[test]
fn what_hides_a_faults_effect_makes_it_missed() {
    let data = echo_recordings(&[2, 2, 2], |i| 1.0 + i as f32);
    let run = |texts: &[&str]| {
        let faults = faults(texts);
        let case = Case {
            faults: &faults,
            ..Case::of(&data)
        };
        case.run(&mut exact()).expect("check")
    };
    // The golden is changed in the same way, so that the comparison sees nothing.
    let result = run(&["input[1,0,0]=7", "golden[1,0,0]=7"]);
    assert!(result.faulty.is_empty());
    assert_eq!(outcomes(&result), [FaultOutcome::Missed; 2]);
    // An error elsewhere in the sample, put there by another fault, is no detection of this one.
    let result = run(&["input[1,0,0]=7", "golden[1,0,0]=7", "golden[1,1,1]=0"]);
    let expected = [
        FaultOutcome::Missed,
        FaultOutcome::Missed,
        FaultOutcome::Detected,
    ];
    assert_eq!(outcomes(&result), expected);
}

#[test]
fn a_weight_fault_is_judged_over_all_samples() {
    let data = echo_recordings(&[5, 2, 2], |i| 1.0 + i as f32);
    let faults = faults(&["weight:w[0]=2"]);
    let mut broken = Echo::new(|_, output: &mut ArrayD<f32>| *output += 1.0);
    let case = Case {
        faults: &faults,
        ..Case::of(&data)
    };
    let result = case
        .run_with(&mut exact(), Some(&mut broken))
        .expect("check");
    let fault = &result.faults[0];
    assert_eq!((result.faulty.len(), fault.samples_beyond), (5, 5));
    assert_eq!(
        (fault.outcome, fault.largest_change),
        (FaultOutcome::Detected, 1.0)
    );
    assert_eq!(result.faulty[0].pattern, Pattern::Block);
}

#[test]
fn runs_that_do_not_repeat_are_counted_and_compared() {
    let data = echo_recordings(&[3, 2, 2], |i| 1.0 + i as f32);
    let mut engine = Echo::new(|run, output: &mut ArrayD<f32>| match run {
        1 => output[[0, 0, 0]] = output[[0, 0, 0]].next_up(),
        5 => output[[0, 1, 1]] += 1.0,
        _ => {}
    });
    let case = Case {
        repeat: 3,
        ..Case::of(&data)
    };
    let result = case.run(&mut engine).expect("check");
    let repeats = result.repeats.expect("several runs");
    assert_eq!((repeats.runs, repeats.total_runs), (3, 6));
    assert_eq!(
        (repeats.differing_elements, repeats.differing_samples),
        (2, 2)
    );
    assert_eq!((result.samples, faulty_samples(&result)), (3, vec![2]));
    assert_eq!(result.faulty[0].run, 2);
    // Every sample in the first run, and the one of each later run that has other bits.
    assert_eq!(result.total.elements, 3 * 4 + 2 * 4);
    let same = case.run(&mut exact()).expect("check");
    assert_eq!(
        same.repeats.map(|repeats| repeats.differing_elements),
        Some(0)
    );
}

#[test]
fn only_runs_that_took_place_are_counted() {
    let data = echo_recordings(&[6, 2, 2], |i| 1.0 + i as f32);
    let case = Case {
        repeat: 1_000_000,
        stop_after: 0,
        ..Case::of(&data)
    };
    // Told to stop in its 37th run of the first batch.
    let stop = AtomicBool::new(false);
    let mut engine = Echo::new(|run, _: &mut ArrayD<f32>| stop.store(run == 36, Ordering::Relaxed));
    let request = Request {
        recordings: &data,
        samples: 0..6,
        batch_size: 2,
        tolerance: TOLERANCE,
        faults: &[],
        repeat: case.repeat,
        fail_fast: false,
        histogram: false,
        verdict_only: false,
        stop: &stop,
    };
    let mut engines = Engines {
        fault_free: &mut engine,
        corrupted: None,
    };
    let result = check(&request, &mut engines, &mut |_| {}).expect("check");
    let repeats = result.repeats.expect("several runs");
    assert_eq!((repeats.runs, repeats.total_runs), (37, 37));
    assert_eq!(
        (result.samples, result.stopped),
        (2, Some(Stop::Interrupted))
    );
}

#[test]
fn the_verdict_alone_is_the_same_verdict() {
    let data = echo_recordings(&[5, 3, 4], |i| i as f32);
    for change in [0.0, 1e-6, 0.5, f32::NAN] {
        let result = |verdict_only| {
            let mut engine = Echo::new(|run, output: &mut ArrayD<f32>| {
                if run == 1 {
                    output[[1, 1, 3]] += change;
                }
            });
            let case = Case {
                verdict_only,
                ..Case::of(&data)
            };
            case.run(&mut engine).expect("check")
        };
        let (all, alone) = (result(false), result(true));
        // As text: a NaN is not equal to itself.
        let text = |faulty| format!("{faulty:?}");
        assert_eq!(text(&alone.faulty), text(&all.faulty), "{change}");
        assert_eq!(alone.samples, 5);
        assert_eq!(alone.is_pass(), all.is_pass());
    }
}

#[test]
fn a_fault_whose_sample_was_not_run_is_not_reached() {
    let data = echo_recordings(&[6, 2, 2], |i| 1.0 + i as f32);
    let faults = faults(&["golden[0,0,0]=9", "golden[5,0,0]=9", "input[4,0,0]=9"]);
    let expected = [
        FaultOutcome::Detected,
        FaultOutcome::NotReached,
        FaultOutcome::NotReached,
    ];
    let stopped = Case {
        faults: &faults,
        stop_after: 2,
        ..Case::of(&data)
    };
    assert_eq!(
        outcomes(&stopped.run(&mut exact()).expect("check")),
        expected
    );
    let fail_fast = Case {
        faults: &faults,
        fail_fast: true,
        ..Case::of(&data)
    };
    assert_eq!(
        outcomes(&fail_fast.run(&mut exact()).expect("check")),
        expected
    );
}

#[test]
fn what_is_stopped_is_no_pass() {
    let data = echo_recordings(&[6, 2, 2], |i| i as f32);
    let stopped = Case {
        stop_after: 2,
        ..Case::of(&data)
    };
    let result = stopped.run(&mut exact()).expect("check");
    let expected = (2, Some(Stop::Interrupted), false);
    assert_eq!((result.samples, result.stopped, result.is_pass()), expected);
    let mut wrong = Echo::new(|_, output: &mut ArrayD<f32>| output[[0, 0, 0]] += 1.0);
    let fail_fast = Case {
        fail_fast: true,
        ..Case::of(&data)
    };
    let result = fail_fast.run(&mut wrong).expect("check");
    let expected = (2, Some(Stop::FailFast), 1);
    assert_eq!(
        (result.samples, result.stopped, result.faulty.len()),
        expected
    );
    assert!(!CheckResult::new(&data).is_pass(), "nothing was compared");
}

#[test]
fn what_cannot_be_compared_is_an_error_and_never_a_pass() {
    let message = |recordings: &Recordings, faults: &[Fault], engine: &mut dyn Engine| {
        let case = Case {
            faults,
            ..Case::of(recordings)
        };
        case.run(engine).expect_err("must be refused").to_string()
    };
    let data = echo_recordings(&[3, 2, 2], |i| i as f32);
    let none = echo_recordings(&[0, 2, 2], |_| 0.0);
    assert!(message(&none, &[], &mut exact()).contains("no sample"));
    let fewer = recording("fewer", &[2, 2, 2], |_| 0.0);
    let fewer = recordings(fewer, recording("x", &[3, 2, 2], |i| i as f32));
    let text = message(&fewer, &[], &mut exact());
    assert!(text.contains("2 samples of `fewer`, 3 of `x`"), "{text}");
    let corrupt = |i| if i == 9 { f32::NAN } else { 0.0 };
    let corrupt = recordings(
        recording("x", &[3, 2, 2], |_| 0.0),
        recording("corrupt", &[3, 2, 2], corrupt),
    );
    let text = message(&corrupt, &[], &mut exact());
    assert!(
        text.contains("`corrupt` of sample 2 has NaN at element 1"),
        "{text}"
    );
    let outside = Fault::python_repository_faults();
    assert!(message(&data, &outside, &mut exact()).contains("lies outside"));
    let unknown = faults(&["output:y[0,0,0]=1"]);
    assert!(message(&data, &unknown, &mut exact()).contains("no output `y`"));
    let mut short = Echo::new(|_, output: &mut ArrayD<f32>| {
        *output = output.slice_axis(Axis(2), Slice::from(0..1)).to_owned();
    });
    let text = message(&data, &[], &mut short);
    assert!(
        text.contains("outputs of shape [[2, 2, 1]], expected [[2, 2, 2]]"),
        "{text}"
    );
    let mut flat = Echo::new(|_, output: &mut ArrayD<f32>| {
        *output = output
            .to_shape(IxDyn(&[2, 4]))
            .expect("eight")
            .to_owned()
            .into_dyn();
    });
    let text = message(&data, &[], &mut flat);
    assert!(text.contains("outputs of shape [[2, 4]]"), "{text}");
    assert!(message(&data, &[], &mut Silent).contains("no output"));
}

#[test]
fn a_result_is_read_back_from_its_record() {
    let data = echo_recordings(&[6, 2, 2], |i| 1.0 + i as f32);
    let faults = faults(&["golden[0,0,0]=inf", "input[5,0,0]^30"]);
    let case = Case {
        faults: &faults,
        repeat: 2,
        ..Case::of(&data)
    };
    let result = case.run(&mut exact()).expect("check");
    let text = serde_json::to_string(&result).expect("JSON");
    let back: CheckResult = serde_json::from_str(&text).expect("JSON");
    assert_eq!(back, result, "{text}");
}

proptest! {
    #[test]
    fn every_bit_flip_of_an_output_beyond_the_tolerance_is_flagged(
        golden in prop_oneof![
            any::<f32>(),
            Just(0.0),
            Just(-0.0),
            (0u32..0x0080_0000).prop_map(f32::from_bits),
        ],
        bit in 0u8..32,
        place in 0usize..24,
    ) {
        prop_assume!(golden.is_finite());
        let data = echo_recordings(&[3, 2, 4], |i| if i == place { golden } else { 0.5 });
        let index = largest::index_of(place / 8, place % 8, &[2, 4]);
        let index = index.into_iter().map(Positions::from).collect();
        let fault = Fault { target: Target::Output(None), index, change: Change::Flip(bit) };
        let case = Case { faults: &[fault], ..Case::of(&data) };
        let result = case.run(&mut exact()).expect("check");
        let flipped = Change::Flip(bit).apply(golden);
        // In float64, by the rule's own words; the rule computes in float32, hence the margin.
        let error = (f64::from(flipped) - f64::from(golden)).abs();
        let allowed = 5e-6 + 1e-5 * f64::from(golden).abs();
        if !flipped.is_finite() || error > 1.000_001 * allowed {
            prop_assert_eq!(faulty_samples(&result), [place / 8]);
            prop_assert_eq!(result.faults[0].outcome, FaultOutcome::Detected);
        } else if error < 0.999_999 * allowed {
            prop_assert!(result.faulty.is_empty());
            prop_assert_eq!(result.faults[0].outcome, FaultOutcome::WithinTolerance);
        }
    }
}
