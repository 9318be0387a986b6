//! Graphs cut by `proto` beside those that `onnx.utils.extract_model` cuts.

use std::fs;

use proto::bundle::Bundle;
use proto::manifest::part;
use tests::{python, root, scratch};

#[test]
fn cuts_are_those_of_onnx_and_compute_the_same() {
    let folder = scratch();
    let tiny = root().join("tests/fixtures/tiny_bundle");
    let bundle = Bundle::open(&tiny).expect("a bundle");
    let full = bundle.graph(part::FULL).expect("a model");
    let edges = full.inner_edges();
    for (number, edge) in edges.iter().enumerate() {
        let halves = full.split_at(edge).expect(edge);
        for (name, half) in [("before", halves.before), ("after", halves.after)] {
            let file = folder.path().join(format!("{name}_{number:03}.onnx"));
            fs::write(file, half.to_bytes()).expect("write");
        }
    }
    let (model, _) = bundle.part(part::FULL).expect("a model");
    let found = python("extract_model", &[&model, folder.path()]);
    found
        .expect_status(0)
        .says(&format!("{} edges", edges.len()));
}
