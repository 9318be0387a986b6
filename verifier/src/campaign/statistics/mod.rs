//! The statistics of campaigns: which faults are drawn from a population, and the rates that their
//! outcomes give.
//!
//! | file | owns |
//! |---|---|
//! | `population` | sites, tiers and strata, with their sizes |
//! | `plan`, `permutation` | which fault has which number |
//! | `outcome`, `tally` | what faults did, counted by round and stratum |
//! | `cluster` | how much each sample of a weight's fault weighs |
//! | `sample_size` | how many faults a margin takes |
//! | `intervals`, `hypergeometric`, `confidence` | the interval of one proportion |
//! | `estimate`, `sum`, `smoothing` | rates of strata and of sums over them |
//! | `allocation` | where the next round's faults go |
//!
//! A campaign in rounds: [`pilot`] is the first [`Round`] of a [`Plan`]; [`Plan::fault`] says what
//! each number is; the outcome of each goes into a [`Tally`]; when all of a round are there,
//! [`next_round`] gives the next, or `None` at the end; [`Estimates::rate`] answers questions at
//! any time. Tallies of parts are merged. Nothing here reads a clock or a file: rounds follow from
//! the plan and the outcomes, so that whoever has the outcomes comes to the same rounds.
//! `docs/campaigns.md` has the statistics.

mod allocation;
mod cluster;
mod confidence;
mod estimate;
mod hypergeometric;
mod intervals;
mod outcome;
mod permutation;
mod plan;
mod population;
mod sample_size;
mod smoothing;
mod sum;
mod tally;
#[cfg(test)]
mod tests;

pub use allocation::{Target, next_round, pilot};
pub use cluster::stands_for;
pub use confidence::{Confidence, ConfidenceError};
pub use estimate::{Estimates, Question, Rate};
pub use intervals::{Interval, one_proportion, wilson};
pub use outcome::{Event, Outcome, Seen};
pub use plan::{Draw, Plan, Round, RoundError, Sampling};
pub use population::{Among, Domain, Population, PopulationError, Samples, Site, Stratum};
pub use sample_size::sample_size;
pub use tally::Tally;
