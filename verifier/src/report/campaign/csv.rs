//! The faults of a campaign as CSV: a line for each, written as they are read.

use std::io::Write;

use super::setting::{is_known, short};
use crate::campaign::effect::{Effect, Effects};
use crate::campaign::statistics::{Among, Event};
use crate::campaign::study::{Planned, Study};
use crate::samples::SampleInfo;

const COLUMNS: [&str; 19] = [
    "number",
    "round",
    "site",
    "bit",
    "tier",
    "fault",
    "sample_index",
    "samples",
    "right",
    "masked",
    "within_tolerance",
    "tolerable_sdc",
    "critical_sdc",
    "non_finite",
    "beyond_elements",
    "pattern",
    "largest_change",
    "class",
    "lead_change",
];

/// Writes the list.
pub struct FaultList<W: Write> {
    csv: csv::Writer<W>,
}

impl<W: Write> FaultList<W> {
    /// Begins with the names of the columns.
    pub fn new(writer: W) -> std::io::Result<Self> {
        let mut csv = csv::Writer::from_writer(writer);
        csv.write_record(COLUMNS)?;
        Ok(Self { csv })
    }

    /// A line. Of a fault in one sample an outcome is 1 or 0; of a weight's, the number of its
    /// samples that had it; empty where it takes classes and there are none. The bit is empty where
    /// the effect has no position of one.
    pub fn add(
        &mut self,
        study: &Study,
        planned: &Planned,
        effects: &Effects,
        info: &[SampleInfo],
    ) -> std::io::Result<()> {
        let stratum = study.plan.population().strata()[planned.draw.stratum];
        let has_bits = study.settings.model.effect.has_bits();
        let optional = |number: Option<usize>| number.map_or(String::new(), |one| one.to_string());
        let index = planned
            .sample
            .map(|sample| info[sample].sample_index.to_string());
        let mut fields = vec![
            planned.draw.number.to_string(),
            planned.draw.round.to_string(),
            study.sites[planned.site].to_string(),
            optional(has_bits.then_some(stratum.bit.into())),
            optional(stratum.tier),
            planned.fault.to_string(),
            index.unwrap_or_default(),
        ];
        let seen = match (effects, planned.sample) {
            (Effects::One(effect), Some(sample)) => effect.seen(study.is_right(sample)),
            (Effects::One(effect), None) => effect.seen(false),
            (Effects::Many(tiers), _) => {
                let first = tiers.iter();
                first.fold(Default::default(), |sum, tier| tier.plus(&sum))
            }
        };
        fields.push(seen.samples(Among::All).to_string());
        fields.push(seen.samples(Among::Right).to_string());
        let outcomes = Event::ALL.iter().filter(|event| **event != Event::Beyond);
        fields.extend(
            outcomes.map(|event| match is_known(&study.settings, *event) {
                true => seen.of(*event, Among::All).to_string(),
                false => String::new(),
            }),
        );
        match effects {
            Effects::One(effect) => fields.extend(of_one(effect)),
            Effects::Many(_) => fields.extend(std::iter::repeat_n(String::new(), 5)),
        }
        Ok(self.csv.write_record(fields)?)
    }

    /// Writes what is left.
    pub fn finish(mut self) -> std::io::Result<()> {
        self.csv.flush()
    }
}

fn of_one(effect: &Effect) -> [String; 5] {
    [
        effect.beyond.to_string(),
        effect
            .pattern
            .map(|pattern| pattern.to_string())
            .unwrap_or_default(),
        short(effect.largest),
        effect
            .class
            .map(|class| class.to_string())
            .unwrap_or_default(),
        effect
            .class
            .map(|_| short(effect.lead_change))
            .unwrap_or_default(),
    ]
}
