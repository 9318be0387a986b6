//! The rates of each kind of event in a log, as numbers.

use schemars::JsonSchema;
use serde::Serialize;

use super::words::count;
use crate::watch::log::event::{DueKind, SdcClass};
use crate::watch::rates::Rate;
use crate::watch::tally::{Events, Tally};

/// How often a kind of event was.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct EventRate {
    pub event: String,
    pub count: u64,
    /// Of how many SDCs it is known whether they are of this kind, where it is not known of all:
    /// rates are then over their share of exposure and fluence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<u64>,
    /// Per hour of exposure; with counts of particles, of exposure in the beam. Absent without any,
    /// and in a rehearsal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_hour: Option<RateRecord>,
    /// With counts of particles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_beam: Option<InBeamRate>,
}

/// How often it was while the counter moved.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct InBeamRate {
    pub count: u64,
    /// Of how many it is known, where it is not known of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<u64>,
    /// Events over particles per cm².
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_section_cm2: Option<RateRecord>,
    /// That at 13 neutrons per cm² and hour, in 10⁹ hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fit: Option<RateRecord>,
}

/// An estimate with its two-sided limits of 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct RateRecord {
    pub estimate: f64,
    pub low: f64,
    pub high: f64,
}

/// A kind of event.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Sdc,
    CriticalSdc,
    NonFinite,
    Class(SdcClass),
    Unclassified,
    Due,
    DueOf(DueKind),
    OtherBits,
}

/// The kinds of a log, each with its rates; whether consequences are known says whether critical
/// SDCs are counted.
pub(super) fn event_rates(tally: &Tally, knows_critical: bool) -> Vec<EventRate> {
    let kinds = kinds(tally, knows_critical).into_iter();
    kinds.map(|kind| kind.rate(tally)).collect()
}

fn kinds(tally: &Tally, knows_critical: bool) -> Vec<Kind> {
    let mut kinds = vec![Kind::Sdc];
    if knows_critical {
        kinds.extend([Kind::CriticalSdc, Kind::NonFinite]);
    }
    let events = &tally.events;
    let classes = [SdcClass::Transient, SdcClass::UntilReload, SdcClass::Stuck];
    let classes = classes.into_iter();
    let found = classes.filter(|class| events.sdc.contains_key(&Some(*class)));
    kinds.extend(found.map(Kind::Class));
    if events.sdc.contains_key(&None) {
        kinds.push(Kind::Unclassified);
    }
    kinds.push(Kind::Due);
    let dues = DueKind::ALL.into_iter();
    let found = dues.filter(|kind| events.due.contains_key(kind));
    kinds.extend(found.map(Kind::DueOf));
    if events.bits_only > 0 {
        kinds.push(Kind::OtherBits);
    }
    kinds
}

impl Kind {
    fn name(self) -> String {
        match self {
            Self::Sdc => "SDC".to_owned(),
            Self::CriticalSdc => "critical SDC".to_owned(),
            Self::NonFinite => "SDC, logits not finite".to_owned(),
            Self::Class(class) => format!("SDC, {class}"),
            Self::Unclassified => "SDC, unclassified".to_owned(),
            Self::Due => "DUE".to_owned(),
            Self::DueOf(kind) => format!("DUE, {kind}"),
            Self::OtherBits => "other bits, within the tolerance".to_owned(),
        }
    }

    fn count(self, events: &Events) -> u64 {
        match self {
            Self::Sdc => events.sdcs(),
            Self::CriticalSdc => events.critical,
            Self::NonFinite => events.non_finite,
            Self::Class(class) => count(&events.sdc, &Some(class)),
            Self::Unclassified => count(&events.sdc, &None),
            Self::Due => events.dues(),
            Self::DueOf(kind) => count(&events.due, &kind),
            Self::OtherBits => events.bits_only,
        }
    }

    /// Of how many SDCs it is known whether they are of this kind, where it is not known of all.
    fn known(self, events: &Events) -> Option<u64> {
        let is_part = events.examined < events.sdcs();
        let is_of_class = matches!(self, Self::CriticalSdc | Self::NonFinite);
        (is_of_class && is_part).then_some(events.examined)
    }

    /// Events over an amount, or over the share of it that is known.
    fn over(self, events: &Events, amount: f64) -> Option<Rate> {
        let share = self.known(events);
        let share = share.map_or(1.0, |known| known as f64 / events.sdcs() as f64);
        Rate::new(self.count(events), amount * share)
    }

    fn rate(self, tally: &Tally) -> EventRate {
        let in_beam = &tally.in_beam;
        let (events, exposed) = match tally.counts() {
            Some(_) => (&in_beam.events, in_beam.exposed),
            None => (&tally.events, tally.computed.exposed),
        };
        // What was caused on purpose has no rate.
        let is_real = tally.rehearsed == 0;
        let rate = |events, amount| self.over(events, amount).filter(|_| is_real);
        let cross_section = rate(&in_beam.events, in_beam.fluence);
        EventRate {
            event: self.name(),
            count: self.count(&tally.events),
            known: self.known(&tally.events),
            per_hour: rate(events, exposed / 3600.0).map(RateRecord::from),
            in_beam: tally.counts().map(|_| InBeamRate {
                count: self.count(&in_beam.events),
                known: self.known(&in_beam.events),
                cross_section_cm2: cross_section.map(RateRecord::from),
                fit: cross_section.map(|rate| rate.fit().into()),
            }),
        }
    }
}

impl From<Rate> for RateRecord {
    fn from(rate: Rate) -> Self {
        Self {
            estimate: rate.estimate,
            low: rate.limits.low,
            high: rate.limits.high,
        }
    }
}

/// An estimate and its limits.
pub(super) fn cells(rate: Option<RateRecord>) -> [String; 2] {
    match rate {
        None => ["–".to_owned(), "–".to_owned()],
        Some(RateRecord {
            estimate,
            low,
            high,
        }) => [
            format!("{estimate:.3e}"),
            format!("{low:.2e} to {high:.2e}"),
        ],
    }
}
