//! What a supervisor writes and shows: events at once, sums of what was computed now and then.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::before::Before;
use super::outside;
use super::plan::{Now, Plan, Seen, Show};
use crate::watch::journal;
use crate::watch::log::disk::Files;
use crate::watch::log::event::{Beat, Disk, End, Event, Phase, Sdc};
use crate::watch::log::{Entry, LogWriter};
use crate::watch::message::Work;
use crate::watch::tally::Tally;

/// A disk that is full in the end has so long to take what still waits.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// The log of a supervisor, and what is not in it yet.
pub(super) struct Records<'a> {
    folder: PathBuf,
    log: LogWriter<Files>,
    /// Of this supervisor.
    tally: Tally,
    show: &'a mut Show<'a>,
    started: Instant,
    /// How often a record says what was computed.
    every: Duration,
    /// What no record says yet, and since when.
    work: Work,
    period: Instant,
    said_of_disk: Option<Disk>,
    worker: u64,
    last_sdc: u64,
}

impl<'a> Records<'a> {
    /// Begins where the log ends.
    pub(super) fn begin(
        plan: &Plan<'_>,
        before: Before,
        show: &'a mut Show<'a>,
    ) -> io::Result<Self> {
        if before.is_new {
            // A list that somebody left when the log was removed is of other events.
            journal::set_aside(&plan.folder)?;
        }
        let now = Instant::now();
        let mut records = Self {
            folder: plan.folder.clone(),
            log: LogWriter::begin(&plan.folder, plan.settings, before.sequence)?,
            tally: Tally::default(),
            show,
            started: now,
            every: plan.beat,
            work: Work::default(),
            period: now,
            said_of_disk: None,
            worker: before.worker,
            last_sdc: before.sdc,
        };
        records.add(Event::Start(plan.start.clone()));
        if let Some(gap) = before.gap {
            records.add(Event::Gap(gap));
        }
        records.adopt();
        Ok(records)
    }

    /// The number of a worker that is about to begin; it is given the number of the next wrong
    /// batch too.
    pub(super) fn next_worker(&mut self) -> (u64, u64) {
        // What stays in the list, where it cannot be removed, has old numbers.
        if !self.log.is_waiting() {
            let _ = journal::clear(&self.folder);
        }
        self.worker += 1;
        (self.worker, self.last_sdc + 1)
    }

    /// The last worker.
    pub(super) fn worker(&self) -> u64 {
        self.worker
    }

    /// Since the supervisor began.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(super) fn is_disk_full(&self) -> bool {
        self.log.is_full()
    }

    /// Lets the disk take nothing for a while, in a rehearsal.
    pub(super) fn pretend_full(&mut self) {
        self.log.disk().pretend_full(outside::FULL);
        self.beat();
    }

    pub(super) fn add(&mut self, event: Event) {
        let entry = self.log.record(event);
        self.note(Some(&entry));
        self.say_of_disk();
    }

    /// A wrong batch, after what was computed before it.
    pub(super) fn add_sdc(&mut self, sdc: Sdc) {
        let number = sdc.number;
        self.add(Event::Sdc(sdc));
        // Only now may a record say that the log has it.
        self.last_sdc = self.last_sdc.max(number);
    }

    /// What comes again, and a disk that is full need not take.
    pub(super) fn add_if_possible(&mut self, event: Event) {
        let entry = self.log.record_if_possible(event);
        self.note(entry.as_ref());
    }

    /// What was computed, of which a record will say the sum.
    pub(super) fn add_work(&mut self, work: Work) {
        let sum = &mut self.work;
        sum.exposed += work.exposed;
        sum.comparing += work.comparing;
        sum.slowest = sum.slowest.max(work.slowest);
        sum.passes += work.passes;
        sum.batches += work.batches;
        sum.samples += work.samples;
        sum.elements += work.elements;
    }

    /// Takes wrong batches into the log that a worker could not tell.
    pub(super) fn adopt(&mut self) {
        // A disk that cannot be read has told all that it will.
        let left = journal::left(&self.folder, self.last_sdc);
        for sdc in left.unwrap_or_default() {
            self.add_sdc(sdc);
        }
    }

    /// Shows how things stand, and records what was computed if it is time.
    pub(super) fn tick(&mut self, phase: Phase) {
        if self.period.elapsed() >= self.every {
            self.beat();
        }
        let now = Now {
            seconds: self.started.elapsed().as_secs_f64(),
            phase,
            work: self.work,
            is_disk_full: self.log.is_full(),
        };
        (self.show)(Seen::Tick(&self.tally, now));
    }

    /// Records what was computed since the last time, unless the disk is full: then the period goes
    /// on.
    pub(super) fn beat(&mut self) {
        let beat = self.worked();
        if let Some(entry) = self.log.record_if_possible(beat) {
            self.work = Work::default();
            self.period = Instant::now();
            self.note(Some(&entry));
        }
        self.say_of_disk();
    }

    /// Says the end; gives what was seen.
    pub(super) fn end(mut self, reason: String, has_open_end: bool) -> Tally {
        // Also where the disk is full: this is counted.
        let last = self.worked();
        self.add(last);
        let lost = self.log.lost();
        self.add(Event::End(End {
            reason,
            lost,
            has_open_end,
        }));
        self.tally.lost = self.log.finish(LAST_WAIT);
        self.tally
    }

    /// What no record says yet.
    fn worked(&self) -> Event {
        let work = self.work;
        Event::Beat(Beat {
            seconds: self.period.elapsed().as_secs_f64(),
            exposed: work.exposed,
            comparing: work.comparing,
            slowest: work.slowest,
            passes: work.passes,
            batches: work.batches,
            samples: work.samples,
            elements: work.elements,
            last_sdc: self.last_sdc,
            worker: self.worker,
        })
    }

    fn say_of_disk(&mut self) {
        if let Some(news) = self.log.disk_news(&mut self.said_of_disk) {
            let entry = self.log.record(Event::Disk(news));
            self.note(Some(&entry));
        }
    }

    fn note(&mut self, entry: Option<&Entry>) {
        if let Some(entry) = entry {
            self.tally.add(entry);
            (self.show)(Seen::Entry(entry, &self.tally));
        }
    }
}
