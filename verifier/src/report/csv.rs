//! One line for each output of a faulty sample, under a head line.

use std::io;

use super::Report;

const COLUMNS: [&str; 16] = [
    "sample",
    "sample_index",
    "run",
    "output",
    "mismatched_elements",
    "non_finite_elements",
    "geometry",
    "first_index",
    "first_golden",
    "first_actual",
    "first_xor",
    "worst_index",
    "worst_golden",
    "worst_actual",
    "worst_xor",
    "run_verdict",
];

pub(super) fn write(report: &Report, writer: &mut dyn io::Write) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(writer);
    csv.write_record(COLUMNS)?;
    for faulty in report.result.iter().flat_map(|result| &result.faulty) {
        let index = |index: &[usize]| {
            index
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        csv.write_record([
            faulty.sample.to_string(),
            faulty.sample_index.to_string(),
            faulty.run.to_string(),
            faulty.output.clone(),
            faulty.mismatched_elements.to_string(),
            faulty.non_finite_elements.to_string(),
            faulty.geometry.to_string(),
            index(&faulty.first.index),
            faulty.first.golden.clone(),
            faulty.first.actual.clone(),
            faulty.first.xor.clone(),
            index(&faulty.worst.index),
            faulty.worst.golden.clone(),
            faulty.worst.actual.clone(),
            faulty.worst.xor.clone(),
            report.heading.verdict.to_owned(),
        ])?;
    }
    if report.heading.verdict == "error" {
        // A list without a line would read like a pass.
        let mut record = vec![""; COLUMNS.len()];
        record[COLUMNS.len() - 1] = "error";
        csv.write_record(record)?;
    }
    csv.flush()
}
