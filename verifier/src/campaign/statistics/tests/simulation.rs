//! Campaigns simulated on populations whose rates are known.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use rayon::prelude::*;

use crate::campaign::statistics::*;

/// A population in which the number of hits of every stratum is known.
pub(super) struct Truth {
    pub(super) population: Population,
    pub(super) hits: Vec<u64>,
}

pub(super) const TOTAL: Question = Question {
    domain: Domain {
        site: None,
        bit: None,
        tier: None,
    },
    event: Event::CriticalSdc,
    among: Among::All,
};

pub(super) fn uniform(random: &mut ChaCha8Rng) -> f64 {
    (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Log-uniform from `low` to `high`.
fn log_uniform(random: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    low * (high / low).powf(uniform(random))
}

impl Truth {
    fn new(population: Population, rate: impl FnMut(&Stratum) -> f64) -> Self {
        let rates: Vec<f64> = population.strata().iter().map(rate).collect();
        let sizes = population
            .strata()
            .iter()
            .map(|stratum| stratum.faults as f64);
        let hits = sizes
            .zip(rates)
            .map(|(size, rate)| (size * rate).round() as u64)
            .collect();
        Self { population, hits }
    }

    /// 25 sites of 20 to 10⁶ elements × 8 bits × 5 tiers of 10 to 5,000 samples: 1,000 strata of
    /// 200 to 5·10⁹ faults, each with a rate of its own from 10⁻⁴ to 0.5, like no neighbour's.
    pub(super) fn unequal() -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(11);
        let site = |at: i32| Site {
            bits: 8,
            ..Site::of_samples(&format!("site{at}"), (20.0 * 1.57f64.powi(at)) as u64)
        };
        let tier = |all| Samples { all, right: all };
        let tiers = [10, 100, 1_000, 3_000, 5_000].map(tier).to_vec();
        let population = Population::new((0..25).map(site).collect(), tiers).expect("a population");
        Self::new(population, |_| log_uniform(&mut random, 1e-4, 0.5))
    }

    /// Like a network: 16 sites × 32 bits × 4 tiers. Flips of most bits change no class; those of
    /// the upper exponent bits do in some sites, and more so in samples of low confidence.
    pub(super) fn network() -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(12);
        let site = |at: u64| Site::of_samples(&format!("site{at}"), 500 + 400 * at);
        let tier = |all| Samples { all, right: all };
        let tiers = [1_000, 1_500, 2_500, 5_000].map(tier).to_vec();
        let population = Population::new((0..16).map(site).collect(), tiers).expect("a population");
        let sites: Vec<f64> = (0..16)
            .map(|_| log_uniform(&mut random, 0.3, 1.0))
            .collect();
        Self::new(population, |stratum| {
            let of_bit = match stratum.bit {
                30 => 0.9,
                29 => 0.3,
                28 | 31 => 0.1,
                24..28 => 0.005,
                _ => 0.0,
            };
            let of_tier = [1.0, 0.8, 0.6, 0.4][stratum.tier.expect("a tier")];
            of_bit * sites[stratum.site] * of_tier
        })
    }

    pub(super) fn rate(&self, domain: &Domain) -> f64 {
        let strata = self.population.strata().iter().zip(&self.hits);
        let own = strata.filter(|(stratum, _)| domain.contains(stratum));
        let (hits, size) = own.fold((0, 0), |(hits, size), (stratum, own)| {
            (hits + own, size + stratum.faults)
        });
        hits as f64 / size as f64
    }

    /// Draws from strata without replacement, after what was drawn before.
    fn draw(&self, tally: &mut Tally, round: usize, faults: &[u64], random: &mut ChaCha8Rng) {
        for (stratum, &draws) in faults.iter().enumerate() {
            let drawn = tally.drawn(&(0..round), stratum);
            let (event, among) = (Event::CriticalSdc, Among::All);
            let found = tally.observed(&(0..round), stratum, None, event, among);
            let mut left = self.population.strata()[stratum].faults - drawn;
            let mut left_hits = self.hits[stratum] - found.shares as u64;
            let mut hits = 0;
            for _ in 0..draws {
                if uniform(random) * (left as f64) < left_hits as f64 {
                    left_hits -= 1;
                    hits += 1;
                }
                left -= 1;
            }
            let hit = [Seen::one(Outcome::CriticalSdc, true)];
            let miss = [Seen::one(Outcome::Masked, true)];
            tally.add_alike(round, stratum, &hit, hits);
            tally.add_alike(round, stratum, &miss, draws - hits);
        }
    }

    /// A uniform campaign.
    pub(super) fn uniform(&self, faults: u64, seed: u64) -> Tally {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let ends: Vec<f64> = self
            .population
            .strata()
            .iter()
            .scan(0.0, |end, stratum| {
                *end += stratum.faults as f64;
                Some(*end)
            })
            .collect();
        let size = *ends.last().expect("strata");
        let mut counts = vec![0; ends.len()];
        for _ in 0..faults {
            let at = uniform(&mut random) * size;
            counts[ends.partition_point(|&end| end <= at)] += 1;
        }
        for (count, stratum) in counts.iter_mut().zip(self.population.strata()) {
            *count = stratum.faults.min(*count);
        }
        let mut tally = Tally::new(&self.population);
        self.draw(&mut tally, 0, &counts, &mut random);
        tally
    }

    /// A campaign in rounds, until the targets are reached.
    pub(super) fn adaptive(&self, targets: &[Target], seed: u64) -> Tally {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut plan = Plan::new(
            self.population.clone(),
            Sampling::Adaptive,
            seed,
            "simulated",
        );
        let mut tally = Tally::new(&self.population);
        let mut round = Some(pilot(&self.population));
        while let Some(next) = round {
            let Round::Stratified(faults) = &next else {
                unreachable!("a stratified plan");
            };
            plan.push(&next).expect("a round");
            self.draw(&mut tally, plan.rounds().len() - 1, faults, &mut random);
            round = next_round(&self.estimates(Sampling::Adaptive, &tally), &plan, targets);
        }
        tally
    }

    pub(super) fn estimates<'a>(&'a self, sampling: Sampling, tally: &'a Tally) -> Estimates<'a> {
        Estimates {
            population: &self.population,
            sampling,
            tally,
            confidence: Confidence::new(0.95).expect("a level"),
        }
    }

    /// Of each question, in how many of the campaigns its interval contains the rate.
    pub(super) fn covered(
        &self,
        sampling: Sampling,
        questions: &[Question],
        campaigns: u64,
        run: impl Fn(u64) -> Tally + Sync,
    ) -> Covered {
        let truths: Vec<f64> = questions.iter().map(|own| self.rate(&own.domain)).collect();
        let one = |seed: u64| {
            let tally = run(seed);
            let estimates = self.estimates(sampling, &tally);
            let rates = questions.iter().map(|question| estimates.rate(question));
            let covers = rates.zip(&truths).map(|(rate, &truth)| Covered {
                campaigns: 1,
                faults: 0,
                covered: vec![u64::from(rate.interval.contains(truth))],
                errors: vec![rate.estimate.unwrap_or(truth) - truth],
                half_widths: vec![rate.interval.half_width()],
                squares: vec![(rate.estimate.unwrap_or(truth) - truth).powi(2)],
            });
            let mut all = covers.reduce(Covered::beside).expect("a question");
            all.faults = tally.faults();
            all
        };
        let seeds = (0..campaigns).into_par_iter();
        seeds
            .map(one)
            .reduce_with(Covered::plus)
            .expect("a campaign")
    }
}

/// Sums over campaigns, of each question.
#[derive(Debug, Clone)]
pub(super) struct Covered {
    pub(super) campaigns: u64,
    /// Faults of all campaigns.
    pub(super) faults: u64,
    pub(super) covered: Vec<u64>,
    pub(super) errors: Vec<f64>,
    pub(super) half_widths: Vec<f64>,
    pub(super) squares: Vec<f64>,
}

impl Covered {
    fn beside(mut self, other: Self) -> Self {
        self.covered.extend(other.covered);
        self.errors.extend(other.errors);
        self.half_widths.extend(other.half_widths);
        self.squares.extend(other.squares);
        self
    }

    fn plus(mut self, other: Self) -> Self {
        let add = |own: &mut Vec<f64>, other: &[f64]| {
            own.iter_mut()
                .zip(other)
                .for_each(|(own, other)| *own += other);
        };
        self.campaigns += other.campaigns;
        self.faults += other.faults;
        self.covered
            .iter_mut()
            .zip(&other.covered)
            .for_each(|(own, other)| *own += other);
        add(&mut self.errors, &other.errors);
        add(&mut self.half_widths, &other.half_widths);
        add(&mut self.squares, &other.squares);
        self
    }
}
