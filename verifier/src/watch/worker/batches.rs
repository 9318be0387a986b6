//! What a worker does as the batches of a check go by: counts, listens, and ends the check where a
//! batch is wrong.

use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::engine::OutputFault;
use super::rehearsal::Rehearsal;
use super::setup::Setup;
use super::wrong::Wrong;
use crate::check::Event;
use crate::watch::log::event::Phase;
use crate::watch::message::{Message, Tell, Work};
use crate::watch::resident::Resident;

/// A check under way.
pub(super) struct Batches<'a, 't> {
    pub(super) setup: &'a Setup<'a>,
    pub(super) resident: &'a Resident,
    pub(super) tell: &'a mut Tell<'t>,
    pub(super) work: &'a mut Work,
    /// When something was last told.
    pub(super) told: &'a mut Instant,
    pub(super) rehearsal: &'a mut Rehearsal,
    pub(super) fault: &'a Cell<Option<OutputFault>>,
    /// Seconds of this batch in the engine.
    pub(super) running: &'a Cell<f64>,
    /// Ends the check after this batch.
    pub(super) stop: &'a AtomicBool,
    pub(super) is_exposed: bool,
    /// The sample behind the last one.
    pub(super) end: usize,
    /// When this batch began.
    pub(super) begun: Instant,
    pub(super) wrong: Wrong,
    /// Why nothing more can be told.
    pub(super) error: Option<io::Error>,
}

impl Batches<'_, '_> {
    /// Before a batch: what a rehearsal does to it.
    pub(super) fn prepare(&mut self) {
        let (rehearsal, tell) = (&mut *self.rehearsal, &mut *self.tell);
        let samples = &self.setup.samples;
        let next = Some(self.end).filter(|end| samples.contains(end));
        let next = next.unwrap_or(samples.start);
        let said = match self.is_exposed {
            true => rehearsal.before_batch(next, self.work, tell),
            false => Ok(()),
        };
        self.fault.set(self.rehearsal.fault(self.is_exposed));
        // Changed goldens are seen from the next check on.
        if self.rehearsal.has_hit() {
            self.stop.store(true, Ordering::Relaxed);
        }
        self.note(said);
        self.begun = Instant::now();
    }

    pub(super) fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Outputs(samples, outputs) => {
                self.wrong.begin(&samples);
                let golden = &self.resident.device_golden;
                let info = &self.resident.recordings.info;
                self.wrong.compare_bits(&samples, &outputs, golden, info);
            }
            Event::Faulty(faulty, tensors) => {
                self.wrong.add(faulty, tensors, self.setup.tolerance);
            }
            Event::Done(samples) => self.done(samples),
        }
    }

    /// After a batch.
    fn done(&mut self, samples: usize) {
        let seconds = self.begun.elapsed().as_secs_f64();
        let running = self.running.take();
        self.end += samples;
        self.wrong.seconds = running;
        if self.is_exposed {
            let elements = self.wrong.elements_of_batch;
            self.work.exposed += running;
            self.work.comparing += (seconds - running).max(0.0);
            self.work.slowest = self.work.slowest.max(seconds);
            self.work.batches += 1;
            self.work.samples += samples as u64;
            self.work.elements += elements as u64;
        }
        if self.told.elapsed() >= self.setup.apart {
            *self.told = Instant::now();
            let message = match self.is_exposed {
                true => Message::Work(std::mem::take(self.work)),
                false => Message::Alive(Phase::AfterSdc),
            };
            let said = (self.tell)(&message);
            self.note(said);
        }
        if self.wrong.is_any() || self.setup.stop.load(Ordering::Relaxed) {
            self.stop.store(true, Ordering::Relaxed);
            return;
        }
        self.prepare();
    }

    fn note(&mut self, said: io::Result<()>) {
        if let Err(error) = said {
            self.error.get_or_insert(error);
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}
