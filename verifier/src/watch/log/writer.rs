//! Appends records to a log; a full disk stops nothing, and nothing that was counted is forgotten.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use super::disk::{Disk, Files};
use super::entry::Entry;
use super::event::{self, Event};

/// Bytes of records that wait for a disk that is full; the oldest beyond that are lost.
const MOST_WAITING: usize = 64 << 20;

/// How often a disk that is full is asked again in the end.
const AGAIN: Duration = Duration::from_millis(100);

/// How a log is kept.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Bytes after which another file is begun.
    pub rotate: u64,
    /// Bytes of the disk that are kept for events.
    pub reserve: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rotate: 64 << 20,
            reserve: 64 << 20,
        }
    }
}

/// A log that is being written.
#[derive(Debug)]
pub struct LogWriter<D> {
    disk: D,
    sequence: u64,
    /// Lines that no file holds yet, and how much of the first one is written.
    waiting: VecDeque<String>,
    waiting_bytes: usize,
    written_of_first: usize,
    is_full: bool,
    lost: u64,
    /// The reserve as it was at the beginning.
    whole_reserve: u64,
}

impl LogWriter<Files> {
    /// Begins a new file in the folder of a log; `last` is the number of its last record.
    pub fn begin(folder: &Path, settings: Settings, last: u64) -> io::Result<Self> {
        let files = Files::begin(folder, settings.rotate, settings.reserve)?;
        let mut writer = Self::on(files, last);
        // A disk that is full already is told at once.
        writer.whole_reserve = settings.reserve;
        Ok(writer)
    }
}

impl<D: Disk> LogWriter<D> {
    /// Goes on behind a record.
    pub fn on(disk: D, last: u64) -> Self {
        Self {
            whole_reserve: disk.reserve(),
            disk,
            sequence: last,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            written_of_first: 0,
            is_full: false,
            lost: 0,
        }
    }

    /// Whether the disk took no more when it was last asked.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// Whether there are records that no file holds yet.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Events that no file will hold.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Where the records go.
    pub fn disk(&mut self) -> &mut D {
        &mut self.disk
    }

    /// Records an event: it is on the disk when this returns. Where the disk is full it waits.
    pub fn record(&mut self, event: Event) -> Entry {
        let entry = self.entry(event);
        self.wait(entry.to_line());
        self.flush(true);
        entry
    }

    /// Records what comes again: what was computed since, say. `None` if the disk is full: nothing
    /// is recorded then.
    pub fn record_if_possible(&mut self, event: Event) -> Option<Entry> {
        self.flush(false);
        if !self.waiting.is_empty() {
            return None;
        }
        let entry = self.entry(event);
        self.wait(entry.to_line());
        self.flush(false);
        // A power cut, too, loses no more than what came since.
        let _ = self.disk.sync();
        // What the disk has taken half of is not taken back.
        if self.waiting.is_empty() || self.written_of_first > 0 {
            return Some(entry);
        }
        self.waiting.clear();
        self.waiting_bytes = 0;
        self.sequence -= 1;
        None
    }

    /// Gives a disk that is full some time more; says how many events no file holds.
    pub fn finish(&mut self, limit: Duration) -> u64 {
        let begun = Instant::now();
        while !self.waiting.is_empty() && begun.elapsed() < limit {
            sleep(AGAIN);
            self.flush(true);
        }
        self.lost + self.waiting.len() as u64
    }

    fn entry(&mut self, event: Event) -> Entry {
        self.sequence += 1;
        let monotonic = clock_gettime(ClockId::Monotonic);
        Entry {
            sequence: self.sequence,
            monotonic: monotonic.tv_sec as f64 + monotonic.tv_nsec as f64 * 1e-9,
            unix: unix_now(),
            event,
        }
    }

    fn wait(&mut self, line: String) {
        self.waiting_bytes += line.len();
        self.waiting.push_back(line);
        // The first one may be half written.
        while self.waiting_bytes > MOST_WAITING && self.waiting.len() > 2 {
            let oldest = self.waiting.remove(1).expect("more than two");
            self.waiting_bytes -= oldest.len();
            self.lost += 1;
        }
    }

    /// Writes what waits, as far as the disk takes it; events have the whole reserve, the rest half
    /// of it.
    fn flush(&mut self, is_event: bool) {
        let keep = if is_event { 0 } else { self.whole_reserve / 2 };
        while let Some(line) = self.waiting.front() {
            match self.disk.append(&line.as_bytes()[self.written_of_first..]) {
                Ok(written) => {
                    self.written_of_first += written;
                    if self.written_of_first == line.len() {
                        self.waiting_bytes -= line.len();
                        self.waiting.pop_front();
                        self.written_of_first = 0;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Of any other error nothing else is known than that the disk does not take it.
                Err(_) if self.disk.release(keep) => {}
                Err(_) => {
                    self.is_full = true;
                    return;
                }
            }
        }
        let is_synced = !is_event || self.disk.sync().is_ok();
        self.is_full = !is_synced;
    }

    /// What there is to say of the disk, if that is another thing than before: it is full, or has
    /// taken the reserve again.
    pub fn disk_news(&mut self, said: &mut Option<event::Disk>) -> Option<event::Disk> {
        let is_short = self.is_full || self.disk.reserve() < self.whole_reserve;
        let is_full = is_short && !(self.waiting.is_empty() && self.disk.take_reserve());
        let before = said.as_ref().is_some_and(|said| said.is_full);
        let news = event::Disk {
            is_full,
            reserve: self.disk.reserve(),
            lost: self.lost,
        };
        (is_full != before).then(|| said.insert(news).clone())
    }
}

/// Seconds since 1970-01-01 UTC.
pub fn unix_now() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs_f64()
}
