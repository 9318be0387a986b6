//! The record for people, as Markdown.

use std::fmt::Write as _;

use super::bench::Bench;
use super::by_bit::{self, MANY};
use super::check::Check;
use super::injected;
use super::matrix::Matrix;
use super::record::{Body, Record};
use super::sample::{FACTS, Fact};
use super::table::{cell, one_line, table};
use super::text;
use crate::check::{BitsResult, CheckResult, FaultResult, FaultyOutput, OutputResult};
use crate::compare::Largest;

/// Faults, and faulty samples, that are listed; the JSON report has all of them.
const SHOWN: usize = 50;

/// Columns on a faulty sample, after those on its image.
const OF_FAULTY: [&str; 9] = [
    "output",
    "outside",
    "not finite",
    "pattern",
    "worst element",
    "golden",
    "actual",
    "XOR",
    "with the error",
];

/// A page's heading with the verdict, and the error if there is one.
fn begin<B: Body>(record: &Record<B>, title: &str) -> String {
    let verdict = record.verdict.name().to_uppercase();
    let mut page = format!("# {title}: {verdict}\n\n");
    if let Some(error) = &record.error {
        let _ = writeln!(page, "Error: {}\n", one_line(error));
    }
    page
}

/// Names and values as a table.
fn setting(page: &mut String, rows: &[(&str, String)]) {
    page.push_str("| | |\n|---|---|\n");
    for (name, value) in rows {
        let _ = writeln!(page, "| {name} | {} |", cell(value));
    }
}

/// The page of a check.
pub(super) fn check(record: &Record<Check>) -> String {
    let mut page = begin(record, "Verification");
    let _ = writeln!(page, "{}\n", record.sentence());
    setting(&mut page, &record.full_setting());
    if let Some(result) = &record.body.result {
        comparison(&mut page, result);
        faults(&mut page, &result.faults);
        faulty(&mut page, &result.faulty);
    }
    page
}

/// The page of times.
pub(super) fn bench(record: &Record<Bench>) -> String {
    let mut page = begin(record, "Times");
    setting(&mut page, &record.full_setting());
    let (table, legend) = (record.body.table(), record.body.legend());
    let _ = writeln!(page, "\n{table}\n{legend}");
    page
}

/// The page of several configurations.
pub(super) fn matrix(record: &Record<Matrix>) -> String {
    let mut page = begin(record, "Comparison of engines");
    setting(&mut page, &record.full_setting());
    let _ = writeln!(page, "\n{}", record.body.tables());
    let runtimes = record.body.runtimes();
    if !runtimes.is_empty() {
        page.push_str("SHA-256 of the runtimes:\n\n");
    }
    for (number, runtime, sha256) in runtimes {
        let _ = writeln!(page, "- {number} `{runtime}`: {sha256}");
    }
    let files = record.body.output_files();
    if !files.is_empty() {
        page.push_str("\nBLAKE3 of the files of outputs:\n\n");
    }
    for (number, file) in files {
        let path = file.path.display().to_string();
        let _ = writeln!(page, "- {number} `{}`: {}", one_line(&path), file.blake3);
    }
    page
}

fn comparison(page: &mut String, result: &CheckResult) {
    page.push_str("\n## Comparison\n\n");
    if let Some(stopped) = result.stopped {
        let samples = result.samples;
        let _ = writeln!(
            page,
            "**Partial**: {} after {samples} samples.\n",
            text::stopped(stopped)
        );
    }
    let differing = match result.differing_samples {
        Some(samples) => format!("{samples} differ at all"),
        None => "no bits were compared".to_owned(),
    };
    let _ = writeln!(
        page,
        "{} samples compared; {differing}, {} are faulty. {:.2} s in the engine, {:.2} s in \
         comparing.\n",
        result.samples, result.faulty_samples, result.seconds.running, result.seconds.comparing
    );
    let columns = [
        "output",
        "elements",
        "differing",
        "outside",
        "not finite",
        "largest error",
        "largest ULP distance",
    ];
    page.push_str(&table(
        &columns,
        result.outputs.iter().map(output_cells).collect(),
    ));
    if let Some(repeats) = &result.repeats {
        let _ = writeln!(page, "\n{}", text::repeats(repeats));
    }
    for (name, value) in text::classes(result) {
        let _ = writeln!(page, "\n{name}: {}", one_line(&value));
    }
    if !result.without_golden.is_empty() {
        let names = result.without_golden.join(", ");
        let _ = writeln!(page, "\nwithout golden, and not compared: {names}");
    }
}

fn output_cells(output: &OutputResult) -> Vec<String> {
    let of_bits = |text: fn(&BitsResult) -> String| {
        let bits = output.bits.as_ref();
        bits.map_or_else(|| text::NO_BITS.to_owned(), text)
    };
    vec![
        output.name.clone().unwrap_or_default(),
        output.elements.to_string(),
        of_bits(|bits| bits.differing_elements.to_string()),
        output.mismatched_elements.to_string(),
        output.non_finite_elements.to_string(),
        largest(&output.max_abs_error, |value| format!("{value:.3e}")),
        of_bits(|bits| largest(&bits.max_ulp, |value| value.to_string())),
    ]
}

fn largest<T: Copy>(largest: &Largest<T>, text: impl Fn(T) -> String) -> String {
    match &largest.index {
        None => "0".to_owned(),
        Some(index) => format!("{} at {index:?}", text(largest.value)),
    }
}

fn faults(page: &mut String, faults: &[FaultResult]) {
    if faults.is_empty() {
        return;
    }
    let columns = [
        "fault",
        "outcome",
        "largest change",
        "samples beyond the tolerance",
        "flagged",
    ];
    page.push_str("\n## Faults\n\n");
    if faults.len() > MANY {
        page.push_str(&by_bit::sums(faults));
        page.push('\n');
    }
    let listed = by_bit::listed(faults, SHOWN).into_iter();
    page.push_str(&table(&columns, listed.map(fault_cells).collect()));
    if faults.len() > SHOWN {
        let more = faults.len() - SHOWN;
        let _ = writeln!(page, "\n… and {more} more; the JSON report lists them all.");
    }
}

fn fault_cells(fault: &FaultResult) -> Vec<String> {
    let mut name = format!("`{}`", fault.fault);
    if let Some((place, other_name)) = fault.other_name() {
        let _ = write!(name, " ({place} `{other_name}`)");
    }
    vec![
        name,
        fault.outcome.name().to_owned(),
        injected::change(fault),
        fault.samples_beyond.to_string(),
        fault.samples_flagged.to_string(),
    ]
}

fn faulty(page: &mut String, faulty: &[FaultyOutput]) {
    if faulty.is_empty() {
        return;
    }
    let shown = &faulty[..faulty.len().min(SHOWN)];
    let is_known = |(_, of): &&Fact| shown.iter().any(|faulty| of(&faulty.info).is_some());
    let facts: Vec<&Fact> = FACTS.iter().filter(is_known).collect();
    let names = facts.iter().map(|(name, _)| *name);
    let columns: Vec<&str> = std::iter::once("sample")
        .chain(names)
        .chain(OF_FAULTY)
        .collect();
    page.push_str("\n## Faulty samples\n\n");
    let rows = shown.iter().map(|faulty| faulty_cells(faulty, &facts));
    page.push_str(&table(&columns, rows.collect()));
    if faulty.len() > SHOWN {
        let more = faulty.len() - SHOWN;
        let _ = writeln!(
            page,
            "\n… and {more} more; the JSON and CSV reports list them all."
        );
    }
}

fn faulty_cells(faulty: &FaultyOutput, facts: &[&Fact]) -> Vec<String> {
    let worst = &faulty.worst;
    let facts = facts.iter().map(|(_, of)| of(&faulty.info));
    let mut cells = vec![faulty.sample.to_string()];
    cells.extend(facts.map(|fact| fact.unwrap_or_else(|| "–".to_owned())));
    cells.extend([
        faulty.output.clone(),
        faulty.mismatched_elements.to_string(),
        faulty.non_finite_elements.to_string(),
        faulty.pattern.to_string(),
        format!("{:?}", &worst.index[1..]),
        format!("{:e}", worst.golden),
        format!("{:e}", worst.actual),
        match worst.xor {
            Some(xor) => format!("`{xor:08x}`"),
            None => text::NO_BITS.to_owned(),
        },
        match &faulty.class {
            Some(change) => text::class_change(change),
            None => "–".to_owned(),
        },
    ]);
    cells
}
