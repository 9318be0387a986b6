//! Outcomes as bytes, and back.
//!
//! A batch is the number of its first fault (8 bytes) and then fault after fault: a byte that says
//! what follows, and either the effect on one sample (outcome, pattern, class, elements beyond,
//! largest change, change of the logits' margin: 16 bytes) or, of a weight, the number of tiers and
//! for each of them ten counts of four bytes: samples by outcome, and those classified correctly by
//! outcome.
//! Numbers are little-endian.

use super::effect::{Effect, Effects};
use super::statistics::{Outcome, Seen};
use crate::compare::pattern::Pattern;

const ONE: u8 = 1;
const MANY: u8 = 2;
const PATTERNS: [Option<Pattern>; 6] = [
    None,
    Some(Pattern::Single),
    Some(Pattern::Row),
    Some(Pattern::Column),
    Some(Pattern::Block),
    Some(Pattern::Scattered),
];
/// Stands for no class.
const NO_CLASS: u16 = u16::MAX;

/// A batch as bytes.
pub(super) fn encode(first: u64, effects: &[Effects]) -> Vec<u8> {
    let mut bytes = first.to_le_bytes().to_vec();
    for effects in effects {
        match effects {
            Effects::One(effect) => encode_one(effect, &mut bytes),
            Effects::Many(tiers) => {
                bytes.push(MANY);
                bytes.extend((tiers.len() as u16).to_le_bytes());
                let counts = tiers.iter().flat_map(Seen::to_counts);
                bytes.extend(counts.flat_map(|count| (count as u32).to_le_bytes()));
            }
        }
    }
    bytes
}

fn encode_one(effect: &Effect, bytes: &mut Vec<u8>) {
    let pattern = PATTERNS.iter().position(|&known| known == effect.pattern);
    bytes.extend([ONE, effect.outcome as u8, pattern.unwrap_or(0) as u8]);
    bytes.extend(effect.class.unwrap_or(NO_CLASS).to_le_bytes());
    bytes.extend(effect.beyond.to_le_bytes());
    bytes.extend(effect.largest.to_le_bytes());
    bytes.extend(effect.lead_change.to_le_bytes());
}

/// The number of the first fault, and what each did; `None` if the bytes are no batch.
pub(super) fn decode(bytes: &[u8]) -> Option<(u64, Vec<Effects>)> {
    let mut left = bytes;
    let first = u64::from_le_bytes(take(&mut left)?);
    let mut effects = Vec::new();
    while !left.is_empty() {
        effects.push(match take(&mut left)? {
            [ONE] => Effects::One(decode_one(&mut left)?),
            [MANY] => {
                let tiers = u16::from_le_bytes(take(&mut left)?);
                let tiers = (0..tiers).map(|_| {
                    let mut counts = [0; 2 * Outcome::ALL.len()];
                    for count in &mut counts {
                        *count = u32::from_le_bytes(take(&mut left)?).into();
                    }
                    Some(Seen::from_counts(counts))
                });
                Effects::Many(tiers.collect::<Option<_>>()?)
            }
            _ => return None,
        });
    }
    Some((first, effects))
}

fn decode_one(left: &mut &[u8]) -> Option<Effect> {
    let [outcome, pattern] = take(left)?;
    let class = u16::from_le_bytes(take(left)?);
    Some(Effect {
        outcome: *Outcome::ALL.get(usize::from(outcome))?,
        pattern: *PATTERNS.get(usize::from(pattern))?,
        class: (class != NO_CLASS).then_some(class),
        beyond: u32::from_le_bytes(take(left)?),
        largest: f32::from_le_bytes(take(left)?),
        lead_change: f32::from_le_bytes(take(left)?),
    })
}

fn take<const N: usize>(left: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = left.split_first_chunk()?;
    *left = rest;
    Some(*taken)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// One of each kind.
    pub(in crate::campaign) fn some_effects() -> Vec<Effects> {
        let one = Effect {
            outcome: Outcome::CriticalSdc,
            beyond: 7,
            pattern: Some(Pattern::Row),
            largest: 1.5,
            class: Some(9),
            lead_change: -0.25,
        };
        let none = Effect {
            outcome: Outcome::Masked,
            beyond: 0,
            pattern: None,
            largest: 0.0,
            class: None,
            lead_change: 0.0,
        };
        let mut seen = Seen::one(Outcome::TolerableSdc, true);
        seen.add(Outcome::NonFinite, false);
        let many = vec![seen, Seen::default()];
        vec![Effects::One(one), Effects::Many(many), Effects::One(none)]
    }

    #[test]
    fn what_is_written_is_read_back_and_anything_shorter_is_refused() {
        let bytes = encode(1 << 40, &some_effects());
        assert_eq!(decode(&bytes), Some((1 << 40, some_effects())));
        let whole = [0, 1, 2].map(|faults| encode(1 << 40, &some_effects()[..faults]).len());
        for length in 0..bytes.len() {
            let is_whole = whole.contains(&length);
            assert_eq!(decode(&bytes[..length]).is_some(), is_whole, "{length}");
        }
    }

    #[test]
    fn a_kind_an_outcome_or_a_pattern_that_is_none_is_refused() {
        let bytes = encode(0, &some_effects()[..1]);
        for at in [8, 9, 10] {
            let mut changed = bytes.clone();
            changed[at] = 99;
            assert_eq!(decode(&changed), None, "byte {at}");
        }
    }
}
