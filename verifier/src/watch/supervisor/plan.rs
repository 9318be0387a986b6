//! What a supervisor is asked for, and what it shows.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::ladder::Ladder;
use super::outside::Outside;
use crate::watch::log::event::{Phase, Start, Xid};
use crate::watch::log::{Entry, Settings};
use crate::watch::message::Work;
use crate::watch::tally::Tally;

/// What a supervisor is to do.
pub struct Plan<'a> {
    /// The folder of the log, which exists.
    pub folder: PathBuf,
    pub settings: Settings,
    pub start: Start,
    /// The command of a worker, by its number and that of the next wrong batch.
    pub worker: &'a dyn Fn(u64, u64) -> Command,
    /// When it ends by itself.
    pub duration: Option<Duration>,
    /// How often a record says what was computed.
    pub beat: Duration,
    /// A worker without a sign of life for so long hangs; measured where it is not given.
    pub hang_after: Option<Duration>,
    /// A worker may load for so long, until it is known how long it takes.
    pub load_limit: Duration,
    pub ladder: Ladder,
    /// What goes wrong on purpose, from outside of the worker.
    pub rehearsal: Option<Outside>,
    /// What the machine says of itself.
    pub telemetry: Option<&'a dyn Fn() -> Told>,
    /// When it is set, the supervisor ends in order.
    pub stop: &'a AtomicBool,
}

/// What the machine says of itself.
#[derive(Debug, Default)]
pub struct Told {
    /// Values by their names, with units; absent ones are those that it does not tell.
    pub values: BTreeMap<String, Option<f64>>,
    /// What the driver reported since the last time.
    pub xids: Vec<Xid>,
}

/// What a supervisor shows as it goes on.
#[derive(Debug)]
pub enum Seen<'a> {
    /// A record was written.
    Entry(&'a Entry, &'a Tally),
    /// Time went by.
    Tick(&'a Tally, Now),
}

/// How things stand.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    pub seconds: f64,
    pub phase: Phase,
    /// What no record says yet.
    pub work: Work,
    pub is_disk_full: bool,
}

/// Takes what a supervisor shows.
pub type Show<'a> = dyn FnMut(Seen<'_>) + 'a;

/// Why a supervisor gives up.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    #[error("the log: {0}")]
    Log(#[from] io::Error),
    /// The very first worker did not come to its first batch.
    #[error("the worker could not begin: {0}")]
    Worker(String),
}
