//! What is counted of faults beside rates: the patterns of their errors, where in a tensor they
//! were, how far they moved the logits, and some of those that changed a class.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::effect::{Effect, Effects};
use super::statistics::{Confidence, Draw, Interval, Outcome, Sampling, one_proportion, wilson};
use super::study::{Planned, Study};
use crate::compare::pattern::Pattern;
use crate::inject::{Fault, Region};

/// So many faults that changed a class are listed.
const EXAMPLES: usize = 24;

/// Upper bounds of the classes of changes of the lead; the last class is open.
pub const LEAD_BOUNDS: [f64; 9] = [-0.5, -0.1, -0.01, -0.001, 0.0, 0.001, 0.01, 0.1, 0.5];

/// How many errors beyond the tolerance have each pattern.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PatternCounts {
    pub single: u64,
    pub row: u64,
    pub column: u64,
    pub block: u64,
    pub scattered: u64,
}

/// Which axis a position is of.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    Head,
    Token,
}

/// A fault that changed the class of its sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Example {
    /// Its number, for `campaign replay`.
    pub number: u64,
    pub fault: Fault,
    pub sample: usize,
    /// The class with the fault.
    pub class: Option<u16>,
    /// Change of p(class without the fault) − p(best other class).
    pub lead_change: f32,
}

/// What faults at one position of an axis did.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct AtPosition {
    /// Faults there.
    pub faults: u64,
    pub beyond: Rate,
    pub critical: Rate,
}

/// A rate with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    pub estimate: f64,
    pub interval: Interval,
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub struct Summary {
    /// By site.
    pub patterns: Vec<PatternCounts>,
    /// Changes of the lead, by class of [`LEAD_BOUNDS`], of faults beyond the tolerance.
    pub lead_changes: [u64; LEAD_BOUNDS.len() + 1],
    pub examples: Vec<Example>,
    /// By axis, stratum and position: faults, those beyond the tolerance, those critical.
    located: BTreeMap<(Axis, usize, usize), [u64; 3]>,
}

impl Axis {
    /// The regions that its positions are.
    fn region(self) -> Region {
        match self {
            Self::Head => Region::Head,
            Self::Token => Region::Token,
        }
    }
}

impl Default for Rate {
    fn default() -> Self {
        let interval = Interval::UNKNOWN;
        Self {
            estimate: 0.0,
            interval,
        }
    }
}

impl PatternCounts {
    fn add(&mut self, pattern: Pattern) {
        let count = match pattern {
            Pattern::Single => &mut self.single,
            Pattern::Row => &mut self.row,
            Pattern::Column => &mut self.column,
            Pattern::Block => &mut self.block,
            Pattern::Scattered => &mut self.scattered,
        };
        *count += 1;
    }

    /// Names and counts.
    pub fn rows(&self) -> [(&'static str, u64); 5] {
        let Self {
            single,
            row,
            column,
            block,
            scattered,
        } = *self;
        [
            ("single", single),
            ("row", row),
            ("column", column),
            ("block", block),
            ("scattered", scattered),
        ]
    }
}

impl Summary {
    /// Of no fault yet.
    pub fn new(study: &Study) -> Self {
        Self {
            patterns: vec![PatternCounts::default(); study.sites.len()],
            ..Self::default()
        }
    }

    /// Takes note of a fault; those of weights have none of this.
    pub fn add(&mut self, study: &Study, planned: &Planned, effects: &Effects) {
        let (Effects::One(effect), Some(sample)) = (effects, planned.sample) else {
            return;
        };
        if let Some(pattern) = effect.pattern {
            self.patterns[planned.site].add(pattern);
        }
        if effect.is_beyond() && effect.class.is_some() {
            let change = f64::from(effect.lead_change);
            let class = LEAD_BOUNDS.iter().position(|&bound| change <= bound);
            self.lead_changes[class.unwrap_or(LEAD_BOUNDS.len())] += 1;
        }
        if effect.outcome == Outcome::CriticalSdc && self.examples.len() < EXAMPLES {
            self.examples.push(Example {
                number: planned.draw.number,
                fault: planned.fault.clone(),
                sample,
                class: effect.class,
                lead_change: effect.lead_change,
            });
        }
        self.locate(study, planned, effect);
    }

    /// Counts the fault at its head and its token, if the site has such. The pilot of a campaign
    /// with a margin counts where it drew its stratum to the end.
    fn locate(&mut self, study: &Study, planned: &Planned, effect: &Effect) {
        let Draw { round, stratum, .. } = planned.draw;
        let left = study.plan.population().strata()[stratum].faults - study.plan.drawn(stratum);
        if study.plan.sampling() == Sampling::Adaptive && round == 0 && left > 0 {
            return;
        }
        for axis in [Axis::Head, Axis::Token] {
            let Some(position) = study.position(planned, axis.region()) else {
                continue;
            };
            let key = (axis, stratum, position);
            let counts = self.located.entry(key).or_default();
            counts[0] += 1;
            counts[1] += u64::from(effect.is_beyond());
            counts[2] += u64::from(effect.outcome == Outcome::CriticalSdc);
        }
    }

    /// What faults of a site did at each position of an axis. In a uniform campaign a rate is one
    /// proportion. In others a fault counts by its stratum's size over the faults that this got;
    /// the interval is Wilson's for the effective number of faults, (Σw)²/Σw² (Kish 1965, section
    /// 11.7).
    pub fn positions(
        &self,
        study: &Study,
        site: usize,
        axis: Axis,
        confidence: Confidence,
    ) -> BTreeMap<usize, AtPosition> {
        let strata = study.plan.population().strata();
        let is_of_site =
            |(of, stratum, _): &(Axis, usize, usize)| *of == axis && strata[*stratum].site == site;
        let own = self.located.iter().filter(|(key, _)| is_of_site(key));
        let own: Vec<_> = own.map(|(key, counts)| (*key, *counts)).collect();
        let mut drawn: BTreeMap<usize, u64> = BTreeMap::new();
        for ((_, stratum, _), counts) in &own {
            *drawn.entry(*stratum).or_default() += counts[0];
        }
        let mut sums: BTreeMap<usize, Sums> = BTreeMap::new();
        for ((_, stratum, position), counts) in &own {
            let weight = strata[*stratum].faults as f64 / drawn[stratum] as f64;
            sums.entry(*position).or_default().add(*counts, weight);
        }
        let is_uniform = study.plan.sampling() == Sampling::Uniform;
        let at = |(position, sums): (usize, Sums)| {
            let members = study.members_at(site, axis.region(), position);
            let members = is_uniform.then_some(members);
            (position, sums.at_position(members, confidence))
        };
        sums.into_iter().map(at).collect()
    }
}

/// Of the faults at one position.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    /// Faults, those beyond the tolerance, those critical.
    counts: [u64; 3],
    /// The same, each fault with its weight.
    weighted: [f64; 3],
    squared_weights: f64,
}

impl Sums {
    fn add(&mut self, counts: [u64; 3], weight: f64) {
        for (at, count) in counts.into_iter().enumerate() {
            self.counts[at] += count;
            self.weighted[at] += count as f64 * weight;
        }
        self.squared_weights += counts[0] as f64 * weight * weight;
    }

    /// `members`: how many the population has at the position, if each was as likely as another.
    fn at_position(&self, members: Option<u64>, confidence: Confidence) -> AtPosition {
        let (faults, all) = (self.counts[0], self.weighted[0]);
        let rate = |event: usize| match members {
            Some(members) => Rate {
                estimate: self.counts[event] as f64 / faults as f64,
                interval: one_proportion(self.counts[event], faults, members, confidence),
            },
            None => {
                let estimate = (self.weighted[event] / all).min(1.0);
                let effective = all * all / self.squared_weights;
                let interval = wilson(estimate, effective, confidence);
                Rate { estimate, interval }
            }
        };
        AtPosition {
            faults,
            beyond: rate(1),
            critical: rate(2),
        }
    }
}

#[cfg(test)]
mod tests;
