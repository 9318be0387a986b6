//! The worker: loads once, then passes over all samples, again and again, and finds out what a
//! wrong batch was.
//!
//! It has no loop over batches of its own: a pass is checks, each up to the first wrong batch.

mod batches;
mod engine;
mod rehearsal;
mod setup;
#[cfg(test)]
mod tests;
mod wrong;

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use self::batches::Batches;
use self::engine::Metered;
use self::rehearsal::Rehearsal;
use self::wrong::Wrong;
use super::log::event::{Classified, Phase, SdcClass};
use super::message::{Message, Tell, Work, shortened};
use super::resident::Resident;
use crate::check::dump::Dump;
use crate::check::{Engines, Request, check};
use crate::engine::Engine;

pub use self::rehearsal::{Plan, rehearsed_kinds};
pub use self::setup::{Load, Setup, WorkError};

/// Bytes of a message that say why a worker ends: each may take six in JSON.
const MOST_SAID: usize = 600;
/// Tensors that a message names.
const MOST_NAMED: usize = 8;

/// A worker at work.
pub struct Worker<'a> {
    setup: Setup<'a>,
    load: &'a mut dyn Load,
    tell: &'a mut Tell<'a>,
    resident: Resident,
    /// Absent only while it is loaded again: a device may have room for one.
    engine: Option<Box<dyn Engine>>,
    rehearsal: Rehearsal,
    work: Work,
    told: Instant,
    pass: u64,
    next_sdc: u64,
}

impl<'a> Worker<'a> {
    /// Of what is loaded already.
    pub fn new(
        setup: Setup<'a>,
        load: &'a mut dyn Load,
        tell: &'a mut Tell<'a>,
        resident: Resident,
        engine: Box<dyn Engine>,
    ) -> Self {
        Self {
            rehearsal: Rehearsal::new(setup.rehearsal, setup.worker),
            next_sdc: setup.next_sdc,
            setup,
            load,
            tell,
            resident,
            engine: Some(engine),
            work: Work::default(),
            told: Instant::now(),
            pass: 0,
        }
    }

    /// Passes until it is told to stop, or cannot go on; why is told too.
    pub fn run(mut self) -> Result<(), WorkError> {
        let mut ended = self.passes();
        if self.is_told_to_stop() && matches!(ended, Err(WorkError::Load(_))) {
            // It was told to stop in the middle of loading.
            ended = Ok(());
        }
        self.tell_work()?;
        let last = match &ended {
            Ok(()) => Message::Bye,
            Err(WorkError::Stuck) => Message::Again,
            Err(error) => failed(&error.to_string()),
        };
        (self.tell)(&last)?;
        ended
    }

    fn passes(&mut self) -> Result<(), WorkError> {
        (self.tell)(&Message::Alive(Phase::Passes))?;
        while !self.is_told_to_stop() {
            self.pass += 1;
            let mut left = self.setup.samples.clone();
            while !left.is_empty() && !self.is_told_to_stop() {
                let (end, wrong) = self.run_batches(left.clone(), true)?;
                left.start = end;
                if let Some(wrong) = wrong {
                    self.after(wrong)?;
                }
            }
            if left.is_empty() {
                self.work.passes += 1;
                if self.told.elapsed() >= self.setup.apart {
                    self.tell_work()?;
                }
            }
        }
        Ok(())
    }

    fn is_told_to_stop(&self) -> bool {
        self.setup.stop.load(Ordering::Relaxed)
    }

    fn tell_work(&mut self) -> io::Result<()> {
        let work = std::mem::take(&mut self.work);
        self.told = Instant::now();
        (self.tell)(&Message::Work(work))
    }

    /// Runs batches up to the first wrong one; gives the sample behind the last one that was run,
    /// and what was wrong. Only batches of a pass count as exposed.
    fn run_batches(
        &mut self,
        samples: Range<usize>,
        is_exposed: bool,
    ) -> Result<(usize, Option<Wrong>), WorkError> {
        let stop = AtomicBool::new(false);
        let folder = self.setup.dumps.as_ref().filter(|_| is_exposed);
        let dump = folder.map(|folder| folder.join(format!("sdc-{:06}", self.next_sdc)));
        let mut engine = Metered::new(self.engine.as_deref_mut().ok_or(WorkError::Stuck)?);
        let (seconds, fault) = (engine.seconds(), engine.fault());
        let mut batches = Batches {
            setup: &self.setup,
            resident: &self.resident,
            tell: &mut *self.tell,
            work: &mut self.work,
            told: &mut self.told,
            rehearsal: &mut self.rehearsal,
            fault: &fault,
            running: &seconds,
            stop: &stop,
            is_exposed,
            end: samples.start,
            begun: Instant::now(),
            wrong: Wrong::new(dump),
            error: None,
        };
        let request = Request {
            recordings: &self.resident.recordings,
            samples,
            batch_size: self.setup.batch_size,
            tolerance: self.setup.tolerance,
            faults: &[],
            repeat: 1,
            fail_fast: true,
            histogram: false,
            verdict_only: true,
            stop: &stop,
        };
        batches.prepare();
        let mut engines = Engines {
            fault_free: &mut engine,
            corrupted: None,
        };
        let checked = check(&request, &mut engines, &mut |event| batches.take(event));
        let Batches {
            end, wrong, error, ..
        } = batches;
        if let Some(error) = error {
            return Err(error.into());
        }
        checked?;
        let hit = self.rehearsal.take_hit();
        if let Some(sample) = hit {
            // The batches to come have a golden that is damaged.
            self.resident.hit_golden(sample, 30);
        }
        Ok((end, wrong.is_any().then_some(wrong)))
    }

    /// Records a wrong batch and finds out how long it stays wrong.
    fn after(&mut self, wrong: Wrong) -> Result<(), WorkError> {
        self.tell_work()?;
        let number = self.next_sdc;
        self.next_sdc += 1;
        let batch = wrong.batch();
        let (sdc, faulty, dump) = wrong.told(number, self.setup.worker, self.pass);
        (self.tell)(&Message::Sdc(sdc))?;
        for faulty in faulty {
            (self.tell)(&Message::Faulty(Box::new(faulty)))?;
        }
        // The event is recorded, with or without its tensors.
        let _ = dump.map(Dump::finish);
        let started = Instant::now();
        (self.tell)(&Message::Alive(Phase::AfterSdc))?;
        let (class, damaged) = self.classify(&batch)?;
        (self.tell)(&Message::Classified(Classified {
            sdc: number,
            class,
            damaged,
            seconds: started.elapsed().as_secs_f64(),
        }))?;
        if class == SdcClass::Stuck {
            return Err(WorkError::Stuck);
        }
        (self.tell)(&Message::Alive(Phase::Passes))?;
        Ok(())
    }

    /// Runs the batch again: as it is, with inputs and goldens read again if they are damaged, with
    /// the model loaded again.
    fn classify(&mut self, batch: &Range<usize>) -> Result<(SdcClass, Vec<String>), WorkError> {
        if self.is_right(batch)? {
            return Ok((SdcClass::Transient, vec![]));
        }
        let mut damaged = self.resident.damaged();
        damaged.truncate(MOST_NAMED);
        if !damaged.is_empty() {
            self.resident = self.load.resident().map_err(WorkError::Load)?;
            if self.is_right(batch)? {
                return Ok((SdcClass::OwnDamage, damaged));
            }
        }
        // The one before goes first: a device may have room for one.
        self.engine = None;
        self.rehearsal.reload();
        self.engine = Some(self.load.engine().map_err(WorkError::Load)?);
        match self.is_right(batch)? {
            true => Ok((SdcClass::UntilReload, damaged)),
            false => Ok((SdcClass::Stuck, damaged)),
        }
    }

    fn is_right(&mut self, batch: &Range<usize>) -> Result<bool, WorkError> {
        let (end, wrong) = self.run_batches(batch.clone(), false)?;
        // What was not run is not right.
        Ok(end == batch.end && wrong.is_none())
    }
}

/// What a worker says that cannot go on.
pub fn failed(what: &str) -> Message {
    Message::Failed {
        is_device_lost: is_device_lost(what),
        what: shortened(what, MOST_SAID),
    }
}

/// Whether an engine's message says that its device is not there any more: CUDA's errors 46, 100,
/// 214, 220, 710 to 719 and 999 by their texts, and NVIDIA's Xid 79.
fn is_device_lost(what: &str) -> bool {
    let texts = [
        "device lost",
        "fallen off the bus",
        "no CUDA-capable device",
        "devices are busy or unavailable",
        "uncorrectable ECC error",
        "uncorrectable NVLink error",
        "unspecified launch failure",
        "illegal memory access",
        "illegal instruction",
        "hardware stack error",
        "unknown error",
    ];
    let what = what.to_ascii_lowercase();
    let says = |text: &&str| what.contains(&text.to_ascii_lowercase());
    texts.iter().any(says)
}
