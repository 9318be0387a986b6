//! How other people's tools run the submodel and compare.

use proto::manifest::{Manifest, part};

use super::pytorch::snippet;
use super::tolerance::Tolerance;

/// Markdown with the place of each number marked.
const TEMPLATE: &str = include_str!("tools.md");

/// Commands for the first `batch` samples.
pub(super) fn tools(
    manifest: &Manifest,
    batch: usize,
    Tolerance { atol, rtol }: Tolerance,
) -> String {
    let (polygraphy, trtexec) = shapes(manifest, batch);
    TEMPLATE
        .replace("@PYTORCH@", snippet(manifest).trim_end())
        .replace("@POLYGRAPHY_SHAPES@", &polygraphy)
        .replace("@TRTEXEC_SHAPES@", &trtexec)
        .replace("@BATCH@", &batch.to_string())
        .replace("@ATOL@", &format!("{atol:e}"))
        .replace("@RTOL@", &format!("{rtol:e}"))
}

/// The flags by which Polygraphy and `trtexec` choose a free first axis; a fixed one has none.
fn shapes(manifest: &Manifest, batch: usize) -> (String, String) {
    if manifest.deployment().fixed_batch.is_some() {
        return (String::new(), String::new());
    }
    let submodel = manifest.parts.get(part::SUBMODEL);
    let axes = submodel.and_then(|part| part.inputs.first()?.sample_shape());
    let shape = [vec![batch], axes.unwrap_or_default()].concat();
    let joined = |separator: &str| {
        let axes: Vec<String> = shape.iter().map(usize::to_string).collect();
        axes.join(separator)
    };
    let polygraphy: String = ["min", "opt", "max"]
        .map(|which| format!(" --trt-{which}-shapes 'submodel_input:[{}]'", joined(",")))
        .concat();
    let trtexec = format!(" --shapes=submodel_input:{}", joined("x"));
    (polygraphy, trtexec)
}
