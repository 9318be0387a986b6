//! Logs of libLogHelper: the table of their runs, and rates.

use console::grouped;
use schemars::JsonSchema;
use serde::Serialize;

use super::document::WATCH_REPORT_VERSION;
use super::rates::{EventRate, RateRecord, cells};
use crate::report::table::table;
use crate::watch::log_helper::Row;
use crate::watch::rates::Rate;

/// Logs of libLogHelper: the table that its parsers make, and the rates with their limits.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct OthersReport {
    /// `major.minor` of this layout.
    pub report_version: String,
    /// The version of the verifier that sums up.
    pub verifier: String,
    pub runs: Vec<Row>,
    /// Seconds of all runs.
    pub exposed: f64,
    /// SDCs and DUEs of all runs.
    pub rates: Vec<EventRate>,
    pub notes: Vec<String>,
}

impl OthersReport {
    /// Of the logs among files; the others are named.
    pub fn new(files: Vec<Row>) -> Self {
        let (runs, others): (Vec<Row>, Vec<Row>) = files.into_iter().partition(Row::is_log);
        let exposed: f64 = runs.iter().map(|run| run.seconds).sum();
        let sum = |count: fn(&Row) -> u64| runs.iter().map(count).sum::<u64>();
        let dues = sum(|run| run.application_due) + sum(|run| run.system_due);
        let rates = [("SDC", sum(|run| run.sdc)), ("DUE", dues)].map(|(event, count)| EventRate {
            event: event.to_owned(),
            count,
            known: None,
            per_hour: Rate::new(count, exposed / 3600.0).map(RateRecord::from),
            in_beam: None,
        });
        Self {
            report_version: WATCH_REPORT_VERSION.to_owned(),
            verifier: env!("CARGO_PKG_VERSION").to_owned(),
            notes: notes(&runs, &others, exposed),
            exposed,
            rates: rates.to_vec(),
            runs,
        }
    }

    /// On a terminal.
    pub fn text(&self) -> String {
        let mut text = self.tables();
        for note in &self.notes {
            text += &format!("note: {note}\n");
        }
        text
    }

    /// As a page of text.
    pub fn to_markdown(&self) -> String {
        let mut page = format!("# Watch: logs of libLogHelper\n\n{}\n", self.tables());
        page.extend(self.notes.iter().map(|note| format!("- {note}\n")));
        page
    }

    /// As JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers and texts") + "\n"
    }

    fn tables(&self) -> String {
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
        let runs = table(&header, self.runs.iter().map(cells_of_run).collect());
        let rates = self.rates.iter().map(|rate| {
            let mut row = vec![rate.event.clone(), grouped(rate.count as usize)];
            row.extend(cells(rate.per_hour));
            row
        });
        let header = ["event", "count", "per hour exposed", "95 % limits"];
        format!("{runs}\n{}", table(&header, rates.collect()))
    }
}

fn cells_of_run(run: &Row) -> Vec<String> {
    let counts = [
        run.sdc,
        run.application_due,
        run.abort,
        run.system_due,
        run.end,
        run.errors,
    ];
    let mut cells = vec![run.begun.clone(), run.benchmark.clone(), run.host.clone()];
    cells.extend(counts.map(|count| count.to_string()));
    cells.push(format!("{:.1} s", run.seconds));
    cells
}

fn notes(runs: &[Row], others: &[Row], exposed: f64) -> Vec<String> {
    let naive: f64 = runs.iter().map(|run| run.seconds_at_last_sdc).sum();
    let mut notes = vec![format!(
        "exposure {exposed:.1} s; from lines with an SDC alone it would be {naive:.1} s"
    )];
    for run in runs {
        let (file, absurd, unknown) = (&run.file, run.absurd_sums, run.unknown_lines);
        if absurd > 0 {
            notes.push(format!(
                "{file}: {absurd} sums of seconds are more than their iterations can have taken: \
                 not taken"
            ));
        }
        if unknown > 0 {
            notes.push(format!("{file}: {unknown} lines were not understood"));
        }
    }
    let others = others.iter();
    notes.extend(others.map(|other| format!("{}: no log of libLogHelper: left out", other.file)));
    notes
}
