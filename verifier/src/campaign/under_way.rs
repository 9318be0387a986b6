//! A batch of faults under way: what came of each in its samples, and what waits for `tail`.

use ndarray::ArrayD;

use super::effect::{Effect, Effects};
use super::statistics::Seen;
use super::study::{Planned, Study};

/// The logits of a sample, `[classes]` each.
#[derive(Debug, Clone, PartialEq)]
pub struct Logits {
    pub fault_free: Vec<f32>,
    pub corrupted: Vec<f32>,
}

/// A fault and a sample, and what came of it.
pub(super) struct Pair {
    /// Position of the fault in the batch.
    pub(super) fault: usize,
    pub(super) sample: usize,
    pub(super) effect: Effect,
}

/// A faulty output that waits for `tail`.
pub(super) struct Waiting {
    /// Index of its pair.
    pub(super) pair: usize,
    pub(super) output: ArrayD<f32>,
}

/// A batch under way.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) pairs: Vec<Pair>,
    pub(super) waiting: Vec<Waiting>,
    /// Position of the fault whose logits are kept.
    pub(super) traced: Option<usize>,
    pub(super) logits: Option<Logits>,
}

impl Batch {
    /// Keeps the logits of the fault that is traced.
    pub(super) fn trace(&mut self, fault: usize, fault_free: &[f32], corrupted: &[f32]) {
        if self.traced == Some(fault) {
            self.logits = Some(Logits {
                fault_free: fault_free.to_vec(),
                corrupted: corrupted.to_vec(),
            });
        }
    }
}

/// What each fault did: of one sample all of it, of a weight counts by tier.
pub(super) fn effects(study: &Study, planned: &[Planned], pairs: &[Pair]) -> Vec<Effects> {
    let none = |fault: &Planned| match fault.sample {
        Some(_) => None,
        None => Some(Effects::Many(vec![Seen::default(); study.tiers.len()])),
    };
    let mut effects: Vec<Option<Effects>> = planned.iter().map(none).collect();
    for pair in pairs {
        match &mut effects[pair.fault] {
            own @ None => *own = Some(Effects::One(pair.effect)),
            Some(Effects::Many(seen)) => {
                let met = study
                    .met
                    .binary_search_by_key(&pair.sample, |&(sample, _)| sample);
                let (_, tier) = study.met[met.expect("a sample that weights meet")];
                seen[tier].add(pair.effect.outcome, study.is_right(pair.sample));
            }
            Some(Effects::One(_)) => unreachable!("a fault of a sample is run once"),
        }
    }
    let all_run = effects
        .into_iter()
        .map(|effect| effect.expect("every fault was run"));
    all_run.collect()
}
