//! Rates with intervals, of a stratum and of sums over strata.

use super::confidence::Confidence;
use super::intervals::{Interval, one_proportion, wilson};
use super::outcome::Event;
use super::plan::Sampling;
use super::population::{Among, Domain, Population};
use super::smoothing::{Smoothed, smoothed, smoothed_alone};
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
    /// Faults of the domain that were run.
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
}

/// A weighted sum of strata: its estimate, and what the estimate would be smoothed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sum {
    pub(super) estimate: f64,
    pub(super) smoothed: f64,
    /// Of the estimate, from smoothed rates.
    pub(super) variance: f64,
}

impl Rate {
    fn unknown(faults: u64) -> Self {
        Self {
            estimate: None,
            interval: Interval::UNKNOWN,
            faults,
        }
    }
}

impl Sum {
    /// How many faults, uniformly drawn, would tell as much of a rate as large as the smoothed one.
    /// Both the rate and its variance grow with a hit that the smoothing adds, their ratio hardly:
    /// the design effect of Kish 1965, as Korn and Graubard 1998 use it.
    fn effective_draws(&self) -> f64 {
        self.smoothed * (1.0 - self.smoothed) / self.variance
    }
}

impl Estimates<'_> {
    /// The rate of an event in a domain.
    pub fn rate(&self, question: &Question) -> Rate {
        let strata = self.strata(question);
        let faults = strata.iter().map(|&own| self.tally.drawn(None, own)).sum();
        let of_samples = strata.iter().all(|&own| !self.is_cluster(own));
        let is_one_sample = self.sampling == Sampling::Uniform || strata.len() == 1;
        if is_one_sample && of_samples {
            return self.of_one_sample(question, &strata, faults);
        }
        let sum = if is_one_sample {
            self.sum_of_clusters(question, &strata)
        } else {
            self.sum(question)
        };
        let Some(sum) = sum else {
            return Rate::unknown(faults);
        };
        let estimate = sum.estimate.clamp(0.0, 1.0);
        Rate {
            estimate: Some(estimate),
            interval: wilson(estimate, sum.effective_draws(), self.confidence),
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

    /// Faults of one sample each that are drawn alike: hits of draws.
    fn of_one_sample(&self, question: &Question, strata: &[usize], faults: u64) -> Rate {
        let Question { event, among, .. } = *question;
        let hits = strata
            .iter()
            .map(|&own| self.tally.hits(own, event, among))
            .sum();
        let draws: u64 = match among {
            Among::All => faults,
            Among::Right => strata
                .iter()
                .map(|&own| self.tally.right_samples(own))
                .sum(),
        };
        let size: f64 = strata
            .iter()
            .map(|&own| self.size(question, own, among))
            .sum();
        Rate {
            estimate: (draws > 0).then(|| hits as f64 / draws as f64),
            interval: one_proportion(hits, draws, size as u64, self.confidence),
            faults,
        }
    }

    /// Faults drawn alike, some of which meet many samples: the mean of their shares. A fault
    /// counts as much as the share of its samples that are of the kind.
    fn sum_of_clusters(&self, question: &Question, strata: &[usize]) -> Option<Sum> {
        let part = |&stratum: &usize| {
            let own = self.observed(question, None, stratum);
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
        let population = match strata {
            [one] => self.population.strata()[*one].faults as f64,
            _ => strata
                .iter()
                .map(|&own| self.size(question, own, question.among))
                .sum(),
        };
        let smoothed = smoothed_alone(observed);
        let left = (1.0 / observed.eligible - 1.0 / population).max(0.0);
        (observed.eligible > 0.0).then(|| Sum {
            estimate: observed.shares / observed.eligible,
            smoothed: smoothed.rate,
            variance: smoothed.variance * left,
        })
    }

    /// Samples of a kind that a fault meets in the domain.
    fn met(&self, question: &Question, stratum: usize, among: Among) -> f64 {
        let own = &self.population.strata()[stratum];
        self.population
            .samples_per_fault(own, &question.domain, among)
            .max(1) as f64
    }

    /// What is known of a stratum, as shares of its samples in the domain.
    fn observed(&self, question: &Question, round: Option<usize>, stratum: usize) -> Observed {
        let Question {
            domain,
            event,
            among,
        } = *question;
        let met = self.met(question, stratum, among);
        self.tally
            .observed(round, stratum, domain.tier, event, among, met)
    }

    /// Every stratum's part in a stratified rate.
    pub(super) fn parts(&self, question: &Question) -> Vec<Part> {
        let strata = self.population.strata();
        let all = 0..strata.len();
        let observed: Vec<Observed> = all.map(|own| self.observed(question, None, own)).collect();
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
        };
        own.iter().map(part).collect()
    }

    /// The stratified estimate. Each round gives one of its own, and those are averaged with the
    /// inverse of their variances.
    ///
    /// Faults of all rounds may not be thrown together: where a round draws more after a hit than
    /// after none, the mean of all is too low, by about half a hit in every stratum. Given the
    /// rounds before it, a round's own mean is not.
    pub(super) fn sum(&self, question: &Question) -> Option<Sum> {
        let parts = self.parts(question);
        let smoothed = parts
            .iter()
            .map(|part| part.weight * part.smoothed.rate)
            .sum();
        let rounds = (0..self.tally.rounds())
            .filter_map(|round| self.sum_of_round(question, &parts, round, smoothed));
        let rounds: Vec<(f64, f64)> = rounds.collect();
        if let Some(&(estimate, _)) = rounds.iter().find(|(_, variance)| *variance == 0.0) {
            let variance = 0.0;
            return Some(Sum {
                estimate,
                smoothed,
                variance,
            });
        }
        let precision: f64 = rounds.iter().map(|(_, variance)| 1.0 / variance).sum();
        let weighted: f64 = rounds
            .iter()
            .map(|(estimate, variance)| estimate / variance)
            .sum();
        (precision > 0.0).then(|| Sum {
            estimate: weighted / precision,
            smoothed,
            variance: 1.0 / precision,
        })
    }

    /// Estimate and variance from the faults of one round, given those before it; none if a
    /// stratum has no fault in it.
    ///
    /// What was drawn before is known, and the round tells of what was left (Des Raj 1956). The
    /// estimate is the ratio of events to faults that count (Cochran 1977, section 6.11).
    fn sum_of_round(
        &self,
        question: &Question,
        parts: &[Part],
        round: usize,
        smoothed: f64,
    ) -> Option<(f64, f64)> {
        let (mut events, mut eligible, mut variance) = (0.0, 0.0, 0.0);
        for part in parts {
            let size = self.population.strata()[part.stratum].faults as f64;
            let before =
                (0..round).map(|before| self.observed(question, Some(before), part.stratum));
            let before = before.fold(Observed::default(), Observed::plus);
            let left = size - before.faults as f64;
            let own = self.observed(question, Some(round), part.stratum);
            let draws = own.faults as f64;
            if left > 0.0 && draws == 0.0 {
                return None;
            }
            // What a fault drawn now stands for: those that were left, each of them.
            let each = if left > 0.0 { left / draws } else { 0.0 };
            let weight = part.weight / part.eligible;
            events += weight * (before.shares + each * own.shares) / size;
            eligible += weight * (before.eligible + each * own.eligible) / size;
            if left > draws {
                let reach = weight * left / size;
                let spread = part.variance(smoothed);
                variance += reach * reach * spread * (1.0 / draws - 1.0 / left);
            }
        }
        (eligible > 0.0).then(|| (events / eligible, variance))
    }
}

impl Part {
    /// Variance, from fault to fault, of share − rate · (1 if it counts, else 0); with every fault
    /// counting, that of the share.
    pub(super) fn variance(&self, rate: f64) -> f64 {
        let Smoothed {
            rate: own,
            variance,
        } = self.smoothed;
        let counts = self.eligible;
        counts * variance + counts * (1.0 - counts) * (own - rate).powi(2)
    }
}
