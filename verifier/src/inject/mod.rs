//! Deliberate changes: how a fault is written, where it goes, and how it is put there.

pub mod fault;
mod grammar;
mod parameters;
pub mod place;
pub mod weights;

pub use fault::{Change, Fault, FaultError, Target};
pub use parameters::{Parameters, WeightElement};
pub use place::{Injection, Kind, Placed};
