//! A watch for a person: one line to glance at, and the summary with rates and cross sections.

use console::grouped;

use super::table::table;
use crate::watch::log::Integrity;
use crate::watch::log::event::{Beat, DueKind, Phase, SdcClass};
use crate::watch::log_helper::Row;
use crate::watch::rates::Rate;
use crate::watch::supervisor::Now;
use crate::watch::tally::{Events, Tally};

/// A summary: lines with a name each, and a table of rates.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    pub rows: Vec<(String, String)>,
    pub header: Vec<&'static str>,
    pub rates: Vec<Vec<String>>,
    /// What a reader has to know.
    pub notes: Vec<String>,
}

/// What is watched, in one line of at most a terminal's width.
pub fn line(tally: &Tally, now: Now, last: &str) -> String {
    let computed = &tally.computed;
    let exposed = computed.exposed + now.work.exposed;
    let share = 100.0 * exposed / now.seconds.max(1e-9);
    let doing = match now.phase {
        Phase::Loading => ", loading",
        Phase::AfterSdc => ", after an SDC",
        Phase::Passes => "",
    };
    let full = if now.is_disk_full { ", DISK FULL" } else { "" };
    let last = if last.is_empty() { "none" } else { last };
    format!(
        "{}  passes {}  SDC {}  DUE {}  exposed {:.1} %{doing}{full}  last event: {last}",
        clock(now.seconds),
        grouped((computed.passes + now.work.passes) as usize),
        tally.events.sdcs(),
        tally.events.dues(),
        share.min(100.0),
    )
}

/// Hours, minutes and seconds.
pub fn clock(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let (hours, minutes) = (whole / 3600, whole / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}", whole % 60)
}

impl Summary {
    /// Of a whole log; whether consequences are known says whether critical SDCs are counted.
    pub fn new(tally: &Tally, integrity: Option<&Integrity>, knows_critical: bool) -> Self {
        let mut header = vec!["event", "count", "per hour exposed", "95 % limits"];
        if tally.has_counts() {
            header.extend([
                "in the beam",
                "cross section (cm²)",
                "95 % limits",
                "FIT",
                "95 % limits",
            ]);
        }
        let names = event_names(tally, knows_critical);
        let rates = names
            .iter()
            .map(|(name, count)| rate_row(name, count.as_ref(), tally))
            .collect();
        Self {
            rows: rows(tally, integrity),
            header,
            rates,
            notes: notes(tally, integrity),
        }
    }

    /// On a terminal.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.rows {
            text += &format!("{name:<13}{value}\n");
        }
        text += "\n";
        text += &table(&self.header, self.rates.clone());
        for note in &self.notes {
            text += &format!("note: {note}\n");
        }
        text
    }
}

/// How many there are of a kind of event.
type Count = Box<dyn Fn(&Events) -> u64>;

fn event_names(tally: &Tally, knows_critical: bool) -> Vec<(String, Count)> {
    let mut names: Vec<(String, Count)> = vec![("SDC".to_owned(), Box::new(Events::sdcs))];
    if knows_critical {
        names.push((
            "critical SDC".to_owned(),
            Box::new(|events| events.critical),
        ));
    }
    for class in [SdcClass::Transient, SdcClass::UntilReload, SdcClass::Stuck] {
        if tally.events.sdc.contains_key(&Some(class)) {
            let count = move |events: &Events| count(&events.sdc, &Some(class));
            names.push((format!("SDC, {class}"), Box::new(count)));
        }
    }
    if tally.events.sdc.contains_key(&None) {
        let unknown = |events: &Events| count(&events.sdc, &None);
        names.push(("SDC, unclassified".to_owned(), Box::new(unknown)));
    }
    names.push(("DUE".to_owned(), Box::new(Events::dues)));
    for kind in DueKind::ALL {
        if tally.events.due.contains_key(&kind) {
            let count = move |events: &Events| count(&events.due, &kind);
            names.push((format!("DUE, {kind}"), Box::new(count)));
        }
    }
    if tally.events.bits_only > 0 {
        let bits = |events: &Events| events.bits_only;
        names.push((
            "other bits, within the tolerance".to_owned(),
            Box::new(bits),
        ));
    }
    names
}

fn count<K: Ord>(counts: &std::collections::BTreeMap<K, u64>, key: &K) -> u64 {
    counts.get(key).copied().unwrap_or(0)
}

fn rate_row(name: &str, count: &dyn Fn(&Events) -> u64, tally: &Tally) -> Vec<String> {
    let events = count(&tally.events);
    let per_hour = Rate::new(events, tally.computed.exposed / 3600.0);
    let mut row = vec![name.to_owned(), grouped(events as usize)];
    row.extend(cells(per_hour));
    if tally.has_counts() {
        let in_beam = count(&tally.in_beam.events);
        let cross_section = Rate::new(in_beam, tally.in_beam.fluence);
        row.push(grouped(in_beam as usize));
        row.extend(cells(cross_section));
        row.extend(cells(cross_section.map(Rate::fit)));
    }
    row
}

/// An estimate and its limits.
fn cells(rate: Option<Rate>) -> [String; 2] {
    match rate {
        None => ["–".to_owned(), "–".to_owned()],
        Some(rate) => [
            format!("{:.3e}", rate.estimate),
            format!("{:.2e} to {:.2e}", rate.limits.low, rate.limits.high),
        ],
    }
}

fn rows(tally: &Tally, integrity: Option<&Integrity>) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
    if let Some(integrity) = integrity {
        let records = grouped(integrity.records as usize);
        let files = grouped(integrity.files);
        row("log", format!("{records} records in {files} files"));
    }
    let computed = &tally.computed;
    let share = |seconds: f64| 100.0 * seconds / computed.seconds.max(1e-9);
    let exposed = format!(
        "{} of {}, {:.1} %; {:.1} % inside the engine",
        clock(computed.exposed),
        clock(computed.seconds),
        share(computed.exposed),
        share(computed.running),
    );
    row("exposure", exposed);
    row("computed", amounts(computed));
    let dead = clock(tally.dead());
    row(
        "dead time",
        format!("{dead}: loading, finding out, waiting"),
    );
    let workers = grouped(tally.workers as usize);
    let supervisors = grouped(tally.supervisors as usize);
    row(
        "processes",
        format!("{workers} workers of {supervisors} supervisors"),
    );
    if tally.has_counts() {
        let (fluence, exposed) = (tally.in_beam.fluence, clock(tally.in_beam.exposed));
        let text = format!("{fluence:.4e} particles/cm² while exposed, in {exposed}");
        row("fluence", text);
    }
    for (name, [low, high, last]) in &tally.telemetry {
        row("telemetry", format!("{name}: {low} to {high}, last {last}"));
    }
    if let Some(reason) = &tally.end {
        row("ended", reason.clone());
    }
    rows
}

fn amounts(computed: &Beat) -> String {
    format!(
        "{} passes, {} batches, {} samples, {} elements compared",
        grouped(computed.passes as usize),
        grouped(computed.batches as usize),
        grouped(computed.samples as usize),
        grouped(computed.elements as usize),
    )
}

fn notes(tally: &Tally, integrity: Option<&Integrity>) -> Vec<String> {
    let mut notes = notes_on_events(tally);
    notes.extend(notes_on_exposure(tally));
    if let Some(integrity) = integrity {
        notes.extend(notes_on_damage(integrity));
    }
    if tally.is_disk_full {
        notes.push("the disk of the log is full".to_owned());
    }
    if tally.end.is_none() && tally.supervisors > 0 {
        notes.push("the last supervisor has not said its end: it runs, or was lost".to_owned());
    }
    notes
}

/// A number and what there are so many of, unless there is none.
fn counted(count: u64, what: &str) -> Option<String> {
    (count > 0).then(|| format!("{} {what}", grouped(count as usize)))
}

fn notes_on_events(tally: &Tally) -> Vec<String> {
    let events = &tally.events;
    let own = count(&events.sdc, &Some(SdcClass::OwnDamage));
    let notes = [
        counted(
            own,
            "times inputs or goldens in memory were damaged: no SDC",
        ),
        counted(
            events.repeated,
            "times the error that was stuck came again: counted once",
        ),
        counted(
            events.due_while_loading,
            "workers were lost while they loaded: not exposed, not counted",
        ),
        counted(
            events.ordered,
            "gaps follow a command of the user: not counted",
        ),
        counted(tally.lost, "events were lost on a full disk"),
        counted(
            tally.in_beam.events_without_beam,
            "events while the counter stood still",
        ),
    ];
    notes.into_iter().flatten().collect()
}

fn notes_on_exposure(tally: &Tally) -> Vec<String> {
    let mut notes = Vec::new();
    let exposed = tally.computed.exposed;
    let naive = tally.exposed_at_sdc_lines;
    if naive < exposed && tally.events.sdcs() > 0 {
        let (times, naive) = (exposed / naive.max(1e-9), clock(naive));
        notes.push(format!(
            "up to the last SDC alone, the exposure would be {naive}, and rates {times:.2} times \
             too high"
        ));
    }
    let uncovered = tally.in_beam.uncovered;
    if uncovered > 0.0 {
        let uncovered = clock(uncovered);
        notes.push(format!(
            "{uncovered} of exposure are not covered by the counts: left out"
        ));
    }
    if tally.stalled > 0.0 {
        notes.push(format!(
            "the supervisor stood still for {:.0} s",
            tally.stalled
        ));
    }
    notes.extend(counted(
        tally.clock_steps,
        "times the system's clock was set",
    ));
    notes
}

fn notes_on_damage(integrity: &Integrity) -> Vec<String> {
    let places = integrity.damaged_at.iter();
    let places: Vec<String> = places.map(|(file, at)| format!("{file}:{at}")).collect();
    let damaged = format!("bytes are no whole record: {}", places.join(", "));
    let notes = [
        counted(integrity.damaged_bytes, &damaged),
        counted(integrity.missing, "records are missing"),
        counted(integrity.repeated, "records came twice: taken once"),
    ];
    notes.into_iter().flatten().collect()
}

/// Logs of libLogHelper: the table that its parsers make, and the rates with their limits.
pub fn rows_of_others(rows: &[Row]) -> String {
    let header = [
        "begun",
        "benchmark",
        "host",
        "SDC",
        "DUE",
        "abort",
        "system",
        "end",
        "errors",
        "exposure",
    ];
    let cells = |row: &Row| {
        let counts = [
            row.sdc,
            row.application_due,
            row.abort,
            row.system_due,
            row.end,
            row.errors,
        ];
        let mut cells = vec![row.begun.clone(), row.benchmark.clone(), row.host.clone()];
        cells.extend(counts.map(|count| count.to_string()));
        cells.push(format!("{:.1} s", row.seconds));
        cells
    };
    let mut text = table(&header, rows.iter().map(cells).collect());
    let seconds: f64 = rows.iter().map(|row| row.seconds).sum();
    let naive: f64 = rows.iter().map(|row| row.seconds_at_last_sdc).sum();
    let sum = |count: fn(&Row) -> u64| rows.iter().map(count).sum::<u64>();
    let dues = sum(|row| row.application_due) + sum(|row| row.system_due);
    let rates = [("SDC", sum(|row| row.sdc)), ("DUE", dues)].map(|(name, events)| {
        let mut cells_of = vec![name.to_owned(), grouped(events as usize)];
        cells_of.extend(self::cells(Rate::new(events, seconds / 3600.0)));
        cells_of
    });
    text += "\n";
    let header = ["event", "count", "per hour exposed", "95 % limits"];
    text += &table(&header, rates.to_vec());
    text += &format!(
        "note: exposure {seconds:.1} s; from lines with an SDC alone it would be {naive:.1} s\n"
    );
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::watch::fluence::Counts;
    use crate::watch::log::Entry;
    use crate::watch::log::event::{Due, Event};
    use crate::watch::message::Work;

    fn tally(counts: Option<Counts>) -> Tally {
        let mut tally = Tally::new(counts, BTreeSet::new());
        let beat = Beat {
            seconds: 7200.0,
            exposed: 3600.0,
            running: 1800.0,
            passes: 1234,
            ..Beat::default()
        };
        let due = Due {
            kind: DueKind::Hang,
            worker: 1,
            phase: Phase::Passes,
            what: String::new(),
            said: String::new(),
            silent: 9.0,
            in_a_row: 1,
        };
        for (sequence, event) in (1..).zip([Event::Beat(beat), Event::Due(due)]) {
            tally.add(&Entry {
                sequence,
                monotonic: 7200.0,
                unix: 7200.0,
                event,
            });
        }
        tally
    }

    #[test]
    fn a_line_says_how_things_stand() {
        let now = Now {
            seconds: 7261.0,
            phase: Phase::Loading,
            work: Work::default(),
            is_disk_full: true,
        };
        let expected = "02:01:01  passes 1,234  SDC 0  DUE 1  exposed 49.6 %, loading, DISK FULL  \
                        last event: none";
        assert_eq!(line(&tally(None), now, ""), expected);
    }

    #[test]
    fn rates_are_per_hour_of_exposure_and_cross_sections_per_fluence() {
        let summary = Summary::new(&tally(None), None, true);
        let names: Vec<&str> = summary.rates.iter().map(|row| row[0].as_str()).collect();
        assert_eq!(names, ["SDC", "critical SDC", "DUE", "DUE, hang"]);
        assert_eq!(summary.rates[0][2..], ["0.000e0", "0.00e0 to 3.69e0"]);
        assert_eq!(summary.rates[3][1..3], ["1", "1.000e0"]);
        assert!(
            summary
                .text()
                .contains("01:00:00 of 02:00:00, 50.0 %; 25.0 % inside")
        );

        let counts = Counts::new(vec![(0.0, 0.0), (7200.0, 2e9)], 1.0);
        let summary = Summary::new(&tally(counts), None, false);
        let due = &summary.rates[1];
        assert_eq!(due.len(), summary.header.len());
        // One event in 10⁹ particles per cm².
        assert_eq!((due[4].as_str(), due[5].as_str()), ("1", "1.000e-9"));
        assert_eq!(due[7], "1.300e1");
    }

    #[test]
    fn logs_of_others_have_limits_too() {
        let row = Row {
            sdc: 2,
            seconds: 7200.0,
            seconds_at_last_sdc: 10.0,
            ..Row::default()
        };
        let text = rows_of_others(&[row]);
        assert!(
            text.contains("1.000e0") && text.contains("would be 10.0 s"),
            "{text}"
        );
    }
}
