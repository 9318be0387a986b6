//! What was compared, what became of the faults, and the worst samples.

use console::grouped;
use maud::{Markup, html};

use super::super::by_bit::{self, ByBit, MANY};
use super::super::check::Check;
use super::super::record::Record;
use super::super::{injected, text};
use super::{bits, histogram, sample};
use crate::check::{CheckResult, FaultOutcome, FaultResult, OutputResult};
use crate::compare::Largest;

/// Faults in the table; the JSON report has all of them.
const FAULTS_SHOWN: usize = 50;

const COUNTS: [&str; 6] = [
    "elements",
    "differing",
    "outside",
    "not finite",
    "largest error",
    "ULP distance",
];

/// Everything below the verdict and above the setting.
pub(super) fn sections(record: &Record<Check>, result: &CheckResult) -> Markup {
    let worst = &record.body.worst;
    html! {
        @if let Some(stopped) = result.stopped {
            p.notice {
                "Partial: " (text::stopped(stopped)) " after " (grouped(result.samples))
                " samples."
            }
        }
        (figures(result))
        h2 { "Comparison with the golden" }
        (comparison(result))
        @for (name, value) in text::classes(result) { p { (name) ": " (value) } }
        @if !result.without_golden.is_empty() {
            p { "Without golden, and not compared: " (result.without_golden.join(", ")) }
        }
        @for output in &result.outputs {
            @if let Some(counts) = &output.histogram {
                (histogram::figure(name_of(output), counts, record.body.options.tolerance))
            }
        }
        @if !result.faults.is_empty() {
            h2 { "Faults put in on purpose" }
            (faults(&result.faults))
        }
        @if !worst.is_empty() {
            h2 { "Worst samples" }
            p.soft { (legend(worst.len(), result.faulty.len())) }
            div.samples { @for worst in worst { (sample::article(worst)) } }
        }
    }
}

fn name_of(output: &OutputResult) -> &str {
    output.name.as_deref().unwrap_or_default()
}

fn figures(result: &CheckResult) -> Markup {
    let count = |outcome| grouped(result.faults_that_are(outcome));
    html! {
        dl.figures {
            (figure("samples", &grouped(result.samples)))
            (figure("faulty samples", &grouped(result.faulty_samples)))
            (figure("largest error", &format!("{:.2e}", result.total.max_abs_error.value)))
            (figure("not finite", &grouped(result.total.non_finite_elements)))
            @if result.faults.is_empty() {
                (figure("samples/s", &format!("{:.0}", result.samples_per_second())))
            } @else {
                (figure("faults detected", &count(FaultOutcome::Detected)))
                (figure("faults missed", &count(FaultOutcome::Missed)))
            }
        }
    }
}

fn figure(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn legend(shown: usize, all: usize) -> String {
    let legend = "Each map is the tensor. Colours are elements outside the tolerance, greys those \
                  within; where nothing is drawn, the output equals the golden. A cell of a large \
                  tensor shows its largest error.";
    if all > shown {
        let all = grouped(all);
        format!("The {shown} worst of {all}; the JSON and CSV reports list them all. {legend}")
    } else {
        legend.to_owned()
    }
}

fn comparison(result: &CheckResult) -> Markup {
    html! {
        div.wide {
            table {
                thead { tr { th { "output" } @for name in COUNTS { th.n { (name) } } } }
                tbody { @for output in &result.outputs { (output_row(output)) } }
            }
        }
        @if let Some(repeats) = &result.repeats { p { (text::repeats(repeats)) } }
    }
}

fn output_row(output: &OutputResult) -> Markup {
    let bits = output.bits.as_ref();
    let counts = [
        Some(output.elements),
        bits.map(|bits| bits.differing_elements),
        Some(output.mismatched_elements),
        Some(output.non_finite_elements),
    ];
    let error = format!("{:.3e}", output.max_abs_error.value);
    html! {
        tr {
            td { (name_of(output)) }
            @for count in counts { td.n { (count.map_or(text::NO_BITS.to_owned(), grouped)) } }
            (largest(&output.max_abs_error, error))
            @match bits {
                Some(bits) => (largest(&bits.max_ulp, grouped(bits.max_ulp.value as usize))),
                None => td.n { (text::NO_BITS) },
            }
        }
    }
}

fn largest<T>(largest: &Largest<T>, value: String) -> Markup {
    html! {
        td.n {
            @match &largest.index {
                None => "0",
                Some(index) => span title={ "at " (format!("{index:?}")) } { (value) },
            }
        }
    }
}

fn faults(faults: &[FaultResult]) -> Markup {
    html! {
        @if faults.len() > MANY {
            @let sums = ByBit::of(faults);
            (bits::figure(&sums))
            (sums_table(&sums))
        }
        (faults_table(&by_bit::listed(faults, FAULTS_SHOWN)))
        @if faults.len() > FAULTS_SHOWN {
            @let more = grouped(faults.len() - FAULTS_SHOWN);
            p.soft { "… and " (more) " more; the JSON report lists them all." }
        }
    }
}

fn sums_table(sums: &ByBit) -> Markup {
    html! {
        div.wide {
            table {
                thead {
                    tr {
                        @for (number, name) in by_bit::columns().iter().enumerate() {
                            th.n[number > 0] { (name) }
                        }
                    }
                }
                tbody {
                    @for line in &sums.lines() {
                        tr {
                            @for (number, cell) in by_bit::cells(line).iter().enumerate() {
                                td.n[number > 0] { (cell) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn faults_table(faults: &[&FaultResult]) -> Markup {
    html! {
        div.wide {
            table {
                thead {
                    tr {
                        th { "fault" } th { "outcome" } th.n { "largest change" }
                        th.n { "samples beyond" } th.n { "flagged" }
                    }
                }
                tbody {
                    @for fault in faults {
                        tr {
                            td {
                                code { (fault.fault) }
                                @if let Some((place, other_name)) = fault.other_name() {
                                    br;
                                    span.soft { (place) " " code { (other_name) } }
                                }
                            }
                            td { (fault.outcome.name()) }
                            td.n { (injected::change(fault)) }
                            td.n { (grouped(fault.samples_beyond)) }
                            td.n { (grouped(fault.samples_flagged)) }
                        }
                    }
                }
            }
        }
    }
}
