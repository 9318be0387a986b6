//! Lists as CSV: a line for each thing, under a head line.

use std::io;

use serde::Serialize;

use super::check::Check;
use super::record::{Record, Verdict};
use crate::check::FaultyOutput;

const COLUMNS: [&str; 23] = [
    "sample",
    "sample_index",
    "label",
    "prediction",
    "confidence",
    "tier",
    "run",
    "output",
    "mismatched_elements",
    "non_finite_elements",
    "pattern",
    "first_index",
    "first_golden",
    "first_actual",
    "first_xor",
    "worst_index",
    "worst_golden",
    "worst_actual",
    "worst_xor",
    "class_before",
    "class_after",
    "class_outcome",
    "run_verdict",
];

/// One line for each output of a faulty sample.
pub(super) fn faulty_outputs(record: &Record<Check>) -> io::Result<String> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(COLUMNS)?;
    for faulty in record.body.result.iter().flat_map(|result| &result.faulty) {
        csv.write_record(fields(faulty, record.verdict))?;
    }
    if record.verdict == Verdict::Error {
        // A list without a line would read like a pass.
        let mut last = vec![""; COLUMNS.len()];
        last[COLUMNS.len() - 1] = record.verdict.name();
        csv.write_record(last)?;
    }
    into_text(csv)
}

fn fields(faulty: &FaultyOutput, verdict: Verdict) -> Vec<String> {
    let info = &faulty.info;
    let mut fields = vec![
        faulty.sample.to_string(),
        info.sample_index.to_string(),
        optional(info.label),
        optional(info.prediction),
        optional(info.confidence),
        optional(info.tier),
        faulty.run.to_string(),
        faulty.output.clone(),
        faulty.mismatched_elements.to_string(),
        faulty.non_finite_elements.to_string(),
        faulty.pattern.to_string(),
    ];
    for pair in [&faulty.first, &faulty.worst] {
        let index: Vec<String> = pair.index.iter().map(ToString::to_string).collect();
        fields.push(index.join(" "));
        fields.push(format!("{:e}", pair.golden));
        fields.push(format!("{:e}", pair.actual));
        fields.push(optional(pair.xor.map(|xor| format!("{xor:08x}"))));
    }
    let class = faulty.class.as_ref();
    fields.push(optional(class.map(|change| change.before.class)));
    let after = class.and_then(|change| change.after);
    fields.push(optional(after.map(|class| class.class)));
    fields.push(optional(class.map(|change| change.outcome.name())));
    fields.push(verdict.name().to_owned());
    fields
}

fn optional(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// A line for each row; the columns are the fields' names.
pub(super) fn rows(rows: &[impl Serialize]) -> io::Result<String> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    for row in rows {
        csv.serialize(row)?;
    }
    into_text(csv)
}

fn into_text(csv: csv::Writer<Vec<u8>>) -> io::Result<String> {
    let bytes = csv
        .into_inner()
        .map_err(|error| io::Error::other(error.to_string()))?;
    String::from_utf8(bytes).map_err(io::Error::other)
}
