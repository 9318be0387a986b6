//! Graphs of the tiny bundle, cut and changed.

use std::collections::BTreeSet;

use super::node::node;
use super::*;
use crate::fixture::tiny_bundle;
use crate::onnx::tensor_proto::DataType;
use crate::onnx::{NodeProto, StringStringEntryProto, TensorProto};

const PARTS: [&str; 4] = ["full", "head", "submodel", "tail"];

fn part(name: &str) -> Graph {
    let file = tiny_bundle().join(format!("onnx/{name}/model.onnx"));
    Graph::open(&file, None).expect("a model")
}

fn node_names(graph: &Graph) -> BTreeSet<String> {
    graph
        .nodes()
        .iter()
        .map(|node| node.name().to_owned())
        .collect()
}

/// Every tensor is there before it is read, has a shape, and no initializer is left over.
fn check_is_complete(graph: &Graph) {
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

#[test]
fn a_model_is_read_with_its_names_and_shapes() {
    let head = part("head");
    assert_eq!(head.input_names(), ["image"]);
    assert_eq!(head.output_names(), ["residual", "submodel_input"]);
    let batch = Axis::Named("batch".to_owned());
    let edge = vec![batch, Axis::Fixed(17), Axis::Fixed(16)];
    assert_eq!(head.shape("submodel_input"), Some(edge));
    assert_eq!(head.shape("nothing"), None);
    for name in PARTS {
        let graph = part(name);
        check_is_complete(&graph);
        let bytes = graph.to_bytes();
        assert_eq!(Graph::decode(&bytes).expect("own bytes"), graph);
    }
}

#[test]
fn what_is_no_model_is_refused() {
    let refusal = |bytes: &[u8]| Graph::decode(bytes).expect_err("no model");
    assert!(
        refusal(b"no model").contains("decode"),
        "{}",
        refusal(b"no model")
    );
    assert_eq!(refusal(b""), "it has no graph");
    let missing = Graph::open("/nowhere/model.onnx".as_ref(), None).expect_err("missing");
    assert!(missing.to_string().contains("not an ONNX model"));
}

#[test]
fn external_data_must_be_in_the_named_file_and_inside_it() {
    let folder = tempfile::tempdir().expect("folder");
    std::fs::write(folder.path().join("w.bin"), [0; 64]).expect("write");
    let refusal = |entries: &[(&str, &str)], name: Option<&str>| {
        let entry = |&(key, value): &(&str, &str)| StringStringEntryProto {
            key: Some(key.to_owned()),
            value: Some(value.to_owned()),
        };
        let mut graph = part("submodel");
        graph.add_initializer(TensorProto {
            name: Some("w".to_owned()),
            external_data: entries.iter().map(entry).collect(),
            ..TensorProto::default()
        });
        assert!(graph.has_external_data());
        let path = folder.path().join("model.onnx");
        std::fs::write(&path, graph.to_bytes()).expect("write");
        Graph::open(&path, name)
            .err()
            .map(|error| error.to_string())
    };
    let whole = [("location", "w.bin"), ("offset", "16"), ("length", "48")];
    assert_eq!(refusal(&whole, Some("w.bin")), None);
    let text = refusal(&whole, None).expect("refused");
    assert!(text.contains("names none beside the model"), "{text}");
    let text = refusal(&whole, Some("v.bin")).expect("refused");
    assert!(text.contains("but the manifest names \"v.bin\""), "{text}");
    for (offset, length) in [("17", "48"), ("18446744073709551615", "1"), ("x", "1")] {
        let entries = [
            ("location", "w.bin"),
            ("offset", offset),
            ("length", length),
        ];
        let text = refusal(&entries, Some("w.bin")).expect("refused");
        assert!(text.contains("ends beyond the 64 bytes"), "{text}");
    }
}

#[test]
fn one_element_of_a_weight_is_changed() {
    let mut graph = part("submodel");
    let name = "to_qkv_weight";
    let before = graph.float32_elements(name).expect("float32");
    assert_eq!(graph.initializer_shape(name), Ok(vec![16, 48]));
    assert_eq!(before.len(), 16 * 48);
    let old = graph
        .change_float32(name, 50, |value| -value)
        .expect("changed");
    assert_eq!(old, before[50]);
    let after = graph.float32_elements(name).expect("float32");
    for (element, (old, new)) in before.iter().zip(&after).enumerate() {
        let expected = if element == 50 { -old } else { *old };
        assert_eq!(expected.to_bits(), new.to_bits(), "element {element}");
    }
}

#[test]
fn weights_as_a_list_of_floats_are_changed_too() {
    let mut graph = part("submodel");
    graph.add_initializer(TensorProto {
        name: Some("list".to_owned()),
        dims: vec![2],
        data_type: Some(DataType::Float as i32),
        float_data: vec![1.0, 2.0],
        ..TensorProto::default()
    });
    assert_eq!(
        graph.change_float32("list", 1, |value| value + 1.0),
        Ok(2.0)
    );
    assert_eq!(graph.float32_elements("list"), Ok(vec![1.0, 3.0]));
    let error = graph.change_float32("list", 2, |value| value);
    let (name, element) = ("list".to_owned(), 2);
    assert_eq!(error, Err(InitializerError::NoElement { name, element }));
}

#[test]
fn what_is_no_float32_initializer_is_named() {
    let mut graph = part("submodel");
    let shape = "query_by_token_shape".to_owned();
    let not_float32 = || InitializerError::NotFloat32 {
        name: shape.clone(),
    };
    assert_eq!(graph.float32_elements(&shape), Err(not_float32()));
    let changed = graph.change_float32(&shape, 0, |value| value);
    assert_eq!(changed, Err(not_float32()));
    let error = graph
        .float32_elements("none")
        .expect_err("unknown")
        .to_string();
    assert!(
        error.contains("no initializer `none`; the graph has to_qkv_weight, "),
        "{error}"
    );
}

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
        assert!(edges.len() >= 7, "{name}: {edges:?}");
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
        "no node `node_logits` reads tensor `embedding`"
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

#[test]
fn the_largest_operator_is_that_with_most_elements_around_it() {
    // 2 heads of 17 tokens: softmax [2, 17, 17] in and out, and qkv [17, 48] with its three pieces.
    let bytes = 4 * (2 * 17 * 48).max(2 * 2 * 17 * 17);
    assert_eq!(part("submodel").largest_operator_bytes(), Some(bytes));
    // The image [3, 32, 32] as patches.
    assert_eq!(
        part("full").largest_operator_bytes(),
        Some(4 * 2 * 3 * 32 * 32)
    );
    let mut unknown = part("submodel");
    unknown.graph_mut().value_info.clear();
    assert_eq!(unknown.largest_operator_bytes(), None);
}
