//! What a fault changed, and whether the check noticed.
//!
//! A change of the golden or of an output is its own effect, and must be noticed at its own element.
//! One of an input or a weight spreads: its effect is the distance between the outputs with and
//! without it, and it must be noticed at an element that no other fault changed directly.

use std::collections::BTreeSet;

use ndarray::{ArrayViewD, IxDyn};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::compared::Compared;
use crate::compare::Tolerance;
use crate::inject::{Fault, Injection, Kind, Placed};

/// A fault, what it changed, and whether that was noticed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FaultResult {
    /// The fault, in its grammar.
    pub fault: Fault,
    /// What became of it.
    pub outcome: FaultOutcome,
    /// Largest absolute change of an output (of the golden, for a fault there), over finite numbers.
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
struct Effect {
    largest_change: f64,
    non_finite: bool,
    is_changed: bool,
    is_beyond: bool,
    is_flagged: bool,
}

impl FaultResult {
    /// Of a fault that was not reached yet.
    pub fn new(fault: &Fault) -> Self {
        Self {
            fault: fault.clone(),
            outcome: FaultOutcome::NotReached,
            largest_change: 0.0,
            non_finite: false,
            samples_reached: 0,
            samples_changed: 0,
            samples_beyond: 0,
            samples_flagged: 0,
        }
    }

    /// Takes note of a sample.
    fn add(&mut self, effect: &Effect) {
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
    fn raise(&mut self, before: f32, after: f32) {
        self.is_changed |= before.to_bits() != after.to_bits();
        if before.is_finite() && after.is_finite() {
            let change = (f64::from(after) - f64::from(before)).abs();
            self.largest_change = self.largest_change.max(change);
        } else {
            self.non_finite |= before.is_finite() != after.is_finite();
        }
    }
}

/// Judges every fault that reaches a sample, whose outputs were compared.
pub(super) fn judge(
    injection: &Injection<'_>,
    sample: usize,
    outputs: &[Compared<'_>],
    tolerance: Tolerance,
    results: &mut [FaultResult],
) {
    for fault in injection.direct(sample) {
        results[fault.fault].add(&direct_effect(fault, &outputs[fault.tensor], tolerance));
    }
    let spreading: Vec<usize> = injection.spreading(sample).collect();
    if spreading.is_empty() {
        return;
    }
    let effect = Effect {
        is_flagged: is_flagged_elsewhere(injection, sample, outputs, tolerance),
        ..spread_effect(outputs, tolerance)
    };
    for fault in spreading {
        results[fault].add(&effect);
    }
}

fn direct_effect(fault: &Placed, output: &Compared<'_>, tolerance: Tolerance) -> Effect {
    let place = IxDyn(&fault.index);
    let (before, is_golden) = match fault.kind {
        Kind::Golden => (output.recorded[&place], true),
        _ => (output.computed[&place], false),
    };
    let after = fault.change.apply(before);
    // The golden is what the tolerance is relative to.
    let (actual, golden) = if is_golden {
        (before, after)
    } else {
        (after, before)
    };
    let mut effect = Effect {
        is_beyond: !tolerance.is_close(actual, golden),
        is_flagged: output.is_outside(&place, tolerance),
        ..Effect::default()
    };
    effect.raise(before, after);
    effect
}

/// The outputs with and without the faults that spread, compared with each other.
fn spread_effect(outputs: &[Compared<'_>], tolerance: Tolerance) -> Effect {
    let mut effect = Effect::default();
    for output in outputs {
        let nothing = ArrayViewD::from_shape(IxDyn(&[0]), &[]).expect("no element");
        let reference = output.fault_free.as_ref().unwrap_or(&nothing);
        for (&after, &before) in output.computed.iter().zip(reference) {
            effect.raise(before, after);
            effect.is_beyond |= !tolerance.is_close(after, before);
        }
    }
    effect
}

/// Whether an element is outside that no fault of the golden or of an output changed.
fn is_flagged_elsewhere(
    injection: &Injection<'_>,
    sample: usize,
    outputs: &[Compared<'_>],
    tolerance: Tolerance,
) -> bool {
    let outside: usize = outputs
        .iter()
        .map(|output| output.comparison.outside())
        .sum();
    let direct = injection.direct(sample);
    let places: BTreeSet<(usize, &[usize])> = direct
        .map(|fault| (fault.tensor, fault.index.as_slice()))
        .collect();
    let explained = places
        .iter()
        .filter(|(tensor, index)| outputs[*tensor].is_outside(&IxDyn(index), tolerance));
    outside > explained.count()
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
