//! The plan: which fault has which number. Fault i is a function of the plan and of i alone.

use std::ops::Range;

use console::grouped;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::permutation::Permutation;
use super::population::Population;

/// How faults are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sampling {
    /// Each *(sample, place, bit)* of the population with equal probability.
    Uniform,
    /// So many from each stratum.
    Stratified,
    /// The same, and where they go is learnt: the first round is a pilot, which plans the others
    /// and is not counted in the estimates.
    Adaptive,
}

/// What a round draws. Stratified campaigns add rounds as they learn where faults are needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Round {
    /// So many faults of the whole population.
    Uniform(u64),
    /// Faults of each stratum, in the order of the population's strata.
    Stratified(Vec<u64>),
}

/// A population, a seed, and rounds of faults, numbered through from 0.
#[derive(Debug, Clone)]
pub struct Plan {
    population: Population,
    sampling: Sampling,
    hash: [u8; 32],
    rounds: Vec<Planned>,
    /// Of each stratum, the *(sample, place, bit)* up to its end.
    pair_ends: Vec<u64>,
}

/// A round with its place among the numbers.
#[derive(Debug, Clone)]
struct Planned {
    numbers: Range<u64>,
    /// Of each stratum, the faults drawn in earlier rounds; empty for a uniform one.
    earlier: Vec<u64>,
    /// The number, from the round's first, at which each stratum ends; empty for a uniform one.
    ends: Vec<u64>,
}

/// The fault of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    pub number: u64,
    /// Index of its round.
    pub round: usize,
    /// Index of its stratum.
    pub stratum: usize,
    /// Which of the site's places, from 0.
    pub place: u64,
    /// Which of the patterns of the place, from 0.
    pub pattern: u64,
    /// Which of the samples of the stratum's tier, from 0; `None` for a weight's fault, which meets
    /// many.
    pub sample: Option<u64>,
}

/// A round that cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RoundError {
    #[error("expected a round of the plan's sampling, {0:?}")]
    Sampling(Sampling),
    #[error("expected faults of {expected} strata, found {found}")]
    Strata { expected: usize, found: usize },
    #[error("stratum {stratum}: {left} faults are left to draw, expected {asked}")]
    Exhausted {
        stratum: usize,
        left: u64,
        asked: u64,
    },
    #[error(
        "the population has {} pairs of sample and fault left to draw, {} faults are asked for",
        grouped(*left as usize), grouped(*asked as usize)
    )]
    AllDrawn { left: u64, asked: u64 },
}

/// Streams of the generator: of a fault its number, of a stratum's order this and its index.
const ORDERS: u64 = 1 << 63;

impl Plan {
    /// A plan without a round. `about`: what else changes a fault or its outcome, such as fault
    /// model, bundle and version; plans that differ in it draw differently.
    pub fn new(population: Population, sampling: Sampling, seed: u64, about: &str) -> Self {
        let text = serde_json::to_vec(&(&population, sampling, seed, about));
        let text = text.expect("numbers and text are JSON");
        let strata = population.strata().iter();
        let ends = strata.scan(0, |end, stratum| {
            *end += population.pairs(stratum);
            Some(*end)
        });
        Self {
            pair_ends: ends.collect(),
            hash: *blake3::hash(&text).as_bytes(),
            population,
            sampling,
            rounds: Vec::new(),
        }
    }

    /// BLAKE3 of population, sampling, seed and `about`, hexadecimal. Rounds are left out: they
    /// follow from it and from the outcomes.
    pub fn hash(&self) -> String {
        blake3::Hash::from_bytes(self.hash).to_hex().to_string()
    }

    pub fn population(&self) -> &Population {
        &self.population
    }

    pub fn sampling(&self) -> Sampling {
        self.sampling
    }

    /// The numbers of each round's faults.
    pub fn rounds(&self) -> impl ExactSizeIterator<Item = Range<u64>> {
        self.rounds.iter().map(|round| round.numbers.clone())
    }

    /// How many faults there are in all rounds.
    pub fn faults(&self) -> u64 {
        self.rounds.last().map_or(0, |round| round.numbers.end)
    }

    /// Adds a round and returns its numbers: in a stratified one, stratum after stratum.
    pub fn push(&mut self, round: &Round) -> Result<Range<u64>, RoundError> {
        let planned = match (self.sampling, round) {
            (Sampling::Uniform, Round::Uniform(faults)) => self.uniform(*faults)?,
            (Sampling::Stratified | Sampling::Adaptive, Round::Stratified(faults)) => {
                self.stratified(faults)?
            }
            (sampling, _) => return Err(RoundError::Sampling(sampling)),
        };
        let numbers = planned.numbers.clone();
        self.rounds.push(planned);
        Ok(numbers)
    }

    fn uniform(&self, asked: u64) -> Result<Planned, RoundError> {
        let left = self.pairs() - self.faults();
        if asked > left {
            return Err(RoundError::AllDrawn { left, asked });
        }
        Ok(Planned {
            numbers: self.faults()..self.faults() + asked,
            earlier: Vec::new(),
            ends: Vec::new(),
        })
    }

    fn stratified(&self, faults: &[u64]) -> Result<Planned, RoundError> {
        let (expected, found) = (self.population.strata().len(), faults.len());
        if expected != found {
            return Err(RoundError::Strata { expected, found });
        }
        let earlier: Vec<u64> = (0..expected).map(|stratum| self.drawn(stratum)).collect();
        let mut ends = Vec::with_capacity(expected);
        let mut end = 0;
        for (stratum, &asked) in faults.iter().enumerate() {
            let left = self.population.strata()[stratum].faults - earlier[stratum];
            if asked > left {
                return Err(RoundError::Exhausted {
                    stratum,
                    left,
                    asked,
                });
            }
            end += asked;
            ends.push(end);
        }
        Ok(Planned {
            numbers: self.faults()..self.faults() + end,
            earlier,
            ends,
        })
    }

    /// Faults of a stratum in all rounds; of a uniform plan 0, as it has no number of them.
    pub fn drawn(&self, stratum: usize) -> u64 {
        let of_last = |round: &Planned| {
            let end = round.ends.get(stratum)?;
            Some(round.earlier[stratum] + end - start_of(&round.ends, stratum))
        };
        self.rounds.last().and_then(of_last).unwrap_or(0)
    }

    /// The fault of a number, if a round has it.
    ///
    /// No fault is drawn twice, with one exception: a uniform plan draws a weight's fault once for
    /// each of its samples at most, as each of them is a member of the population.
    pub fn fault(&self, number: u64) -> Option<Draw> {
        let round = self
            .rounds
            .partition_point(|round| round.numbers.end <= number);
        let planned = self.rounds.get(round)?;
        let (stratum, index) = if planned.ends.is_empty() {
            self.of_population(number)
        } else {
            self.of_stratum(planned, number - planned.numbers.start)
        };
        let own = &self.population.strata()[stratum];
        let site = &self.population.sites()[own.site];
        let of_sample = site.places * site.patterns;
        let within = index % of_sample;
        Some(Draw {
            number,
            round,
            stratum,
            place: within / site.patterns,
            pattern: within % site.patterns,
            sample: own.tier.map(|_| index / of_sample),
        })
    }

    /// Further random choices of a fault, such as a value: the same for the same number.
    pub fn generator(&self, number: u64) -> ChaCha8Rng {
        assert!(number < ORDERS, "a number of a fault");
        self.stream(number)
    }

    fn stream(&self, stream: u64) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::from_seed(self.hash);
        random.set_stream(stream);
        random
    }

    /// Stratum and index in it of a fault of the whole population.
    fn of_population(&self, number: u64) -> (usize, u64) {
        let order = Permutation::new(self.pairs(), &mut self.stream(ORDERS));
        let pair = order.at(number);
        let stratum = self.pair_ends.partition_point(|&end| end <= pair);
        let faults = self.population.strata()[stratum].faults;
        // Pairs of a weight's fault are one for each sample: the fault is the same.
        (
            stratum,
            (pair - start_of(&self.pair_ends, stratum)) % faults,
        )
    }

    fn pairs(&self) -> u64 {
        *self.pair_ends.last().expect("a population has strata")
    }

    /// Stratum and index in it of a fault at a position of a stratified round.
    fn of_stratum(&self, round: &Planned, position: u64) -> (usize, u64) {
        let stratum = round.ends.partition_point(|&end| end <= position);
        let draw = round.earlier[stratum] + position - start_of(&round.ends, stratum);
        let faults = self.population.strata()[stratum].faults;
        let mut random = self.stream(ORDERS + 1 + stratum as u64);
        (stratum, Permutation::new(faults, &mut random).at(draw))
    }
}

/// Where a stratum begins, by where each ends.
fn start_of(ends: &[u64], stratum: usize) -> u64 {
    stratum.checked_sub(1).map_or(0, |before| ends[before])
}
