//! Calibration with engines whose noise a test chooses.

use ndarray::{ArrayD, Axis, Slice};
use proptest::prelude::*;

use super::*;
use crate::engine::fake::Echo;
use crate::samples::of_part::fixtures::echo_recordings;

/// Three samples of four elements in batches of two: each pass is two runs.
fn calibrated(
    passes: usize,
    rtol: f32,
    noise: impl FnMut(usize, &mut ArrayD<f32>),
) -> Result<Calibration, CalibrationError> {
    let request = Request {
        recordings: &echo_recordings(&[3, 4], |element| element as f32 - 3.0),
        samples: 0..3,
        batch_size: 2,
        passes,
        rtol,
        margin: 2.0,
        stop: &AtomicBool::new(false),
    };
    calibrate(&request, &mut Echo::new(noise), &mut |_| {})
}

#[test]
fn an_exact_device_needs_no_tolerance() {
    let found = calibrated(3, 0.0, |_, _| {}).expect("calibrated");
    let counts = (found.elements, found.differing_samples, found.false_alarms);
    assert_eq!(counts, (12, 0, 0));
    assert_eq!((found.tolerance.atol, found.tolerance.rtol), (0.0, 0.0));
    // Every flip changes a number, but for the sign of 0, which is the same number.
    assert_eq!(found.floor.share(0), Some(1.0));
    assert_eq!(found.floor.caught[31], 11);
}

#[test]
fn the_tolerance_is_twice_the_largest_error_of_all_passes() {
    // The second pass is off by 1/8 in the second sample's first element, the others by 1/16.
    let found = calibrated(2, 0.0, |run, output| {
        output[[0, run % 4]] += if run == 2 { 0.125 } else { 0.0625 };
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
        output[[0, 0]] += if run == 4 { 1.0 } else { 0.25 };
    });
    let found = found.expect("calibrated");
    assert_eq!((found.tolerance.atol, found.false_alarms), (0.5, 1));
}

#[test]
fn no_tolerance_follows_from_what_is_not_finite() {
    let error = calibrated(2, 0.0, |run, output| {
        if run == 3 {
            output[[0, 1]] = f32::NAN;
        }
    });
    let error = error.expect_err("a NaN").to_string();
    let expected = "pass 2, sample 2: `x` is NaN at element 1, the golden is 6";
    assert!(error.starts_with(expected), "{error}");
    calibrated(1, 0.0, |_, output| output[[0, 0]] = f32::INFINITY).expect_err("an infinity");
    // Two finite numbers can be further apart than any tolerance.
    assert!(calibrated(1, 0.0, |_, output| output[[0, 0]] = f32::MAX).is_ok());
}

#[test]
fn an_engine_without_the_right_output_is_an_error() {
    let cut = |_, output: &mut ArrayD<f32>| {
        *output = output.slice_axis(Axis(1), Slice::from(0..3)).to_owned();
    };
    calibrated(1, 0.0, cut).expect_err("too few elements");
}

proptest! {
    #[test]
    fn the_least_tolerance_lets_everything_pass_and_a_smaller_one_does_not(
        pairs in prop::collection::vec((-1e3f32..1e3, -1e-3f32..1e-3), 1..50),
        rtol in prop_oneof![Just(0f32), Just(1e-5), Just(1e-7)],
    ) {
        let golden: Vec<f32> = pairs.iter().map(|pair| pair.0).collect();
        let actual: Vec<f32> = pairs.iter().map(|pair| pair.0 + pair.1).collect();
        let is_faulty = |atol| {
            let tolerance = Tolerance { atol, rtol };
            compare_sample(&actual, &golden, tolerance).is_faulty()
        };
        let atol = needed_atol(&actual, &golden, rtol);
        prop_assert!(!is_faulty(atol), "{} is not enough", atol);
        if rtol == 0.0 && atol > 0.0 {
            prop_assert!(is_faulty(atol.next_down()), "{} is not the least", atol);
        }
    }
}

mod in_a_file {
    //! Calibrations that are stored and read.

    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::calibrate::file::{Entry, read, store};
    use crate::calibrate::setting::Setting;
    use crate::engine::onnxruntime::{LibraryInfo, Options};

    fn entry(batch_size: usize) -> Entry {
        let recordings = echo_recordings(&[3, 4], |element| element as f32 - 3.0);
        let stop = AtomicBool::new(false);
        let request = Request {
            recordings: &recordings,
            samples: 0..3,
            batch_size,
            passes: 1,
            rtol: 0.0,
            margin: 2.0,
            stop: &stop,
        };
        let mut engine = Echo::new(|_, output: &mut ArrayD<f32>| *output += 1e-6);
        let found = calibrate(&request, &mut engine, &mut |_| {}).expect("calibrated");
        let library = LibraryInfo {
            path: PathBuf::from("lib.so"),
            version: "1.31.1".to_owned(),
            build: String::new(),
            sha256: "5e".repeat(32),
        };
        let model = "b3".repeat(32);
        let setting =
            Setting::of_session(model, "submodel", &library, &Options::default(), batch_size);
        Entry::new(setting, "ab".repeat(32), 0, &request, &found)
    }

    /// A tolerance that was damaged would let errors pass.
    #[test]
    fn each_byte_that_is_flipped_is_refused_or_means_the_same() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("c.json");
        store(&path, entry(2)).expect("store");
        let original = fs::read(&path).expect("read");
        let expected = read(&path).expect("sound");
        let mut refused = 0;
        for position in 0..original.len() {
            let mut bytes = original.clone();
            bytes[position] ^= 1;
            fs::write(&path, &bytes).expect("write");
            match read(&path) {
                Err(_) => refused += 1,
                Ok(found) => assert_eq!(found, expected, "byte {position} was flipped"),
            }
        }
        assert!(
            refused > original.len() / 2,
            "{refused} of {}",
            original.len()
        );
    }

    #[test]
    fn an_entry_that_contradicts_itself_is_refused_whatever_its_hash() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("c.json");
        type Change = fn(&mut Entry);
        let wrong: [(&str, Change); 4] = [
            ("a tolerance of atol", |entry| entry.tolerance.atol = -1.0),
            ("times the least", |entry| entry.tolerance.atol = 1.0),
            ("no sample", |entry| entry.samples = [3, 3]),
            ("each of 32 bits", |entry| entry.caught_by_bit[31] = 1.5),
        ];
        for (reason, change) in wrong {
            let mut entry = entry(2);
            change(&mut entry);
            store(&path, entry).expect("store");
            let error = read(&path).expect_err(reason).to_string();
            assert!(error.contains(reason), "{error}");
            fs::remove_file(&path).expect("remove");
        }
    }

    #[test]
    fn writers_at_the_same_time_lose_nothing() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("c.json");
        std::thread::scope(|scope| {
            for batch_size in 1..=8 {
                let path = &path;
                scope.spawn(move || store(path, entry(batch_size)).expect("store"));
            }
        });
        assert_eq!(read(&path).expect("sound").len(), 8);
    }
}
