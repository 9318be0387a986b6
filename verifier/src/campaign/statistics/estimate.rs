//! Rates with intervals, of a stratum and of sums over strata.

use std::ops::Range;

use super::confidence::Confidence;
use super::intervals::{Interval, one_proportion};
use super::outcome::Event;
use super::plan::Sampling;
use super::population::{Among, Domain, Population};
use super::smoothing::{Smoothed, smoothed};
use super::sum::{Part, Sum};
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
    /// Faults that the estimate is made of: without the pilot, once others are there, but for
    /// strata that the pilot drew to their end.
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

/// What is counted: samples with the event, or those without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Hits,
    Misses,
}

impl Side {
    fn of(self, observed: Observed) -> Observed {
        match self {
            Self::Hits => observed,
            Self::Misses => observed.misses(),
        }
    }
}

impl Estimates<'_> {
    /// The rate of an event in a domain.
    pub fn rate(&self, question: &Question) -> Rate {
        let strata = self.strata(question);
        let rounds = self.counted(&strata);
        let used = strata.iter().map(|&own| self.faults_used(&rounds, own));
        let faults = used.sum();
        if strata.is_empty() {
            return Rate {
                estimate: None,
                interval: Interval::UNKNOWN,
                faults,
            };
        }
        let are_alike = self.sampling == Sampling::Uniform || strata.len() == 1;
        if are_alike && strata.iter().all(|&own| !self.is_cluster(own)) {
            return self.of_one_sample(question, &strata, faults);
        }
        let sum_of = |side| match self.sampling {
            Sampling::Uniform => self.sum_of_clusters(question, &strata, side),
            _ => self.sum(&self.parts(question, &rounds, side)),
        };
        let interval = |sum: Sum| sum.interval(self.confidence);
        let sum = sum_of(Side::Hits);
        // The limits are those of rare events: above a half, hits are what is left by misses.
        let interval = match &sum {
            Some(sum) if sum.estimate > 0.5 => {
                sum_of(Side::Misses).map(|misses| interval(misses).mirrored())
            }
            _ => sum.map(interval),
        };
        Rate {
            estimate: sum.map(|sum| sum.estimate.clamp(0.0, 1.0)),
            interval: interval.unwrap_or(Interval::UNKNOWN),
            faults,
        }
    }

    /// What a rate is rarer of.
    pub(super) fn rarer_side(&self, question: &Question) -> Side {
        match self.rate(question).estimate {
            Some(rate) if rate > 0.5 => Side::Misses,
            _ => Side::Hits,
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

    /// Faults of a stratum that an estimate from these rounds is made of: of a stratum that has
    /// none in them, those before, which drew it to its end.
    fn faults_used(&self, rounds: &Range<usize>, stratum: usize) -> u64 {
        match self.tally.drawn(rounds, stratum) {
            0 => self.tally.drawn(&(0..rounds.start), stratum),
            drawn => drawn,
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

    /// Faults drawn alike, some of which meet many samples: the weighted mean of their shares. A
    /// fault in a weight was drawn for all of its samples: it weighs as much as the share of them
    /// that are in the domain and of the kind. They are worth as many faults that weigh the same
    /// as the square of the weights' sum over the sum of their squares (Kish 1965).
    fn sum_of_clusters(&self, question: &Question, strata: &[usize], side: Side) -> Option<Sum> {
        let rounds = self.counted(strata);
        let (mut observed, mut squared_weights) = (Observed::default(), 0.0);
        for &stratum in strata {
            let own = side.of(self.observed(question, &rounds, stratum));
            let weight = match self.is_cluster(stratum) {
                true => self.share_of_pairs(question, stratum),
                false => 1.0,
            };
            squared_weights += own.eligible * weight * weight;
            observed = observed.plus(own.times(weight));
        }
        if observed.eligible == 0.0 {
            return None;
        }
        let observed = observed.times(observed.eligible / squared_weights);
        let sizes = strata
            .iter()
            .map(|&own| self.size(question, own, question.among));
        let population: f64 = sizes.sum();
        let smoothed = Smoothed::alone(observed);
        let left = (1.0 / observed.eligible - 1.0 / population).max(0.0);
        Some(Sum {
            estimate: observed.shares / observed.eligible,
            smoothed: smoothed.rate,
            variance: smoothed.variance * left,
            third: smoothed.variance * left / observed.eligible,
        })
    }

    /// Of the *(sample, fault)* pairs of a stratum, the share of those in the domain and of the
    /// kind.
    fn share_of_pairs(&self, question: &Question, stratum: usize) -> f64 {
        let own = &self.population.strata()[stratum];
        let whole = self.population.size(own, &Domain::default(), Among::All);
        self.size(question, stratum, question.among) / whole
    }

    /// What some rounds say of a stratum, as shares of its samples in the domain.
    fn observed(&self, question: &Question, rounds: &Range<usize>, stratum: usize) -> Observed {
        let Question {
            domain,
            event,
            among,
        } = *question;
        self.tally
            .observed(rounds, stratum, domain.tier, event, among)
    }

    /// Every stratum's part in a stratified rate, from the faults of some rounds and what was
    /// drawn before them.
    pub(super) fn parts(
        &self,
        question: &Question,
        rounds: &Range<usize>,
        side: Side,
    ) -> Vec<Part> {
        let strata = self.population.strata();
        let of_rounds = |rounds: &Range<usize>| -> Vec<Observed> {
            let all = 0..strata.len();
            all.map(|stratum| side.of(self.observed(question, rounds, stratum)))
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

#[cfg(test)]
mod tests;
