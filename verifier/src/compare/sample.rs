//! One sample against its golden: how many elements differ, how many are outside the tolerance, and
//! the largest errors.

use super::tolerance::{Closeness, Tolerance};

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

/// The largest value of something and the element it is at, a flat index; no element when every
/// value is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Peak<T> {
    pub value: T,
    pub element: Option<usize>,
}

impl<T: PartialOrd> Peak<T> {
    fn raise(&mut self, value: T, element: usize) {
        if value > self.value {
            *self = Self {
                value,
                element: Some(element),
            };
        }
    }
}

impl SampleComparison {
    /// Whether the sample has an element outside the tolerance.
    pub fn is_faulty(&self) -> bool {
        self.outside() > 0
    }

    /// Elements outside the tolerance.
    pub fn outside(&self) -> usize {
        self.mismatches + self.non_finite
    }
}

/// Whether every element of a sample is within the tolerance; both slices have the same length.
pub fn is_close(actual: &[f32], golden: &[f32], tolerance: Tolerance) -> bool {
    let pairs = actual.iter().zip(golden);
    // Without an early end, so that the compiler makes vector code of it.
    let outside = pairs.fold(0, |outside, (&y, &g)| {
        outside + u32::from(!tolerance.is_close(y, g))
    });
    actual.len() == golden.len() && outside == 0
}

/// Compares a sample; both slices have the same length.
pub fn compare_sample(actual: &[f32], golden: &[f32], tolerance: Tolerance) -> SampleComparison {
    assert_eq!(
        actual.len(),
        golden.len(),
        "a sample and its golden have the same shape"
    );
    let screen = screen(actual, golden, tolerance);
    if screen.outside == 0 && screen.max_error_bits < f32::INFINITY.to_bits() {
        // The usual case: everything is close and finite, and only the peaks remain to be found.
        return with_peaks(&screen, actual, golden);
    }
    let mut result = SampleComparison {
        differing: screen.differing as usize,
        ..Default::default()
    };
    for (element, (&y, &g)) in actual.iter().zip(golden).enumerate() {
        match tolerance.closeness(y, g) {
            Closeness::Close => {}
            Closeness::Mismatch => result.mismatches += 1,
            Closeness::NonFinite => result.non_finite += 1,
        }
        if y.is_finite() && g.is_finite() {
            result.max_abs_error.raise(abs_error(y, g), element);
            result.max_ulp.raise(ulp_distance(y, g), element);
        }
    }
    result
}

fn with_peaks(screen: &Screen, actual: &[f32], golden: &[f32]) -> SampleComparison {
    let error_bits = |y: f32, g: f32| (y - g).abs().to_bits();
    let mut result = SampleComparison {
        differing: screen.differing as usize,
        ..Default::default()
    };
    if let Some(element) = locate(actual, golden, screen.max_error_bits, error_bits) {
        let error = abs_error(actual[element], golden[element]);
        result.max_abs_error.raise(error, element);
    }
    if let Some(element) = locate(actual, golden, screen.max_ulp, ulp_distance) {
        result.max_ulp.raise(screen.max_ulp, element);
    }
    result
}

/// `|actual − golden|` of finite numbers, without rounding.
fn abs_error(actual: f32, golden: f32) -> f64 {
    (f64::from(actual) - f64::from(golden)).abs()
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
        screen.differing += u32::from(y != g);
        screen.outside += u32::from(!tolerance.is_close(y, g));
        screen.max_error_bits = screen.max_error_bits.max((y - g).abs().to_bits());
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
    if largest == 0 {
        return None;
    }
    let mut pairs = actual.iter().zip(golden);
    pairs.position(|(&y, &g)| measure(y, g) == largest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOLERANCE: Tolerance = Tolerance::DEFAULT;

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
            let actual = pairs.iter().map(|&(y, g, far)| if far { y } else { near(g) });
            let actual: Vec<f32> = actual.collect();
            let result = compare_sample(&actual, &golden, TOLERANCE);

            prop_assert_eq!(is_close(&actual, &golden, TOLERANCE), !result.is_faulty());

            let pairs = || actual.iter().zip(&golden).map(|(&y, &g)| (y, g));
            let outcomes: Vec<_> = pairs().map(|(y, g)| TOLERANCE.closeness(y, g)).collect();
            let count = |outcome| outcomes.iter().filter(|&&found| found == outcome).count();
            prop_assert_eq!(result.mismatches, count(Closeness::Mismatch));
            prop_assert_eq!(result.non_finite, count(Closeness::NonFinite));
            let finite = || pairs().filter(|(y, g)| y.is_finite() && g.is_finite());
            let largest = finite().map(|(y, g)| abs_error(y, g)).fold(0.0, f64::max);
            // The screen ranks float32 differences, so that the peak may be another of the same
            // rounded size.
            let allowed = largest * f64::from(f32::EPSILON);
            prop_assert!((result.max_abs_error.value - largest).abs() <= allowed);
            let largest_ulp = finite().map(|(y, g)| ulp_distance(y, g)).max();
            prop_assert_eq!(result.max_ulp.value, largest_ulp.unwrap_or(0));
        }

        #[test]
        fn any_bit_flip_beyond_the_tolerance_is_flagged(golden in any::<f32>(), bit in 0u32..32) {
            prop_assume!(golden.is_finite());
            let actual = f32::from_bits(golden.to_bits() ^ (1 << bit));
            let beyond = !actual.is_finite()
                || abs_error(actual, golden) > 1.000_001 * (5e-6 + 1e-5 * f64::from(golden).abs());
            if beyond {
                prop_assert!(compare_sample(&[actual], &[golden], TOLERANCE).is_faulty());
            }
        }
    }
}
