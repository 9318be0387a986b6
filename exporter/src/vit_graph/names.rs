//! What tensors are called in the graphs.
//!
//! Names are C identifiers: a module's tensors begin with its name, dots as underscores; those at
//! the cut bear the same names in every graph.

use proto::manifest::dataset;

/// Graph output of the full model and the tail.
pub const LOGITS: &str = dataset::LOGITS;
/// What the head hands to the tail, round the submodel.
pub const RESIDUAL: &str = "residual";
pub(super) const SUBMODEL_INPUT: &str = dataset::SUBMODEL_INPUT;
pub(super) const SUBMODEL_OUTPUT: &str = dataset::SUBMODEL_OUTPUT;

/// The Python model's name of something in a transformer block.
pub(super) fn block(layer: usize, rest: &str) -> String {
    format!("transformer.layers.{layer}{rest}")
}

/// A name of the Python model as a C identifier, without `prefix`.
pub(super) fn identifier(prefix: &str, name: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).replace('.', "_")
}
