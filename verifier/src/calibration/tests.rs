//! Calibration with runtimes whose noise a test chooses.

use proptest::prelude::*;

use super::*;
use crate::runtime::Echo;

/// Three samples of four elements in batches of two: each pass is two runs.
fn calibrated(
    passes: usize,
    rtol: f32,
    noise: impl FnMut(usize, &mut Vec<f32>),
) -> Result<Calibration, CalibrationError> {
    let values = (0..12).map(|element| element as f32 - 3.0).collect();
    let data = Recording::in_memory("x", vec![3, 4], values).expect("twelve values");
    let request = Request {
        inputs: std::slice::from_ref(&data),
        goldens: std::slice::from_ref(&data),
        samples: 0..3,
        batch_size: 2,
        passes,
        rtol,
        margin: 2.0,
    };
    calibrate(&request, &mut Echo(noise, 0), &mut |_| {}, &|| false)
}

#[test]
fn an_exact_device_needs_no_tolerance() {
    let found = calibrated(3, 0.0, |_, _| {}).expect("calibrated");
    assert_eq!(
        (found.elements, found.differing_samples, found.false_alarms),
        (12, 0, 0)
    );
    assert_eq!(
        found.tolerance,
        Tolerance {
            atol: 0.0,
            rtol: 0.0
        }
    );
    // Every flip changes a number, but for the sign of 0, which is the same number.
    assert_eq!(found.floor.share(0), Some(1.0));
    assert_eq!(found.floor.caught[31], 11);
}

#[test]
fn the_tolerance_is_twice_the_largest_error_of_all_passes() {
    // The second pass is off by 1/8 in the second sample's first element, the others by 1/16.
    let found = calibrated(2, 0.0, |run, output| {
        output[run % 4] += if run == 2 { 0.125 } else { 0.0625 }
    });
    let found = found.expect("calibrated");
    assert_eq!((found.smallest_atol, found.tolerance.atol), (0.125, 0.25));
    assert_eq!(found.max_abs_error.index, Some(vec![0, 2]));
    assert_eq!(
        found.differing_samples, 2,
        "the runs of the second pass differ from those of the first"
    );
}

#[test]
fn noise_that_comes_later_is_a_false_alarm() {
    // Runs 0 to 3 are two passes; the fifth run is of the pass that checks.
    let found = calibrated(2, 0.0, |run, output| {
        output[0] += if run == 4 { 1.0 } else { 0.25 }
    })
    .expect("calibrated");
    assert_eq!((found.tolerance.atol, found.false_alarms), (0.5, 1));
}

#[test]
fn no_tolerance_follows_from_what_is_not_finite() {
    let error = calibrated(2, 0.0, |run, output| {
        output[1] = if run == 3 { f32::NAN } else { output[1] }
    });
    let error = error.expect_err("a NaN").to_string();
    assert!(
        error.starts_with("pass 2, sample 2: `x` is NaN at element 1, the golden is 6"),
        "{error}"
    );
    calibrated(1, 0.0, |_, output| output[0] = f32::INFINITY).expect_err("an infinity");
    // Two finite numbers can be further apart than any tolerance.
    assert!(calibrated(1, 0.0, |_, output| output[0] = f32::MAX).is_ok());
}

#[test]
fn a_runtime_without_the_right_output_is_an_error() {
    calibrated(1, 0.0, |_, output| output.truncate(3)).expect_err("too few elements");
}

proptest! {
    #[test]
    fn the_least_tolerance_lets_everything_pass_and_a_smaller_one_does_not(
        pairs in prop::collection::vec((-1e3f32..1e3, -1e-3f32..1e-3), 1..50),
        rtol in prop_oneof![Just(0f32), Just(1e-5), Just(1e-7)],
    ) {
        let golden: Vec<f32> = pairs.iter().map(|pair| pair.0).collect();
        let actual: Vec<f32> = pairs.iter().map(|pair| pair.0 + pair.1).collect();
        let is_faulty = |atol| compare_sample(&actual, &golden, Tolerance { atol, rtol }).is_faulty();
        let atol = needed_atol(&actual, &golden, rtol);
        prop_assert!(!is_faulty(atol), "{} is not enough", atol);
        if rtol == 0.0 && atol > 0.0 {
            prop_assert!(is_faulty(atol.next_down()), "{} is not the least", atol);
        }
    }
}
