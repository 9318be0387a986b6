//! On the target for hours: a supervisor that starts a worker again and again, a log in which every
//! event is accounted for, and what follows from it.
//!
//! | module | owns |
//! |---|---|
//! | [`log`] | records with checksums in files that only grow; reading them after any damage |
//! | [`worker`] | passes over the samples, and what a wrong batch turned out to be |
//! | [`supervisor`] | starting workers, telling how they end, the commands of the user |
//! | [`message`], [`journal`] | what a worker says, and keeps in case nobody hears it |
//! | [`resident`] | inputs and goldens in memory, and whether they are damaged |
//! | [`log_helper`] | the logs of the community, written and read |
//! | [`rehearsal`] | whether a log accounts for what was caused on purpose |
//! | [`consequences`] | what wrong outputs did to the class |
//! | [`wrong_batches`] | which wrong batches are events of their own |
//! | [`tally`], [`sums`] | exposure and events of a log, apart for each setting |
//! | [`rates`], [`fluence`] | counts with limits, particles |

pub mod consequences;
pub mod fluence;
pub mod journal;
pub mod log;
pub mod log_helper;
pub mod message;
pub mod rates;
pub mod rehearsal;
pub mod resident;
#[cfg(test)]
mod simulation;
pub mod sums;
pub mod supervisor;
pub mod tally;
pub mod worker;
pub mod wrong_batches;

/// The folder of tensors of wrong batches, in that of the log.
pub const DUMPS: &str = "dumps";
