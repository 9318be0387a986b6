//! The confidence of an interval, and its quantile of the normal distribution.

use thiserror::Error;

/// The share of intervals that contain the rate that they are of: above 0, below 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Confidence {
    level: f64,
    quantile: f64,
}

/// A level at which there is no interval.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[error("expected a confidence from 0.5 to 0.999999, found {0}; hint: 0.95 is usual")]
pub struct ConfidenceError(f64);

/// Beyond it, the quantile's second formula no longer holds, nor does a normal approximation.
const LEVELS: std::ops::RangeInclusive<f64> = 0.5..=0.999_999;

impl Confidence {
    /// Of a level such as 0.95.
    pub fn new(level: f64) -> Result<Self, ConfidenceError> {
        if !LEVELS.contains(&level) {
            return Err(ConfidenceError(level));
        }
        let quantile = normal_quantile(0.5 + level / 2.0);
        Ok(Self { level, quantile })
    }

    /// The level, such as 0.95.
    pub fn level(self) -> f64 {
        self.level
    }

    /// How many standard deviations the interval reaches to either side: 1.959964 for 0.95.
    pub fn quantile(self) -> f64 {
        self.quantile
    }

    /// The probability that is left to each side: 0.025 for 0.95.
    pub(super) fn tail(self) -> f64 {
        (1.0 - self.level) / 2.0
    }
}

/// The normal quantile for a probability from 0.5 to 1 − 10⁻¹¹, with a relative error of 10⁻¹⁵:
/// Wichura 1988, algorithm AS 241, PPND16.
fn normal_quantile(probability: f64) -> f64 {
    let centred = probability - 0.5;
    if centred <= 0.425 {
        let r = 0.180_625 - centred * centred;
        return centred * polynomial(&CENTRE_ABOVE, r) / polynomial(&CENTRE_BELOW, r);
    }
    let r = (-(1.0 - probability).ln()).sqrt() - 1.6;
    polynomial(&TAIL_ABOVE, r) / polynomial(&TAIL_BELOW, r)
}

/// Coefficients from the constant upwards.
fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    let horner = |sum: f64, &coefficient: &f64| sum * x + coefficient;
    coefficients.iter().rev().fold(0.0, horner)
}

const CENTRE_ABOVE: [f64; 8] = [
    3.387_132_872_796_366_5,
    133.141_667_891_784_38,
    1_971.590_950_306_551_3,
    13_731.693_765_509_46,
    45_921.953_931_549_87,
    67_265.770_927_008_7,
    33_430.575_583_588_13,
    2_509.080_928_730_122_7,
];
const CENTRE_BELOW: [f64; 8] = [
    1.0,
    42.313_330_701_600_91,
    687.187_007_492_057_9,
    5_394.196_021_424_751,
    21_213.794_301_586_597,
    39_307.895_800_092_71,
    28_729.085_735_721_943,
    5_226.495_278_852_854,
];
const TAIL_ABOVE: [f64; 8] = [
    1.423_437_110_749_683_5,
    4.630_337_846_156_546,
    5.769_497_221_460_691,
    3.647_848_324_763_204_5,
    1.270_458_252_452_368_4,
    0.241_780_725_177_450_6,
    0.022_723_844_989_269_184,
    7.745_450_142_783_414e-4,
];
const TAIL_BELOW: [f64; 8] = [
    1.0,
    2.053_191_626_637_759,
    1.676_384_830_183_803_8,
    0.689_767_334_985_1,
    0.148_103_976_427_480_08,
    0.015_198_666_563_616_457,
    5.475_938_084_995_345e-4,
    1.050_750_071_644_416_9e-9,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        let tables = [
            (0.5, 0.674_489_750_196_081_7),
            (0.8, 1.281_551_565_544_600_4),
            (0.95, 1.959_963_984_540_054),
            (0.99, 2.575_829_303_548_900_4),
            (0.999, 3.290_526_731_491_926),
            (0.999_999, 4.891_638_475_698_59),
        ];
        for (level, expected) in tables {
            let found = Confidence::new(level).expect("a level").quantile();
            assert!(
                (found - expected).abs() < 1e-9,
                "{level}: {found}, {expected}"
            );
        }
    }

    #[test]
    fn a_level_without_an_interval_is_refused() {
        for level in [0.0, 0.49, 1.0, 95.0, -0.95, f64::NAN] {
            assert!(Confidence::new(level).is_err(), "{level}");
        }
    }
}
