//! The check: run every sample, put faults where asked to, compare every element.

mod compared;
pub mod dump;
pub mod events;
mod faults;
pub mod outcome;
mod request;
pub mod result;
mod run;
pub mod tail;
#[cfg(test)]
mod tests;
pub mod worst;

pub use events::{Event, FaultyTensors, Observe};
pub use outcome::{FaultOutcome, FaultResult};
pub use request::{CheckError, Engines, Request};
pub use result::{BitsResult, CheckResult, FaultyOutput, OutputResult, Repeats, Stop};
pub use run::check;
