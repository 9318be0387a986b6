//! Reading models, and changing their weights.

use super::parts::{PARTS, check_is_complete, part};
use crate::graph::{Axis, Graph, InitializerError};
use crate::onnx::tensor_proto::DataType;
use crate::onnx::{StringStringEntryProto, TensorProto};

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
fn the_largest_operator_is_that_with_most_elements_around_it() {
    // The qkv of 17 tokens and its three pieces; softmax reads and writes [2, 17, 17] only.
    let bytes = 4 * 2 * 17 * 48;
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
