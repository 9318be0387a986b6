//! The supervisor: starts a worker, listens, writes the log, starts another one when it is lost.
//!
//! It loads no runtime and touches no device: what can hang or crash is the worker.

mod before;
mod ended;
mod ladder;
mod life;
mod outside;
mod plan;
mod records;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use self::before::Before;
use self::ended::{OutOfMemoryKills, Said, due_kind};
use self::life::{Life, Slowest};
use self::records::Records;
use super::log::event::{self, Due, DueKind, Event, Phase, Rehearsed};
use super::message::{Message, Work, shortened};
use super::tally::Tally;
use crate::engine::child::{Child, Ended};

pub use self::ladder::Ladder;
pub use self::outside::{Outside, rehearsed_kinds};
pub use self::plan::{Now, Plan, Seen, Show, SupervisorError, Told};

/// How often the supervisor looks after the worker.
const POLL: Duration = Duration::from_millis(50);
/// A supervisor that was away for longer has been stopped, or its machine was.
const STALL: Duration = Duration::from_secs(2);
/// A worker that was exposed for so many seconds, or completed a pass, ends a row of lost ones.
const LONG_ENOUGH: f64 = 60.0;
/// Bytes of a record for what a worker said.
const MOST_SAID: usize = 2000;
/// A worker that is asked to end has so long while it loads, and when somebody waits for the end.
const LOADING_ENDS: Duration = Duration::from_secs(5);
const SOMEBODY_WAITS: Duration = Duration::from_secs(10);

/// A supervisor at work.
pub struct Supervisor<'a> {
    plan: Plan<'a>,
    records: Records<'a>,
    sampled: Instant,
    in_a_row: u64,
    exposed_of_worker: f64,
    was_ready: bool,
    /// Something was caused in the worker whose event has not come yet.
    is_rehearsing: bool,
    /// Seconds that loading took.
    loading: Option<f64>,
    slowest: Slowest,
    /// The last worker was killed before it was known whether it hung.
    has_open_end: bool,
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
        // The same command again, as after a reboot: nobody waits for an error message.
        let was_ready = before.was_at_work_with(&plan.start);
        Ok(Self {
            records: Records::begin(&plan, before, show)?,
            plan,
            sampled: Instant::now(),
            in_a_row: 0,
            exposed_of_worker: 0.0,
            was_ready,
            is_rehearsing: false,
            loading: None,
            slowest: Slowest::new(),
            has_open_end: false,
        })
    }

    /// Starts workers until the time is over; gives what was seen.
    pub fn run(mut self) -> Result<Tally, SupervisorError> {
        let ended = self.workers();
        let mut reason = match &ended {
            Ok(reason) => (*reason).to_owned(),
            Err(error) => error.to_string(),
        };
        if self.has_open_end {
            reason += "; the last worker did not end when it was asked to, and was killed before \
                       it was known whether it hung";
        }
        let tally = self.records.end(reason, self.has_open_end);
        ended?;
        Ok(tally)
    }

    fn workers(&mut self) -> Result<&'static str, SupervisorError> {
        loop {
            let outcome = self.one_worker()?;
            if self.is_over() {
                break;
            }
            match outcome {
                Outcome::Over => break,
                Outcome::Again { is_hang } => self.climb(is_hang),
            }
            self.pause(ladder::wait(self.in_a_row));
            if self.is_over() {
                break;
            }
        }
        Ok(match self.is_told_to_stop() {
            true => "told to stop",
            false => "its time is over",
        })
    }

    fn is_told_to_stop(&self) -> bool {
        self.plan.stop.load(Ordering::Relaxed)
    }

    fn is_over(&self) -> bool {
        let is_late = |duration| self.records.elapsed() >= duration;
        self.is_told_to_stop() || self.plan.duration.is_some_and(is_late)
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
        self.exposed_of_worker = 0.0;
        self.is_rehearsing = false;
        let kills = OutOfMemoryKills::now();
        let (number, next_sdc) = self.records.next_worker();
        let mut life = match Life::begin((self.plan.worker)(number, next_sdc)) {
            Ok(life) => life,
            Err(error) if self.was_ready => return Ok(self.not_started(&error)),
            Err(error) => return Err(SupervisorError::Worker(error.to_string())),
        };
        self.records.add(Event::Worker(event::Worker {
            number,
            process: life.id(),
            waited: ladder::wait(self.in_a_row),
        }));
        let Some(child) = self.listen(&mut life)? else {
            return Ok(Outcome::Again { is_hang: false });
        };
        self.records.adopt();
        self.records.beat();
        let was_short_of_memory = OutOfMemoryKills::now() != kills;
        self.after(&child, &life, was_short_of_memory)
    }

    /// What the end of a worker was.
    fn after(
        &mut self,
        child: &Child,
        life: &Life,
        was_short_of_memory: bool,
    ) -> Result<Outcome, SupervisorError> {
        // Whoever stops a service may tell its processes all at once.
        let was_asked = life.was_asked() || self.is_told_to_stop();
        // One that was not exposed yet, and had to end, is no event however it ended.
        let is_event = !(was_asked && life.phase == Phase::Loading);
        let due = due_kind(child, &life.said, was_asked, was_short_of_memory);
        let due = due.filter(|_| is_event);
        let Some((kind, what)) = due else {
            self.has_open_end = child.ended == Ended::Stopped && life.phase != Phase::Loading;
            // One that ends by itself was stuck.
            self.in_a_row += u64::from(!was_asked);
            return Ok(match was_asked {
                true => Outcome::Over,
                false => Outcome::Again { is_hang: false },
            });
        };
        if !self.was_ready && matches!(life.said, Said::Failed { .. }) {
            return Err(SupervisorError::Worker(what));
        }
        self.record_due(Due {
            kind,
            worker: self.records.worker(),
            phase: life.phase,
            what: shortened(&what, MOST_SAID),
            said: shortened(child.said(), MOST_SAID),
            silent: life.silent_when_it_ended,
            in_a_row: 0,
        });
        Ok(Outcome::Again {
            is_hang: kind == DueKind::Hang,
        })
    }

    fn not_started(&mut self, error: &io::Error) -> Outcome {
        self.record_due(Due {
            kind: DueKind::Exit,
            worker: self.records.worker(),
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
        self.records.add(Event::Due(due));
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
                self.records.add(Event::Stall {
                    seconds: away.as_secs_f64(),
                });
            }
            if let Some(message) = message {
                self.take(message, life);
            }
            self.tick(life.phase);
            match self.is_over() {
                true => life.ask_to_end(),
                false => self.rehearse(life),
            }
            let child = if life.has_ended()? {
                life.end(None)?
            } else if life.silent() > self.hang_limit(life.phase) {
                life.end(Some(Ended::TimedOut))?
            } else if self.has_waited_enough(life) {
                life.end(Some(Ended::Stopped))?
            } else {
                continue;
            };
            for message in life.last_words() {
                self.take(message, life);
            }
            return Ok(child);
        }
    }

    /// Whether a worker that was asked to end is not waited for any more. One in its passes has its
    /// time, so that it is known whether it hangs, unless somebody waits for the supervisor; one
    /// that goes on all the same does not listen.
    fn has_waited_enough(&self, life: &Life) -> bool {
        let Some(waited) = life.asked_for() else {
            return false;
        };
        match life.phase {
            Phase::Loading => waited > LOADING_ENDS,
            Phase::Passes | Phase::AfterSdc if self.is_told_to_stop() => waited > SOMEBODY_WAITS,
            Phase::Passes | Phase::AfterSdc => {
                let limit = self.hang_limit(life.phase);
                waited.as_secs_f64() > limit + SOMEBODY_WAITS.as_secs_f64()
            }
        }
    }

    fn hang_limit(&self, phase: Phase) -> f64 {
        let given = self.plan.hang_after.map(|given| given.as_secs_f64());
        let loading = self
            .loading
            .map_or(self.plan.load_limit.as_secs_f64(), life::loading_limit);
        match (phase, given) {
            (Phase::Passes, Some(given)) => given,
            (Phase::Passes, None) if self.slowest.seconds() > 0.0 => {
                life::pass_limit(self.slowest.seconds())
            }
            _ => loading,
        }
    }

    fn take(&mut self, message: Message, life: &mut Life) {
        match message {
            Message::Ready(ready) => {
                self.was_ready = true;
                self.loading = Some(ready.seconds);
                if let Some(outside) = &mut self.plan.rehearsal {
                    outside.begin_again();
                }
                self.records.add(Event::Ready(ready));
            }
            Message::Alive(phase) => life.phase = phase,
            Message::Work(work) => self.worked(work),
            Message::Sdc(sdc) => {
                self.records.beat();
                self.records.add_sdc(sdc);
            }
            Message::Faulty(faulty) => self.records.add(Event::Faulty(faulty)),
            Message::Classified(classified) => {
                self.is_rehearsing = false;
                self.records.add(Event::Classified(classified));
            }
            Message::Rehearsed(rehearsed) => {
                self.is_rehearsing = true;
                // What is summed up from here on was computed after it.
                self.records.beat();
                self.records.add(Event::Rehearsed(rehearsed));
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
            Message::Again => life.said = Said::Again,
        }
    }

    /// Does what a rehearsal wants, and records it first.
    fn rehearse(&mut self, life: &Life) {
        // One thing at a time: what becomes of a worker that hangs already is not told apart.
        let is_time =
            life.phase == Phase::Passes && !self.records.is_disk_full() && !self.is_rehearsing;
        let due = self.plan.rehearsal.as_mut().filter(|_| is_time);
        let Some((kind, number)) = due.and_then(Outside::due) else {
            return;
        };
        self.records.add(Event::Rehearsed(Rehearsed {
            kind: kind.name().to_owned(),
            number,
        }));
        match kind {
            outside::Kind::DiskFull => self.records.pretend_full(),
            outside::Kind::Killed => life.signal(Signal::KILL),
            outside::Kind::Stopped => life.signal(Signal::STOP),
        }
        self.is_rehearsing = kind != outside::Kind::DiskFull;
    }

    fn worked(&mut self, work: Work) {
        self.records.add_work(work);
        self.slowest.add(work.slowest, Instant::now());
        self.exposed_of_worker += work.exposed;
        if work.passes > 0 || self.exposed_of_worker > LONG_ENOUGH {
            self.in_a_row = 0;
        }
    }

    /// What is to be done now and then.
    fn tick(&mut self, phase: Phase) {
        self.records.tick(phase);
        if let Some(telemetry) = self.plan.telemetry
            && self.sampled.elapsed() >= 2 * self.plan.beat
        {
            self.sampled = Instant::now();
            let told = telemetry();
            for xid in told.xids {
                self.records.add(Event::Xid(xid));
            }
            if !told.values.is_empty() {
                self.records.add_if_possible(Event::Telemetry(told.values));
            }
        }
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
            self.records.add(said(None));
            let ended = ladder::run(&command, self.plan.stop);
            self.records.add(said(Some(ended)));
        }
    }
}
