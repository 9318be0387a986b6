//! Which wrong batches are events of their own: a stuck fault is seen by one worker after the
//! other, in whichever batch comes first.

use super::log::event::{Sdc, SdcClass};

/// What a wrong batch is counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// A wrong output; without a class as long as, or where, nobody has found out.
    Sdc(Option<SdcClass>),
    /// Other bits than the golden of the device, within the tolerance.
    OtherBits,
    /// An event that was counted before.
    Repeated,
}

/// The wrong batches of a log, one after the other.
#[derive(Debug, Default, Clone)]
pub struct WrongBatches {
    stuck: Option<Stuck>,
    open: Option<Open>,
}

/// A fault that was there when a worker ended for it.
#[derive(Debug, Clone)]
struct Stuck {
    signature: String,
    is_of_bits_only: bool,
}

/// A wrong batch that may still be classified.
#[derive(Debug, Clone)]
struct Open {
    number: u64,
    signature: String,
    is_of_bits_only: bool,
    counted: Counted,
}

impl WrongBatches {
    /// Takes a wrong batch; what it is counted as until its class is known.
    pub fn begin(&mut self, sdc: &Sdc) -> Counted {
        let is_same = |stuck: &Stuck| stuck.signature == sdc.signature;
        let counted = match self.stuck.as_ref().is_some_and(is_same) {
            true => Counted::Repeated,
            false if sdc.is_of_bits_only() => Counted::OtherBits,
            false => Counted::Sdc(None),
        };
        self.open = Some(Open {
            number: sdc.number,
            signature: sdc.signature.clone(),
            is_of_bits_only: sdc.is_of_bits_only(),
            counted,
        });
        counted
    }

    /// Takes the class of the last wrong batch: what it was counted as, and what it is counted as
    /// from then on. `None` of any other one.
    pub fn classify(&mut self, number: u64, class: SdcClass) -> Option<[Counted; 2]> {
        let open = self.open.take_if(|open| open.number == number)?;
        let before = open.counted;
        let after = match (class, before) {
            // What is wrong in memory is no output of the device.
            (SdcClass::OwnDamage, _) => Counted::Sdc(Some(class)),
            (SdcClass::Stuck, _) => self.stuck_again(open),
            (_, Counted::Sdc(_)) => Counted::Sdc(Some(class)),
            (_, Counted::OtherBits | Counted::Repeated) => before,
        };
        Some([before, after])
    }

    /// A pass was completed: each batch was right, or right again, so that no fault is stuck.
    pub fn pass(&mut self) {
        self.stuck = None;
    }

    /// One that is stuck while another one was: the same fault, unless only the bits told the first
    /// one.
    fn stuck_again(&mut self, open: Open) -> Counted {
        let is_weaker = |stuck: &Stuck| open.is_of_bits_only || !stuck.is_of_bits_only;
        let is_same = self.stuck.as_ref().is_some_and(is_weaker);
        let counted = match open.counted {
            _ if is_same => Counted::Repeated,
            Counted::Sdc(_) => Counted::Sdc(Some(SdcClass::Stuck)),
            other => other,
        };
        let were_bits_only = self
            .stuck
            .as_ref()
            .is_none_or(|stuck| stuck.is_of_bits_only);
        self.stuck = Some(Stuck {
            signature: open.signature,
            is_of_bits_only: open.is_of_bits_only && were_bits_only,
        });
        counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sdc(number: u64, signature: &str) -> Sdc {
        serde_json::from_value(serde_json::json!({
            "number": number, "worker": 1, "pass": 1, "batch": [0, 1],
            "faulty_samples": 1, "faulty_elements": 1, "non_finite_elements": 0,
            "differing_samples": 0, "signature": signature, "seconds": 0.1,
        }))
        .expect("an SDC")
    }

    const STUCK: Counted = Counted::Sdc(Some(SdcClass::Stuck));
    const UNKNOWN: Counted = Counted::Sdc(None);

    #[test]
    fn a_stuck_fault_is_one_event_in_whichever_batch_the_next_workers_see_it() {
        let mut batches = WrongBatches::default();
        assert_eq!(batches.begin(&sdc(1, "a")), UNKNOWN);
        assert_eq!(batches.classify(1, SdcClass::Stuck), Some([UNKNOWN, STUCK]));
        assert_eq!(batches.begin(&sdc(2, "b")), UNKNOWN);
        let repeated = Some([UNKNOWN, Counted::Repeated]);
        assert_eq!(batches.classify(2, SdcClass::Stuck), repeated);
        // The same error, also where nobody finds out any more.
        assert_eq!(batches.begin(&sdc(3, "b")), Counted::Repeated);
        assert_eq!(batches.begin(&sdc(4, "c")), UNKNOWN);
        assert_eq!(batches.classify(4, SdcClass::Stuck), repeated);
    }

    #[test]
    fn what_comes_after_a_pass_or_is_not_stuck_is_an_event_of_its_own() {
        let mut batches = WrongBatches::default();
        batches.begin(&sdc(1, "a"));
        batches.classify(1, SdcClass::Stuck);
        batches.begin(&sdc(2, "b"));
        let transient = Counted::Sdc(Some(SdcClass::Transient));
        let found = batches.classify(2, SdcClass::Transient);
        assert_eq!(found, Some([UNKNOWN, transient]));
        batches.pass();
        assert_eq!(batches.begin(&sdc(3, "a")), UNKNOWN);
        assert_eq!(batches.classify(3, SdcClass::Stuck), Some([UNKNOWN, STUCK]));
        assert_eq!(batches.classify(3, SdcClass::Stuck), None);
    }

    #[test]
    fn a_wrong_output_is_an_event_though_other_bits_were_stuck_before() {
        let mut batches = WrongBatches::default();
        let bits = |number, signature| Sdc {
            faulty_samples: 0,
            ..sdc(number, signature)
        };
        assert_eq!(batches.begin(&bits(1, "a")), Counted::OtherBits);
        batches.classify(1, SdcClass::Stuck);
        batches.begin(&sdc(2, "b"));
        assert_eq!(batches.classify(2, SdcClass::Stuck), Some([UNKNOWN, STUCK]));
        assert_eq!(batches.begin(&bits(3, "c")), Counted::OtherBits);
        let repeated = Some([Counted::OtherBits, Counted::Repeated]);
        assert_eq!(batches.classify(3, SdcClass::Stuck), repeated);
    }

    #[test]
    fn damage_of_our_own_is_no_output_of_the_device_whatever_showed_it() {
        let mut batches = WrongBatches::default();
        batches.begin(&Sdc {
            faulty_samples: 0,
            ..sdc(1, "a")
        });
        let own = Counted::Sdc(Some(SdcClass::OwnDamage));
        let found = batches.classify(1, SdcClass::OwnDamage);
        assert_eq!(found, Some([Counted::OtherBits, own]));
    }
}
