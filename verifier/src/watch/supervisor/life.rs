//! One worker from its start to its end: its process, and the pipe that it speaks through.

use std::io::{self, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::ended::Said;
use crate::engine::child::{Child, Ended, Running};
use crate::watch::log::event::Phase;
use crate::watch::message::{Message, next_message};

/// Messages that wait for the supervisor; beyond them the worker waits.
const WAITING: usize = 1024;
/// After its end, what a worker said is there at once, unless somebody else holds its pipe.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// A process that was killed ends at once, unless it is inside of a driver.
const KILLED_ENDS: Duration = Duration::from_secs(5);
/// How long a slow batch counts.
const SLOW_COUNTS: Duration = Duration::from_secs(60);

/// Seconds that a worker may be silent in its passes: 20 times its slowest batch, at least 5.
pub(super) fn pass_limit(slowest: f64) -> f64 {
    (20.0 * slowest).max(5.0)
}

/// And while it loads, of which it is known how long it takes: 10 times that, at least a minute.
pub(super) fn loading_limit(loading: f64) -> f64 {
    (10.0 * loading).max(60.0)
}

/// The slowest batch of late: one that was slow hours ago says nothing of a hang.
#[derive(Debug)]
pub(super) struct Slowest {
    /// Of this minute, and of the one before.
    now: f64,
    before: f64,
    since: Instant,
}

impl Slowest {
    pub(super) fn new() -> Self {
        Self {
            now: 0.0,
            before: 0.0,
            since: Instant::now(),
        }
    }

    pub(super) fn add(&mut self, seconds: f64, now: Instant) {
        if now.duration_since(self.since) >= SLOW_COUNTS {
            self.before = self.now;
            self.now = 0.0;
            self.since = now;
        }
        self.now = self.now.max(seconds);
    }

    /// Seconds; 0 if none is known yet.
    pub(super) fn seconds(&self) -> f64 {
        self.now.max(self.before)
    }
}

/// A worker.
pub(super) struct Life {
    /// Absent when it has ended.
    running: Option<Running>,
    messages: Receiver<Message>,
    seen: Instant,
    pub(super) phase: Phase,
    pub(super) said: Said,
    /// When it was asked to end.
    asked: Option<Instant>,
    pub(super) silent_when_it_ended: f64,
}

impl Life {
    /// Starts a worker, whose standard input is the end of a pipe that it writes into: nothing else
    /// in a process writes there.
    pub(super) fn begin(mut command: Command) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let running = Running::start(command.stdin(Stdio::from(writer)))?;
        // The command holds the pipe's other end as long as it lives.
        drop(command);
        let (sender, messages) = sync_channel(WAITING);
        thread::Builder::new()
            .name("pipe of the worker".to_owned())
            .spawn(move || hand_on(reader, &sender))?;
        Ok(Self {
            running: Some(running),
            messages,
            seen: Instant::now(),
            phase: Phase::Loading,
            said: Said::Nothing,
            asked: None,
            silent_when_it_ended: 0.0,
        })
    }

    pub(super) fn id(&self) -> u32 {
        self.running.as_ref().map_or(0, Running::id)
    }

    /// Sends it a signal, as somebody else might.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.id().cast_signed()) {
            let _ = kill_process(pid, signal);
        }
    }

    /// The next message, if one comes within so long.
    pub(super) fn next(&mut self, wait: Duration) -> Option<Message> {
        match self.messages.recv_timeout(wait) {
            Ok(message) => {
                self.seen();
                Some(message)
            }
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                thread::sleep(wait); // it is about to end, or hangs
                None
            }
        }
    }

    /// All that a worker said that has ended. Somebody else who holds its pipe, a process that it
    /// left behind, is not listened to any longer.
    pub(super) fn last_words(&mut self) -> Vec<Message> {
        let until = Instant::now() + LAST_WORDS;
        let left = || until.saturating_duration_since(Instant::now());
        let mut words = Vec::new();
        while let Ok(message) = self.messages.recv_timeout(left()) {
            words.push(message);
        }
        words
    }

    /// It has given a sign of life.
    pub(super) fn seen(&mut self) {
        self.seen = Instant::now();
    }

    /// Seconds since its last sign of life.
    pub(super) fn silent(&self) -> f64 {
        self.seen.elapsed().as_secs_f64()
    }

    pub(super) fn has_ended(&mut self) -> io::Result<bool> {
        self.running.as_mut().map_or(Ok(true), Running::has_ended)
    }

    /// Asks it to end, once.
    pub(super) fn ask_to_end(&mut self) {
        if let (None, Some(running)) = (self.asked, &self.running) {
            self.asked = Some(Instant::now());
            running.ask();
        }
    }

    pub(super) fn was_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// Since it was asked to end, if it was.
    pub(super) fn asked_for(&self) -> Option<Duration> {
        self.asked.map(|asked| asked.elapsed())
    }

    /// Ends what is left of it, for a reason unless it has ended by itself.
    pub(super) fn end(&mut self, killed: Option<Ended>) -> io::Result<Option<Child>> {
        self.silent_when_it_ended = self.silent();
        let Some(mut running) = self.running.take() else {
            return Ok(None);
        };
        let Some(reason) = killed else {
            return running.kill().map(Some);
        };
        let child = running.kill_within(KILLED_ENDS, reason.clone())?;
        if child.is_some() {
            return Ok(child);
        }
        running.abandon();
        Ok(Some(Child {
            ended: reason,
            seconds: 0.0,
            stderr: "it was killed, and has not ended".to_owned(),
        }))
    }
}

fn hand_on(reader: io::PipeReader, sender: &SyncSender<Message>) {
    let mut reader = BufReader::new(reader);
    while let Ok(Some(message)) = next_message(&mut reader) {
        if sender.send(message).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_batch_counts_for_a_minute_or_two() {
        let begun = Instant::now();
        let mut slowest = Slowest::new();
        let at = |minutes: u64| begun + Duration::from_secs(61 * minutes);
        slowest.add(15.0, at(0));
        slowest.add(0.1, at(1));
        assert_eq!(slowest.seconds(), 15.0);
        slowest.add(0.2, at(2));
        assert_eq!(slowest.seconds(), 0.2);
    }
}
