//! How a graph is written for the tools that are to read it: ONNX's version, and the first axis.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shape::Axis;

/// The name of a free first axis.
pub const BATCH: &str = "batch";
/// Versions of ONNX's operators that graphs are written in.
pub const OPSET_VERSIONS: [i64; 2] = [13, 17];
/// Most samples that a fixed first axis has.
pub const LARGEST_FIXED_BATCH: usize = 1024;

/// The first opset with LayerNormalization.
const LAYER_NORMALIZATION: i64 = 17;
/// The opset of ONNX 1.10, which brought IR 8.
const FIRST_OF_IR_8: i64 = 15;

/// What the models are written for. It changes how they are written, not what their numbers mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deployment {
    /// Version of ONNX's operators.
    pub opset: i64,
    /// Samples of every run: the first axis of every input and output. Absent where it is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_batch: Option<usize>,
}

impl Default for Deployment {
    /// Opset 17, and a free first axis.
    fn default() -> Self {
        Self {
            opset: LAYER_NORMALIZATION,
            fixed_batch: None,
        }
    }
}

impl Deployment {
    /// The IR version that belongs to the opset: 7, which ONNX 1.8 and ONNX Runtime 1.6 read, or 8.
    pub fn ir_version(self) -> i64 {
        if self.opset < FIRST_OF_IR_8 { 7 } else { 8 }
    }

    pub(super) fn has_layer_normalization(self) -> bool {
        self.opset >= LAYER_NORMALIZATION
    }

    /// The first axis of every input, output and result of a node.
    pub fn first_axis(self) -> Axis {
        match self.fixed_batch {
            Some(samples) => Axis::Fixed(samples),
            None => Axis::Named(BATCH.to_owned()),
        }
    }

    /// Samples of one test data set: as many as a run takes at least.
    pub fn samples_per_run(self) -> usize {
        self.fixed_batch.unwrap_or(1)
    }
}
