//! Goes through a campaign round after round, batch after batch: to run it, to go on with it, and
//! to read it.

use std::ops::Range;

use thiserror::Error;

use super::effect::Effects;
use super::results::Shard;
use super::statistics::{Seen, Tally};
use super::study::{Study, StudyError};

/// Faults of consecutive numbers, the unit of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub numbers: Range<u64>,
    /// Its place among all batches, from 0.
    pub ordinal: u64,
}

/// What is known of a batch.
pub enum Step {
    Ran(Vec<Effects>),
    /// Its outcomes are not there.
    Missing,
    /// Nothing more is to be done.
    Stop,
}

/// How far a campaign has come.
#[derive(Debug)]
pub struct Progress {
    pub tally: Tally,
    /// Batches of the last round whose outcomes are not there, by ordinal.
    pub missing: Vec<u64>,
    pub is_stopped: bool,
}

/// A record that does not fit the plan.
#[derive(Debug, Error)]
#[error("faults from {first}: expected outcomes of {expected}, found others")]
pub struct Unfitting {
    first: u64,
    expected: u64,
}

impl Batch {
    /// This one, and those behind it in the last round.
    pub fn and_following<'a>(&self, study: &'a Study) -> impl Iterator<Item = Self> + use<'a> {
        let end = study.plan.rounds().last().unwrap_or_default().end;
        let faults = study.settings.batch_faults;
        let first = self.numbers.start;
        let firsts = (first..end).step_by(faults as usize);
        let ordinals = self.ordinal..;
        firsts.zip(ordinals).map(move |(first, ordinal)| Self {
            numbers: first..(first + faults).min(end),
            ordinal,
        })
    }

    /// Whether the shard runs it.
    pub fn is_of(&self, shard: Shard) -> bool {
        shard_of(self.ordinal, shard.of) == shard.number
    }
}

impl Progress {
    /// Whether every fault of every round was run.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && !self.is_stopped
    }

    /// The shards, of so many, whose batches are missing, as Slurm's `--array` takes them.
    pub fn missing_shards(&self, of: u64) -> String {
        let mut shards: Vec<u64> = self.missing.iter().map(|&own| shard_of(own, of)).collect();
        shards.sort_unstable();
        shards.dedup();
        let runs = shards.chunk_by(|a, b| a + 1 == *b).map(|run| match run {
            [one] => one.to_string(),
            _ => format!("{}-{}", run[0], run[run.len() - 1]),
        });
        runs.collect::<Vec<_>>().join(",")
    }
}

/// The shard of a batch, from 1.
fn shard_of(ordinal: u64, of: u64) -> u64 {
    ordinal % of + 1
}

/// Goes through the rounds as far as outcomes are known. `step` gives those of a batch; a round
/// that has all of them decides on the next.
pub fn go_through<E: From<StudyError> + From<Unfitting>>(
    study: &mut Study,
    step: &mut dyn FnMut(&Study, &Batch, &Tally) -> Result<Step, E>,
) -> Result<Progress, E> {
    let mut progress = Progress {
        tally: Tally::new(study.plan.population()),
        missing: vec![],
        is_stopped: false,
    };
    let mut ordinal = 0;
    while progress.missing.is_empty() && study.push_round(&progress.tally)? {
        let start = study.plan.rounds().last().unwrap_or_default().start;
        let numbers = start..start;
        for batch in (Batch { numbers, ordinal }).and_following(study) {
            ordinal += 1;
            match step(study, &batch, &progress.tally)? {
                Step::Ran(effects) => add(study, &batch, &effects, &mut progress.tally)?,
                Step::Missing => progress.missing.push(batch.ordinal),
                Step::Stop => {
                    progress.is_stopped = true;
                    return Ok(progress);
                }
            }
        }
    }
    Ok(progress)
}

/// Counts the outcomes of a batch.
fn add(
    study: &Study,
    batch: &Batch,
    effects: &[Effects],
    tally: &mut Tally,
) -> Result<(), Unfitting> {
    let Range { start, end } = batch.numbers;
    let unfitting = || Unfitting {
        first: start,
        expected: end - start,
    };
    if effects.len() as u64 != end - start {
        return Err(unfitting());
    }
    for (number, effects) in batch.numbers.clone().zip(effects) {
        let draw = study.plan.fault(number).ok_or_else(unfitting)?;
        match (study.sample(&draw), effects) {
            (Some(sample), Effects::One(effect)) => {
                let seen = Seen::one(effect.outcome, study.is_right(sample));
                tally.add(draw.round, draw.stratum, &[seen]);
            }
            (None, Effects::Many(seen)) if seen.len() == study.tiers.len() => {
                tally.add(draw.round, draw.stratum, seen);
            }
            _ => return Err(unfitting()),
        }
    }
    Ok(())
}
