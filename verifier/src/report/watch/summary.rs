//! The summary of a watch: lines, rates and cross sections, notes.

use console::grouped;

use super::notes::notes;
use super::rows::rows;
use super::words::{cells, count};
use crate::report::table::table;
use crate::watch::log::Integrity;
use crate::watch::log::event::{DueKind, SdcClass};
use crate::watch::rates::Rate;
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
