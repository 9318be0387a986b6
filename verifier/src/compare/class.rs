//! The class that logits stand for, what an error did to it, and how many classes are right.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A class and how far it is ahead of the next one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Class {
    /// The first with the largest logit.
    pub class: usize,
    /// p(best class) − p(second best class), p the softmax of the logits.
    pub confidence: f64,
}

/// What became of the class of a sample with an element beyond the tolerance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClassOutcome {
    /// It is the same.
    Tolerable,
    /// It is another one.
    Critical,
    /// A logit is infinite or not a number: there is no class.
    NonFinite,
}

/// The class without an error and with it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClassChange {
    pub outcome: ClassOutcome,
    /// Of the golden.
    pub before: Class,
    /// Of what the engine gave; absent where a logit is not finite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Class>,
}

/// How many faulty outputs changed the class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClassCounts {
    pub tolerable: usize,
    pub critical: usize,
    pub non_finite: usize,
}

/// How many samples have the class that the golden has, and the right one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Top1 {
    /// Samples whose golden class is known.
    pub samples: usize,
    /// With the golden's class.
    pub same_as_golden: usize,
    /// Samples whose label is known.
    pub labelled: usize,
    /// With the label's class.
    pub correct: usize,
    /// Whose golden has the label's class.
    pub golden_correct: usize,
}

impl Class {
    /// Of one sample's logits; `None` if one is not finite, or there is none.
    pub fn of(logits: &[f32]) -> Option<Self> {
        if logits.iter().any(|logit| !logit.is_finite()) {
            return None;
        }
        let (class, &largest) = logits
            .iter()
            .enumerate()
            .reduce(|best, other| if other.1 > best.1 { other } else { best })?;
        let weight = |logit: f32| (f64::from(logit) - f64::from(largest)).exp();
        let all: f64 = logits.iter().map(|&logit| weight(logit)).sum();
        let others = logits.iter().enumerate();
        let second = others
            .filter(|(other, _)| *other != class)
            .map(|(_, &logit)| weight(logit))
            .fold(0.0, f64::max);
        Some(Self {
            class,
            confidence: (1.0 - second) / all,
        })
    }
}

impl Class {
    /// p(class) − p(best other class) of finite logits, p their softmax; negative where another
    /// class is ahead.
    pub fn lead(logits: &[f32], class: usize) -> f64 {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weight = |logit: f32| (f64::from(logit) - f64::from(largest)).exp();
        let all: f64 = logits.iter().map(|&logit| weight(logit)).sum();
        let others = logits.iter().enumerate();
        let others = others.filter(|(other, _)| *other != class);
        let best = others.map(|(_, &logit)| weight(logit)).fold(0.0, f64::max);
        let own = logits.get(class).map_or(0.0, |&logit| weight(logit));
        (own - best) / all
    }
}

impl ClassChange {
    /// Of the golden's logits, which must be finite, and of others; `None` if they are not.
    pub fn new(golden: &[f32], actual: &[f32]) -> Option<Self> {
        let (before, after) = (Class::of(golden)?, Class::of(actual));
        let outcome = match after {
            None => ClassOutcome::NonFinite,
            Some(after) if after.class == before.class => ClassOutcome::Tolerable,
            Some(_) => ClassOutcome::Critical,
        };
        Some(Self {
            outcome,
            before,
            after,
        })
    }
}

impl ClassCounts {
    pub fn add(&mut self, outcome: ClassOutcome) {
        match outcome {
            ClassOutcome::Tolerable => self.tolerable += 1,
            ClassOutcome::Critical => self.critical += 1,
            ClassOutcome::NonFinite => self.non_finite += 1,
        }
    }
}

impl ClassOutcome {
    pub fn name(self) -> &'static str {
        match self {
            Self::Tolerable => "tolerable",
            Self::Critical => "critical",
            Self::NonFinite => "not finite",
        }
    }
}

impl Top1 {
    /// Takes a sample with the golden's class, the one that was found, if there is one, and the
    /// right one, as far as they are known.
    pub fn add(&mut self, golden: Option<usize>, found: Option<usize>, label: Option<i64>) {
        let Some(golden) = golden else {
            return;
        };
        self.samples += 1;
        self.same_as_golden += usize::from(found == Some(golden));
        let Some(label) = label.and_then(|label| usize::try_from(label).ok()) else {
            return;
        };
        self.labelled += 1;
        self.correct += usize::from(found == Some(label));
        self.golden_correct += usize::from(golden == label);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_and_its_lead_are_those_of_the_softmax() {
        let class = Class::of(&[1.0, 3.0, 3.0, 0.0]).expect("finite");
        assert_eq!((class.class, class.confidence), (1, 0.0));
        let class = Class::of(&[0.0, 2f32.ln()]).expect("finite");
        assert_eq!(class.class, 1);
        assert!((class.confidence - 1.0 / 3.0).abs() < 1e-7, "{class:?}");
        assert_eq!(
            Class::of(&[1e30, -1e30]).map(|class| class.confidence),
            Some(1.0)
        );
        assert_eq!(Class::of(&[]), None);
        assert_eq!(Class::of(&[1.0, f32::NAN]), None);
    }

    #[test]
    fn a_class_that_changes_is_critical_and_one_that_is_lost_is_counted_apart() {
        let outcome = |actual: &[f32]| {
            let change = ClassChange::new(&[0.0, 1.0], actual);
            change.expect("a finite golden").outcome
        };
        assert_eq!(outcome(&[0.5, 0.6]), ClassOutcome::Tolerable);
        assert_eq!(outcome(&[0.6, 0.5]), ClassOutcome::Critical);
        assert_eq!(outcome(&[f32::INFINITY, 0.5]), ClassOutcome::NonFinite);
        assert_eq!(ClassChange::new(&[f32::NAN], &[1.0]), None);
    }

    #[test]
    fn a_sample_without_a_finite_class_is_wrong() {
        let mut top1 = Top1::default();
        top1.add(Some(1), Some(1), Some(1));
        top1.add(Some(1), None, Some(1));
        top1.add(Some(2), Some(2), None);
        top1.add(None, Some(2), Some(2));
        let expected = Top1 {
            samples: 3,
            same_as_golden: 2,
            labelled: 2,
            correct: 1,
            golden_correct: 2,
        };
        assert_eq!(top1, expected);
    }
}
