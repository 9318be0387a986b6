//! What a record of the log can tell.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::compare::{ElementPair, Pattern};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A supervisor began.
    Start(Start),
    /// The supervisor before it had not said its end.
    Gap(Gap),
    /// A worker began.
    Worker(Worker),
    /// The worker has loaded everything, and all hashes are right.
    Ready(Ready),
    /// What was computed since the last of these.
    Beat(Beat),
    /// A batch came out wrong.
    Sdc(Sdc),
    /// One of its samples.
    Faulty(Box<Faulty>),
    /// What a wrong batch turned out to be.
    Classified(Classified),
    /// The worker came to an end, or to none.
    Due(Due),
    /// A command of the user is about to run, or has run.
    Command(Command),
    /// What the machine says of itself; null for what it does not tell.
    Telemetry(BTreeMap<String, Option<f64>>),
    /// NVIDIA's driver reported an error of a GPU.
    Xid(Xid),
    /// The disk is full, or has space again.
    Disk(Disk),
    /// The supervisor itself stood still.
    Stall {
        /// How long.
        seconds: f64,
    },
    /// A rehearsal did something on purpose: the truth that the log is compared with.
    Rehearsed(Rehearsed),
    /// The supervisor ends in order.
    End(End),
}

/// A supervisor began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Start {
    pub verifier: String,
    pub host: String,
    /// Another one after each boot; empty where the system does not tell.
    pub boot_id: String,
    pub process: u32,
    /// What it was called with.
    pub arguments: Vec<String>,
    pub bundle: String,
    pub bundle_blake3: String,
    pub part: String,
    pub device: String,
}

/// Nothing is known between the last record of a supervisor that did not say its end, and the next
/// start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    pub cause: GapCause,
    /// Seconds by the system's clock between the two.
    pub seconds: f64,
    /// The last record before it.
    pub after_sequence: u64,
    /// The user's command that was running, or had run last, since the worker was last seen.
    pub command: Option<String>,
}

/// How a supervisor was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapCause {
    /// The system was booted since: a crash, a power cut, or a reboot that somebody asked for.
    Reboot,
    /// The system is the same: the supervisor was killed, or crashed.
    Supervisor,
}

/// A worker began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Worker {
    /// From 1, over all supervisors of the log.
    pub number: u64,
    pub process: u32,
    /// Seconds that were waited before.
    pub waited: f64,
}

/// What the worker has loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ready {
    pub seconds: f64,
    pub bundle_blake3: String,
    /// The runtime library, with its version.
    pub runtime: String,
    /// The device, with where the nodes ran.
    pub device: String,
    pub batch_size: usize,
    /// In each pass.
    pub samples: usize,
    pub elements: usize,
    /// Bytes that lie in memory and are hashed again after an error.
    pub resident_bytes: usize,
    /// What outputs are compared with.
    pub compared_with: String,
}

/// What was computed in a period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Beat {
    /// How long the period was.
    pub seconds: f64,
    /// Of it inside the engine, in batches that were compared: the exposure.
    pub exposed: f64,
    /// Of it between these runs: comparing and logging.
    pub comparing: f64,
    /// The longest batch.
    pub slowest: f64,
    /// Passes over all samples that were completed.
    pub passes: u64,
    pub batches: u64,
    pub samples: u64,
    pub elements: u64,
    /// The last wrong batch of which the log has a record, over all supervisors.
    pub last_sdc: u64,
    /// The last worker.
    pub worker: u64,
}

/// A batch came out wrong: one event, whatever the number of its samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sdc {
    /// From 1, over all supervisors of the log.
    pub number: u64,
    pub worker: u64,
    /// The worker's pass, from 1.
    pub pass: u64,
    /// First sample of the batch and the one after its last.
    pub batch: [usize; 2],
    /// Samples with an element outside the tolerance.
    pub faulty_samples: usize,
    /// Their elements outside.
    pub faulty_elements: usize,
    /// Of them those of which a side is not finite.
    pub non_finite_elements: usize,
    /// Samples with another bit than the golden of this device, where there is one.
    pub differing_samples: usize,
    /// The beginning of the BLAKE3 of all wrong elements and their places: the same for the same
    /// error.
    pub signature: String,
    /// Seconds of this batch in the engine.
    pub seconds: f64,
    /// Seconds since 1970 when the worker noted it, where the record is of a later time: its
    /// supervisor was lost before it could record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noted: Option<f64>,
}

impl Sdc {
    /// Whether it is seen by the bits alone: every element is within the tolerance.
    pub fn is_of_bits_only(&self) -> bool {
        self.faulty_samples == 0
    }
}

/// A sample of a wrong batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Faulty {
    /// Of which event.
    pub sdc: u64,
    /// The sample's row in the bundle, and its position in the split.
    pub sample: usize,
    pub sample_index: i64,
    pub tier: Option<i64>,
    pub confidence: Option<f32>,
    pub output: String,
    /// Wrong elements, of which the first ones are listed.
    pub elements: usize,
    /// The shape that they make; absent where they differ in bits alone.
    pub pattern: Option<Pattern>,
    /// The index is the sample, then the element.
    pub listed: Vec<ElementPair>,
}

/// What a wrong batch turned out to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Classified {
    pub sdc: u64,
    pub class: SdcClass,
    /// Tensors in memory that no longer had their hash.
    pub damaged: Vec<String>,
    /// Seconds that it took to find out.
    pub seconds: f64,
}

/// How long a wrong output stayed wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SdcClass {
    /// The same batch, run again, was right.
    Transient,
    /// It stayed wrong until the model was loaded again.
    UntilReload,
    /// It stayed wrong after that: the worker is started again.
    Stuck,
    /// The golden or the inputs in memory were damaged: no SDC of the device.
    OwnDamage,
}

/// The worker came to an end that nobody asked for, or to none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Due {
    pub kind: DueKind,
    pub worker: u64,
    pub phase: Phase,
    /// Signal, exit status, or what the engine said.
    pub what: String,
    /// The end of what the worker said on standard error.
    pub said: String,
    /// Seconds since its last sign of life.
    pub silent: f64,
    /// How many there were one after the other, without a pass, or a minute of exposure, between
    /// them.
    pub in_a_row: u64,
}

/// How a worker was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DueKind {
    /// A signal, other than SIGKILL.
    Crash,
    /// It ended by itself, with whatever status.
    Exit,
    /// It gave no sign of life.
    Hang,
    /// The system, or a limit of a group of processes, had no memory for it.
    OutOfMemory,
    /// SIGKILL that was not ours, and memory was not short.
    Killed,
    /// The engine says that the device is not there any more.
    DeviceLost,
    /// The engine gave an error instead of outputs.
    EngineError,
    /// The supervisor was lost, and the worker with it.
    Supervisor,
    /// The system was lost.
    Reboot,
}

/// What a worker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Not exposed yet.
    Loading,
    /// In its passes: exposed.
    Passes,
    /// Finding out what a wrong batch was.
    AfterSdc,
}

/// A command of the user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// `on-hang` or `on-dead`.
    pub step: String,
    pub command: String,
    /// How it ended; absent before it runs.
    pub ended: Option<String>,
}

/// An error of a GPU that its driver reports; 79 is a GPU that has fallen off the bus, say.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Xid {
    pub number: u64,
    /// Which GPU, if it still says so.
    pub gpu: Option<u32>,
    /// Seconds since 1970 when it was reported.
    pub unix: f64,
}

/// The disk of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Disk {
    pub is_full: bool,
    /// Bytes of the reserve that are left.
    pub reserve: u64,
    /// Events that no file holds, so far.
    pub lost: u64,
}

/// What a rehearsal did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rehearsed {
    pub kind: String,
    pub number: u64,
}

/// The end of a supervisor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct End {
    pub reason: String,
    /// Events that no file holds.
    pub lost: u64,
    /// The last worker was killed before it was known whether it hung.
    #[serde(default)]
    pub has_open_end: bool,
}

impl Event {
    /// Whether it is on the disk before anything else is done: all but what comes again.
    pub fn is_synced(&self) -> bool {
        !matches!(self, Self::Beat(_) | Self::Telemetry(_))
    }
}

impl DueKind {
    /// All, in the order of reports.
    pub const ALL: [Self; 9] = [
        Self::Crash,
        Self::Exit,
        Self::Hang,
        Self::OutOfMemory,
        Self::Killed,
        Self::DeviceLost,
        Self::EngineError,
        Self::Supervisor,
        Self::Reboot,
    ];
}

impl fmt::Display for DueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Crash => "crash",
            Self::Exit => "exit",
            Self::Hang => "hang",
            Self::OutOfMemory => "out of memory",
            Self::Killed => "killed",
            Self::DeviceLost => "device lost",
            Self::EngineError => "engine error",
            Self::Supervisor => "supervisor lost",
            Self::Reboot => "system lost",
        })
    }
}

impl fmt::Display for SdcClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transient => "transient",
            Self::UntilReload => "until reload",
            Self::Stuck => "stuck",
            Self::OwnDamage => "own damage",
        })
    }
}

impl From<GapCause> for DueKind {
    fn from(cause: GapCause) -> Self {
        match cause {
            GapCause::Reboot => Self::Reboot,
            GapCause::Supervisor => Self::Supervisor,
        }
    }
}
