//! Cutting graphs.

use std::collections::BTreeSet;

use super::parts::{PARTS, check_is_complete, node_names, part};
use crate::graph::{Axis, Graph, Halves};

#[test]
fn a_cut_holds_what_its_outputs_take_and_nothing_else() {
    let full = part("full");
    let cut = full
        .cut(&["submodel_input"], &["submodel_output"])
        .expect("cut");
    assert_eq!(cut.input_names(), ["submodel_input"]);
    assert_eq!(cut.output_names(), ["submodel_output"]);
    check_is_complete(&cut);
    let operators = |graph: &Graph| -> Vec<String> {
        let nodes = graph.nodes().iter();
        nodes.map(|node| node.op_type().to_owned()).collect()
    };
    assert_eq!(operators(&cut), operators(&part("submodel")));
    assert_eq!(cut.shape("submodel_input"), full.shape("submodel_input"));
    assert_eq!(cut.model.metadata_props, full.model.metadata_props);
}

#[test]
fn a_weight_can_be_an_input_of_a_cut() {
    let cut = part("submodel")
        .cut(&["submodel_input", "to_qkv_weight"], &["qkv"])
        .expect("cut");
    assert_eq!(cut.input_names(), ["submodel_input", "to_qkv_weight"]);
    assert_eq!(
        cut.shape("to_qkv_weight"),
        Some(vec![Axis::Fixed(16), Axis::Fixed(48)])
    );
    assert!(cut.initializer_names().is_empty());
}

#[test]
fn a_cut_that_cannot_be_names_the_tensor() {
    let full = part("full");
    let refusal = |inputs: &[&str], outputs: &[&str]| {
        full.cut(inputs, outputs).expect_err("refused").to_string()
    };
    assert_eq!(
        refusal(&["imag"], &["logits"]),
        "no tensor `imag` in the graph"
    );
    assert_eq!(
        refusal(&["image"], &["logit"]),
        "no tensor `logit` in the graph"
    );
    assert_eq!(
        refusal(&["submodel_output"], &["logits"]),
        "output `logits` cannot be computed: it takes `image`, which is not among the inputs"
    );
    assert_eq!(
        refusal(&["image", "logits"], &["submodel_output"]),
        "input `logits` reaches none of the outputs"
    );
    assert!(refusal(&["image"], &["image"]).contains("both"));
    assert!(
        full.split_at("logits")
            .expect_err("last")
            .to_string()
            .contains("nothing comes after")
    );
    assert!(
        full.split_at("none")
            .expect_err("unknown")
            .to_string()
            .contains("no tensor `none`")
    );
}

#[test]
fn cut_at_every_edge_and_joined_again_every_node_is_there_once() {
    for name in PARTS {
        let whole = part(name);
        let edges = whole.inner_edges();
        assert!(edges.len() >= 4, "{name}: {edges:?}");
        for edge in edges {
            let Halves { before, after } = whole.split_at(edge).expect(edge);
            check_is_complete(&before);
            check_is_complete(&after);
            let (first, second) = (node_names(&before), node_names(&after));
            assert!(first.is_disjoint(&second), "{edge}");
            let both: BTreeSet<String> = first.union(&second).cloned().collect();
            assert_eq!(both, node_names(&whole), "{edge}");
            assert_eq!(before.output_names()[0], edge);
            let given = after.input_names();
            let made = before.output_names();
            assert!(given.contains(&edge));
            for input in given {
                let is_there = made.contains(&input) || whole.input_names().contains(&input);
                assert!(is_there, "{edge}: {input}");
            }
        }
    }
}

#[test]
fn a_residual_passes_the_cut() {
    let halves = part("full").split_at("submodel_output").expect("cut");
    assert_eq!(
        halves.before.output_names(),
        ["submodel_output", "embedding"]
    );
    assert_eq!(halves.after.input_names(), ["submodel_output", "embedding"]);
}
