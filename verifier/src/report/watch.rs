//! A watch for a person: one line to glance at, and the summary with rates and cross sections.

use console::grouped;

use super::table::table;
use crate::watch::log::Integrity;
use crate::watch::log::event::{DueKind, Phase, SdcClass};
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
    let computed = &tally.computed;
    if let Some(integrity) = integrity {
        let files = grouped(integrity.files);
        row(
            "log",
            format!(
                "{} records in {files} files",
                grouped(integrity.records as usize)
            ),
        );
    }
    row(
        "exposure",
        format!(
            "{} of {}, {:.1} %; {:.1} % inside the engine",
            clock(computed.exposed),
            clock(computed.seconds),
            100.0 * computed.exposed / computed.seconds.max(1e-9),
            100.0 * computed.running / computed.seconds.max(1e-9),
        ),
    );
    row(
        "computed",
        format!(
            "{} passes, {} batches, {} samples, {} elements compared",
            grouped(computed.passes as usize),
            grouped(computed.batches as usize),
            grouped(computed.samples as usize),
            grouped(computed.elements as usize),
        ),
    );
    row(
        "dead time",
        format!("{}: loading, finding out, waiting", clock(tally.dead())),
    );
    row(
        "processes",
        format!(
            "{} workers of {} supervisors",
            grouped(tally.workers as usize),
            grouped(tally.supervisors as usize)
        ),
    );
    if tally.has_counts() {
        let in_beam = &tally.in_beam;
        row(
            "fluence",
            format!(
                "{:.4e} particles/cm² while exposed, in {}",
                in_beam.fluence,
                clock(in_beam.exposed)
            ),
        );
    }
    for (name, [low, high, last]) in &tally.telemetry {
        row("telemetry", format!("{name}: {low} to {high}, last {last}"));
    }
    if let Some(reason) = &tally.end {
        row("ended", reason.clone());
    }
    rows
}

fn notes(tally: &Tally, integrity: Option<&Integrity>) -> Vec<String> {
    let mut notes = Vec::new();
    let events = &tally.events;
    let mut note = |is_true: bool, text: String| {
        if is_true {
            notes.push(text);
        }
    };
    let own = count(&events.sdc, &Some(SdcClass::OwnDamage));
    note(
        own > 0,
        format!("{own} times inputs or goldens in memory were damaged: no SDC"),
    );
    let repeated = events.repeated;
    note(
        repeated > 0,
        format!("{repeated} times the error that was stuck came again: counted once"),
    );
    let loading = events.due_while_loading;
    note(
        loading > 0,
        format!("{loading} workers were lost while they loaded: not exposed, not counted"),
    );
    let ordered = events.ordered;
    note(
        ordered > 0,
        format!("{ordered} gaps follow a command of the user: not counted"),
    );
    note(
        tally.lost > 0,
        format!("{} events were lost on a full disk", tally.lost),
    );
    note(tally.is_disk_full, "the disk of the log is full".to_owned());
    note(
        tally.clock_steps > 0,
        format!("the system's clock was set {} times", tally.clock_steps),
    );
    let stalled = tally.stalled;
    note(
        stalled > 0.0,
        format!("the supervisor stood still for {stalled:.0} s"),
    );
    let naive = tally.exposed_at_sdc_lines;
    note(
        naive < tally.computed.exposed && events.sdcs() > 0,
        format!(
            "up to the last SDC alone, the exposure would be {}, and rates {:.2} times too high",
            clock(naive),
            tally.computed.exposed / naive.max(1e-9)
        ),
    );
    let in_beam = &tally.in_beam;
    note(
        in_beam.uncovered > 0.0,
        format!(
            "{} of exposure are not covered by the counts: left out",
            clock(in_beam.uncovered)
        ),
    );
    let without = in_beam.events_without_beam;
    note(
        without > 0,
        format!("{without} events while the counter stood still"),
    );
    if let Some(integrity) = integrity {
        let damaged = integrity.damaged_bytes;
        let places = integrity.damaged_at.iter();
        let places: Vec<String> = places.map(|(file, at)| format!("{file}:{at}")).collect();
        note(
            damaged > 0,
            format!("{damaged} bytes are no whole record: {}", places.join(", ")),
        );
        let missing = integrity.missing;
        note(missing > 0, format!("{missing} records are missing"));
        let repeated = integrity.repeated;
        note(
            repeated > 0,
            format!("{repeated} records came twice: taken once"),
        );
    }
    if tally.end.is_none() && tally.supervisors > 0 {
        notes.push("the last supervisor has not said its end: it runs, or was lost".to_owned());
    }
    notes
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
