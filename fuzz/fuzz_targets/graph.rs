//! A model's bytes: a graph or not; cut, changed and measured it gives an error at worst.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::graph::{Graph, Readers, node::node};

fuzz_target!(|bytes: &[u8]| {
    let Ok(graph) = Graph::decode(bytes) else {
        return;
    };
    let _ = graph.largest_operator_bytes();
    for name in graph.initializer_names() {
        let mut changed = graph.clone();
        let _ = changed.change_float32(name, 5, |value| -value);
        let _ = changed.initializer_to_input(name);
    }
    for edge in graph.inner_edges() {
        if let Ok(halves) = graph.split_at(edge) {
            let nodes = halves.before.nodes().len() + halves.after.nodes().len();
            assert!(nodes <= graph.nodes().len());
        }
        let mut changed = graph.clone();
        let _ = changed.insert(edge, Readers::All, node("Neg", "new", &[edge], &["new"], vec![]));
    }
});
