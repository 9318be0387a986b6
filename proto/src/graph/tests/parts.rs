//! The graphs that the tests are about.

use std::collections::BTreeSet;

use crate::fixture::tiny_bundle;
use crate::graph::Graph;

pub(super) const PARTS: [&str; 5] = ["preprocess", "full", "head", "submodel", "tail"];

pub(super) fn part(name: &str) -> Graph {
    let file = tiny_bundle().join(format!("onnx/{name}/model.onnx"));
    Graph::open(&file, None).expect("a model")
}

pub(super) fn node_names(graph: &Graph) -> BTreeSet<String> {
    graph
        .nodes()
        .iter()
        .map(|node| node.name().to_owned())
        .collect()
}

/// Every tensor is there before it is read, has a shape, and no initializer is left over.
pub(super) fn check_is_complete(graph: &Graph) {
    let mut available: BTreeSet<&str> = graph.input_names().into_iter().collect();
    available.extend(graph.initializer_names());
    let mut read = BTreeSet::new();
    for node in graph.nodes() {
        for input in &node.input {
            assert!(available.contains(input.as_str()), "{input} comes too late");
            read.insert(input.as_str());
        }
        available.extend(node.output.iter().map(String::as_str));
        for output in &node.output {
            assert!(graph.shape(output).is_some(), "{output} has no shape");
        }
    }
    for name in graph.initializer_names() {
        assert!(read.contains(name), "{name} is not used");
    }
    for name in graph.output_names() {
        assert!(available.contains(name), "{name} is not computed");
    }
}
