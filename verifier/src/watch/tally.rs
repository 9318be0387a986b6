//! Sums over a log in flat memory: exposure, fluence, and events in their classes.

use std::collections::{BTreeMap, BTreeSet};

use super::fluence::Counts;
use super::log::Entry;
use super::log::event::{Beat, DueKind, Event, Gap, Phase, Sdc, SdcClass};

/// Clocks that drift apart by so many seconds within one boot: somebody has set one.
const CLOCK_STEP: f64 = 2.0;

/// What a log comes to.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Seconds since 1970 of the first and the last record.
    pub span: Option<(f64, f64)>,
    pub supervisors: u64,
    pub workers: u64,
    /// All that was computed; of `seconds`, what is not `exposed` was dead time.
    pub computed: Beat,
    /// Exposure until the last SDC of each supervisor: what remains where it is read from the lines
    /// of SDCs alone.
    pub exposed_at_sdc_lines: f64,
    pub events: Events,
    /// Of what the counts cover.
    pub in_beam: InBeam,
    /// Wrong batches whose class changed, as `tail` has it.
    pub critical: BTreeSet<u64>,
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
    open: Option<Open>,
    stuck_signature: Option<String>,
    exposed_of_supervisor: f64,
    clock_difference: Option<f64>,
}

/// Events in their classes.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Events {
    /// Wrong batches, an element outside the tolerance; without a class where the worker was lost
    /// before it could find out.
    pub sdc: BTreeMap<Option<SdcClass>, u64>,
    /// Of those that are SDCs, the ones in which a class changed.
    pub critical: u64,
    /// Batches that differ from the golden of the device within the tolerance.
    pub bits_only: u64,
    /// Wrong batches with the very error that was stuck before: the same event.
    pub repeated: u64,
    /// Lost workers that were in their passes, or finding out what a wrong batch was.
    pub due: BTreeMap<DueKind, u64>,
    /// Those that were loading, which is no exposure.
    pub due_while_loading: u64,
    /// Gaps that a command of the user explains.
    pub ordered: u64,
}

/// What is covered by counts of particles.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct InBeam {
    /// Particles per cm² while exposed.
    pub fluence: f64,
    pub exposed: f64,
    /// Exposure before the first or after the last reading.
    pub uncovered: f64,
    pub events: Events,
    /// Events while the counter stood still.
    pub events_without_beam: u64,
}

/// A wrong batch that may still be classified.
#[derive(Debug, Clone)]
struct Open {
    sdc: Sdc,
    counted: bool,
    in_beam: bool,
}

impl Events {
    /// SDCs: without damage of our own, and each once.
    pub fn sdcs(&self) -> u64 {
        let own = |class: &Option<SdcClass>| *class == Some(SdcClass::OwnDamage);
        let classes = self.sdc.iter().filter(|(class, _)| !own(class));
        classes.map(|(_, count)| count).sum()
    }

    /// Lost workers of all kinds.
    pub fn dues(&self) -> u64 {
        self.due.values().sum()
    }

    fn move_class(&mut self, class: SdcClass) {
        if let Some(unknown) = self.sdc.get_mut(&None) {
            *unknown = unknown.saturating_sub(1);
            if *unknown == 0 {
                self.sdc.remove(&None);
            }
            *self.sdc.entry(Some(class)).or_default() += 1;
        }
    }
}

impl Tally {
    /// With counts of particles, and the wrong batches in which a class changed.
    pub fn new(counts: Option<Counts>, critical: BTreeSet<u64>) -> Self {
        Self {
            counts,
            critical,
            ..Self::default()
        }
    }

    /// Seconds that were no exposure, of those that a supervisor was there.
    pub fn dead(&self) -> f64 {
        (self.computed.seconds - self.computed.exposed).max(0.0)
    }

    /// Whether there are counts of particles.
    pub fn has_counts(&self) -> bool {
        self.counts.is_some()
    }

    /// Takes the next record.
    pub fn add(&mut self, entry: &Entry) {
        let first = self.span.map_or(entry.unix, |(first, _)| first);
        self.span = Some((first, entry.unix));
        match &entry.event {
            Event::Start(_) => {
                self.supervisors += 1;
                self.exposed_of_supervisor = 0.0;
                self.clock_difference = None;
                self.end = None;
            }
            Event::Worker(worker) => {
                self.workers += 1;
                self.last_worker = worker.number;
            }
            Event::Beat(beat) => self.beat(beat, entry.unix),
            Event::Sdc(sdc) => self.sdc(sdc, entry.unix),
            Event::Classified(classified) => self.classified(classified.sdc, classified.class),
            Event::Due(due) if due.phase == Phase::Loading => {
                self.count(entry.unix, |events| events.due_while_loading += 1);
            }
            Event::Due(due) => {
                let kind = due.kind;
                self.count_event(entry.unix, |events| {
                    *events.due.entry(kind).or_default() += 1;
                });
            }
            Event::Gap(gap) => self.gap(gap, entry.unix - gap.seconds),
            Event::Stall { seconds } => self.stalled += seconds,
            Event::Disk(disk) => {
                self.is_disk_full = disk.is_full;
                self.lost = disk.lost;
            }
            Event::Telemetry(values) => self.telemetry(values),
            Event::Xid(xid) => *self.xids.entry((xid.number, xid.gpu)).or_default() += 1,
            Event::End(end) => {
                self.end = Some(end.reason.clone());
                self.has_open_end = end.has_open_end;
                self.lost = self.lost.max(end.lost);
            }
            Event::Ready(_) | Event::Faulty(_) | Event::Command(_) | Event::Rehearsed(_) => {}
        }
        let difference = entry.unix - entry.monotonic;
        let before = *self.clock_difference.get_or_insert(difference);
        if (difference - before).abs() > CLOCK_STEP {
            self.clock_steps += 1;
            self.clock_difference = Some(difference);
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
        let Some(counts) = self.counts.as_ref().filter(|_| beat.seconds > 0.0) else {
            return;
        };
        let from = until - beat.seconds;
        if counts.covers(from) && counts.covers(until) {
            let share = (beat.exposed / beat.seconds).clamp(0.0, 1.0);
            self.in_beam.fluence += counts.between(from, until) * share;
            self.in_beam.exposed += beat.exposed;
        } else {
            self.in_beam.uncovered += beat.exposed;
        }
    }

    fn sdc(&mut self, sdc: &Sdc, at: f64) {
        self.last_sdc = self.last_sdc.max(sdc.number);
        self.exposed_at_sdc_lines += std::mem::take(&mut self.exposed_of_supervisor);
        let is_same = self.stuck_signature.as_ref() == Some(&sdc.signature);
        if !is_same {
            self.stuck_signature = None;
        }
        let counted = !is_same && !sdc.is_of_bits_only();
        let is_critical = counted && self.critical.contains(&sdc.number);
        let add = |events: &mut Events| match (is_same, counted) {
            (true, _) => events.repeated += 1,
            (false, false) => events.bits_only += 1,
            (false, true) => {
                *events.sdc.entry(None).or_default() += 1;
                events.critical += u64::from(is_critical);
            }
        };
        let in_beam = match counted {
            true => self.count_event(at, add),
            false => self.count(at, add),
        };
        self.open = Some(Open {
            sdc: sdc.clone(),
            counted,
            in_beam,
        });
    }

    fn classified(&mut self, number: u64, class: SdcClass) {
        let Some(open) = self.open.take_if(|open| open.sdc.number == number) else {
            return;
        };
        if class == SdcClass::Stuck {
            self.stuck_signature = Some(open.sdc.signature);
        }
        if open.counted {
            self.events.move_class(class);
            if open.in_beam {
                self.in_beam.events.move_class(class);
            }
        }
    }

    fn gap(&mut self, gap: &Gap, at: f64) {
        let kind = DueKind::from(gap.cause);
        match &gap.command {
            Some(_) => _ = self.count(at, |events| events.ordered += 1),
            None => {
                _ = self.count_event(at, |events| *events.due.entry(kind).or_default() += 1);
            }
        }
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

    /// Counts an event that is of the beam or not; whether it is covered by counts.
    fn count_event(&mut self, at: f64, add: impl Fn(&mut Events)) -> bool {
        let is_without_beam = |counts: &Counts| counts.covers(at) && !counts.is_on(at);
        let is_without_beam = self.counts.as_ref().is_some_and(is_without_beam);
        self.in_beam.events_without_beam += u64::from(is_without_beam);
        self.count(at, add)
    }

    fn count(&mut self, at: f64, add: impl Fn(&mut Events)) -> bool {
        add(&mut self.events);
        let is_covered = self.counts.as_ref().is_some_and(|counts| counts.covers(at));
        if is_covered {
            add(&mut self.in_beam.events);
        }
        is_covered
    }
}
