//! The lines of a watch's summary, a name and a value each.

use console::grouped;

use super::words::{clock, date};
use crate::watch::log::Integrity;
use crate::watch::log::event::Beat;
use crate::watch::tally::Tally;

/// What a log was run with, in the order of the lines.
const SETTING: [&str; 10] = [
    "bundle",
    "BLAKE3",
    "part",
    "device",
    "ran on",
    "runtime",
    "batch size",
    "compared",
    "host",
    "verifier",
];

pub(super) fn rows(tally: &Tally, integrity: Option<&Integrity>) -> Vec<(String, String)> {
    let mut rows = rows_on_setting(tally, integrity);
    let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
    let computed = &tally.computed;
    let share = |seconds: f64| 100.0 * seconds / computed.seconds.max(1e-9);
    let exposed = format!(
        "{} of {}, {:.1} %; comparing {:.1} %",
        clock(computed.exposed),
        clock(computed.seconds),
        share(computed.exposed),
        share(computed.comparing),
    );
    row("exposure", exposed);
    row("computed", amounts(computed));
    let dead = clock(tally.dead());
    row(
        "dead time",
        format!("{dead}: comparing, loading, waiting, finding out what an SDC was"),
    );
    let workers = grouped(tally.workers as usize);
    let supervisors = grouped(tally.supervisors as usize);
    row(
        "processes",
        format!("{workers} workers of {supervisors} supervisors"),
    );
    if tally.counts().is_some() {
        let (fluence, exposed) = (tally.in_beam.fluence, clock(tally.in_beam.exposed));
        let text = format!("{fluence:.4e} particles/cm² while exposed, in {exposed} of beam");
        row("fluence", text);
    }
    for (name, values) in &tally.telemetry {
        let values = match values {
            Some([low, high, last]) => format!("{low} to {high}, last {last}"),
            None => "n/a".to_owned(),
        };
        row("telemetry", format!("{name}: {values}"));
    }
    for ((number, gpu), count) in &tally.xids {
        let gpu = gpu.map_or("a GPU".to_owned(), |gpu| format!("GPU {gpu}"));
        row("Xid", format!("{number} of {gpu}: {count} times"));
    }
    if let Some(reason) = &tally.end {
        row("ended", reason.clone());
    }
    rows
}

/// What was run, where and when; first of all that it was a rehearsal.
fn rows_on_setting(tally: &Tally, integrity: Option<&Integrity>) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
    if tally.rehearsed > 0 {
        let caused = grouped(tally.rehearsed as usize);
        row(
            "REHEARSAL",
            format!("{caused} events were caused on purpose: no rate is given"),
        );
    }
    if let Some(integrity) = integrity {
        let records = grouped(integrity.records as usize);
        let files = grouped(integrity.files);
        row("log", format!("{records} records in {files} files"));
    }
    for name in SETTING {
        let values = tally.setting.get(name).into_iter().flatten();
        let values: Vec<&str> = values.map(String::as_str).collect();
        if !values.is_empty() {
            row(name, values.join("; "));
        }
    }
    if let Some((first, last)) = tally.span {
        row("records", format!("{} to {}", date(first), date(last)));
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
