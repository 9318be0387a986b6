//! The model of faults of a campaign: what a fault does to a value, in which region of a tensor.

use std::fmt;
use std::str::FromStr;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::inject::{Change, Region};

/// The model of all faults of a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FaultModel {
    pub effect: FaultEffect,
    pub region: Region,
}

/// What a fault does to each value of its region.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum FaultEffect {
    /// One bit is inverted.
    Flip,
    /// So many bits side by side are inverted.
    Adjacent(u8),
    /// So many different bits are inverted.
    Distinct(u8),
    /// One bit is 0, or 1.
    Stuck { is_one: bool },
    /// The value is this one, by its bits.
    Value(u32),
    /// The value is of 32 random bits.
    Random,
}

const BITS: u8 = 32;

/// A place has so many random values in the population; each is drawn when its turn comes.
const RANDOM_VALUES: u64 = 1 << 16;

impl FaultEffect {
    /// Ways to change a place that are strata of their own: positions of the bit, or of the lowest
    /// of several side by side.
    pub fn bits(self) -> u16 {
        match self {
            Self::Flip | Self::Stuck { .. } => u16::from(BITS),
            Self::Adjacent(count) => u16::from(BITS - count) + 1,
            Self::Distinct(_) | Self::Value(_) | Self::Random => 1,
        }
    }

    /// Whether these are positions of a bit.
    pub fn has_bits(self) -> bool {
        matches!(self, Self::Flip | Self::Adjacent(_) | Self::Stuck { .. })
    }

    /// Faults of one place and bit.
    pub fn patterns(self) -> u64 {
        match self {
            Self::Distinct(count) => combinations(BITS.into(), count.into()),
            Self::Random => RANDOM_VALUES,
            _ => 1,
        }
    }

    /// The change of a bit and pattern, each below its number; `random` is the fault's own.
    pub fn change(self, bit: u16, pattern: u64, random: &mut ChaCha8Rng) -> Change {
        let bit = bit as u8;
        match self {
            Self::Flip | Self::Adjacent(1) => Change::Flip(bit),
            Self::Adjacent(count) => Change::Flips(lowest(count) << bit),
            Self::Distinct(count) => flips(distinct_bits(count, pattern)),
            Self::Stuck { is_one } => Change::Stuck { bit, is_one },
            Self::Value(bits) => set(bits),
            Self::Random => Change::Pattern(random.next_u32()),
        }
    }
}

/// As the grammar of faults writes it most plainly.
fn set(bits: u32) -> Change {
    let value = f32::from_bits(bits);
    match value.is_nan() {
        true => Change::Pattern(bits),
        false => Change::Value(value),
    }
}

fn flips(mask: u32) -> Change {
    match mask.count_ones() {
        1 => Change::Flip(mask.trailing_zeros() as u8),
        _ => Change::Flips(mask),
    }
}

/// A mask of so many bits, 1 to 32.
fn lowest(count: u8) -> u32 {
    u32::MAX >> (BITS - count)
}

/// How many ways there are to choose `few` of `many`.
fn combinations(many: u64, few: u64) -> u64 {
    (0..few).fold(1, |all, chosen| all * (many - chosen) / (chosen + 1))
}

/// The subset of bits of a number, in the combinatorial number system (Knuth, The Art of Computer
/// Programming 4A, 7.2.1.3, theorem L): each number below C(32, count) has its own.
fn distinct_bits(count: u8, number: u64) -> u32 {
    let (mut mask, mut left) = (0, number);
    for few in (1..=u64::from(count)).rev() {
        let below = (few - 1..u64::from(BITS)).take_while(|&bit| combinations(bit, few) <= left);
        let bit = below.last().expect("C(few − 1, few) is 0");
        left -= combinations(bit, few);
        mask |= 1 << bit;
    }
    mask
}

impl fmt::Display for FaultEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Flip => f.write_str("bit"),
            Self::Adjacent(count) => write!(f, "adjacent:{count}"),
            Self::Distinct(count) => write!(f, "bits:{count}"),
            Self::Stuck { is_one } => write!(f, "stuck-at-{}", u8::from(is_one)),
            Self::Value(0) => f.write_str("zero"),
            Self::Value(bits) => match set(bits) {
                Change::Value(value) => write!(f, "value:{}", value.to_string().to_lowercase()),
                _ => write!(f, "value:{bits:#010x}"),
            },
            Self::Random => f.write_str("random"),
        }
    }
}

impl FromStr for FaultEffect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let effect = match text.split_once(':') {
            None => match text {
                "bit" => Some(Self::Flip),
                "stuck-at-0" => Some(Self::Stuck { is_one: false }),
                "stuck-at-1" => Some(Self::Stuck { is_one: true }),
                "zero" => Some(Self::Value(0)),
                "random" => Some(Self::Random),
                _ => None,
            },
            Some(("adjacent", count)) => count_of_bits(count).map(Self::Adjacent),
            Some(("bits", count)) => count_of_bits(count).map(Self::Distinct),
            Some(("value", value)) => bits_of(value).map(Self::Value),
            Some(_) => None,
        };
        effect.ok_or_else(|| {
            "expected bit, adjacent:K or bits:K with K of 1 to 32, stuck-at-0, stuck-at-1, zero, \
             value:V, value:0xBITS or random"
                .to_owned()
        })
    }
}

fn count_of_bits(text: &str) -> Option<u8> {
    let is_unsigned = text.bytes().all(|byte| byte.is_ascii_digit());
    let count = is_unsigned.then(|| text.parse().ok())?;
    count.filter(|count| (1..=BITS).contains(count))
}

fn bits_of(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) if digits.len() == 8 && !digits.starts_with('+') => {
            u32::from_str_radix(digits, 16).ok()
        }
        Some(_) => None,
        None => {
            let value: f32 = text.parse().ok()?;
            let is_held = value.is_finite() || text.to_ascii_lowercase().contains(['i', 'n']);
            is_held.then_some(value.to_bits())
        }
    }
}

impl From<FaultEffect> for String {
    fn from(effect: FaultEffect) -> Self {
        effect.to_string()
    }
}

impl TryFrom<String> for FaultEffect {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    fn change(text: &str, bit: u16, pattern: u64) -> Change {
        let effect: FaultEffect = text.parse().expect(text);
        assert_eq!(effect.to_string(), text);
        effect.change(bit, pattern, &mut ChaCha8Rng::seed_from_u64(1))
    }

    #[test]
    fn every_effect_is_the_change_that_it_says() {
        assert_eq!(change("bit", 27, 0), Change::Flip(27));
        assert_eq!(change("adjacent:3", 29, 0), Change::Flips(0xe000_0000));
        assert_eq!(change("adjacent:32", 0, 0), Change::Flips(u32::MAX));
        assert_eq!(
            change("stuck-at-1", 31, 0),
            Change::Stuck {
                bit: 31,
                is_one: true
            }
        );
        assert_eq!(change("zero", 0, 0), Change::Value(0.0));
        assert_eq!(change("value:-12.5", 0, 0), Change::Value(-12.5));
        assert_eq!(change("value:inf", 0, 0), Change::Value(f32::INFINITY));
        assert_eq!(
            change("value:0xffc00001", 0, 0),
            Change::Pattern(0xffc0_0001)
        );
        assert!(matches!(change("random", 0, 7), Change::Pattern(_)));
    }

    #[test]
    fn different_numbers_flip_different_sets_of_different_bits() {
        for count in [1, 2, 3] {
            let effect = FaultEffect::Distinct(count);
            let masks: BTreeSet<u32> = (0..effect.patterns())
                .map(|number| distinct_bits(count, number))
                .collect();
            assert_eq!(masks.len() as u64, effect.patterns());
            assert!(
                masks
                    .iter()
                    .all(|mask| mask.count_ones() == u32::from(count))
            );
        }
        assert_eq!(FaultEffect::Distinct(16).patterns(), 601_080_390);
        assert_eq!(distinct_bits(16, 601_080_389), 0xffff_0000);
        assert_eq!(distinct_bits(32, 0), u32::MAX);
        assert_eq!(FaultEffect::Adjacent(2).bits(), 31);
        assert!(FaultEffect::Adjacent(2).has_bits() && !FaultEffect::Distinct(2).has_bits());
        assert!(!FaultEffect::Random.has_bits() && !FaultEffect::Value(0).has_bits());
    }

    #[test]
    fn what_is_no_effect_is_refused() {
        let texts = [
            "",
            "bits",
            "bits:0",
            "bits:33",
            "adjacent:0",
            "value:1e39",
            "value:0x7f",
            "value:0x+fc00000",
            "adjacent:+2",
            "x",
        ];
        for text in texts {
            assert!(text.parse::<FaultEffect>().is_err(), "{text}");
        }
    }
}
