//! The network as ONNX graphs, operation for operation what `trainer::vit` computes, whole or cut
//! at a module.
//!
//! ```text
//! head   image → residual, submodel_input          the same operations as in `full`, so that the
//! submodel       submodel_input → submodel_output   parts joined give what it gives
//! tail   residual, submodel_output → logits
//! ```

mod layers;
mod names;
mod parts;
mod weights;

pub use names::{LOGITS, RESIDUAL};
pub use parts::{PartModel, build};
