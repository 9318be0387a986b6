//! What was compared, what became of the faults, and the worst samples.

use console::grouped;
use maud::{Markup, html};

use super::super::check::Check;
use super::super::record::Record;
use super::super::text;
use super::{histogram, map};
use crate::check::worst::WorstSample;
use crate::check::{CheckResult, FaultOutcome, FaultResult, OutputResult};
use crate::compare::Largest;

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
            div.samples { @for sample in worst { (worst_sample(sample)) } }
        }
    }
}

fn name_of(output: &OutputResult) -> &str {
    output.name.as_deref().unwrap_or_default()
}

fn figures(result: &CheckResult) -> Markup {
    let count = |outcome: FaultOutcome| {
        let faults = result.faults.iter();
        faults.filter(|fault| fault.outcome == outcome).count()
    };
    html! {
        dl.figures {
            (figure("samples", &grouped(result.samples)))
            (figure("faulty samples", &grouped(result.faulty_samples)))
            (figure("largest error", &format!("{:.2e}", result.total.max_abs_error.value)))
            (figure("not finite", &grouped(result.total.non_finite_elements)))
            @if result.faults.is_empty() {
                (figure("samples/s", &format!("{:.0}", result.samples_per_second())))
            } @else {
                (figure("faults detected", &count(FaultOutcome::Detected).to_string()))
                (figure("faults missed", &count(FaultOutcome::Missed).to_string()))
            }
        }
    }
}

fn figure(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn legend(shown: usize, all: usize) -> String {
    let legend = "Each map is the tensor, rows are tokens and columns features; coloured cells \
                  hold elements outside.";
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
                            td { code { (fault.fault) } }
                            td { (fault.outcome.name()) }
                            td.n { (text::change(fault)) }
                            td.n { (grouped(fault.samples_beyond)) }
                            td.n { (grouped(fault.samples_flagged)) }
                        }
                    }
                }
            }
        }
    }
}

fn worst_sample(sample: &WorstSample) -> Markup {
    let output = &sample.output;
    let worst = &output.worst;
    html! {
        article {
            h3 { "Sample " (output.sample) @if output.run > 0 { ", run " (output.run) } }
            div.soft { (text::sample_info(&output.info)) ", " (output.output) }
            (map::picture(&sample.map))
            dl {
                dt { "outside" }
                dd { (text::outside(output)) }
                dt { "worst at" } dd { (format!("{:?}", &worst.index[1..])) }
                dt { "golden" } dd { (format!("{:e}", worst.golden)) }
                dt { "actual" } dd { (format!("{:e}", worst.actual)) }
                @if let Some(xor) = worst.xor {
                    dt.line { "bits that differ: sign, exponent, mantissa" }
                    dd.line { (bits(xor)) }
                }
            }
        }
    }
}

/// The bits that differ, as sign, exponent and mantissa.
fn bits(xor: u32) -> Markup {
    let text = format!("{xor:032b}");
    html! {
        div.bits {
            @for part in [&text[..1], &text[1..9], &text[9..]] {
                span { @for bit in part.chars() { @if bit == '1' { b { "1" } } @else { "·" } } }
            }
        }
    }
}
