//! One sample against its golden: `torch.isclose(actual, golden, rtol, atol, equal_nan=False)`
//! element by element.
//!
//! The arithmetic is PyTorch's (`isclose` in `aten/src/ATen/native/TensorCompare.cpp`): in float32,
//! an element is close when it equals the golden, or when `|actual − golden|` is finite and at most
//! `atol + |rtol·golden|`. So equal infinities match and NaN never does.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `|actual − golden| ≤ atol + rtol·|golden|`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tolerance {
    /// Absolute part.
    pub atol: f32,
    /// Part relative to the golden.
    pub rtol: f32,
}

/// How one element compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Within the tolerance, or the same infinity.
    Close,
    /// Both finite, and too far apart.
    Mismatch,
    /// At least one is infinite or not a number, and they are not the same infinity.
    NonFinite,
}

/// How one sample compares.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SampleComparison {
    /// Elements that are not equal to the golden.
    pub differing: usize,
    /// Elements outside the tolerance, both sides finite.
    pub mismatches: usize,
    /// Elements outside because a side is infinite or not a number.
    pub non_finite: usize,
    /// Largest absolute error over pairs of finite numbers, and where.
    pub max_abs_error: Peak<f64>,
    /// Largest ULP distance over pairs of finite numbers, and where.
    pub max_ulp: Peak<u32>,
}

/// The largest value of something and the element it stands at, a flat index; no element when there
/// is none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Peak<T> {
    /// The value.
    pub value: T,
    /// The element.
    pub element: Option<usize>,
}

impl Tolerance {
    /// Compares one element.
    pub fn outcome(self, actual: f32, golden: f32) -> Outcome {
        if self.is_close(actual, golden) {
            Outcome::Close
        } else if actual.is_finite() && golden.is_finite() {
            Outcome::Mismatch
        } else {
            Outcome::NonFinite
        }
    }

    fn is_close(self, actual: f32, golden: f32) -> bool {
        let allowed = self.atol + (self.rtol * golden).abs();
        let error = (actual - golden).abs();
        actual == golden || (error <= allowed && error < f32::INFINITY)
    }
}

impl SampleComparison {
    /// Whether the sample has an element outside the tolerance.
    pub fn is_faulty(&self) -> bool {
        self.mismatches + self.non_finite > 0
    }
}

/// Compares a sample; both slices have the same length.
pub fn compare_sample(actual: &[f32], golden: &[f32], tolerance: Tolerance) -> SampleComparison {
    assert_eq!(
        actual.len(),
        golden.len(),
        "a sample and its golden have the same shape"
    );
    let screen = screen(actual, golden, tolerance);
    let mut result = SampleComparison {
        differing: screen.differing as usize,
        ..Default::default()
    };
    if screen.outside == 0 && screen.max_error_bits < f32::INFINITY.to_bits() {
        // The usual case: everything is close and finite, and only the peaks remain to be found.
        result.max_abs_error = locate(actual, golden, screen.max_error_bits, |y, g| {
            (y - g).abs().to_bits()
        })
        .map_or_else(Peak::default, |element| {
            peak_of_error(actual, golden, element)
        });
        result.max_ulp = locate(actual, golden, screen.max_ulp, ulp_distance).map_or_else(
            Peak::default,
            |element| Peak {
                value: screen.max_ulp,
                element: Some(element),
            },
        );
        return result;
    }
    for (element, (&y, &g)) in actual.iter().zip(golden).enumerate() {
        match tolerance.outcome(y, g) {
            Outcome::Close => {}
            Outcome::Mismatch => result.mismatches += 1,
            Outcome::NonFinite => result.non_finite += 1,
        }
        if y.is_finite() && g.is_finite() {
            let (error, ulp) = ((f64::from(y) - f64::from(g)).abs(), ulp_distance(y, g));
            if error > result.max_abs_error.value {
                result.max_abs_error = Peak {
                    value: error,
                    element: Some(element),
                };
            }
            if ulp > result.max_ulp.value {
                result.max_ulp = Peak {
                    value: ulp,
                    element: Some(element),
                };
            }
        }
    }
    result
}

/// Units in the last place between two numbers: the distance of their bit patterns, ordered as the
/// numbers are. +0 and −0 are the same number, distance 0.
pub fn ulp_distance(a: f32, b: f32) -> u32 {
    ordered(a).abs_diff(ordered(b))
}

/// Sign and magnitude as a two's complement integer.
fn ordered(x: f32) -> i32 {
    let bits = x.to_bits() as i32;
    if bits < 0 {
        i32::MIN.wrapping_sub(bits)
    } else {
        bits
    }
}

struct Screen {
    differing: u32,
    outside: u32,
    /// Bits of the largest `|actual − golden|`; those of non-negative floats are ordered as the
    /// floats are, NaN last.
    max_error_bits: u32,
    max_ulp: u32,
}

/// What can be had in one pass without branches, which the compiler turns into vector code.
fn screen(actual: &[f32], golden: &[f32], tolerance: Tolerance) -> Screen {
    let mut screen = Screen {
        differing: 0,
        outside: 0,
        max_error_bits: 0,
        max_ulp: 0,
    };
    for (&y, &g) in actual.iter().zip(golden) {
        let error = (y - g).abs();
        let allowed = tolerance.atol + (tolerance.rtol * g).abs();
        screen.differing += u32::from(y != g);
        screen.outside += u32::from(!((y == g) | ((error <= allowed) & (error < f32::INFINITY))));
        screen.max_error_bits = screen.max_error_bits.max(error.to_bits());
        screen.max_ulp = screen.max_ulp.max(ulp_distance(y, g));
    }
    screen
}

/// The first element where a measure has its largest value, unless that is 0.
fn locate(
    actual: &[f32],
    golden: &[f32],
    largest: u32,
    measure: impl Fn(f32, f32) -> u32,
) -> Option<usize> {
    let found = || {
        actual
            .iter()
            .zip(golden)
            .position(|(&y, &g)| measure(y, g) == largest)
    };
    if largest == 0 { None } else { found() }
}

fn peak_of_error(actual: &[f32], golden: &[f32], element: usize) -> Peak<f64> {
    Peak {
        value: (f64::from(actual[element]) - f64::from(golden[element])).abs(),
        element: Some(element),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOLERANCE: Tolerance = Tolerance {
        atol: 5e-6,
        rtol: 1e-5,
    };

    #[test]
    fn special_values_compare_as_in_torch_isclose() {
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        // torch.isclose(torch.tensor(actual), torch.tensor(golden), rtol=1e-5, atol=5e-6)
        let cases = [
            (inf, inf, Outcome::Close),
            (-inf, -inf, Outcome::Close),
            (inf, -inf, Outcome::NonFinite),
            (0.0, inf, Outcome::NonFinite),
            (inf, 0.0, Outcome::NonFinite),
            (f32::MAX, inf, Outcome::NonFinite),
            (nan, nan, Outcome::NonFinite),
            (nan, 0.0, Outcome::NonFinite),
            (0.0, nan, Outcome::NonFinite),
            (0.0, -0.0, Outcome::Close),
            (f32::MAX, -f32::MAX, Outcome::Mismatch),
            (f32::from_bits(1), 0.0, Outcome::Close),
            (1.0, 1.0 + 2e-5, Outcome::Mismatch),
            (1.0, 1.0 + 1e-5, Outcome::Close),
            (5e-6, 0.0, Outcome::Close),
            (5.001e-6, 0.0, Outcome::Mismatch),
        ];
        for (actual, golden, expected) in cases {
            assert_eq!(
                TOLERANCE.outcome(actual, golden),
                expected,
                "actual {actual:e}, golden {golden:e}"
            );
        }
    }

    #[test]
    fn ulp_distance_crosses_zero_and_counts_steps() {
        assert_eq!(ulp_distance(1.0, 1.0f32.next_up()), 1);
        assert_eq!(ulp_distance(0.0, -0.0), 0);
        assert_eq!(ulp_distance(f32::from_bits(1), -f32::from_bits(1)), 2);
        assert_eq!(ulp_distance(f32::MAX, -f32::MAX), 2 * f32::MAX.to_bits());
    }

    #[test]
    fn non_finite_elements_are_counted_apart_and_leave_the_peaks_alone() {
        let golden = [1.0, 2.0, f32::INFINITY, f32::NAN, 3.0];
        let actual = [1.0, 2.5, f32::INFINITY, 4.0, f32::NEG_INFINITY];
        let result = compare_sample(&actual, &golden, TOLERANCE);
        assert_eq!(
            (result.differing, result.mismatches, result.non_finite),
            (3, 1, 2)
        );
        assert_eq!(
            result.max_abs_error,
            Peak {
                value: 0.5,
                element: Some(1)
            }
        );
    }

    #[test]
    fn equal_infinities_are_no_fault() {
        let both = [f32::INFINITY, 1.0];
        let result = compare_sample(&both, &both, TOLERANCE);
        assert_eq!(result, SampleComparison::default());
    }

    proptest! {
        #[test]
        fn the_quick_screen_and_the_element_by_element_rule_agree(
            pairs in prop::collection::vec((any::<f32>(), any::<f32>(), any::<bool>()), 1..100),
            nudge in 0u32..200,
        ) {
            let golden: Vec<f32> = pairs.iter().map(|&(_, golden, _)| golden).collect();
            let near = |g: f32| f32::from_bits(g.to_bits().wrapping_add(nudge));
            let actual: Vec<f32> = pairs.iter().map(|&(y, g, far)| if far { y } else { near(g) }).collect();
            let result = compare_sample(&actual, &golden, TOLERANCE);

            let outcomes: Vec<_> = actual.iter().zip(&golden).map(|(&y, &g)| TOLERANCE.outcome(y, g)).collect();
            let count = |outcome| outcomes.iter().filter(|&&found| found == outcome).count();
            prop_assert_eq!(result.mismatches, count(Outcome::Mismatch));
            prop_assert_eq!(result.non_finite, count(Outcome::NonFinite));
            let finite = || actual.iter().zip(&golden).filter(|(y, g)| y.is_finite() && g.is_finite());
            let largest = finite().map(|(&y, &g)| (f64::from(y) - f64::from(g)).abs()).fold(0.0, f64::max);
            // The screen ranks float32 differences, so that the peak may be another of the same
            // rounded size.
            prop_assert!((result.max_abs_error.value - largest).abs() <= largest * f64::from(f32::EPSILON));
            prop_assert_eq!(result.max_ulp.value, finite().map(|(&y, &g)| ulp_distance(y, g)).max().unwrap_or(0));
        }

        #[test]
        fn any_bit_flip_beyond_the_tolerance_is_flagged(golden in any::<f32>(), bit in 0u32..32) {
            prop_assume!(golden.is_finite());
            let actual = f32::from_bits(golden.to_bits() ^ (1 << bit));
            let beyond = !actual.is_finite()
                || (f64::from(actual) - f64::from(golden)).abs() > 1.000_001 * (5e-6 + 1e-5 * f64::from(golden).abs());
            if beyond {
                prop_assert!(compare_sample(&[actual], &[golden], TOLERANCE).is_faulty());
            }
        }
    }
}
