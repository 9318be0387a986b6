//! What a fault changed, and whether the check noticed.
//!
//! A change of the golden or of an output is its own effect, and must be noticed at its own
//! element. One of an input or a weight spreads: its effect is the distance between the outputs
//! with and without it, and it must be noticed at an element that no other fault changed directly.

use std::collections::BTreeSet;

use ndarray::{ArrayViewD, IxDyn};

use super::compared::Compared;
use super::outcome::{Effect, FaultResult};
use crate::compare::Tolerance;
use crate::inject::{Injection, Kind, Placed};

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
