//! The report to look at: one page with pictures, that needs nothing beside itself and no script.

mod histogram;
mod map;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    ExtremeReport, FaultReport, Heading, OutputReport, Report, ResultReport, grouped, range_text,
};
use crate::gallery::Picture;
use crate::verdict::{Fate, Stop};

const STYLE: &str = include_str!("style.css");

pub(super) fn page(report: &Report) -> String {
    let verdict = report.heading.verdict;
    let title = format!(
        "{}: {} on {}",
        shout(verdict),
        report.options.part,
        report.options.target.device
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Some browsers ask for an icon; this page asks nobody for anything.
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    header class=(verdict) {
                        h1 { (shout(verdict)) }
                        p { (report.sentence()) }
                    }
                    @if let Some(error) = &report.heading.error { p.notice { (error) } }
                    @if let Some(result) = &report.result { (result_sections(report, result)) }
                    (setting(report))
                    footer { "vit-part verifier " (report.heading.verifier) ", report layout " (report.report_version) }
                }
            }
        }
    };
    page.into_string()
}

fn shout(verdict: &str) -> &'static str {
    match verdict {
        "pass" => "✓ PASS",
        "fail" => "✗ FAIL",
        _ => "? NO RESULT",
    }
}

fn result_sections(report: &Report, result: &ResultReport) -> Markup {
    let found = |fate| {
        result
            .faults
            .iter()
            .filter(|fault| fault.fate == fate)
            .count()
    };
    let seconds = result.seconds.running + result.seconds.comparing + result.seconds.reading;
    html! {
        @if let Some(stopped) = result.stopped {
            p.notice {
                "Partial: " (match stopped { Stop::Interrupted => "interrupted", Stop::FailFast => "ended at the first faulty batch" })
                " after " (grouped(result.samples)) " samples."
            }
        }
        dl.figures {
            (figure("samples", &grouped(result.samples)))
            (figure("faulty samples", &grouped(result.faulty_samples)))
            (figure("largest error", &format!("{:.2e}", result.total.max_abs_error.value)))
            (figure("not finite", &grouped(result.total.non_finite_elements)))
            @if !result.faults.is_empty() {
                (figure("faults detected", &found(Fate::Detected).to_string()))
                (figure("masked, missed", &format!("{}, {}", found(Fate::Masked), found(Fate::Missed))))
            } @else {
                (figure("samples/s", &format!("{:.0}", result.samples as f64 / seconds)))
            }
        }
        h2 { "Comparison with the golden" }
        (comparison(result))
        @for output in &result.outputs {
            @if let Some(counts) = &output.histogram {
                (histogram::figure(output.name.as_deref().unwrap_or_default(), counts, report.options.tolerance))
            }
        }
        @if !result.faults.is_empty() {
            h2 { "Faults put in on purpose" }
            (faults(&result.faults))
        }
        @if !report.pictures.is_empty() {
            h2 { "Worst samples" }
            p.soft { (worst_of(report.pictures.len(), result.faulty.len())) }
            div.samples { @for picture in &report.pictures { (sample(picture, result)) } }
        }
    }
}

fn figure(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn worst_of(shown: usize, all: usize) -> String {
    let legend = "Each map is the tensor, rows are tokens and columns features; coloured cells hold elements outside.";
    match all > shown {
        true => format!(
            "The {shown} worst of {}; the JSON and CSV reports list them all. {legend}",
            grouped(all)
        ),
        false => legend.to_owned(),
    }
}

fn comparison(result: &ResultReport) -> Markup {
    html! {
        div.wide {
            table {
                thead {
                    tr {
                        th { "output" }
                        @for name in ["elements", "differing", "outside", "not finite", "largest error", "ULP distance"] { th.n { (name) } }
                    }
                }
                tbody {
                    @for output in &result.outputs {
                        @let OutputReport { elements, differing_elements, mismatched_elements, non_finite_elements, .. } = output;
                        tr {
                            td { (output.name.as_deref().unwrap_or_default()) }
                            @for &count in [elements, differing_elements, mismatched_elements, non_finite_elements] {
                                td.n { (grouped(count)) }
                            }
                            (extreme(&output.max_abs_error, format!("{:.3e}", output.max_abs_error.value)))
                            (extreme(&output.max_ulp, grouped(output.max_ulp.value as usize)))
                        }
                    }
                }
            }
        }
        @if let Some(repeats) = &result.repeats {
            p {
                (repeats.runs) " runs of each batch: " (grouped(repeats.differing_elements)) " elements in "
                (grouped(repeats.differing_samples)) " samples of later runs have other bits than in the first."
            }
        }
    }
}

fn extreme<T>(extreme: &ExtremeReport<T>, value: String) -> Markup {
    html! {
        td.n {
            @match &extreme.index {
                None => "0",
                Some(index) => span title={ "at " (format!("{index:?}")) } { (value) },
            }
        }
    }
}

fn faults(faults: &[FaultReport]) -> Markup {
    html! {
        div.wide {
            table {
                thead { tr { th { "fault" } th { "fate" } th.n { "largest change" } th.n { "samples beyond" } th.n { "flagged" } } }
                tbody {
                    @for fault in faults {
                        tr {
                            td { code { (fault.fault) } }
                            td { (match fault.fate { Fate::Detected => "detected", Fate::Masked => "masked", Fate::Missed => "MISSED" }) }
                            td.n { @if fault.non_finite { "not finite" } @else { (format!("{:.3e}", fault.largest_change)) } }
                            td.n { (grouped(fault.samples_beyond)) }
                            td.n { (grouped(fault.samples_flagged)) }
                        }
                    }
                }
            }
        }
    }
}

fn sample(picture: &Picture, result: &ResultReport) -> Markup {
    let output = &picture.output;
    let image = result
        .faulty
        .iter()
        .find(|faulty| faulty.sample == picture.sample)
        .map(|faulty| faulty.sample_index);
    html! {
        article {
            h3 { "Sample " (picture.sample) @if picture.run > 0 { ", run " (picture.run) } }
            div.soft { @if let Some(image) = image { "image " (image) ", " } (picture.name) }
            (map::picture(&picture.map))
            dl {
                dt { "outside" }
                dd { (grouped(output.mismatches + output.non_finite)) ", " (output.geometry) @if output.non_finite > 0 { ", " (grouped(output.non_finite)) " not finite" } }
                dt { "worst at" } dd { (format!("{:?}", output.worst.index.get(1..).unwrap_or_default())) }
                dt { "golden" } dd { (format!("{:e}", output.worst.golden)) }
                dt { "found" } dd { (format!("{:e}", output.worst.actual)) }
                dt.line { "bits that differ: sign, exponent, mantissa" }
                dd.line { (bits(output.worst.xor())) }
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

fn setting(report: &Report) -> Markup {
    let (options, Heading { host, bundle, .. }) = (&report.options, &report.heading);
    let mut rows = vec![
        ("started", report.heading.started()),
        (
            "host",
            format!(
                "{} ({} {}, {} cores)",
                host.cpu, host.os, host.arch, host.cores
            ),
        ),
        ("bundle", options.bundle.display().to_string()),
        ("part", options.part.clone()),
    ];
    if let Some(bundle) = bundle {
        rows.push(("model", format!("{}, {}", bundle.preset, bundle.module)));
        rows.push((
            "golden",
            format!(
                "libtorch {} on {}",
                bundle.golden.libtorch, bundle.golden.device
            ),
        ));
        rows.push(("bundle BLAKE3", bundle.blake3.clone()));
        rows.push(("weights SHA-256", bundle.weights_sha256.clone()));
    }
    rows.push(("device", options.target.to_string()));
    if let Some(runtime) = &report.runtime {
        let nodes: Vec<String> = runtime
            .nodes
            .iter()
            .map(|(name, count)| format!("{count} on {name}"))
            .collect();
        rows.push(("nodes", nodes.join(", ")));
        rows.push(("arithmetic", runtime.precision.clone()));
        rows.push((
            "runtime",
            format!(
                "ONNX Runtime {}, {}",
                runtime.library.version,
                runtime.library.path.display()
            ),
        ));
        rows.push(("runtime SHA-256", runtime.library.sha256.clone()));
        rows.push((
            "optimization",
            format!("{:?}", runtime.optimization).to_lowercase(),
        ));
    }
    rows.push(("tolerance", options.tolerance_text()));
    rows.push(("batch size", options.batch_size.to_string()));
    if let Some(samples) = options.samples {
        rows.push(("samples", range_text(samples)));
    }
    html! {
        h2 { "What ran, and where" }
        table { tbody { @for (name, value) in rows { tr { th { (name) } td { (value) } } } } }
    }
}
