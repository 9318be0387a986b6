//! Tests of the check with runtimes that do what a test wants.

use super::*;
use crate::fault::{Change, Target};
use crate::geometry::Geometry;
use crate::runtime::Echo;
use crate::verdict::Fate;
use proptest::prelude::*;

const TOLERANCE: Tolerance = Tolerance {
    atol: 5e-6,
    rtol: 1e-5,
};

/// Claims success and gives nothing back.
struct Silent;

impl Runtime for Silent {
    fn run(
        &mut self,
        _: &[&[f32]],
        _: usize,
        _: &mut dyn FnMut(&[&[f32]]),
    ) -> Result<(), RunError> {
        Ok(())
    }
}

fn recording(name: &str, shape: &[usize], value: impl Fn(usize) -> f32) -> Recording {
    let values = (0..shape.iter().product()).map(value).collect();
    Recording::in_memory(name, shape.to_vec(), values).expect("as many values as the shape says")
}

fn faults(texts: &[&str]) -> Vec<Fault> {
    texts
        .iter()
        .map(|text| text.parse().expect("a fault"))
        .collect()
}

struct Case<'a> {
    input: &'a Recording,
    golden: &'a Recording,
    faults: &'a [Fault],
    repeat: usize,
    fail_fast: bool,
    stop_after: usize,
}

impl<'a> Case<'a> {
    fn of(data: &'a Recording) -> Self {
        Self {
            input: data,
            golden: data,
            faults: &[],
            repeat: 1,
            fail_fast: false,
            stop_after: usize::MAX,
        }
    }

    fn run(&self, runtime: &mut dyn Runtime) -> Result<Verdict, CheckError> {
        self.run_with(runtime, None)
    }

    fn run_with<'r>(
        &self,
        sound: &'r mut dyn Runtime,
        faulty: Option<&'r mut dyn Runtime>,
    ) -> Result<Verdict, CheckError> {
        let request = Request {
            inputs: std::slice::from_ref(self.input),
            goldens: std::slice::from_ref(self.golden),
            samples: 0..self.golden.samples().max(1),
            batch_size: 2,
            tolerance: TOLERANCE,
            faults: self.faults,
            repeat: self.repeat,
            fail_fast: self.fail_fast,
            histogram: true,
        };
        let done = std::cell::Cell::new(0);
        let mut hooks = Hooks {
            progress: &mut |samples| done.set(done.get() + samples),
            outputs: &mut |_| Ok(()),
            faulty: &mut |_| Ok(()),
            stop: &|| done.get() >= self.stop_after,
        };
        check(&request, &mut Runtimes { sound, faulty }, &mut hooks)
    }
}

fn exact() -> Echo<impl FnMut(usize, &mut Vec<f32>)> {
    Echo(|_, _: &mut Vec<f32>| {}, 0)
}

#[test]
fn an_exact_runtime_passes_and_every_element_is_counted() {
    let data = recording("x", &[5, 3, 4], |i| i as f32);
    let verdict = Case::of(&data).run(&mut exact()).expect("check");
    assert!(verdict.is_pass());
    let total = verdict.total();
    assert_eq!(
        (verdict.samples, total.elements, total.differing_elements),
        (5, 60, 0)
    );
    assert_eq!(total.max_abs_error.index, None);
}

#[test]
fn a_wrong_element_of_a_later_batch_is_found_where_it_is() {
    let data = recording("x", &[5, 3, 4], |i| i as f32);
    let mut runtime = Echo(
        |call, output: &mut Vec<f32>| {
            if call == 1 {
                output[12 + 7] += 0.5; // sample 3, token 1, feature 3
                output[12 + 9] = f32::NAN; // sample 3, token 2, feature 1
            }
        },
        0,
    );
    let verdict = Case::of(&data).run(&mut runtime).expect("check");
    assert!(!verdict.is_pass());
    let total = verdict.total();
    assert_eq!(
        (
            total.mismatches,
            total.non_finite,
            verdict.differing_samples
        ),
        (1, 1, 1)
    );
    assert_eq!(
        (total.max_abs_error.value, total.max_abs_error.index),
        (0.5, Some(vec![3, 1, 3]))
    );
    let [faulty] = verdict.faulty.as_slice() else {
        panic!("one sample: {:?}", verdict.faulty)
    };
    let [output] = faulty.outputs.as_slice() else {
        panic!("one output: {faulty:?}")
    };
    assert_eq!((faulty.sample, output.geometry), (3, Geometry::Scattered));
    assert_eq!(
        (output.first.index.as_slice(), output.worst.index.as_slice()),
        (&[3, 1, 3][..], &[3, 2, 1][..])
    );
    assert_eq!(
        (
            output.first.golden,
            output.first.actual,
            output.worst.abs_error()
        ),
        (43.0, 43.5, None)
    );
}

#[test]
fn faults_in_the_golden_flag_their_samples_and_no_other() {
    let data = recording("x", &[301, 35, 55], |i| (i % 1000) as f32 * 1e-3);
    let seed = Fault::seed();
    let verdict = Case {
        faults: &seed,
        ..Case::of(&data)
    }
    .run(&mut exact())
    .expect("check");
    let flagged: Vec<usize> = verdict.faulty.iter().map(|faulty| faulty.sample).collect();
    assert_eq!(flagged, [150, 200, 201, 300]);
    assert_eq!(
        (verdict.total().mismatches, verdict.total().non_finite),
        (3, 2)
    );
    assert!(
        verdict
            .faults
            .iter()
            .all(|result| result.fate() == Fate::Detected)
    );
    assert_eq!(verdict.faulty[0].outputs[0].geometry, Geometry::Row);
}

#[test]
fn a_fault_without_effect_is_masked_and_not_found_by_another_error_in_its_sample() {
    let data = recording("x", &[2, 2, 2], |i| i as f32);
    let faults = faults(&["golden[1,0,1]=5", "golden[1,1,0]=12", "output[0,0,0]=1e-7"]);
    let verdict = Case {
        faults: &faults,
        ..Case::of(&data)
    }
    .run(&mut exact())
    .expect("check");
    let fates: Vec<Fate> = verdict.faults.iter().map(|result| result.fate()).collect();
    assert_eq!(fates, [Fate::Masked, Fate::Detected, Fate::Masked]);
    assert_eq!(verdict.faulty.len(), 1);
    assert!((verdict.faults[2].largest_change - 1e-7).abs() < 1e-12);
}

#[test]
fn a_fault_in_an_input_is_judged_by_what_comes_out() {
    let data = recording("x", &[4, 2, 2], |i| 1.0 + i as f32);
    let faults = faults(&["input[2,0,1]^30", "input[3,0,0]^0"]);
    let verdict = Case {
        faults: &faults,
        ..Case::of(&data)
    }
    .run(&mut exact())
    .expect("check");
    let fates: Vec<Fate> = verdict.faults.iter().map(|result| result.fate()).collect();
    assert_eq!(fates, [Fate::Detected, Fate::Masked]);
    assert_eq!(
        verdict
            .faulty
            .iter()
            .map(|faulty| faulty.sample)
            .collect::<Vec<_>>(),
        [2]
    );
    assert!(verdict.faults[1].largest_change > 0.0);
}

#[test]
fn what_hides_a_faults_effect_makes_it_missed() {
    let data = recording("x", &[2, 2, 2], |i| 1.0 + i as f32);
    // The golden is changed in the same way, so that the comparison sees nothing.
    let hidden = faults(&["input[1,0,0]=7", "golden[1,0,0]=7"]);
    let verdict = Case {
        faults: &hidden,
        ..Case::of(&data)
    }
    .run(&mut exact())
    .expect("check");
    assert!(verdict.faulty.is_empty());
    assert!(
        verdict
            .faults
            .iter()
            .all(|result| result.fate() == Fate::Missed),
        "{:?}",
        verdict.faults
    );
    // An error elsewhere in the sample, put there by another fault, is no detection of this one.
    let elsewhere = faults(&["input[1,0,0]=7", "golden[1,0,0]=7", "golden[1,1,1]=0"]);
    let verdict = Case {
        faults: &elsewhere,
        ..Case::of(&data)
    }
    .run(&mut exact())
    .expect("check");
    let fates: Vec<Fate> = verdict.faults.iter().map(|result| result.fate()).collect();
    assert_eq!(fates, [Fate::Missed, Fate::Missed, Fate::Detected]);
}

#[test]
fn a_weight_fault_is_judged_over_all_samples() {
    let data = recording("x", &[5, 2, 2], |i| 1.0 + i as f32);
    let faults = faults(&["weight:w[0]=2"]);
    let mut broken = Echo(
        |_, output: &mut Vec<f32>| output.iter_mut().for_each(|y| *y += 1.0),
        0,
    );
    let case = Case {
        faults: &faults,
        ..Case::of(&data)
    };
    let verdict = case
        .run_with(&mut exact(), Some(&mut broken))
        .expect("check");
    assert_eq!(
        (verdict.faulty.len(), verdict.faults[0].samples_beyond),
        (5, 5)
    );
    assert_eq!(
        (verdict.faults[0].fate(), verdict.faults[0].largest_change),
        (Fate::Detected, 1.0)
    );
    assert_eq!(verdict.faulty[0].outputs[0].geometry, Geometry::Block);
}

#[test]
fn runs_that_do_not_repeat_are_counted_and_compared() {
    let data = recording("x", &[3, 2, 2], |i| 1.0 + i as f32);
    let mut runtime = Echo(
        |call, output: &mut Vec<f32>| match call {
            1 => output[0] = output[0].next_up(),
            5 => output[3] += 1.0,
            _ => {}
        },
        0,
    );
    let verdict = Case {
        repeat: 3,
        ..Case::of(&data)
    }
    .run(&mut runtime)
    .expect("check");
    let repeats = verdict.repeats.expect("several runs");
    assert_eq!(
        (
            repeats.runs,
            repeats.differing_elements,
            repeats.differing_samples
        ),
        (3, 2, 2)
    );
    assert_eq!((verdict.samples, verdict.faulty.len()), (3, 1));
    assert_eq!((verdict.faulty[0].sample, verdict.faulty[0].run), (2, 2));
    // Every sample in the first run, and the one of each later run that has other bits.
    assert_eq!(verdict.total().elements, 3 * 4 + 2 * 4);
    let same = Case {
        repeat: 3,
        ..Case::of(&data)
    }
    .run(&mut exact())
    .expect("check");
    assert_eq!(
        same.repeats.map(|repeats| repeats.differing_elements),
        Some(0)
    );
}

#[test]
fn what_is_stopped_is_no_pass() {
    let data = recording("x", &[6, 2, 2], |i| i as f32);
    let verdict = Case {
        stop_after: 2,
        ..Case::of(&data)
    }
    .run(&mut exact())
    .expect("check");
    assert_eq!(
        (verdict.samples, verdict.stopped, verdict.is_pass()),
        (2, Some(Stop::Interrupted), false)
    );
    let mut wrong = Echo(|_, output: &mut Vec<f32>| output[0] += 1.0, 0);
    let verdict = Case {
        fail_fast: true,
        ..Case::of(&data)
    }
    .run(&mut wrong)
    .expect("check");
    assert_eq!(
        (verdict.samples, verdict.stopped, verdict.faulty.len()),
        (2, Some(Stop::FailFast), 1)
    );
}

#[test]
fn what_cannot_be_compared_is_an_error_and_never_a_pass() {
    let message =
        |result: Result<Verdict, CheckError>| result.expect_err("must be refused").to_string();
    let data = recording("x", &[3, 2, 2], |i| i as f32);
    let none = recording("x", &[0, 2, 2], |_| 0.0);
    let fewer = recording("fewer", &[2, 2, 2], |_| 0.0);
    let spoiled = recording(
        "spoiled",
        &[3, 2, 2],
        |i| if i == 9 { f32::NAN } else { 0.0 },
    );
    assert!(message(Case::of(&none).run(&mut exact())).contains("no sample"));
    let case = Case {
        input: &fewer,
        ..Case::of(&data)
    };
    assert!(message(case.run(&mut exact())).contains("2 samples of `fewer`, 3 of `x`"));
    let case = Case {
        golden: &spoiled,
        ..Case::of(&data)
    };
    assert!(message(case.run(&mut exact())).contains("`spoiled` of sample 2 has NaN at element 1"));
    let seed = Fault::seed();
    assert!(
        message(
            Case {
                faults: &seed,
                ..Case::of(&data)
            }
            .run(&mut exact())
        )
        .contains("lies outside")
    );
    let unknown = faults(&["output:y[0,0,0]=1"]);
    assert!(
        message(
            Case {
                faults: &unknown,
                ..Case::of(&data)
            }
            .run(&mut exact())
        )
        .contains("no output `y`")
    );
    let mut short = Echo(|_, output: &mut Vec<f32>| output.truncate(7), 0);
    assert!(
        message(Case::of(&data).run(&mut short)).contains("outputs of [7] elements, expected [8]")
    );
    let mut long = Echo(|_, output: &mut Vec<f32>| output.push(0.0), 0);
    assert!(
        message(Case::of(&data).run(&mut long)).contains("outputs of [9] elements, expected [8]")
    );
    assert!(message(Case::of(&data).run(&mut Silent)).contains("no output"));
}

proptest! {
    #[test]
    fn every_bit_flip_of_an_output_beyond_the_tolerance_is_flagged(
        golden in prop_oneof![any::<f32>(), Just(0.0), Just(-0.0), (0u32..0x0080_0000).prop_map(f32::from_bits)],
        bit in 0u8..32,
        place in 0usize..24,
    ) {
        prop_assume!(golden.is_finite());
        let data = recording("x", &[3, 2, 4], |i| if i == place { golden } else { 0.5 });
        let index = crate::verdict::index(place / 8, place % 8, &[2, 4]);
        let fault = Fault { target: Target::Output(None), index, change: Change::Flip(bit) };
        let verdict = Case { faults: &[fault], ..Case::of(&data) }.run(&mut exact()).expect("check");
        let flipped = Change::Flip(bit).apply(golden);
        // In float64, by the rule's own words; the rule computes in float32, hence the margin.
        let (error, allowed) = ((f64::from(flipped) - f64::from(golden)).abs(), 5e-6 + 1e-5 * f64::from(golden).abs());
        if !flipped.is_finite() || error > 1.000_001 * allowed {
            prop_assert_eq!(verdict.faulty.iter().map(|faulty| faulty.sample).collect::<Vec<_>>(), [place / 8]);
            prop_assert_eq!(verdict.faults[0].fate(), Fate::Detected);
        } else if error < 0.999_999 * allowed {
            prop_assert!(verdict.faulty.is_empty());
            prop_assert_eq!(verdict.faults[0].fate(), Fate::Masked);
        }
    }
}
