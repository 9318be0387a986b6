//! Where the next round's faults go, so that rates become as narrow as asked.

use super::estimate::{Estimates, Part, Question, Sum};
use super::plan::{Plan, Round};
use super::population::Population;

/// A rate, and how narrow its interval is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    pub question: Question,
    /// Half of the interval's length, above 0.
    pub margin: f64,
}

/// Faults of each stratum in the pilot: with those of its neighbours enough to plan.
pub const PILOT: u64 = 2;

/// Faults that every stratum gets after the pilot: one has no variance.
const LEAST: f64 = 2.0;

/// A share of the faults goes to strata by their size alone: a hit in a stratum where the pilot
/// had none then does not weigh too much (the defensive mixture of Owen and Zhou 2000).
const BY_SIZE: f64 = 0.2;

/// A round brings the faults to so many times those before it, at most: where the first estimates
/// are wrong, they are wrong for few faults.
const GROWTH: f64 = 2.0;

/// A round aims a little below the margin, since the rate may turn out larger.
const AIM: f64 = 0.99;

/// The first round: the same number from each stratum, or all that it has.
pub fn pilot(population: &Population, of_each: u64) -> Round {
    let strata = population.strata().iter();
    Round::Stratified(strata.map(|stratum| stratum.faults.min(of_each)).collect())
}

/// The next round of an adaptive plan, after the outcomes of all before it; `None` when each
/// target is reached, or nothing is left that could bring one nearer.
///
/// The pilot alone decides on the proportions in which strata are drawn for a target: Neyman's
/// (1934), by size and standard deviation within the stratum, as smoothed. Later rounds decide
/// only how many there are, so that the mean of a stratum does not depend on its own luck. Of
/// several targets, a stratum gets what the one that asks for most does (Cochran 1977, section
/// 5A.4).
pub fn next_round(estimates: &Estimates, plan: &Plan, targets: &[Target]) -> Option<Round> {
    let strata = plan.population().strata();
    let mut wanted = vec![0.0; strata.len()];
    for target in targets {
        let half_width = estimates.rate(&target.question).interval.half_width();
        if half_width > target.margin {
            demand(estimates, plan, target, &mut wanted);
        }
    }
    let faults: Vec<u64> = (0..strata.len())
        .map(|stratum| {
            let left = strata[stratum].faults - plan.drawn(stratum);
            (wanted[stratum] as u64).min(left)
        })
        .collect();
    (faults.iter().sum::<u64>() > 0).then_some(Round::Stratified(faults))
}

/// Raises what is wanted of each stratum to what one target asks for.
fn demand(estimates: &Estimates, plan: &Plan, target: &Target, wanted: &mut [f64]) {
    let question = &target.question;
    let pilot = estimates.parts(question, &(0..1));
    let proportions = proportions(estimates, &pilot);
    let strata: Vec<usize> = pilot.iter().map(|part| part.stratum).collect();
    let counted = estimates.counted(&strata);
    let parts = estimates.parts(question, &counted);
    let Some(sum) = estimates.sum(&parts) else {
        return;
    };
    // Faults after the pilot, of each stratum.
    let drawn: Vec<f64> = pilot
        .iter()
        .map(|part| (plan.drawn(part.stratum) - part.faults()) as f64)
        .collect();
    let draws = |faults: f64| {
        let pairs = proportions.iter().zip(&drawn);
        let more = pairs
            .map(move |(proportion, drawn)| (faults * proportion).ceil().max(LEAST).max(*drawn));
        more.collect::<Vec<f64>>()
    };
    let aim = variance_for(estimates, &sum, target.margin * AIM);
    let variance = |faults: f64| -> f64 {
        let pairs = parts.iter().zip(draws(faults));
        pairs
            .map(|(part, draws)| part.variance_with(draws, sum.smoothed))
            .sum()
    };
    let most = plan.faults() as f64 * GROWTH - pilot.iter().map(Part::faults).sum::<u64>() as f64;
    let faults = least_with(|faults| variance(faults) <= aim, most.max(1.0));
    for ((part, draws), drawn) in pilot.iter().zip(draws(faults)).zip(drawn) {
        let own = &mut wanted[part.stratum];
        *own = own.max(draws - drawn);
    }
}

/// The share of the faults that each stratum gets, by what the pilot found.
fn proportions(estimates: &Estimates, pilot: &[Part]) -> Vec<f64> {
    let rate = estimates.sum(pilot).map_or(0.5, |sum| sum.smoothed);
    let reaches: Vec<f64> = pilot.iter().map(|part| part.reach(rate)).collect();
    let all: f64 = reaches.iter().sum();
    let by_size = super::tune("BY_SIZE", BY_SIZE);
    let mixed = |(part, reach): (&Part, &f64)| {
        let by_spread = if all > 0.0 { reach / all } else { part.weight };
        by_size * part.weight + (1.0 - by_size) * by_spread
    };
    pilot.iter().zip(&reaches).map(mixed).collect()
}

/// The least of 1 to `most` for which something that stays true holds, or `most`.
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

/// The variance with which the interval has so small a half-width.
fn variance_for(estimates: &Estimates, sum: &Sum, margin: f64) -> f64 {
    let with = |draws: f64| Sum {
        variance: sum.smoothed * (1.0 - sum.smoothed) / draws,
        ..*sum
    };
    let half_width = |draws: f64| with(draws).interval(estimates.confidence).half_width();
    with(least_with(|draws| half_width(draws) <= margin, 1e18)).variance
}
