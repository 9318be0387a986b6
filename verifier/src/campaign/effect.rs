//! What a fault did, as it is kept.

use super::statistics::{Outcome, Seen};
use crate::compare::pattern::{Extent, Pattern};
use crate::compare::{Class, Tolerance};

/// What a fault did to one sample.
#[derive(Debug, Clone, Copy)]
pub struct Effect {
    pub outcome: Outcome,
    /// Elements of the part's outputs beyond the tolerance.
    pub beyond: u32,
    /// Their shape, if there are any.
    pub pattern: Option<Pattern>,
    /// Largest absolute change of an element; infinite, or not a number, where an element became
    /// that.
    pub largest: f32,
    /// The class with the fault, where the logits are known and finite.
    pub class: Option<u16>,
    /// Change of the lead of the fault-free class, p(it) − p(best other); 0 where none is known.
    pub lead_change: f32,
}

/// What a fault did to the samples that it was run on.
#[derive(Debug, Clone, PartialEq)]
pub enum Effects {
    One(Effect),
    /// Of a weight, counts by tier.
    Many(Vec<Seen>),
}

impl Effect {
    /// Of a sample's outputs without and with a fault. What is beyond the tolerance counts as
    /// tolerable as long as no class is known, or as not finite.
    pub(super) fn of_outputs<'v>(
        outputs: impl Iterator<Item = (&'v [f32], &'v [f32], usize)>,
        tolerance: Tolerance,
    ) -> Self {
        let mut extent = Extent::new();
        let (mut beyond, mut is_same, mut is_finite) = (0u32, true, true);
        let mut largest = 0f32;
        for (fault_free, corrupted, width) in outputs {
            if is_same_bits(fault_free, corrupted) {
                continue;
            }
            is_same = false;
            for (element, (&g, &y)) in fault_free.iter().zip(corrupted).enumerate() {
                if g.to_bits() == y.to_bits() {
                    continue;
                }
                largest = larger(largest, (y - g).abs());
                is_finite &= y.is_finite();
                if !tolerance.is_close(y, g) {
                    beyond += 1;
                    extent.add(element / width, element % width);
                }
            }
        }
        let outcome = match beyond {
            0 if is_same => Outcome::Masked,
            0 => Outcome::WithinTolerance,
            _ if is_finite => Outcome::TolerableSdc,
            _ => Outcome::NonFinite,
        };
        Self {
            outcome,
            beyond,
            pattern: extent.pattern(),
            largest,
            class: None,
            lead_change: 0.0,
        }
    }

    /// Whether an element is beyond the tolerance.
    pub fn is_beyond(&self) -> bool {
        self.beyond > 0
    }

    /// The one sample, counted.
    pub fn seen(&self, is_right: bool) -> Seen {
        Seen::one(self.outcome, is_right)
    }

    /// Takes note of the logits with the fault; `before` is the class without it.
    pub(super) fn classify(&mut self, before: Class, logits: &[f32]) {
        let after = Class::of(logits);
        self.outcome = match after {
            None => Outcome::NonFinite,
            Some(after) if after.class == before.class => Outcome::TolerableSdc,
            Some(_) => Outcome::CriticalSdc,
        };
        self.class = after.and_then(|after| u16::try_from(after.class).ok());
        if after.is_some() {
            let lead = Class::lead(logits, before.class);
            self.lead_change = (lead - before.confidence) as f32;
        }
    }
}

/// Effects are compared by the bits of their numbers, of which one may be none.
impl PartialEq for Effect {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            outcome,
            beyond,
            pattern,
            largest,
            class,
            lead_change,
        } = *self;
        (outcome, beyond, pattern, class)
            == (other.outcome, other.beyond, other.pattern, other.class)
            && largest.to_bits() == other.largest.to_bits()
            && lead_change.to_bits() == other.lead_change.to_bits()
    }
}

/// The larger of two changes from 0 on; one that is not a number is larger than any.
fn larger(a: f32, b: f32) -> f32 {
    match a.is_nan() || b.is_nan() {
        true => f32::NAN,
        false => a.max(b),
    }
}

fn is_same_bits(a: &[f32], b: &[f32]) -> bool {
    bytemuck::cast_slice::<f32, u8>(a) == bytemuck::cast_slice::<f32, u8>(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effect(fault_free: &[f32], corrupted: &[f32]) -> Effect {
        let outputs = [(fault_free, corrupted, 2)].into_iter();
        Effect::of_outputs(outputs, Tolerance::DEFAULT)
    }

    #[test]
    fn bits_tolerance_and_finiteness_decide_in_this_order() {
        let outcome = |corrupted: [f32; 4]| effect(&[0.0, 1.0, 2.0, 3.0], &corrupted).outcome;
        assert_eq!(outcome([0.0, 1.0, 2.0, 3.0]), Outcome::Masked);
        assert_eq!(outcome([-0.0, 1.0, 2.0, 3.0]), Outcome::WithinTolerance);
        assert_eq!(
            outcome([0.0, 1.000_001, 2.0, 3.0]),
            Outcome::WithinTolerance
        );
        assert_eq!(outcome([0.0, 1.5, 2.0, 3.0]), Outcome::TolerableSdc);
        assert_eq!(outcome([0.0, f32::NAN, 2.0, 3.0]), Outcome::NonFinite);
        assert_eq!(outcome([f32::INFINITY, 1.0, 2.0, 3.0]), Outcome::NonFinite);
    }

    #[test]
    fn what_is_beyond_has_a_number_a_size_and_a_shape() {
        let found = effect(&[0.0, 1.0, 2.0, 3.0], &[0.0, 1.5, 2.0, 3.25]);
        assert_eq!((found.beyond, found.largest), (2, 0.5));
        assert_eq!(found.pattern, Some(Pattern::Column));
        let within = effect(&[1.0, 1.0], &[1.0, 1.000_001]);
        assert_eq!((within.beyond, within.pattern), (0, None));
    }

    #[test]
    fn a_change_to_what_is_not_finite_is_the_largest() {
        let largest = |corrupted: [f32; 3]| effect(&[0.0, 1.0, 2.0], &corrupted).largest;
        assert_eq!(largest([9.0, f32::NEG_INFINITY, 2.0]), f32::INFINITY);
        assert!(largest([f32::NAN, f32::INFINITY, 9.0]).is_nan());
        assert!(largest([f32::INFINITY, f32::NAN, 9.0]).is_nan());
        let nothing = effect(&[0.0], &[f32::NAN]);
        assert_eq!(nothing, nothing, "what is replayed is the same");
        assert_ne!(nothing, effect(&[0.0], &[f32::INFINITY]));
    }

    #[test]
    fn a_class_that_is_lost_has_a_negative_lead() {
        let mut found = effect(&[0.0], &[1.0]);
        let before = Class::of(&[2.0, 0.0, 0.0]).expect("finite");
        found.classify(before, &[0.0, 2.0, 0.0]);
        assert_eq!(
            (found.outcome, found.class),
            (Outcome::CriticalSdc, Some(1))
        );
        // p = e²/(e² + 2) and 1/(e² + 2): the lead is the same with the other sign.
        assert!((f64::from(found.lead_change) + 2.0 * before.confidence).abs() < 1e-6);
        found.classify(before, &[2.0, 0.0, f32::NAN]);
        assert_eq!((found.outcome, found.class), (Outcome::NonFinite, None));
    }
}
