//! Sums over a log in flat memory: exposure, fluence, and events in their classes.

mod events;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::consequences::{Examined, Table};
use super::fluence::{Beam, Counts};
use super::log::Entry;
use super::log::event::{Beat, Due, DueKind, Event, Gap, Phase, Sdc, SdcClass};
use super::wrong_batches::WrongBatches;

pub use self::events::{Events, InBeam};

/// Clocks that drift apart by so many seconds within one boot: somebody has set one.
const CLOCK_STEP: f64 = 2.0;

/// What a log comes to.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Seconds since 1970 of the first and the last record.
    pub span: Option<(f64, f64)>,
    /// What the log says that it was run with: names, each with all its values.
    pub setting: BTreeMap<&'static str, BTreeSet<String>>,
    pub supervisors: u64,
    pub workers: u64,
    /// All that was computed; of `seconds`, what is not `exposed` was dead time.
    pub computed: Beat,
    /// Exposure until the last SDC of each supervisor: what remains where it is read from the lines
    /// of SDCs alone.
    pub exposed_at_sdc_lines: f64,
    pub events: Events,
    /// The same by what the counts say of the beam.
    pub in_beam: InBeam,
    /// What a rehearsal caused on purpose.
    pub rehearsed: u64,
    /// Seconds in which the supervisor itself stood still.
    pub stalled: f64,
    pub clock_steps: u64,
    /// Whether the disk was full at the end, and events that no file holds.
    pub is_disk_full: bool,
    pub lost: u64,
    /// Files of the log that somebody removed while it was written.
    pub removed_files: u64,
    /// Lowest, highest and last value of what the machine says of itself; none of what it does not
    /// tell.
    pub telemetry: BTreeMap<String, Option<[f64; 3]>>,
    /// Errors of GPUs that the driver reported, by their number and GPU.
    pub xids: BTreeMap<(u64, Option<u32>), u64>,
    /// How the last supervisor ended, if it said so.
    pub end: Option<String>,
    /// And whether its worker may have hung.
    pub has_open_end: bool,
    /// The last worker and the last wrong batch.
    pub last_worker: u64,
    pub last_sdc: u64,
    counts: Option<Counts>,
    table: Option<Table>,
    wrong_batches: WrongBatches,
    /// Of the last wrong batch: whether there was a beam, and what became of the class.
    last_beam: Option<Beam>,
    last_examined: Examined,
    exposed_of_supervisor: f64,
    clock_difference: Option<f64>,
}

impl Tally {
    /// With counts of particles, and what became of the class in wrong batches.
    pub fn new(counts: Option<Counts>, table: Option<Table>) -> Self {
        Self {
            counts,
            table,
            ..Self::default()
        }
    }

    /// Seconds that were no exposure, of those that a supervisor was there.
    pub fn dead(&self) -> f64 {
        (self.computed.seconds - self.computed.exposed).max(0.0)
    }

    /// The counts of particles, if there are any.
    pub fn counts(&self) -> Option<&Counts> {
        self.counts.as_ref()
    }

    /// Whether it is known of any wrong batch what became of the class.
    pub fn has_table(&self) -> bool {
        self.table.is_some()
    }

    /// Takes the next record.
    pub fn add(&mut self, entry: &Entry) {
        let first = self.span.map_or(entry.unix, |(first, _)| first);
        self.span = Some((first, entry.unix));
        match &entry.event {
            Event::Start(start) => {
                self.supervisors += 1;
                self.exposed_of_supervisor = 0.0;
                self.clock_difference = None;
                self.end = None;
                self.note("bundle", &start.bundle);
                self.note("BLAKE3", &start.bundle_blake3);
                self.note("part", &start.part);
                self.note("device", &start.device);
                self.note("host", &start.host);
                self.note("verifier", &start.verifier);
            }
            Event::Worker(worker) => {
                self.workers += 1;
                self.last_worker = worker.number;
            }
            Event::Ready(ready) => {
                self.note("ran on", &ready.device);
                self.note("runtime", &ready.runtime);
                self.note("batch size", &ready.batch_size.to_string());
                self.note("compared", &ready.compared_with);
            }
            Event::Beat(beat) => self.beat(beat, entry.unix),
            Event::Sdc(sdc) => self.sdc(sdc, entry.unix),
            Event::Classified(classified) => self.classified(classified.sdc, classified.class),
            Event::Due(due) => self.due(due, entry.unix),
            Event::Gap(gap) => self.gap(gap, entry.unix - gap.seconds),
            Event::Stall { seconds } => self.stalled += seconds,
            Event::Disk(disk) => {
                self.is_disk_full = disk.is_full;
                self.lost = disk.lost;
            }
            Event::Telemetry(values) => self.telemetry(values),
            Event::Xid(xid) => *self.xids.entry((xid.number, xid.gpu)).or_default() += 1,
            Event::Rehearsed(_) => self.rehearsed += 1,
            Event::End(end) => {
                self.end = Some(end.reason.clone());
                self.has_open_end = end.has_open_end;
                self.lost = self.lost.max(end.lost);
            }
            Event::Faulty(_) | Event::Command(_) => {}
        }
        self.look_at_clocks(entry);
    }

    fn look_at_clocks(&mut self, entry: &Entry) {
        let difference = entry.unix - entry.monotonic;
        let before = *self.clock_difference.get_or_insert(difference);
        if (difference - before).abs() > CLOCK_STEP {
            self.clock_steps += 1;
            self.clock_difference = Some(difference);
        }
    }

    fn note(&mut self, name: &'static str, value: &str) {
        let values = self.setting.entry(name).or_default();
        if !value.is_empty() && !values.contains(value) {
            values.insert(value.to_owned());
        }
    }

    fn beat(&mut self, beat: &Beat, until: f64) {
        let sum = &mut self.computed;
        sum.seconds += beat.seconds;
        sum.exposed += beat.exposed;
        sum.comparing += beat.comparing;
        sum.slowest = sum.slowest.max(beat.slowest);
        sum.passes += beat.passes;
        sum.batches += beat.batches;
        sum.samples += beat.samples;
        sum.elements += beat.elements;
        self.exposed_of_supervisor += beat.exposed;
        self.last_worker = self.last_worker.max(beat.worker);
        self.last_sdc = self.last_sdc.max(beat.last_sdc);
        if beat.passes > 0 {
            self.wrong_batches.pass();
        }
        let Some(counts) = self.counts.as_ref().filter(|_| beat.seconds > 0.0) else {
            return;
        };
        // It was exposed all along, as far as is known.
        let share = counts.share(until - beat.seconds, until);
        let exposed = (beat.exposed / beat.seconds).clamp(0.0, 1.0);
        self.in_beam.fluence += share.fluence * exposed;
        self.in_beam.exposed += share.on * exposed;
        self.in_beam.exposed_off += share.off * exposed;
        self.in_beam.exposed_unknown += share.unknown * exposed;
    }

    fn sdc(&mut self, sdc: &Sdc, recorded: f64) {
        let at = sdc.noted.unwrap_or(recorded);
        self.last_sdc = self.last_sdc.max(sdc.number);
        self.exposed_at_sdc_lines += std::mem::take(&mut self.exposed_of_supervisor);
        let counted = self.wrong_batches.begin(sdc);
        let table = self.table.as_ref();
        let examined = table.map_or(Examined::Unknown, |table| table.of(sdc));
        self.last_examined = examined;
        self.last_beam = self.count(at, |events| events.change(counted, examined, 1));
    }

    fn classified(&mut self, number: u64, class: SdcClass) {
        let Some([before, after]) = self.wrong_batches.classify(number, class) else {
            return;
        };
        let examined = self.last_examined;
        let change = |events: &mut Events| {
            events.change(before, examined, -1);
            events.change(after, examined, 1);
        };
        change(&mut self.events);
        if let Some(beam) = self.last_beam {
            change(self.in_beam.of(beam));
        }
    }

    /// A lost worker; one that hangs was lost when it was last seen.
    fn due(&mut self, due: &Due, noticed: f64) {
        let at = match due.kind {
            DueKind::Hang => noticed - due.silent,
            _ => noticed,
        };
        self.count(at, |events| match due.phase {
            Phase::Loading => events.due_while_loading += 1,
            Phase::Passes | Phase::AfterSdc => *events.due.entry(due.kind).or_default() += 1,
        });
    }

    fn gap(&mut self, gap: &Gap, at: f64) {
        let kind = DueKind::from(gap.cause);
        self.count(at, |events| match &gap.command {
            Some(_) => events.ordered += 1,
            None => *events.due.entry(kind).or_default() += 1,
        });
    }

    fn telemetry(&mut self, values: &BTreeMap<String, Option<f64>>) {
        for (name, &value) in values {
            let known = self.telemetry.entry(name.clone()).or_default();
            let Some(value) = value else {
                continue;
            };
            let [low, high, last] = known.get_or_insert([value; 3]);
            (*low, *high, *last) = (low.min(value), high.max(value), value);
        }
    }

    /// Counts an event of a time; gives whether there was a beam, where there are counts.
    fn count(&mut self, at: f64, add: impl Fn(&mut Events)) -> Option<Beam> {
        add(&mut self.events);
        let beam = self.counts.as_ref().map(|counts| counts.beam_at(at));
        if let Some(beam) = beam {
            add(self.in_beam.of(beam));
        }
        beam
    }
}
