//! Events in their classes, and by what the counts say of the beam.

use std::collections::BTreeMap;

use crate::watch::consequences::Examined;
use crate::watch::fluence::Beam;
use crate::watch::log::event::{DueKind, SdcClass};
use crate::watch::wrong_batches::Counted;

/// Events in their classes.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Events {
    /// Wrong batches, an element outside the tolerance; without a class where the worker was lost
    /// before it could find out.
    pub sdc: BTreeMap<Option<SdcClass>, u64>,
    /// Of the SDCs those of which it is known what became of the class, and of these the ones in
    /// which it changed, and those without a class, whose logits are not finite.
    pub examined: u64,
    pub critical: u64,
    pub non_finite: u64,
    /// Batches that differ from the golden of the device within the tolerance.
    pub bits_only: u64,
    /// Wrong batches that show a fault which was stuck before: the same event.
    pub repeated: u64,
    /// Lost workers that were in their passes, or finding out what a wrong batch was.
    pub due: BTreeMap<DueKind, u64>,
    /// Those that were loading, which is no exposure.
    pub due_while_loading: u64,
    /// Gaps that a command of the user explains.
    pub ordered: u64,
}

/// What the counts of particles cover, and what they do not.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct InBeam {
    /// Particles per cm² while exposed.
    pub fluence: f64,
    /// Exposure while the counter moved, while it stood still, and before the first or after the
    /// last reading.
    pub exposed: f64,
    pub exposed_off: f64,
    pub exposed_unknown: f64,
    /// Events of the same three.
    pub events: Events,
    pub events_off: Events,
    pub events_unknown: Events,
}

impl Events {
    /// SDCs: without damage of our own, and each once.
    pub fn sdcs(&self) -> u64 {
        let own = |class: &Option<SdcClass>| *class == Some(SdcClass::OwnDamage);
        let classes = self.sdc.iter().filter(|(class, _)| !own(class));
        classes.map(|(_, count)| count).sum()
    }

    /// Lost workers of all kinds.
    pub fn dues(&self) -> u64 {
        self.due.values().sum()
    }

    /// All that count: SDCs, lost workers, other bits.
    pub fn all(&self) -> u64 {
        self.sdcs() + self.dues() + self.bits_only
    }

    /// Counts a wrong batch once more, or once less.
    pub(super) fn change(&mut self, counted: Counted, examined: Examined, by: i64) {
        let add = |count: &mut u64| *count = count.saturating_add_signed(by);
        match counted {
            Counted::OtherBits => add(&mut self.bits_only),
            Counted::Repeated => add(&mut self.repeated),
            Counted::Sdc(class) => {
                add(self.sdc.entry(class).or_default());
                self.sdc.retain(|_, count| *count > 0);
                if class == Some(SdcClass::OwnDamage) || examined == Examined::Unknown {
                    return;
                }
                add(&mut self.examined);
                match examined {
                    Examined::Critical => add(&mut self.critical),
                    Examined::NonFinite => add(&mut self.non_finite),
                    Examined::NotCritical | Examined::Unknown => {}
                }
            }
        }
    }
}

impl InBeam {
    /// The events of a kind of time.
    pub(super) fn of(&mut self, beam: Beam) -> &mut Events {
        match beam {
            Beam::On => &mut self.events,
            Beam::Off => &mut self.events_off,
            Beam::Unknown => &mut self.events_unknown,
        }
    }
}
