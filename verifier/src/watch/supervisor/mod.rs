//! The supervisor: starts a worker, listens, writes the log, starts another one when it is lost.
//!
//! It loads no runtime and touches no device: what can hang or crash is the worker.

mod before;
mod ended;
mod ladder;
mod life;
mod outside;
mod plan;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use self::before::Before;
use self::ended::{OutOfMemoryKills, Said, due_kind};
use self::life::Life;
use super::journal;
use super::log::disk::Files;
use super::log::event::{self, Beat, Due, DueKind, End, Event, Phase, Rehearsed, Sdc};
use super::log::{Entry, LogWriter};
use super::message::{Message, Work, shortened};
use super::tally::Tally;
use crate::engine::child::{Child, Ended};

pub use self::ladder::Ladder;
pub use self::outside::Outside;
pub use self::plan::{Now, Plan, Seen, Show, SupervisorError};

/// How often the supervisor looks after the worker.
const POLL: Duration = Duration::from_millis(50);
/// A supervisor that was away for longer has been stopped, or its machine was.
const STALL: Duration = Duration::from_secs(2);
/// A disk that is full in the end has so long to take what still waits.
const LAST_WAIT: Duration = Duration::from_secs(5);
/// A worker that was exposed for so many seconds, or completed a pass, ends a row of lost ones.
const LONG_ENOUGH: f64 = 60.0;
/// Bytes of a record for what a worker said.
const MOST_SAID: usize = 2000;

/// A supervisor at work.
pub struct Supervisor<'a> {
    plan: Plan<'a>,
    log: LogWriter<Files>,
    /// Of this supervisor.
    tally: Tally,
    show: &'a mut Show<'a>,
    started: Instant,
    /// What no record says yet, and since when.
    work: Work,
    period: Instant,
    sampled: Instant,
    said_of_disk: Option<event::Disk>,
    workers: u64,
    last_sdc: u64,
    in_a_row: u64,
    exposed_of_worker: f64,
    was_ready: bool,
    /// Something was caused in the worker whose event has not come yet.
    is_rehearsing: bool,
    /// Seconds that loading took.
    loading: Option<f64>,
    slowest: f64,
}

/// How a worker's life ended.
enum Outcome {
    /// The time is over, or the supervisor was told to stop.
    Over,
    /// Another worker is to be started, after one that was lost or was stuck.
    Again { is_hang: bool },
}

impl<'a> Supervisor<'a> {
    /// Begins where the log ends.
    pub fn begin(plan: Plan<'a>, show: &'a mut Show<'a>) -> Result<Self, SupervisorError> {
        let before = Before::of(&plan)?;
        let log = LogWriter::begin(&plan.folder, plan.settings, before.sequence)?;
        let now = Instant::now();
        let mut supervisor = Self {
            log,
            tally: Tally::default(),
            show,
            started: now,
            work: Work::default(),
            period: now,
            sampled: now,
            said_of_disk: None,
            workers: before.worker,
            last_sdc: before.sdc,
            in_a_row: 0,
            exposed_of_worker: 0.0,
            was_ready: false,
            is_rehearsing: false,
            loading: None,
            slowest: 0.0,
            plan,
        };
        supervisor.record(Event::Start(supervisor.plan.start.clone()));
        if let Some(gap) = before.gap {
            supervisor.record(Event::Gap(gap));
        }
        supervisor.adopt();
        Ok(supervisor)
    }

    /// Starts workers until the time is over; gives what was seen.
    pub fn run(mut self) -> Result<Tally, SupervisorError> {
        let ended = self.workers();
        // Also where the disk is full: this is counted.
        let last = self.worked();
        self.record(last);
        let reason = match &ended {
            Ok(reason) => (*reason).to_owned(),
            Err(error) => error.to_string(),
        };
        let lost = self.log.lost();
        self.record(Event::End(End { reason, lost }));
        self.tally.lost = self.log.finish(LAST_WAIT);
        ended?;
        Ok(self.tally)
    }

    fn workers(&mut self) -> Result<&'static str, SupervisorError> {
        loop {
            match self.one_worker()? {
                Outcome::Over => break,
                Outcome::Again { is_hang } => self.climb(is_hang),
            }
            self.pause(ladder::wait(self.in_a_row));
            if self.is_over() {
                break;
            }
        }
        Ok(match self.plan.stop.load(Ordering::Relaxed) {
            true => "told to stop",
            false => "its time is over",
        })
    }

    fn is_over(&self) -> bool {
        let is_late = |duration| self.started.elapsed() >= duration;
        self.plan.stop.load(Ordering::Relaxed) || self.plan.duration.is_some_and(is_late)
    }

    /// Waits before the next worker.
    fn pause(&mut self, seconds: f64) {
        let begun = Instant::now();
        while begun.elapsed().as_secs_f64() < seconds && !self.is_over() {
            sleep(POLL);
            self.tick(Phase::Loading);
        }
    }

    fn one_worker(&mut self) -> Result<Outcome, SupervisorError> {
        // What stays in the list, where it cannot be removed, has old numbers.
        if !self.log.is_waiting() {
            let _ = journal::clear(&self.plan.folder);
        }
        self.workers += 1;
        self.exposed_of_worker = 0.0;
        self.is_rehearsing = false;
        let kills = OutOfMemoryKills::now();
        let command = (self.plan.worker)(self.workers, self.last_sdc + 1);
        let mut life = match Life::begin(command) {
            Ok(life) => life,
            Err(error) if self.was_ready => return Ok(self.not_started(&error)),
            Err(error) => return Err(SupervisorError::Worker(error.to_string())),
        };
        self.record(Event::Worker(event::Worker {
            number: self.workers,
            process: life.id(),
            waited: ladder::wait(self.in_a_row),
        }));
        let child = self.listen(&mut life)?;
        let Some(child) = child else {
            return Ok(Outcome::Again { is_hang: false });
        };
        self.adopt();
        self.beat();
        let silent = life.silent_when_it_ended;
        let was_told = child.ended == Ended::Stopped;
        let due = due_kind(&child, &life.said, OutOfMemoryKills::now() != kills);
        let Some((kind, what)) = due else {
            // One that ends by itself was stuck.
            self.in_a_row += u64::from(!was_told);
            return Ok(match was_told {
                true => Outcome::Over,
                false => Outcome::Again { is_hang: false },
            });
        };
        if !self.was_ready && matches!(life.said, Said::Failed { .. }) {
            return Err(SupervisorError::Worker(what));
        }
        self.record_due(Due {
            kind,
            worker: self.workers,
            phase: life.phase,
            what: shortened(&what, MOST_SAID),
            said: shortened(child.said(), MOST_SAID),
            silent,
            in_a_row: 0,
        });
        Ok(match was_told {
            true => Outcome::Over,
            false => Outcome::Again {
                is_hang: kind == DueKind::Hang,
            },
        })
    }

    fn not_started(&mut self, error: &io::Error) -> Outcome {
        self.record_due(Due {
            kind: DueKind::Exit,
            worker: self.workers,
            phase: Phase::Loading,
            what: shortened(&format!("not started: {error}"), MOST_SAID),
            said: String::new(),
            silent: 0.0,
            in_a_row: 0,
        });
        Outcome::Again { is_hang: false }
    }

    fn record_due(&mut self, mut due: Due) {
        self.in_a_row += 1;
        due.in_a_row = self.in_a_row;
        self.record(Event::Due(due));
    }

    /// Listens to a worker until it ends, or has to be ended.
    fn listen(&mut self, life: &mut Life) -> Result<Option<Child>, SupervisorError> {
        let mut looked = Instant::now();
        loop {
            let message = life.next(POLL);
            let away = looked.elapsed();
            looked = Instant::now();
            if away > STALL {
                // What the worker said meanwhile waits in the pipe: its silence was not its own.
                life.seen();
                self.record(Event::Stall {
                    seconds: away.as_secs_f64(),
                });
            }
            if let Some(message) = message {
                self.take(message, life);
            }
            self.tick(life.phase);
            self.rehearse(life);
            let child = if life.has_ended()? {
                life.end(None)?
            } else if self.is_over() {
                life.end(Some(Ended::Stopped))?
            } else if life.silent() > self.hang_limit(life.phase) {
                life.end(Some(Ended::TimedOut))?
            } else {
                continue;
            };
            while let Some(message) = life.next_of_the_dead() {
                self.take(message, life);
            }
            return Ok(child);
        }
    }

    fn hang_limit(&self, phase: Phase) -> f64 {
        let given = self.plan.hang_after.map(|given| given.as_secs_f64());
        let loading = self
            .loading
            .map_or(self.plan.load_limit.as_secs_f64(), life::loading_limit);
        match (phase, given) {
            (Phase::Passes, Some(given)) => given,
            (Phase::Passes, None) if self.slowest > 0.0 => life::pass_limit(self.slowest),
            _ => loading,
        }
    }

    fn take(&mut self, message: Message, life: &mut Life) {
        match message {
            Message::Ready(ready) => {
                self.was_ready = true;
                self.loading = Some(ready.seconds);
                self.record(Event::Ready(ready));
            }
            Message::Alive(phase) => life.phase = phase,
            Message::Work(work) => self.add(work),
            Message::Sdc(sdc) => {
                self.beat();
                self.record_sdc(sdc);
            }
            Message::Faulty(faulty) => self.record(Event::Faulty(faulty)),
            Message::Classified(classified) => {
                self.is_rehearsing = false;
                self.record(Event::Classified(classified));
            }
            Message::Rehearsed(rehearsed) => {
                self.is_rehearsing = true;
                self.record(Event::Rehearsed(rehearsed));
            }
            Message::Failed {
                what,
                is_device_lost,
            } => {
                life.said = Said::Failed {
                    what,
                    is_device_lost,
                }
            }
            Message::Bye => life.said = Said::Bye,
        }
    }

    /// Does what a rehearsal wants, and records it first.
    fn rehearse(&mut self, life: &Life) {
        // One thing at a time: what becomes of a worker that hangs already is not told apart.
        let is_time = life.phase == Phase::Passes && !self.log.is_full() && !self.is_rehearsing;
        let due = self.plan.rehearsal.as_mut().filter(|_| is_time);
        let Some((kind, number)) = due.and_then(Outside::due) else {
            return;
        };
        self.record(Event::Rehearsed(Rehearsed {
            kind: kind.name().to_owned(),
            number,
        }));
        match kind {
            outside::Kind::DiskFull => {
                self.log.disk().pretend_full(outside::FULL);
                self.beat();
            }
            outside::Kind::Killed => life.signal(Signal::KILL),
            outside::Kind::Stopped => life.signal(Signal::STOP),
        }
        self.is_rehearsing = kind != outside::Kind::DiskFull;
    }

    fn add(&mut self, work: Work) {
        let sum = &mut self.work;
        sum.exposed += work.exposed;
        sum.running += work.running;
        sum.slowest = sum.slowest.max(work.slowest);
        sum.passes += work.passes;
        sum.batches += work.batches;
        sum.samples += work.samples;
        sum.elements += work.elements;
        self.slowest = self.slowest.max(work.slowest);
        self.exposed_of_worker += work.exposed;
        if work.passes > 0 || self.exposed_of_worker > LONG_ENOUGH {
            self.in_a_row = 0;
        }
    }

    /// What is to be done now and then.
    fn tick(&mut self, phase: Phase) {
        if self.period.elapsed() >= self.plan.beat {
            self.beat();
        }
        if let Some(telemetry) = self.plan.telemetry
            && self.sampled.elapsed() >= 2 * self.plan.beat
        {
            self.sampled = Instant::now();
            let values = telemetry();
            if !values.is_empty() {
                let entry = self.log.record_if_possible(Event::Telemetry(values));
                self.note(entry.as_ref());
            }
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
    fn beat(&mut self) {
        let beat = self.worked();
        if let Some(entry) = self.log.record_if_possible(beat) {
            self.work = Work::default();
            self.period = Instant::now();
            self.note(Some(&entry));
        }
        self.say_of_disk();
    }

    /// What no record says yet.
    fn worked(&self) -> Event {
        let work = self.work;
        Event::Beat(Beat {
            seconds: self.period.elapsed().as_secs_f64(),
            exposed: work.exposed,
            running: work.running,
            slowest: work.slowest,
            passes: work.passes,
            batches: work.batches,
            samples: work.samples,
            elements: work.elements,
            last_sdc: self.last_sdc,
            worker: self.workers,
        })
    }

    fn record(&mut self, event: Event) {
        let entry = self.log.record(event);
        self.note(Some(&entry));
        self.say_of_disk();
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

    /// Takes wrong batches into the log that a worker could not tell.
    fn adopt(&mut self) {
        // A disk that cannot be read has told all that it will.
        let left = journal::left(&self.plan.folder, self.last_sdc);
        for sdc in left.unwrap_or_default() {
            self.record_sdc(sdc);
        }
    }

    /// Only then may a record say that the log has it.
    fn record_sdc(&mut self, sdc: Sdc) {
        let number = sdc.number;
        self.record(Event::Sdc(sdc));
        self.last_sdc = self.last_sdc.max(number);
    }

    /// Runs the commands of the user that are due; each is in the log before it runs.
    fn climb(&mut self, is_hang: bool) {
        let steps = self.plan.ladder.steps(is_hang, self.in_a_row).into_iter();
        let steps: Vec<(&str, String)> = steps
            .map(|(step, command)| (step, command.to_owned()))
            .collect();
        for (step, command) in steps {
            let said = |ended| {
                Event::Command(event::Command {
                    step: step.to_owned(),
                    command: shortened(&command, MOST_SAID),
                    ended,
                })
            };
            self.record(said(None));
            let ended = ladder::run(&command, self.plan.stop);
            self.record(said(Some(ended)));
        }
    }
}
