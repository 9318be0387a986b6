//! What a fault does to a sample, and which rates are made of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::population::Among;

/// What a fault does to one sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The submodel's output has the same bits as without the fault.
    Masked,
    /// The output changed, but no element is beyond the tolerance.
    WithinTolerance,
    /// An element is beyond the tolerance, and the class stays.
    TolerableSdc,
    /// An element is beyond the tolerance, and the class changes.
    CriticalSdc,
    /// Logits, or without a tail the output, are no longer finite.
    NonFinite,
}

/// What a rate counts: an outcome, or several together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    Masked,
    WithinTolerance,
    TolerableSdc,
    CriticalSdc,
    NonFinite,
    /// An element beyond the tolerance: tolerable or critical SDC, or no longer finite. Where no
    /// tail tells the class, beyond the tolerance is counted as tolerable, and only this event and
    /// those of the output mean anything.
    Beyond,
}

impl Outcome {
    /// All, in the order in which they are counted.
    pub const ALL: [Self; 5] = [
        Self::Masked,
        Self::WithinTolerance,
        Self::TolerableSdc,
        Self::CriticalSdc,
        Self::NonFinite,
    ];
}

impl Event {
    /// All, in the order in which they are counted.
    pub const ALL: [Self; 6] = [
        Self::Masked,
        Self::WithinTolerance,
        Self::TolerableSdc,
        Self::CriticalSdc,
        Self::NonFinite,
        Self::Beyond,
    ];

    /// As texts name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Masked => "masked",
            Self::WithinTolerance => "within tolerance",
            Self::TolerableSdc => "tolerable SDC",
            Self::CriticalSdc => "critical SDC",
            Self::NonFinite => "not finite",
            Self::Beyond => "beyond tolerance",
        }
    }

    /// Whether the outcome counts in it.
    pub fn includes(self, outcome: Outcome) -> bool {
        match self {
            Self::Masked => outcome == Outcome::Masked,
            Self::WithinTolerance => outcome == Outcome::WithinTolerance,
            Self::TolerableSdc => outcome == Outcome::TolerableSdc,
            Self::CriticalSdc => outcome == Outcome::CriticalSdc,
            Self::NonFinite => outcome == Outcome::NonFinite,
            Self::Beyond => !matches!(outcome, Outcome::Masked | Outcome::WithinTolerance),
        }
    }
}

/// What one fault did to the samples it was run on: how many had each outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    all: [u64; Outcome::ALL.len()],
    right: [u64; Outcome::ALL.len()],
}

impl Seen {
    /// Of one sample.
    pub fn one(outcome: Outcome, is_right: bool) -> Self {
        let mut seen = Self::default();
        seen.add(outcome, is_right);
        seen
    }

    /// Takes note of a sample; `is_right`: it is classified correctly without the fault.
    pub fn add(&mut self, outcome: Outcome, is_right: bool) {
        self.all[outcome as usize] += 1;
        self.right[outcome as usize] += u64::from(is_right);
    }

    /// Samples by outcome, and those classified correctly by outcome.
    pub fn to_counts(&self) -> [u64; 2 * Outcome::ALL.len()] {
        let mut counts = [0; 2 * Outcome::ALL.len()];
        let (all, right) = counts.split_at_mut(Outcome::ALL.len());
        all.copy_from_slice(&self.all);
        right.copy_from_slice(&self.right);
        counts
    }

    /// Of what [`Self::to_counts`] gives.
    pub fn from_counts(counts: [u64; 2 * Outcome::ALL.len()]) -> Self {
        Self {
            all: std::array::from_fn(|at| counts[at]),
            right: std::array::from_fn(|at| counts[Outcome::ALL.len() + at]),
        }
    }

    /// The samples of this and another, together.
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            all: std::array::from_fn(|at| self.all[at] + other.all[at]),
            right: std::array::from_fn(|at| self.right[at] + other.right[at]),
        }
    }

    /// How many samples there are of the kind.
    pub fn samples(&self, among: Among) -> u64 {
        self.counts(among).iter().sum()
    }

    /// In how many of them the event occurred.
    pub fn of(&self, event: Event, among: Among) -> u64 {
        let counted = Outcome::ALL.into_iter().zip(self.counts(among));
        let included = counted.filter(|&(outcome, _)| event.includes(outcome));
        included.map(|(_, count)| count).sum()
    }

    fn counts(&self, among: Among) -> &[u64; Outcome::ALL.len()] {
        match among {
            Among::All => &self.all,
            Among::Right => &self.right,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_counted_by_outcome_and_those_classified_correctly_apart() {
        let mut seen = Seen::one(Outcome::CriticalSdc, true);
        seen.add(Outcome::NonFinite, false);
        seen.add(Outcome::Masked, true);
        let both = seen.plus(&Seen::one(Outcome::TolerableSdc, true));
        assert_eq!(
            (both.samples(Among::All), both.samples(Among::Right)),
            (4, 3)
        );
        let events =
            Event::ALL.map(|event| (both.of(event, Among::All), both.of(event, Among::Right)));
        assert_eq!(events, [(1, 1), (0, 0), (1, 1), (1, 1), (1, 0), (3, 2)]);
    }
}
