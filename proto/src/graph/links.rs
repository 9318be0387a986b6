//! Which node writes a tensor, and which nodes read it.

use std::collections::HashMap;

use super::read::Graph;
use crate::onnx::{GraphProto, NodeProto};

impl Graph {
    /// Positions of the nodes that write each tensor.
    pub(super) fn writers(&self) -> HashMap<&str, usize> {
        let mut writers = HashMap::new();
        for (position, node) in self.graph().node.iter().enumerate() {
            for output in node.output.iter().filter(|name| !name.is_empty()) {
                writers.insert(output.as_str(), position);
            }
        }
        writers
    }

    /// Positions of the nodes that read a tensor, ascending.
    pub(super) fn readers(&self, tensor: &str) -> Vec<usize> {
        let reads_it = |(_, node): &(usize, &NodeProto)| reads(node).contains(&tensor);
        let nodes = self.graph().node.iter().enumerate();
        nodes
            .filter(reads_it)
            .map(|(position, _)| position)
            .collect()
    }

    /// Whether a tensor is an input, an initializer, or written by a node.
    pub fn has_tensor(&self, name: &str) -> bool {
        self.input_names().contains(&name)
            || self.is_initializer(name)
            || self.writers().contains_key(name)
    }
}

/// The tensors that a node reads. A node with graphs inside it (`If`, `Loop`) also reads what these
/// take from around them.
pub(super) fn reads(node: &NodeProto) -> Vec<&str> {
    let own = node.input.iter().map(String::as_str);
    let inside = node
        .attribute
        .iter()
        .flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs))
        .flat_map(captured);
    own.chain(inside).filter(|name| !name.is_empty()).collect()
}

/// What a graph inside a node takes from around it.
pub(super) fn captured(graph: &GraphProto) -> Vec<&str> {
    let inputs = graph.input.iter().map(|value| value.name());
    let initializers = graph.initializer.iter().map(|tensor| tensor.name());
    let written = graph.node.iter().flat_map(|node| &node.output);
    let own: Vec<&str> = inputs
        .chain(initializers)
        .chain(written.map(String::as_str))
        .collect();
    let read = graph.node.iter().flat_map(reads);
    let outputs = graph.output.iter().map(|value| value.name());
    read.chain(outputs)
        .filter(|name| !own.contains(name))
        .collect()
}
