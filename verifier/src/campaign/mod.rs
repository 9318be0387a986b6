//! Campaigns: many faults, drawn from a population of them, what each does, and the rates that
//! follow.
//!
//! | file | owns |
//! |---|---|
//! | `statistics/` | population, numbers of faults, intervals, how many faults go where |
//! | `model` | what a fault does to a value, in which region of a tensor |
//! | `settings` | what decides which faults are run and what comes of them |
//! | `study` | the population, and the fault of every number |
//! | `alone` | runs of single samples without a fault |
//! | `site_runner`, `runner` | faults at one site; a batch of faults, on to the logits |
//! | `under_way` | a batch while it is run |
//! | `effect`, `coding` | what a fault did, and as bytes |
//! | `results` | files of results |
//! | `rounds` | round after round, batch after batch |
//! | `summary` | what is counted beside rates: patterns, places, examples |

pub mod alone;
mod coding;
pub mod effect;
mod error;
pub mod model;
pub mod results;
pub mod rounds;
pub mod runner;
pub mod settings;
mod site_runner;
pub mod statistics;
pub mod study;
pub mod summary;
mod under_way;

pub use error::RunnerError;
pub use site_runner::{Load, Part};
pub use under_way::Logits;
