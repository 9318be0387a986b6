//! A model of one matrix product, to see whether a device works.

use ndarray::{ArrayD, IxDyn};
use prost::Message as _;
use proto::graph::GraphBuilder;
use proto::manifest::Part;

/// The length of its vectors.
pub const WIDTH: usize = 16;

/// A model with what it is run on.
#[derive(Debug)]
pub struct Probe {
    /// As a file would hold it.
    pub model: Vec<u8>,
    pub part: Part,
    /// `[1, 16]`
    pub input: ArrayD<f32>,
}

impl Default for Probe {
    fn default() -> Self {
        Self::new()
    }
}

impl Probe {
    /// `y = x · w`, `[batch, 16]` both, as ONNX (IR 8, opset 17), and ones for its input.
    pub fn new() -> Self {
        let mut graph = GraphBuilder::new("probe");
        let weights = (0..WIDTH * WIDTH).map(|index| (index % 7) as f32);
        let weights: Vec<u8> = weights.flat_map(f32::to_le_bytes).collect();
        let x = graph.input("x", &[WIDTH]);
        let w = graph.constant("w", &[WIDTH, WIDTH], weights);
        let y = graph.matmul_weight("y", &x, &w, WIDTH);
        graph.output(&y);
        let model = graph.finish();
        Self {
            part: Part::of_model("", &model),
            model: model.to_proto().encode_to_vec(),
            input: ArrayD::ones(IxDyn(&[1, WIDTH])),
        }
    }
}
