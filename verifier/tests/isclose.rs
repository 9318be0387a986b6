//! The comparison against `torch.isclose` itself: `fixtures/isclose.json`, beside the script that
//! made it.

use proto::digest::sha256_bytes;
use serde::Deserialize;
use verifier::compare::{Tolerance, compare_sample};

#[derive(Deserialize)]
struct Fixture {
    seed: u64,
    pairs: u64,
    special_bits: Vec<String>,
    cases: Vec<Case>,
}

/// What torch says with one pair of tolerances; verdicts are digits, `1` for close.
#[derive(Deserialize)]
struct Case {
    /// As torch is given them: float64, which it rounds to the tensors' float32.
    atol: f64,
    rtol: f64,
    /// A row for each golden, a digit for each actual.
    special: Vec<String>,
    /// Golden, actuals, verdicts.
    edge: Vec<(String, String, String)>,
    random: Random,
}

#[derive(Deserialize)]
struct Random {
    close: usize,
    pairs_sha256: String,
    verdicts_sha256: String,
}

impl Case {
    fn tolerance(&self) -> Tolerance {
        Tolerance {
            atol: self.atol as f32,
            rtol: self.rtol as f32,
        }
    }

    /// Every pair of `special` and `edge`, as `(actual, golden, close)`.
    fn listed(&self, special: &[f32]) -> Vec<(f32, f32, bool)> {
        let row = |golden, actuals: &[f32], verdicts: &str| -> Vec<(f32, f32, bool)> {
            assert_eq!(actuals.len(), verdicts.len());
            actuals
                .iter()
                .zip(verdicts.bytes())
                .map(|(&actual, verdict)| (actual, golden, verdict == b'1'))
                .collect()
        };
        assert_eq!(self.special.len(), special.len());
        let special_rows = special
            .iter()
            .zip(&self.special)
            .flat_map(|(&golden, row_text)| row(golden, special, row_text));
        let edge_rows = self.edge.iter().flat_map(|(golden, actuals, verdicts)| {
            row(
                float(golden),
                &actuals.split(' ').map(float).collect::<Vec<_>>(),
                verdicts,
            )
        });
        special_rows.chain(edge_rows).collect()
    }
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("fixtures/isclose.json")).expect("fixture")
}

fn float(bits: impl AsRef<str>) -> f32 {
    f32::from_bits(u32::from_str_radix(bits.as_ref(), 16).expect("eight hexadecimal digits"))
}

fn special(fixture: &Fixture) -> Vec<f32> {
    fixture.special_bits.iter().map(float).collect()
}

/// Whether the element at `place` of an otherwise equal sample is found close by the pass over a
/// whole sample.
fn is_close_in_a_sample(
    actual: f32,
    golden: f32,
    place: usize,
    length: usize,
    tolerance: Tolerance,
) -> bool {
    let (mut actuals, mut goldens) = (vec![0.5; length], vec![0.5; length]);
    (actuals[place], goldens[place]) = (actual, golden);
    let found = compare_sample(&actuals, &goldens, tolerance);
    assert!(found.mismatches + found.non_finite <= 1, "{found:?}");
    assert_eq!(found.differing, usize::from(actual != golden));
    !found.is_faulty()
}

#[test]
fn each_element_compares_as_torch_compares_it() {
    let fixture = fixture();
    for case in &fixture.cases {
        let tolerance = case.tolerance();
        for (actual, golden, close) in case.listed(&special(&fixture)) {
            let what = || {
                format!(
                    "{tolerance:?}: actual {:08x}, golden {:08x}",
                    actual.to_bits(),
                    golden.to_bits()
                )
            };
            assert_eq!(tolerance.is_close(actual, golden), close, "{}", what());
        }
    }
}

#[test]
fn a_sample_compares_as_torch_at_every_lane_of_the_vector_code() {
    let fixture = fixture();
    for case in &fixture.cases {
        let tolerance = case.tolerance();
        for (actual, golden, close) in case.listed(&special(&fixture)) {
            for place in 0..34 {
                // 34 elements end in a remainder of every usual vector length; 64 have none.
                for length in [34, 64] {
                    let what = || {
                        format!(
                            "{tolerance:?}: {:08x}, {:08x}",
                            actual.to_bits(),
                            golden.to_bits()
                        )
                    };
                    let found = is_close_in_a_sample(actual, golden, place, length, tolerance);
                    assert_eq!(found, close, "{} at {place} of {length}", what());
                }
            }
        }
    }
}

#[test]
fn random_pairs_near_the_edge_compare_as_torch_compares_them() {
    let fixture = fixture();
    for case in &fixture.cases {
        let tolerance = case.tolerance();
        let pairs: Vec<(f32, f32)> = (1..=fixture.pairs)
            .map(|count| random_pair(split_mix(fixture.seed, count), tolerance))
            .collect();
        let bytes: Vec<u8> = pairs
            .iter()
            .flat_map(|(actual, golden)| [actual, golden])
            .flat_map(|value| value.to_bits().to_le_bytes())
            .collect();
        assert_eq!(
            sha256_bytes(&bytes),
            case.random.pairs_sha256,
            "{tolerance:?}: not the pairs that torch was given"
        );

        let digits = |close: &dyn Fn(f32, f32) -> bool| -> Vec<u8> {
            pairs
                .iter()
                .map(|&(actual, golden)| if close(actual, golden) { b'1' } else { b'0' })
                .collect()
        };
        let alone = digits(&|actual, golden| tolerance.is_close(actual, golden));
        let in_samples = digits(&|actual, golden| {
            !compare_sample(&[actual; 9], &[golden; 9], tolerance).is_faulty()
        });
        for verdicts in [alone, in_samples] {
            assert_eq!(
                verdicts.iter().filter(|&&verdict| verdict == b'1').count(),
                case.random.close,
                "{tolerance:?}"
            );
            assert_eq!(
                sha256_bytes(&verdicts),
                case.random.verdicts_sha256,
                "{tolerance:?}"
            );
        }
    }
}

/// The `count`th number of SplitMix64, as in the script.
fn split_mix(seed: u64, count: u64) -> u64 {
    let z = seed.wrapping_add(count.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// `random_pairs` of the script: actual and golden.
fn random_pair(number: u64, tolerance: Tolerance) -> (f32, f32) {
    let bits = number as u32;
    let is_usual = (number >> 32) & 1 == 1;
    let golden = f32::from_bits(if is_usual {
        (bits & 0x8FFF_FFFF).wrapping_add(0x3580_0000)
    } else {
        bits
    });
    if golden.is_nan() {
        return (golden, golden);
    }
    let sign = if (number >> 33) & 1 == 1 { 1.0 } else { -1.0 };
    let allowed = tolerance.atol + (tolerance.rtol * golden).abs();
    let edge: f32 = golden + sign * allowed;
    let nudge = ((number >> 34) % 9) as u32;
    (
        f32::from_bits(edge.to_bits().wrapping_add(nudge).wrapping_sub(4)),
        golden,
    )
}
