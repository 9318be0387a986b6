//! The summary of a watch: lines, rates and cross sections, notes.

use console::grouped;

use super::notes::notes;
use super::rates::{EventRate, cells, event_rates};
use super::rows::rows;
use crate::report::table::table;
use crate::watch::log::Integrity;
use crate::watch::tally::Tally;

/// A summary: lines with a name each, and a table of rates.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    pub rows: Vec<(String, String)>,
    pub header: Vec<&'static str>,
    pub rates: Vec<Vec<String>>,
    /// What a reader has to know.
    pub notes: Vec<String>,
    /// The rates as numbers.
    pub(super) numbers: Vec<EventRate>,
}

impl Summary {
    /// Of a whole log; whether consequences are known says whether critical SDCs are counted.
    pub fn new(tally: &Tally, integrity: Option<&Integrity>, knows_critical: bool) -> Self {
        let header = match tally.counts() {
            None => vec!["event", "count", "per hour exposed", "95 % limits"],
            Some(_) => vec![
                "event",
                "count",
                "in the beam",
                "per hour in the beam",
                "95 % limits",
                "cross section (cm²)",
                "95 % limits",
                "FIT",
                "95 % limits",
            ],
        };
        let numbers = event_rates(tally, knows_critical);
        Self {
            rows: rows(tally, integrity),
            header,
            rates: numbers.iter().map(rate_row).collect(),
            notes: notes(tally, integrity),
            numbers,
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

fn rate_row(rate: &EventRate) -> Vec<String> {
    let mut row = vec![rate.event.clone(), counted(rate.count, rate.known)];
    row.extend(
        rate.in_beam
            .iter()
            .map(|beam| counted(beam.count, beam.known)),
    );
    row.extend(cells(rate.per_hour));
    if let Some(in_beam) = &rate.in_beam {
        row.extend(cells(in_beam.cross_section_cm2));
        row.extend(cells(in_beam.fit));
    }
    row
}

/// A count, and of how many where it is not of all.
fn counted(count: u64, known: Option<u64>) -> String {
    let count = grouped(count as usize);
    match known {
        None => count,
        Some(known) => format!("{count} of {}", grouped(known as usize)),
    }
}
