//! Where the next round's faults go, so that rates become as narrow as asked.

use super::estimate::{Estimates, Question};
use super::plan::{Plan, Round};
use super::population::Population;
use super::sum::{Part, Sum};

/// A rate, and how narrow its interval is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    pub question: Question,
    /// Half of the interval's length, above 0.
    pub margin: f64,
}

/// Faults of each stratum in the pilot: its neighbours' count with them, and all are planned with.
const PILOT: u64 = 1;

/// Faults that every stratum gets after the pilot: one alone has no variance.
const LEAST: f64 = 2.0;

/// After the pilot a hit moves the estimate by this part of the margin at most. Of strata with few
/// faults, a single hit could else decide on the estimate and on its variance.
const STEP: f64 = 0.2;

/// A share of the faults goes to strata by their size alone, since a pilot is small (the defensive
/// mixture of Owen and Zhou 2000).
const BY_SIZE: f64 = 0.3;

/// A round brings the faults to so many times those before it, at most: where the first estimates
/// are wrong, they are wrong for few faults.
const GROWTH: f64 = 2.0;

/// A round aims a little below the margin, since the rate may turn out larger.
const AIM: f64 = 0.99;

/// The first round of an adaptive plan.
pub fn pilot(population: &Population) -> Round {
    let strata = population.strata().iter();
    Round::Stratified(strata.map(|stratum| stratum.faults.min(PILOT)).collect())
}

/// The next round of an adaptive plan, after the outcomes of all before it; `None` when each
/// target is reached, or has no fault left.
///
/// The pilot alone decides on the proportions in which strata are drawn for a target: Neyman's
/// (1934), by size and standard deviation within the stratum, as smoothed. Later rounds decide
/// only how many there are, so that the mean of a stratum does not depend on its own luck. Of
/// several targets, a stratum gets what the one that asks for most does (Cochran 1977, section
/// 5A.4).
pub fn next_round(estimates: &Estimates, plan: &Plan, targets: &[Target]) -> Option<Round> {
    let mut wanted = vec![0; plan.population().strata().len()];
    for target in targets {
        let half_width = estimates.rate(&target.question).interval.half_width();
        if half_width > target.margin {
            let search = Search::new(estimates, plan, target);
            search.add_to(&mut wanted, plan, half_width);
        }
    }
    (wanted.iter().sum::<u64>() > 0).then_some(Round::Stratified(wanted))
}

/// The search for the faults that one target needs.
struct Search<'a> {
    estimates: &'a Estimates<'a>,
    margin: f64,
    /// The strata of the target, as all faults that count show them.
    parts: Vec<Part>,
    sum: Option<Sum>,
    strata: Vec<Allotted>,
}

/// What one stratum of a target gets.
struct Allotted {
    stratum: usize,
    /// Its share of the faults.
    proportion: f64,
    /// Faults that it gets however few there are.
    least: f64,
    /// Faults drawn after the pilot.
    drawn: f64,
    /// Faults that the pilot left.
    most: f64,
}

impl<'a> Search<'a> {
    fn new(estimates: &'a Estimates, plan: &Plan, target: &Target) -> Self {
        let side = estimates.rarer_side(&target.question);
        let pilot = estimates.parts(&target.question, &(0..1), side);
        let strata: Vec<usize> = pilot.iter().map(|part| part.stratum).collect();
        let counted = estimates.counted(&strata);
        let parts = estimates.parts(&target.question, &counted, side);
        let proportions = proportions(estimates, &pilot);
        let allotted = |(part, proportion): (&Part, f64)| {
            let faults = plan.population().strata()[part.stratum].faults;
            Allotted {
                stratum: part.stratum,
                proportion,
                least: (part.weight / (STEP * target.margin)).max(LEAST),
                drawn: (plan.drawn(part.stratum) - part.faults()) as f64,
                most: (faults - part.faults()) as f64,
            }
        };
        Self {
            estimates,
            margin: target.margin,
            sum: estimates.sum(&parts),
            strata: pilot.iter().zip(proportions).map(allotted).collect(),
            parts,
        }
    }

    /// Raises what is wanted of each stratum to what the target needs, whose interval has this
    /// half-width so far.
    fn add_to(&self, wanted: &mut [u64], plan: &Plan, half_width: f64) {
        let Some(sum) = &self.sum else {
            return;
        };
        // A single stratum's interval is a little wider than that of a sum.
        let of_sum = sum.interval(self.estimates.confidence).half_width();
        let aim = AIM * self.margin * (of_sum / half_width).min(1.0);
        let mut most = (plan.faults() as f64 * (GROWTH - 1.0)).max(1.0)
            + self.strata.iter().map(|own| own.drawn).sum::<f64>();
        // Where most strata are exhausted, the others need more than their proportion.
        let can_grow = self.strata.iter().any(|own| own.drawn < own.most);
        while can_grow && self.strata.iter().all(|own| own.at(most) <= own.drawn) {
            most *= GROWTH;
        }
        let faults = least_with(|faults| self.half_width(sum, faults) <= aim, most);
        for own in &self.strata {
            let more = (own.at(faults) - own.drawn) as u64;
            wanted[own.stratum] = wanted[own.stratum].max(more);
        }
    }

    /// The half-width with so many faults after the pilot.
    fn half_width(&self, sum: &Sum, faults: f64) -> f64 {
        let draws = self.strata.iter().map(|own| own.at(faults));
        let expected = sum.with_draws(&self.parts, draws);
        expected.interval(self.estimates.confidence).half_width()
    }
}

impl Allotted {
    /// Its part of so many faults after the pilot.
    fn at(&self, faults: f64) -> f64 {
        let own = (faults * self.proportion).max(self.least).ceil();
        own.max(self.drawn).min(self.most)
    }
}

/// The share of the faults that each stratum gets, by what the pilot found.
fn proportions(estimates: &Estimates, pilot: &[Part]) -> Vec<f64> {
    let rate = estimates.sum(pilot).map_or(0.5, |sum| sum.smoothed);
    let reaches: Vec<f64> = pilot.iter().map(|part| part.reach(rate)).collect();
    let all: f64 = reaches.iter().sum();
    let mixed = |(part, reach): (&Part, &f64)| {
        let by_spread = if all > 0.0 { reach / all } else { part.weight };
        BY_SIZE * part.weight + (1.0 - BY_SIZE) * by_spread
    };
    pilot.iter().zip(&reaches).map(mixed).collect()
}

/// The least of 1 to `most`, to a part in a thousand, for which something that stays true holds;
/// or `most`.
fn least_with(holds: impl Fn(f64) -> bool, most: f64) -> f64 {
    let (mut few, mut many): (f64, f64) = (1.0, most);
    if !holds(many) {
        return many;
    }
    while many - few > 1.0 && many / few > 1.001 {
        let middle = (few * many).sqrt();
        if holds(middle) {
            many = middle;
        } else {
            few = middle;
        }
    }
    many
}
