//! How other people's tools run the submodel and compare.

use std::collections::BTreeMap;

use proto::manifest::{Part, part};

use super::tolerance::Tolerance;

/// Markdown with the place of each number marked.
const TEMPLATE: &str = include_str!("tools.md");

/// Commands for the first `batch` samples.
pub(super) fn tools(
    parts: &BTreeMap<String, Part>,
    batch: usize,
    Tolerance { atol, rtol }: Tolerance,
) -> String {
    TEMPLATE
        .replace("@BATCH@", &batch.to_string())
        .replace("@ATOL@", &format!("{atol:e}"))
        .replace("@RTOL@", &format!("{rtol:e}"))
        .replace("@SHAPE@", &input_axes(parts))
}

/// Axes after the first of the submodel's input, as `trtexec` writes them.
fn input_axes(parts: &BTreeMap<String, Part>) -> String {
    let submodel = parts.get(part::SUBMODEL);
    let axes = submodel.and_then(|part| part.inputs.first()?.sample_shape());
    let axes = axes.unwrap_or_default();
    let axes: Vec<String> = axes.iter().map(usize::to_string).collect();
    axes.join("x")
}
