//! What is shown of a watch, and where: a line on a terminal that is written again, lines in a log,
//! a page, copies of the records, and libLogHelper's files and datagrams.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use console::{note, one_line, printable};
use jiff::ZonedDateTime;
use proto::staging;
use verifier::report::watch::{Summary, clock, line};
use verifier::report::watch_page;
use verifier::watch::log::Entry;
use verifier::watch::log::event::{Event, SdcClass};
use verifier::watch::log_helper::{Sender, TextLog};
use verifier::watch::supervisor::Now;
use verifier::watch::tally::Tally;

use super::machine::host_name;
use crate::cli::WatchRunArgs;

/// How often each is written again.
const ON_TERMINAL: Duration = Duration::from_millis(500);
const IN_LOG: Duration = Duration::from_secs(60);
const ON_PAGE: Duration = Duration::from_secs(60);
/// Events on the page.
const LATEST: usize = 50;

/// What is shown, and when it was last.
pub(super) struct Show {
    copy: Option<File>,
    log_helper: Option<TextLog>,
    page: Option<PathBuf>,
    title: String,
    is_terminal: bool,
    latest: VecDeque<String>,
    /// Of these the last one that is no beginning or end of a worker.
    last_event: String,
    /// The last wrong batch is one by its bits alone.
    is_of_bits_only: bool,
    shown: Option<Instant>,
    paged: Option<Instant>,
    started: Instant,
}

impl Show {
    pub(super) fn new(arguments: &WatchRunArgs, benchmark: &str) -> Result<Self> {
        let host = host_name();
        let sender = arguments.udp.as_deref().map(|address| {
            let (sender, found) = Sender::new(address, arguments.ecc);
            if let Err(error) = found {
                note!("warning: --udp {address}: {error}; that is tried again");
            }
            sender
        });
        let folder = arguments.log_helper.as_deref();
        if let Some(folder) = folder {
            let made = std::fs::create_dir_all(folder);
            made.with_context(|| format!("--log-helper {}", folder.display()))?;
        }
        let log_helper = (folder.is_some() || sender.is_some())
            .then(|| TextLog::new(folder, sender, benchmark, &host, arguments.ecc));
        let copy = arguments.copy.as_ref().map(|path| {
            let file = File::options().append(true).create(true).open(path);
            file.with_context(|| format!("--copy {}", path.display()))
        });
        Ok(Self {
            copy: copy.transpose()?,
            log_helper,
            page: arguments.html.clone(),
            title: format!("{benchmark} on {} of {host}", arguments.target.device),
            is_terminal: io::stderr().is_terminal(),
            latest: VecDeque::new(),
            last_event: String::new(),
            is_of_bits_only: false,
            shown: None,
            paged: None,
            started: Instant::now(),
        })
    }

    /// The last page, and an end of the line.
    pub(super) fn finish(&mut self, tally: &Tally) {
        self.clear_line();
        self.write_page(tally, "has ended");
    }

    /// A record of the log.
    pub(super) fn entry(&mut self, entry: &Entry) {
        if let Some(copy) = &mut self.copy {
            // A second place that is lost takes nothing from the first.
            let _ = copy.write_all(entry.to_line().as_bytes());
            if entry.event.is_synced() {
                let _ = copy.sync_data();
            }
        }
        if let Some(log) = &mut self.log_helper {
            log.take(entry);
        }
        if let Event::Sdc(sdc) = &entry.event {
            self.is_of_bits_only = sdc.is_of_bits_only();
        }
        if let Some(text) = said(&entry.event, self.is_of_bits_only) {
            let time = clock(self.started.elapsed().as_secs_f64());
            let text = format!("{time}  {}", one_line(&text));
            self.clear_line();
            note!("{text}");
            if !matches!(entry.event, Event::Worker(_) | Event::Ready(_)) {
                self.last_event.clone_from(&text);
            }
            self.latest.push_front(text);
            self.latest.truncate(LATEST);
        }
    }

    /// How things stand.
    pub(super) fn tick(&mut self, tally: &Tally, now: Now) {
        let every = if self.is_terminal {
            ON_TERMINAL
        } else {
            IN_LOG
        };
        let shown = self.shown.get_or_insert_with(Instant::now);
        let is_due = shown.elapsed() >= every;
        if is_due {
            self.shown = Some(Instant::now());
            let line = line(tally, now, &self.last_event);
            match self.is_terminal {
                true => {
                    let line = cut(&printable(&line), terminal_width());
                    let _ = write!(io::stderr(), "\r\x1b[2K{line}");
                }
                false => note!("{line}"),
            }
        }
        if self.paged.is_none_or(|paged| paged.elapsed() >= ON_PAGE) {
            self.paged = Some(Instant::now());
            self.write_page(tally, &line(tally, now, &self.last_event));
        }
    }

    pub(super) fn clear_line(&self) {
        if self.is_terminal {
            let _ = write!(io::stderr(), "\r\x1b[2K");
        }
    }

    fn write_page(&mut self, tally: &Tally, line: &str) {
        let Some(path) = &self.page else {
            return;
        };
        let summary = Summary::new(tally, None, false);
        let latest: Vec<String> = self.latest.iter().cloned().collect();
        let written = ZonedDateTime::now()
            .strftime("%Y-%m-%d %H:%M:%S %Z")
            .to_string();
        let page = watch_page([&self.title, line, &written], &latest, &summary);
        let written: io::Result<()> =
            staging::write_file(path, |writer| writer.write_all(page.as_bytes()));
        if let Err(error) = written {
            note!("warning: --html {}: {error}", path.display());
        }
    }
}

/// Columns of the terminal that standard error is; 80 where it does not tell.
fn terminal_width() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stderr());
    let columns = size.map_or(0, |size| usize::from(size.ws_col));
    if columns == 0 { 80 } else { columns }
}

/// The beginning of a line, in so many columns but the last, where a terminal would break it.
fn cut(line: &str, columns: usize) -> String {
    let width = columns.saturating_sub(1);
    match line.chars().count() > width {
        true => line
            .chars()
            .take(width.saturating_sub(1))
            .chain(['…'])
            .collect(),
        false => line.to_owned(),
    }
}

/// A line for a person, of what is an event to them.
fn said(event: &Event, is_of_bits_only: bool) -> Option<String> {
    Some(match event {
        Event::Gap(gap) => format!(
            "gap of {:.0} s before this start: {}",
            gap.seconds,
            verifier::watch::log::event::DueKind::from(gap.cause)
        ),
        Event::Worker(worker) => format!("worker {} begins", worker.number),
        Event::Ready(ready) => format!(
            "ready after {:.1} s: ONNX Runtime {}, {}, {} samples in batches of {}; {}",
            ready.seconds,
            ready.runtime,
            ready.device,
            ready.samples,
            ready.batch_size,
            ready.compared_with
        ),
        Event::Sdc(sdc) if sdc.is_of_bits_only() => format!(
            "other bits {}: {} samples in batch {:?}, within the tolerance",
            sdc.number, sdc.differing_samples, sdc.batch
        ),
        Event::Sdc(sdc) => format!(
            "SDC {}: {} elements of {} samples in batch {:?}",
            sdc.number, sdc.faulty_elements, sdc.faulty_samples, sdc.batch
        ),
        Event::Classified(found) => {
            let what = match (is_of_bits_only, found.class) {
                (_, SdcClass::OwnDamage) => "wrong batch",
                (true, _) => "other bits",
                (false, _) => "SDC",
            };
            format!("{what} {}: {}", found.sdc, found.class)
        }
        Event::Due(due) => match due.said.lines().last() {
            Some(said) => format!("DUE, {}: {}; it said: {said}", due.kind, due.what),
            None => format!("DUE, {}: {}", due.kind, due.what),
        },
        Event::Command(command) => match &command.ended {
            None => format!("{}: {}", command.step, command.command),
            Some(ended) => format!("{} ended: {ended}", command.step),
        },
        Event::Disk(disk) if disk.is_full => format!(
            "the disk of the log is full, or almost: {} MB are left in the reserve",
            disk.reserve >> 20
        ),
        Event::Disk(_) => "the disk of the log has space again".to_owned(),
        Event::Stall { seconds } => format!("the supervisor stood still for {seconds:.1} s"),
        Event::Xid(xid) => {
            let gpu = xid
                .gpu
                .map_or("a GPU".to_owned(), |gpu| format!("GPU {gpu}"));
            format!("Xid {} of {gpu}", xid.number)
        }
        Event::Rehearsed(done) => format!("rehearsal: {}", done.kind),
        Event::End(end) => format!("ends: {}", end.reason.replace('\n', "; ")),
        Event::Start(_) | Event::Beat(_) | Event::Faulty(_) | Event::Telemetry(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_never_fills_the_last_column() {
        assert_eq!(cut("12345", 6), "12345");
        assert_eq!(cut("éééééé", 6), "éééé…");
        assert_eq!(cut("abc", 0), "…");
    }
}
