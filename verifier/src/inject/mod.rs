//! Deliberate changes: how a fault is written, where it goes, and how it is put there.

mod change;
pub mod cut;
pub mod fault;
mod grammar;
mod parameters;
pub mod place;
mod positions;
pub mod region;
pub mod site;
pub mod weights;

pub use change::Change;
pub use fault::{Fault, FaultError, Target};
pub use parameters::{Parameters, WeightElement};
pub use place::{Injection, Kind, Placed};
pub use positions::Positions;
pub use region::{Layout, Region};
pub use site::{Site, SiteKind, sites};
