//! The report for people, as Markdown.

use std::fmt::Write as _;

use super::table::one_line;
use super::{ElementReport, ExtremeReport, OutputReport, Report, ResultReport, range_text};

/// Faulty samples listed; the JSON and CSV reports have all of them.
const SHOWN: usize = 50;

pub(super) fn page(report: &Report) -> String {
    let mut page = format!(
        "# Verification: {}\n\n{}\n\n",
        report.heading.verdict.to_uppercase(),
        report.sentence()
    );
    if let Some(error) = &report.heading.error {
        let _ = writeln!(page, "Error: {}\n", one_line(error));
    }
    setting(&mut page, report);
    if let Some(result) = &report.result {
        comparison(&mut page, result);
        faults(&mut page, result);
        faulty(&mut page, result);
    }
    page
}

fn setting(page: &mut String, report: &Report) {
    let options = &report.options;
    let mut rows = vec![
        ("bundle", options.bundle.display().to_string()),
        ("part", options.part.clone()),
        ("device", options.target.to_string()),
        ("tolerance", options.tolerance_text()),
        ("batch size", options.batch_size.to_string()),
        ("verifier", report.heading.verifier.to_owned()),
        (
            "host",
            format!(
                "{} ({} {}, {} cores)",
                report.heading.host.cpu,
                report.heading.host.os,
                report.heading.host.arch,
                report.heading.host.cores
            ),
        ),
        ("started", report.heading.started()),
    ];
    if let Some(bundle) = &report.heading.bundle {
        rows.push(("bundle BLAKE3", bundle.blake3.clone()));
        rows.push(("model", format!("{}, {}", bundle.preset, bundle.module)));
        rows.push(("weights SHA-256", bundle.weights_sha256.clone()));
        rows.push((
            "golden",
            format!(
                "libtorch {} on {}",
                bundle.golden.libtorch, bundle.golden.device
            ),
        ));
    }
    if let Some(runtime) = &report.runtime {
        let nodes: Vec<String> = runtime
            .nodes
            .iter()
            .map(|(name, count)| format!("{count} on {name}"))
            .collect();
        rows.push((
            "runtime",
            format!(
                "ONNX Runtime {}, {}",
                runtime.library.version,
                runtime.library.path.display()
            ),
        ));
        rows.push((
            "optimization",
            format!("{:?}", runtime.optimization).to_lowercase(),
        ));
        rows.push(("runtime SHA-256", runtime.library.sha256.clone()));
        rows.push(("nodes", nodes.join(", ")));
        rows.push(("arithmetic", runtime.precision.clone()));
    }
    if let Some(samples) = options.samples {
        rows.push(("samples", range_text(samples)));
    }
    page.push_str("| | |\n|---|---|\n");
    for (name, value) in rows {
        let _ = writeln!(page, "| {name} | {} |", cell(&value));
    }
}

fn comparison(page: &mut String, result: &ResultReport) {
    let _ = writeln!(page, "\n## Comparison\n");
    if let Some(stopped) = result.stopped {
        let _ = writeln!(
            page,
            "**Partial**: stopped ({stopped:?}) after {} samples.\n",
            result.samples
        );
    }
    let _ = writeln!(
        page,
        "{} samples compared; {} differ at all, {} are faulty. {:.2} s in the runtime, {:.2} s in comparing.\n",
        result.samples,
        result.differing_samples,
        result.faulty_samples,
        result.seconds.running,
        result.seconds.comparing
    );
    page.push_str("| output | elements | differing | outside | not finite | largest error | largest ULP distance |\n");
    page.push_str("|---|---|---|---|---|---|---|\n");
    for output in &result.outputs {
        let OutputReport {
            elements,
            differing_elements,
            mismatched_elements,
            non_finite_elements,
            ..
        } = output;
        let _ = writeln!(
            page,
            "| {} | {elements} | {differing_elements} | {mismatched_elements} | {non_finite_elements} | {} | {} |",
            cell(output.name.as_deref().unwrap_or_default()),
            extreme(&output.max_abs_error, |value| format!("{value:.3e}")),
            extreme(&output.max_ulp, |value| value.to_string()),
        );
    }
    if let Some(repeats) = &result.repeats {
        let _ = writeln!(
            page,
            "\n{} runs of each batch: {} elements in {} samples of later runs have other bits than in the first.",
            repeats.runs, repeats.differing_elements, repeats.differing_samples
        );
    }
}

fn faults(page: &mut String, result: &ResultReport) {
    if result.faults.is_empty() {
        return;
    }
    page.push_str("\n## Faults\n\n| fault | fate | largest change | samples beyond the tolerance | flagged |\n|---|---|---|---|---|\n");
    for fault in &result.faults {
        let change = match fault.non_finite {
            true => "not finite".to_owned(),
            false => format!("{:.3e}", fault.largest_change),
        };
        let _ = writeln!(
            page,
            "| `{}` | {} | {change} | {} | {} |",
            fault.fault,
            format!("{:?}", fault.fate).to_lowercase(),
            fault.samples_beyond,
            fault.samples_flagged
        );
    }
}

fn faulty(page: &mut String, result: &ResultReport) {
    if result.faulty.is_empty() {
        return;
    }
    page.push_str("\n## Faulty samples\n\n| sample | image | output | outside | not finite | geometry | worst element | golden | found | XOR |\n|---|---|---|---|---|---|---|---|---|---|\n");
    for faulty in result.faulty.iter().take(SHOWN) {
        let ElementReport {
            index,
            golden,
            actual,
            xor,
        } = &faulty.worst;
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} | {:?} | {golden} | {actual} | `{xor}` |",
            faulty.sample,
            faulty.sample_index,
            cell(&faulty.output),
            faulty.mismatched_elements,
            faulty.non_finite_elements,
            faulty.geometry,
            &index[1..],
        );
    }
    if result.faulty.len() > SHOWN {
        let _ = writeln!(
            page,
            "\n… and {} more; the JSON and CSV reports list them all.",
            result.faulty.len() - SHOWN
        );
    }
}

fn extreme<T: Copy>(extreme: &ExtremeReport<T>, value: impl Fn(T) -> String) -> String {
    match &extreme.index {
        None => "0".to_owned(),
        Some(index) => format!("{} at {index:?}", value(extreme.value)),
    }
}

fn cell(text: &str) -> String {
    one_line(text).replace('|', "\\|")
}
