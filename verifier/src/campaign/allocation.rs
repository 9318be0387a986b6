//! Where the next round's faults go, so that rates become as narrow as asked.

use super::estimate::{Estimates, Question, Sum};
use super::intervals::wilson;
use super::plan::{Plan, Round};
use super::population::Population;

/// A rate, and how narrow its interval is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    pub question: Question,
    /// Half of the interval's length, above 0.
    pub margin: f64,
}

/// Faults of each stratum in the first round: enough that a zero says something, and few against
/// what follows.
pub const PILOT: u64 = 4;

/// A share of the faults goes to strata by their size alone: no hit in a stratum that was
/// thought to have none then weighs too much (the defensive mixture of Owen and Zhou 2000).
const BY_SIZE: f64 = 0.1;

/// A round has at most so many faults as all before it: where the first estimates are wrong,
/// they are wrong for few faults.
const GROWTH: f64 = 1.0;

/// A round aims a little below the margin, since the rate may turn out larger.
const AIM: f64 = 0.98;

/// The first round: the same number from each stratum, or all that it has.
pub fn pilot(population: &Population, of_each: u64) -> Round {
    let strata = population.strata().iter();
    Round::Stratified(strata.map(|stratum| stratum.faults.min(of_each)).collect())
}

/// The next round of a stratified plan, after the outcomes of all before it; `None` when each
/// target is reached, or nothing is left that could bring one nearer.
///
/// Neyman's allocation (1934): a stratum gets faults in proportion to its size and to the standard
/// deviation within it, as smoothed; of several targets, the one that asks for most (Cochran 1977,
/// section 5A.4). Every stratum of a target that has faults left gets one at least, so that the
/// round has an estimate of its own.
pub fn next_round(estimates: &Estimates, plan: &Plan, targets: &[Target]) -> Option<Round> {
    let strata = plan.population().strata();
    let left: Vec<u64> = (0..strata.len())
        .map(|stratum| strata[stratum].faults - plan.drawn(stratum))
        .collect();
    let mut wanted = vec![0.0; strata.len()];
    for target in targets {
        let half_width = estimates.rate(&target.question).interval.half_width();
        if half_width > target.margin {
            demand(estimates, target, &left, &mut wanted);
        }
    }
    let all: f64 = wanted.iter().sum();
    let most = (plan.faults() as f64 * GROWTH).max(1.0);
    let scale = (most / all).min(1.0);
    let faults: Vec<u64> = wanted
        .iter()
        .zip(&left)
        .map(|(wanted, &left)| ((wanted * scale).ceil() as u64).min(left))
        .collect();
    (faults.iter().sum::<u64>() > 0).then_some(Round::Stratified(faults))
}

/// Raises what is wanted of each stratum to what one target asks for.
fn demand(estimates: &Estimates, target: &Target, left: &[u64], wanted: &mut [f64]) {
    let parts = estimates.parts(&target.question);
    let Some(sum) = estimates.sum(&target.question) else {
        return;
    };
    let aim = variance_for(estimates, &sum, target.margin * AIM);
    // The round's variance that, with all before it, comes to the aim.
    let of_round = 1.0 / (1.0 / aim - 1.0 / sum.variance).max(f64::MIN_POSITIVE);
    let spreads: Vec<Spread> = parts
        .iter()
        .filter(|part| left[part.stratum] > 0)
        .map(|part| {
            let size = estimates.population.strata()[part.stratum].faults as f64;
            let left = left[part.stratum] as f64;
            let deviation = part.variance(sum.smoothed).sqrt();
            Spread {
                stratum: part.stratum,
                weight: part.weight,
                spread: part.weight / part.eligible * left / size * deviation,
                left,
            }
        })
        .collect();
    let drawn = neyman(&spreads, of_round);
    let all: f64 = drawn.iter().sum();
    for (own, drawn) in spreads.iter().zip(drawn) {
        let by_size = all * BY_SIZE * own.weight;
        let asked = drawn.max(by_size).max(1.0).min(own.left);
        wanted[own.stratum] = wanted[own.stratum].max(asked);
    }
}

/// A stratum, as the allocation sees it.
struct Spread {
    stratum: usize,
    weight: f64,
    /// Its part in the standard deviation of one fault: weight × deviation.
    spread: f64,
    left: f64,
}

/// The variance with which the interval has so small a half-width.
fn variance_for(estimates: &Estimates, sum: &Sum, margin: f64) -> f64 {
    let rate = sum.estimate.clamp(0.0, 1.0);
    let half_width = |draws: f64| wilson(rate, draws, estimates.confidence).half_width();
    let (mut few, mut many): (f64, f64) = (1e-3, 1e18);
    while many / few > 1.0 + 1e-6 {
        let middle = (few * many).sqrt();
        if half_width(middle) > margin {
            few = middle;
        } else {
            many = middle;
        }
    }
    sum.smoothed * (1.0 - sum.smoothed) / many
}

/// Faults of each stratum, so that Σ spread²·(1/draws − 1/left) is the variance, with as few as
/// possible. A stratum that would need more than it has gives all, and no more variance.
fn neyman(spreads: &[Spread], variance: f64) -> Vec<f64> {
    let mut is_all = vec![false; spreads.len()];
    loop {
        let partly = || {
            spreads
                .iter()
                .zip(&is_all)
                .filter(|(_, all)| !**all)
                .map(|(own, _)| own)
        };
        let spread: f64 = partly().map(|own| own.spread).sum();
        let corrected: f64 = partly().map(|own| own.spread * own.spread / own.left).sum();
        let factor = spread / (variance + corrected);
        let exceeds = |own: &Spread, all: bool| !all && own.spread * factor >= own.left;
        let further: Vec<bool> = spreads
            .iter()
            .zip(&is_all)
            .map(|(own, &all)| exceeds(own, all))
            .collect();
        if !further.contains(&true) {
            let draws = |(own, &all): (&Spread, &bool)| {
                if all { own.left } else { own.spread * factor }
            };
            return spreads.iter().zip(&is_all).map(draws).collect();
        }
        for (all, further) in is_all.iter_mut().zip(further) {
            *all |= further;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(stratum: usize, spread: f64, left: f64) -> Spread {
        Spread {
            stratum,
            weight: 0.5,
            spread,
            left,
        }
    }

    fn variance_of(spreads: &[Spread], draws: &[f64]) -> f64 {
        let pairs = spreads.iter().zip(draws);
        pairs
            .map(|(own, draws)| own.spread.powi(2) * (1.0 / draws - 1.0 / own.left))
            .sum()
    }

    #[test]
    fn faults_go_where_rates_spread_and_come_to_the_variance_asked_for() {
        let spreads = [spread(0, 0.3, 1e12), spread(1, 0.1, 1e12)];
        let draws = neyman(&spreads, 1e-4);
        assert!((draws[0] / draws[1] - 3.0).abs() < 1e-9, "{draws:?}");
        assert!(
            (variance_of(&spreads, &draws) / 1e-4 - 1.0).abs() < 1e-6,
            "{draws:?}"
        );
    }

    #[test]
    fn a_small_stratum_gives_all_it_has() {
        let spreads = [spread(0, 0.3, 50.0), spread(1, 0.1, 1e12)];
        let draws = neyman(&spreads, 1e-4);
        assert_eq!(draws[0], 50.0);
        assert!((draws[1] - 100.0).abs() < 1e-6, "{draws:?}");
        assert!((variance_of(&spreads, &draws) / 1e-4 - 1.0).abs() < 1e-6);
    }
}
