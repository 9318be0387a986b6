//! Inserting and replacing nodes.

use super::parts::{check_is_complete, part};
use crate::graph::node::node;
use crate::graph::{Axis, Readers, RewriteError};
use crate::onnx::NodeProto;

fn negation(input: &str, output: &str) -> NodeProto {
    node("Neg", "inserted", &[input], &[output], vec![])
}

#[test]
fn a_node_is_inserted_for_all_readers_or_for_one() {
    let whole = part("full");
    let readers = whole.readers("embedding");
    assert_eq!(readers.len(), 2, "the norm and the residual sum");
    let names = readers
        .iter()
        .map(|&reader| whole.nodes()[reader].name().to_owned());
    let names: Vec<String> = names.collect();

    let mut all = whole.clone();
    let inserted = negation("embedding", "embedding_faulty");
    all.insert("embedding", Readers::All, inserted.clone())
        .expect("inserted");
    check_is_complete(&all);
    assert_eq!(all.readers("embedding").len(), 1);
    assert_eq!(all.readers("embedding_faulty").len(), 2);
    assert_eq!(all.shape("embedding_faulty"), whole.shape("embedding"));

    let mut one = whole.clone();
    one.insert("embedding", Readers::Node(&names[1]), inserted)
        .expect("inserted");
    check_is_complete(&one);
    let reader = one.readers("embedding_faulty")[0];
    assert_eq!(one.nodes()[reader].name(), names[1]);
    assert_eq!(one.readers("embedding").len(), 2);
}

#[test]
fn an_insertion_that_cannot_be_is_named() {
    let refusal = |tensor: &str, readers: Readers<'_>, node: NodeProto| {
        let mut graph = part("full");
        let before = graph.clone();
        let error = graph.insert(tensor, readers, node).expect_err("refused");
        assert_eq!(graph, before);
        error.to_string()
    };
    let node = || negation("embedding", "new");
    assert_eq!(
        refusal("none", Readers::All, node()),
        "no tensor `none` in the graph"
    );
    assert_eq!(
        refusal("embedding", Readers::Node("none"), node()),
        "no node `none` in the graph"
    );
    assert_eq!(
        refusal("embedding", Readers::Node("node_logits"), node()),
        "node `node_logits` does not read tensor `embedding`"
    );
    assert_eq!(
        refusal("embedding", Readers::All, negation("embedding", "logits")),
        "tensor `logits` is there already"
    );
    assert_eq!(
        refusal("embedding", Readers::All, negation("logits", "new")),
        "node `inserted` takes tensor `logits`, which is not there yet at its place"
    );
    assert_eq!(
        refusal("logits", Readers::All, node()),
        "no node reads tensor `logits`"
    );
}

#[test]
fn a_node_is_replaced_by_others() {
    let mut graph = part("submodel");
    let other = |output: &str| {
        let log = node("LogSoftmax", "log", &["scores"], &["log_softmax"], vec![]);
        vec![log, node("Exp", "exp", &["log_softmax"], &[output], vec![])]
    };
    let count = graph.nodes().len();
    assert_eq!(
        graph.replace("node_softmax", other("elsewhere")),
        Err(RewriteError::NotWritten("softmax".to_owned()))
    );
    graph
        .replace("node_softmax", other("softmax"))
        .expect("replaced");
    assert_eq!(graph.nodes().len(), count + 1);
    assert_eq!(
        graph
            .cut(&["scores"], &["softmax"])
            .expect("cut")
            .nodes()
            .len(),
        2
    );
    assert_eq!(
        graph.replace("node_softmax", vec![]),
        Err(RewriteError::NoNode("node_softmax".to_owned()))
    );
}

#[test]
fn an_initializer_becomes_an_input() {
    let mut graph = part("submodel");
    graph
        .initializer_to_input("to_qkv_weight")
        .expect("an initializer");
    check_is_complete(&graph);
    assert_eq!(graph.input_names(), ["submodel_input", "to_qkv_weight"]);
    assert_eq!(
        graph.shape("to_qkv_weight"),
        Some(vec![Axis::Fixed(16), Axis::Fixed(48)])
    );
    let again = graph
        .initializer_to_input("to_qkv_weight")
        .expect_err("no more");
    assert!(again.to_string().contains("no initializer `to_qkv_weight`"));
}
