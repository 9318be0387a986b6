//! The report of a watch's log as one document: every sum, rate and note, as JSON or Markdown.

use std::path::Path;

use console::grouped;
use schemars::JsonSchema;
use serde::Serialize;

use super::rates::EventRate;
use super::summary::Summary;
use super::words::date;
use crate::report::table::table;
use crate::watch::fluence::{Conversion, Counts, Reset};
use crate::watch::log::Integrity;
use crate::watch::sums::Sums;
use crate::watch::tally::Tally;

/// `major.minor` of the report's layout; a reader refuses another major one.
pub const WATCH_REPORT_VERSION: &str = "1.0";

/// What a log comes to.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct WatchReport {
    /// `major.minor` of this layout.
    pub report_version: String,
    /// The version of the verifier that sums up.
    pub verifier: String,
    /// The folder of the log.
    pub log: String,
    pub records: RecordsReport,
    /// The counts of particles, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<CountsReport>,
    /// One for each bundle, part, device and host: they are summed up apart.
    pub settings: Vec<SettingReport>,
    #[serde(skip)]
    summaries: Vec<Summary>,
}

/// What of a log could be read.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RecordsReport {
    pub files: usize,
    pub whole: u64,
    /// Bytes that are no whole record.
    pub damaged_bytes: u64,
    /// Numbers of records that are not there.
    pub missing: u64,
    /// Records that came again, and were not taken.
    pub repeated: u64,
    /// Whole records of a newer version, whose events are not counted.
    pub unknown: u64,
}

/// Counts of particles.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CountsReport {
    pub file: String,
    pub readings: usize,
    /// Seconds since 1970-01-01 UTC of the first and the last one.
    pub first: f64,
    pub last: f64,
    /// Particles per cm² for each count, and what of them is left at the device.
    pub factor: f64,
    pub attenuation: f64,
    /// Hours that times without a zone were ahead of UTC.
    pub hours_ahead: f64,
    pub resets: Vec<ResetReport>,
    /// Readings at the time of another one, of which the last was taken.
    pub same_time: usize,
}

/// A counter that began anew.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct ResetReport {
    /// Seconds since 1970-01-01 UTC of the reading behind it.
    pub unix: f64,
    /// What the counter stood at before and behind it.
    pub from: f64,
    pub to: f64,
}

/// What was run with one setting.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SettingReport {
    /// Seconds since 1970-01-01 UTC of the first and the last record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span: Option<(f64, f64)>,
    /// Events that a rehearsal caused on purpose.
    pub rehearsed: u64,
    /// Seconds that a supervisor was there, and of them the exposure.
    pub seconds: f64,
    pub exposed: f64,
    /// With counts: particles per cm² while exposed, and exposure while the counter moved, while it
    /// stood still, and where there is no reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beam: Option<BeamReport>,
    pub rates: Vec<EventRate>,
    /// The lines of the report, a name and a value each.
    pub lines: Vec<(String, String)>,
    pub notes: Vec<String>,
}

/// What the counts say of the exposure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct BeamReport {
    /// Particles per cm².
    pub fluence: f64,
    /// Seconds.
    pub exposed_on: f64,
    pub exposed_off: f64,
    pub exposed_unknown: f64,
}

impl WatchReport {
    /// Of the sums of a log.
    pub fn new(
        log: &Path,
        sums: &Sums,
        integrity: &Integrity,
        counts: Option<CountsReport>,
    ) -> Self {
        let summary = |(at, tally): (usize, &Tally)| {
            let integrity = (at == 0).then_some(integrity);
            Summary::new(tally, integrity, tally.has_table())
        };
        let summaries: Vec<Summary> = sums.tallies().enumerate().map(summary).collect();
        let settings = sums.tallies().zip(&summaries);
        Self {
            report_version: WATCH_REPORT_VERSION.to_owned(),
            verifier: env!("CARGO_PKG_VERSION").to_owned(),
            log: log.display().to_string(),
            records: RecordsReport {
                files: integrity.files,
                whole: integrity.records,
                damaged_bytes: integrity.damaged_bytes,
                missing: integrity.missing,
                repeated: integrity.repeated,
                unknown: integrity.unknown,
            },
            counts,
            settings: settings.map(setting_report).collect(),
            summaries,
        }
    }

    /// On a terminal.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if self.summaries.len() > 1 {
            let settings = self.summaries.len();
            text += &format!("{:<13}{settings}, each summed up apart\n", "settings");
        }
        if let Some(counts) = &self.counts {
            text += &format!("{:<13}{}\n", "counts", counts.text());
        }
        for (at, summary) in self.summaries.iter().enumerate() {
            if self.summaries.len() > 1 {
                text += &format!("\nsetting {} of {}\n", at + 1, self.summaries.len());
            }
            text += &summary.text();
        }
        for note in self.counts.iter().flat_map(CountsReport::notes) {
            text += &format!("note: {note}\n");
        }
        text
    }

    /// As a page of text.
    pub fn to_markdown(&self) -> String {
        let mut page = format!("# Watch: {}\n\n", self.log);
        if let Some(counts) = &self.counts {
            page += &format!("Counts: {}\n\n", counts.text());
        }
        for (at, summary) in self.summaries.iter().enumerate() {
            if self.summaries.len() > 1 {
                page += &format!("## Setting {} of {}\n\n", at + 1, self.summaries.len());
            }
            let lines = summary.rows.iter();
            let lines = lines.map(|(name, value)| vec![name.clone(), value.clone()]);
            page += &table(&["line", "value"], lines.collect());
            page += &format!("\n{}\n", table(&summary.header, summary.rates.clone()));
            page.extend(summary.notes.iter().map(|note| format!("- {note}\n")));
            page += "\n";
        }
        let notes = self.counts.iter().flat_map(CountsReport::notes);
        page.extend(notes.map(|note| format!("- {note}\n")));
        page
    }

    /// As JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers and texts") + "\n"
    }
}

impl CountsReport {
    /// Of a file that was read.
    pub fn new(file: &Path, counts: &Counts, conversion: Conversion) -> Self {
        let (first, last) = counts.span();
        let resets = counts.resets.iter();
        Self {
            file: file.display().to_string(),
            readings: counts.readings(),
            first,
            last,
            factor: conversion.factor,
            attenuation: conversion.attenuation,
            hours_ahead: conversion.hours_ahead,
            resets: resets.map(ResetReport::from).collect(),
            same_time: counts.same_time,
        }
    }

    fn text(&self) -> String {
        format!(
            "{}: {} readings, {} to {}; factor {}, attenuation {}, {} hours ahead of UTC",
            self.file,
            grouped(self.readings),
            date(self.first),
            date(self.last),
            self.factor,
            self.attenuation,
            self.hours_ahead,
        )
    }

    fn notes(&self) -> Vec<String> {
        let reset = |reset: &ResetReport| {
            format!(
                "the counter began anew before {}, from {} to {}: the time since the reading \
                 before is left out",
                date(reset.unix),
                reset.from,
                reset.to
            )
        };
        let mut notes: Vec<String> = self.resets.iter().map(reset).collect();
        if self.same_time > 0 {
            let same = grouped(self.same_time);
            notes.push(format!(
                "{same} readings have the time of another one: the last of each time was taken"
            ));
        }
        notes
    }
}

impl From<&Reset> for ResetReport {
    fn from(reset: &Reset) -> Self {
        Self {
            unix: reset.time,
            from: reset.from,
            to: reset.to,
        }
    }
}

fn setting_report((tally, summary): (&Tally, &Summary)) -> SettingReport {
    let in_beam = &tally.in_beam;
    SettingReport {
        span: tally.span,
        rehearsed: tally.rehearsed,
        seconds: tally.computed.seconds,
        exposed: tally.computed.exposed,
        beam: tally.counts().map(|_| BeamReport {
            fluence: in_beam.fluence,
            exposed_on: in_beam.exposed,
            exposed_off: in_beam.exposed_off,
            exposed_unknown: in_beam.exposed_unknown,
        }),
        rates: summary.numbers.clone(),
        lines: summary.rows.clone(),
        notes: summary.notes.clone(),
    }
}
