//! What became of the faults that were put in, in words.

use std::fmt::Write as _;

use console::grouped;

use super::by_bit::{self, MANY};
use super::text::line;
use crate::check::{CheckResult, FaultOutcome, FaultResult};

/// What became of the faults; nothing where there are none.
pub fn text(result: &CheckResult) -> String {
    let mut text = String::new();
    let faults = &result.faults;
    if faults.is_empty() {
        return text;
    }
    line!(
        text,
        "injected",
        "{} faults: {}; {} samples without one were flagged",
        grouped(faults.len()),
        counts(result),
        grouped(result.flagged_without_fault)
    );
    if faults.len() > MANY {
        text.push_str(&by_bit::sums(faults));
    }
    for fault in by_bit::listed(faults, MANY) {
        text.push_str(&fault_line(fault));
    }
    if faults.len() > MANY {
        let more = grouped(faults.len() - MANY);
        let _ = writeln!(
            text,
            "  … and {more} more (--report FILE.json lists them all)"
        );
    }
    text
}

/// How far a fault changed the outputs.
pub(super) fn change(fault: &FaultResult) -> String {
    match (fault.outcome, fault.non_finite) {
        (FaultOutcome::NotReached, _) => "–".to_owned(),
        (_, true) => "not finite".to_owned(),
        (_, false) => format!("{:.3e}", fault.largest_change),
    }
}

fn counts(result: &CheckResult) -> String {
    let count = |outcome| grouped(result.faults_that_are(outcome));
    let mut counts = vec![
        format!("{} detected", count(FaultOutcome::Detected)),
        format!("{} missed", count(FaultOutcome::Missed)),
        format!("{} within tolerance", count(FaultOutcome::WithinTolerance)),
        format!("{} masked", count(FaultOutcome::Masked)),
    ];
    if result.faults_that_are(FaultOutcome::NotReached) > 0 {
        counts.push(format!("{} not reached", count(FaultOutcome::NotReached)));
    }
    counts.join(", ")
}

fn fault_line(fault: &FaultResult) -> String {
    let mut name = fault.fault.to_string();
    if let Some((place, other_name)) = fault.other_name() {
        let _ = write!(name, " ({place} {other_name})");
    }
    let outcome = fault.outcome.name();
    if fault.outcome == FaultOutcome::NotReached {
        return format!("  {outcome:<16} {name}: its sample was not run\n");
    }
    let change = if fault.non_finite {
        "to or from a value that is not finite".to_owned()
    } else {
        format!("by up to {:.3e}", fault.largest_change)
    };
    format!(
        "  {outcome:<16} {name}: changed {change}; beyond the tolerance in {} samples, flagged in \
         {}\n",
        grouped(fault.samples_beyond),
        grouped(fault.samples_flagged)
    )
}
