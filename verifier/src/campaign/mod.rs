//! Campaigns: many faults, drawn from a population of them, and the rates that they give.

mod allocation;
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
mod tally;
#[cfg(test)]
mod tests;

pub use allocation::{Target, next_round, pilot};
pub use confidence::{Confidence, ConfidenceError};
pub use estimate::{Estimates, Question, Rate};
pub use intervals::{Interval, one_proportion, wilson};
pub use outcome::{Event, Outcome, Seen};
pub use plan::{Draw, Plan, Round, RoundError, Sampling};
pub use population::{Among, Domain, Population, PopulationError, Samples, Site, Stratum};
pub use sample_size::sample_size;
pub use tally::Tally;
