//! A model of one matrix product, to see whether a device works.

use prost::Message as _;
use proto::graph::GraphBuilder;

/// The length of its vectors.
pub const WIDTH: usize = 16;

/// `y = x · w`, `[batch, 16]` both, as ONNX (IR 8, opset 17).
pub fn model() -> Vec<u8> {
    let weights: Vec<u8> = (0..WIDTH * WIDTH)
        .flat_map(|index| ((index % 7) as f32).to_le_bytes())
        .collect();
    let mut graph = GraphBuilder::new("probe");
    let x = graph.input("x", &[WIDTH]);
    let w = graph.constant("w", &[WIDTH, WIDTH], weights);
    let y = graph.matmul_weight("y", &x, &w, WIDTH);
    graph.output(&y);
    graph.finish().to_proto().encode_to_vec()
}
