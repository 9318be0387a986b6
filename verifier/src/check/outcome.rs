//! What became of a fault.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::inject::{Fault, WeightElement};

/// A fault, what it changed, and whether that was noticed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FaultResult {
    /// The fault, in its grammar.
    pub fault: Fault,
    /// Where it is, by both names of the weight; absent where it is in no parameter of PyTorch's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<WeightElement>,
    /// What became of it.
    pub outcome: FaultOutcome,
    /// Largest absolute change of an output (of the golden, for a fault there), over finite
    /// numbers.
    pub largest_change: f64,
    /// Whether a value became or stopped being finite.
    pub non_finite: bool,
    /// Samples that it could reach and that were run.
    pub samples_reached: usize,
    /// Samples in which it changed a bit of an output (of the golden, for a fault there).
    pub samples_changed: usize,
    /// Samples in which it moved an element beyond the tolerance.
    pub samples_beyond: usize,
    /// Those of them that were flagged for it.
    pub samples_flagged: usize,
}

/// What became of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FaultOutcome {
    /// The check ended before its sample was run: nothing is known of it.
    NotReached,
    /// The output has the same bits as without it.
    Masked,
    /// It changed the output, but moved no element beyond the tolerance.
    WithinTolerance,
    /// It moved an element beyond the tolerance, and every such sample was flagged.
    Detected,
    /// It moved an element beyond the tolerance, and that was not flagged.
    Missed,
}

/// What one fault does in one sample.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Effect {
    pub(super) largest_change: f64,
    pub(super) non_finite: bool,
    pub(super) is_changed: bool,
    pub(super) is_beyond: bool,
    pub(super) is_flagged: bool,
}

impl FaultResult {
    /// Of a fault that was not reached yet.
    pub fn new(fault: &Fault) -> Self {
        Self {
            fault: fault.clone(),
            weight: None,
            outcome: FaultOutcome::NotReached,
            largest_change: 0.0,
            non_finite: false,
            samples_reached: 0,
            samples_changed: 0,
            samples_beyond: 0,
            samples_flagged: 0,
        }
    }

    /// The other name of the weight's element, and where it holds.
    pub fn other_name(&self) -> Option<(&'static str, String)> {
        let weight = self.weight.as_ref()?;
        Some(weight.other_name(&self.fault.target))
    }

    /// Takes note of a sample.
    pub(super) fn add(&mut self, effect: &Effect) {
        self.largest_change = self.largest_change.max(effect.largest_change);
        self.non_finite |= effect.non_finite;
        self.samples_reached += 1;
        self.samples_changed += usize::from(effect.is_changed);
        self.samples_beyond += usize::from(effect.is_beyond);
        self.samples_flagged += usize::from(effect.is_beyond && effect.is_flagged);
        self.outcome = self.outcome_of_counts();
    }

    fn outcome_of_counts(&self) -> FaultOutcome {
        if self.samples_reached == 0 {
            FaultOutcome::NotReached
        } else if self.samples_changed == 0 {
            FaultOutcome::Masked
        } else if self.samples_beyond == 0 {
            FaultOutcome::WithinTolerance
        } else if self.samples_flagged == self.samples_beyond {
            FaultOutcome::Detected
        } else {
            FaultOutcome::Missed
        }
    }
}

impl FaultOutcome {
    /// In a word or two.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotReached => "not reached",
            Self::Masked => "masked",
            Self::WithinTolerance => "within tolerance",
            Self::Detected => "detected",
            Self::Missed => "MISSED",
        }
    }
}

impl Effect {
    /// Takes note of a value without and with the fault.
    pub(super) fn raise(&mut self, before: f32, after: f32) {
        self.is_changed |= before.to_bits() != after.to_bits();
        if before.is_finite() && after.is_finite() {
            let change = (f64::from(after) - f64::from(before)).abs();
            self.largest_change = self.largest_change.max(change);
        } else {
            self.non_finite |= before.is_finite() != after.is_finite();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_follows_from_the_counts() {
        let fault: Fault = "golden[0,0]=1".parse().expect("a fault");
        let outcome = |counts: [usize; 4]| {
            let result = FaultResult {
                samples_reached: counts[0],
                samples_changed: counts[1],
                samples_beyond: counts[2],
                samples_flagged: counts[3],
                ..FaultResult::new(&fault)
            };
            result.outcome_of_counts()
        };
        assert_eq!(outcome([0, 0, 0, 0]), FaultOutcome::NotReached);
        assert_eq!(outcome([3, 0, 0, 0]), FaultOutcome::Masked);
        assert_eq!(outcome([3, 3, 0, 0]), FaultOutcome::WithinTolerance);
        assert_eq!(outcome([3, 3, 2, 2]), FaultOutcome::Detected);
        assert_eq!(
            outcome([3, 3, 3, 2]),
            FaultOutcome::Missed,
            "one sample was not flagged"
        );
    }
}
