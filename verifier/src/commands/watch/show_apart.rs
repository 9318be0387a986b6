//! Shows a watch in a thread of its own: a terminal, a disk or a network that takes nothing holds
//! up no supervisor.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use console::note;
use verifier::watch::log::Entry;
use verifier::watch::supervisor::{Now, Seen};
use verifier::watch::tally::Tally;

use super::show::Show;

/// Records that wait to be shown; those beyond are in the log alone.
const WAITING: usize = 10_000;
/// How often it is told how things stand.
const EVERY: Duration = Duration::from_millis(500);
/// What still waits in the end is shown within so long, or not at all.
const LAST_WAIT: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(10);

/// What is to be shown.
enum Shown {
    Entry(Box<Entry>),
    Tick(Box<(Tally, Now)>),
    /// So many records could not be shown.
    Missed(u64),
    End(Box<Tally>),
}

/// A show under way.
pub(super) struct ShowApart {
    sender: SyncSender<Shown>,
    thread: JoinHandle<()>,
    ticked: Option<Instant>,
    missed: u64,
}

impl ShowApart {
    pub(super) fn start(show: Show) -> Result<Self> {
        let (sender, receiver) = sync_channel(WAITING);
        let thread = thread::Builder::new()
            .name("show".to_owned())
            .spawn(move || show_all(show, &receiver))
            .context("a thread")?;
        Ok(Self {
            sender,
            thread,
            ticked: None,
            missed: 0,
        })
    }

    /// Hands on what the supervisor shows; never waits.
    pub(super) fn take(&mut self, seen: Seen<'_>) {
        match seen {
            Seen::Entry(entry, _) => {
                let is_taken = self.try_send(Shown::Entry(Box::new(entry.clone())));
                self.missed += u64::from(!is_taken);
            }
            Seen::Tick(tally, now) => {
                if self.ticked.is_some_and(|ticked| ticked.elapsed() < EVERY) {
                    return;
                }
                self.ticked = Some(Instant::now());
                if self.missed > 0 && self.try_send(Shown::Missed(self.missed)) {
                    self.missed = 0;
                }
                self.try_send(Shown::Tick(Box::new((tally.clone(), now))));
            }
        }
    }

    /// Shows the end, where there is a sum to show, and all that came before; says if that cannot
    /// be done in time.
    pub(super) fn finish(self, tally: Option<&Tally>) {
        let Self { sender, thread, .. } = self;
        let begun = Instant::now();
        let is_late = || begun.elapsed() >= LAST_WAIT;
        let mut end = tally.map(|tally| Shown::End(Box::new(tally.clone())));
        while let Some(Err(TrySendError::Full(back))) = end.take().map(|end| sender.try_send(end)) {
            if is_late() {
                break;
            }
            end = Some(back);
            sleep(POLL);
        }
        drop(sender);
        while !thread.is_finished() && !is_late() {
            sleep(POLL);
        }
        if !thread.is_finished() {
            note!("warning: not all could be shown or copied; the log has it");
        }
    }

    fn try_send(&self, shown: Shown) -> bool {
        self.sender.try_send(shown).is_ok()
    }
}

fn show_all(mut show: Show, receiver: &Receiver<Shown>) {
    for shown in receiver {
        match shown {
            Shown::Entry(entry) => show.entry(&entry),
            Shown::Tick(tick) => show.tick(&tick.0, tick.1),
            Shown::Missed(records) => {
                show.clear_line();
                note!("warning: {records} records could not be shown or copied in time");
            }
            Shown::End(tally) => return show.finish(&tally),
        }
    }
}
