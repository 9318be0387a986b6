//! Rates with intervals, of a stratum and of sums over strata.

use std::ops::Range;

use super::confidence::Confidence;
use super::intervals::{Interval, one_proportion, score};
use super::outcome::Event;
use super::plan::Sampling;
use super::population::{Among, Domain, Population};
use super::smoothing::{Smoothed, smoothed};
use super::tally::{Observed, Tally};

/// A rate that one can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    pub domain: Domain,
    pub event: Event,
    pub among: Among,
}

/// A rate, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// The share of *(sample, fault)* pairs with the event, 0 to 1; `None` while a stratum of the
    /// domain has no fault yet.
    pub estimate: Option<f64>,
    pub interval: Interval,
    /// Faults that the estimate is made of: without the pilot, once others are there.
    pub faults: u64,
}

/// What a tally says of a population that was sampled by a plan.
#[derive(Debug, Clone, Copy)]
pub struct Estimates<'a> {
    pub population: &'a Population,
    pub sampling: Sampling,
    pub tally: &'a Tally,
    pub confidence: Confidence,
}

/// One stratum's part in a rate of the domain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) stratum: usize,
    /// Its size, over the size of the domain.
    pub(super) weight: f64,
    /// The share of its faults that count: those in samples classified correctly, or 1.
    pub(super) eligible: f64,
    pub(super) smoothed: Smoothed,
    /// The pilot, if it is not counted.
    before: Observed,
    /// The faults that are counted.
    own: Observed,
    /// Faults of the stratum that the pilot left.
    pub(super) left: f64,
}

/// A weighted sum of strata: its estimate, and what the estimate would be smoothed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sum {
    pub(super) estimate: f64,
    pub(super) smoothed: f64,
    /// Of the estimate, from smoothed variances within the strata.
    variance: f64,
    /// Its third cumulant, the same way.
    third: f64,
}

impl Sum {
    /// The same estimate with the variance that so many draws of each stratum give it.
    pub(super) fn with_draws(self, parts: &[Part], draws: impl Iterator<Item = f64>) -> Self {
        let (mut variance, mut third) = (0.0, 0.0);
        for (part, draws) in parts.iter().zip(draws) {
            if draws < part.left {
                let reach = part.reach(self.smoothed);
                let own = reach * reach * (1.0 / draws - 1.0 / part.left);
                variance += own;
                // A hit moves the sum by the scale over the draws.
                third += own * part.scale() / draws;
            }
        }
        Self {
            variance,
            third,
            ..self
        }
    }

    /// Limits around the estimate, as Wilson has them: the rates from which the estimate differs by
    /// no more than z times the deviation that it would have if they were true.
    ///
    /// A larger rate has a larger variance. For the upper limit, that grows as if what was missed
    /// were in the strata that weigh most (third cumulant over variance: the correction for
    /// skewness of Johnson 1978 and Hall 1992). For the lower one, it shrinks by half of what the
    /// design effect (Kish 1965) says: so few hits give Clopper and Pearson's limits.
    pub(super) fn interval(&self, confidence: Confidence) -> Interval {
        let rate = self.estimate.clamp(0.0, 1.0);
        if self.variance == 0.0 {
            let (low, high) = (rate, rate);
            return Interval { low, high };
        }
        let draws = self.smoothed * (1.0 - self.smoothed) / self.variance;
        let fewest = draws.min(self.variance / self.third);
        let of_low = score(rate, self.variance, 2.0 * draws, confidence);
        let of_high = score(rate, self.variance, fewest, confidence);
        Interval {
            low: of_low.low,
            high: of_high.high,
        }
    }
}

impl Estimates<'_> {
    /// The rate of an event in a domain.
    pub fn rate(&self, question: &Question) -> Rate {
        let strata = self.strata(question);
        let rounds = self.counted(&strata);
        let drawn = strata.iter().map(|&own| self.tally.drawn(&rounds, own));
        let faults = drawn.sum();
        let are_alike = self.sampling == Sampling::Uniform || strata.len() == 1;
        if are_alike && strata.iter().all(|&own| !self.is_cluster(own)) {
            return self.of_one_sample(question, &strata, faults);
        }
        let sum = if self.sampling == Sampling::Uniform {
            self.sum_of_clusters(question, &strata)
        } else {
            self.sum(&self.parts(question, &rounds))
        };
        Rate {
            estimate: sum.map(|sum| sum.estimate.clamp(0.0, 1.0)),
            interval: sum.map_or(Interval::UNKNOWN, |sum| sum.interval(self.confidence)),
            faults,
        }
    }

    /// The strata of the domain that have such samples.
    fn strata(&self, question: &Question) -> Vec<usize> {
        let strata = self.population.strata().iter().enumerate();
        let size = |stratum| {
            self.population
                .size(stratum, &question.domain, question.among)
        };
        let own = strata.filter(|(_, stratum)| size(stratum) > 0.0);
        own.map(|(index, _)| index).collect()
    }

    fn is_cluster(&self, stratum: usize) -> bool {
        self.population
            .is_cluster(&self.population.strata()[stratum])
    }

    fn size(&self, question: &Question, stratum: usize, among: Among) -> f64 {
        let own = &self.population.strata()[stratum];
        self.population.size(own, &question.domain, among)
    }

    /// The rounds that an estimate of these strata is made of. An adaptive plan's pilot decides
    /// how many faults a stratum gets: fewer after no hit than after one. Counted with them, it
    /// would make every rate too low, by about half a hit in each stratum; without it, the others
    /// are a stratified sample like any. Strata that have no faults but the pilot's have an
    /// estimate from that alone.
    pub(super) fn counted(&self, strata: &[usize]) -> Range<usize> {
        let all = 0..self.tally.rounds();
        if self.sampling != Sampling::Adaptive {
            return all;
        }
        let later = 1..self.tally.rounds();
        let is_in_later = |&stratum: &usize| {
            let is_drawn = self.tally.drawn(&later, stratum) > 0;
            is_drawn || self.tally.drawn(&(0..1), stratum) == self.faults(stratum)
        };
        if strata.iter().all(is_in_later) {
            later
        } else {
            0..1
        }
    }

    fn faults(&self, stratum: usize) -> u64 {
        self.population.strata()[stratum].faults
    }

    /// Faults of one sample each that are drawn alike: hits of draws.
    fn of_one_sample(&self, question: &Question, strata: &[usize], faults: u64) -> Rate {
        let rounds = self.counted(strata);
        let observed = |rounds: &Range<usize>| {
            let own = strata
                .iter()
                .map(|&own| self.observed(question, rounds, own));
            own.fold(Observed::default(), Observed::plus)
        };
        let (before, own) = (observed(&(0..rounds.start)), observed(&rounds));
        let sizes = strata
            .iter()
            .map(|&own| self.size(question, own, question.among));
        let size: f64 = sizes.sum();
        let left = size - before.eligible;
        // All whole numbers: a fault of one sample is a hit or none, and counts or not.
        let (hits, draws) = (own.shares as u64, own.eligible as u64);
        let of_left = one_proportion(hits, draws, left as u64, self.confidence);
        let of_all = |rate: f64| (before.shares + rate * left) / size;
        let estimate = match own.eligible > 0.0 {
            true => Some(of_all(own.shares / own.eligible)),
            false => (left == 0.0).then(|| of_all(0.0)),
        };
        Rate {
            estimate,
            interval: Interval {
                low: of_all(of_left.low),
                high: of_all(of_left.high),
            },
            faults,
        }
    }

    /// Faults drawn alike, some of which meet many samples: the mean of their shares. A fault
    /// counts as much as the share of its samples that are of the kind.
    fn sum_of_clusters(&self, question: &Question, strata: &[usize]) -> Option<Sum> {
        let rounds = self.counted(strata);
        let part = |&stratum: &usize| {
            let own = self.observed(question, &rounds, stratum);
            let met = |among| self.met(question, stratum, among);
            let is_scaled = strata.len() > 1 && self.is_cluster(stratum);
            let scale = if is_scaled {
                met(question.among) / met(Among::All)
            } else {
                1.0
            };
            Observed {
                faults: own.faults,
                eligible: own.eligible * scale,
                shares: own.shares * scale,
                squares: own.squares * scale,
            }
        };
        let observed = strata
            .iter()
            .map(part)
            .fold(Observed::default(), Observed::plus);
        let sizes = strata
            .iter()
            .map(|&own| self.size(question, own, question.among));
        let population: f64 = sizes.sum();
        let smoothed = Smoothed::alone(observed);
        let left = (1.0 / observed.eligible - 1.0 / population).max(0.0);
        (observed.eligible > 0.0).then(|| Sum {
            estimate: observed.shares / observed.eligible,
            smoothed: smoothed.rate,
            variance: smoothed.variance * left,
            third: smoothed.variance * left / observed.eligible,
        })
    }

    /// Samples of a kind that a fault meets in the domain.
    fn met(&self, question: &Question, stratum: usize, among: Among) -> f64 {
        let own = &self.population.strata()[stratum];
        self.population
            .samples_per_fault(own, &question.domain, among)
            .max(1) as f64
    }

    /// What some rounds say of a stratum, as shares of its samples in the domain.
    fn observed(&self, question: &Question, rounds: &Range<usize>, stratum: usize) -> Observed {
        let Question {
            domain,
            event,
            among,
        } = *question;
        let met = self.met(question, stratum, among);
        self.tally
            .observed(rounds, stratum, domain.tier, event, among, met)
    }

    /// Every stratum's part in a stratified rate, from the faults of some rounds and what was
    /// drawn before them.
    pub(super) fn parts(&self, question: &Question, rounds: &Range<usize>) -> Vec<Part> {
        let strata = self.population.strata();
        let of_rounds = |rounds: &Range<usize>| -> Vec<Observed> {
            let all = 0..strata.len();
            all.map(|stratum| self.observed(question, rounds, stratum))
                .collect()
        };
        let (before, observed) = (of_rounds(&(0..rounds.start)), of_rounds(rounds));
        let smoothed = smoothed(strata, &observed);
        let own = self.strata(question);
        let size = |stratum| self.size(question, stratum, question.among);
        let total: f64 = own.iter().map(|&stratum| size(stratum)).sum();
        let part = |&stratum: &usize| Part {
            stratum,
            weight: size(stratum) / total,
            eligible: match self.is_cluster(stratum) {
                true => 1.0,
                false => size(stratum) / self.size(question, stratum, Among::All),
            },
            smoothed: smoothed[stratum],
            before: before[stratum],
            own: observed[stratum],
            left: (self.faults(stratum) - before[stratum].faults) as f64,
        };
        own.iter().map(part).collect()
    }

    /// The stratified estimate: each stratum's mean, weighted by its size; none while a stratum
    /// has no fault. Of faults in samples that are classified correctly, it is the ratio of events
    /// to faults that count (Cochran 1977, sections 5.3 and 6.11).
    pub(super) fn sum(&self, parts: &[Part]) -> Option<Sum> {
        let smoothed = parts
            .iter()
            .map(|part| part.weight * part.smoothed.rate)
            .sum();
        let (mut events, mut eligible) = (0.0, 0.0);
        for part in parts {
            let Part {
                before, own, left, ..
            } = *part;
            let draws = own.faults as f64;
            if left > 0.0 && draws == 0.0 {
                return None;
            }
            // Each fault stands for those that the pilot left: what it found itself is known.
            let each = if left > 0.0 { left / draws } else { 0.0 };
            let weight = part.weight / part.eligible / part.size();
            events += weight * (before.shares + each * own.shares);
            eligible += weight * (before.eligible + each * own.eligible);
        }
        let sum = Sum {
            estimate: events / eligible,
            smoothed,
            variance: 0.0,
            third: 0.0,
        };
        let draws = parts.iter().map(|part| part.own.faults as f64);
        (eligible > 0.0).then(|| sum.with_draws(parts, draws))
    }
}

impl Part {
    /// Faults that were drawn in the rounds.
    pub(super) fn faults(&self) -> u64 {
        self.own.faults
    }

    /// Faults of the stratum.
    fn size(&self) -> f64 {
        self.left + self.before.faults as f64
    }

    /// What a share of the faults that the pilot left is of the sum.
    fn scale(&self) -> f64 {
        self.weight / self.eligible * self.left / self.size()
    }

    /// What one fault moves the sum by, if it were the stratum's only one: the standard deviation
    /// of share − rate · (1 if it counts, else 0); if all count, that of the share.
    pub(super) fn reach(&self, rate: f64) -> f64 {
        let Smoothed {
            rate: own,
            variance,
        } = self.smoothed;
        let counts = self.eligible;
        let spread = counts * variance + counts * (1.0 - counts) * (own - rate).powi(2);
        self.scale() * spread.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_equal_weights_a_sum_has_the_limits_of_one_proportion() {
        let confidence = Confidence::new(0.95).expect("a level");
        let draws = 100_000.0;
        for hits in [1u32, 2, 5, 20, 100, 1_000] {
            let rate = f64::from(hits) / draws;
            let variance = rate * (1.0 - rate) / draws;
            let sum = Sum {
                estimate: rate,
                smoothed: rate,
                variance,
                third: variance / draws,
            };
            let found = sum.interval(confidence);
            let expected = one_proportion(hits.into(), draws as u64, 1 << 50, confidence);
            let differs = |a: f64, b: f64| (a - b).abs() * draws > 0.25;
            assert!(
                !differs(found.low, expected.low),
                "{hits}: {found:?}, {expected:?}"
            );
            assert!(
                !differs(found.high, expected.high),
                "{hits}: {found:?}, {expected:?}"
            );
        }
    }
}
