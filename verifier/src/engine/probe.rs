//! A model of one matrix product, to see whether a device works.

use std::collections::BTreeMap;

use ndarray::{ArrayD, IxDyn};
use prost::Message as _;
use proto::manifest::{Axis, Part, Tensor};
use proto::npy::Dtype;
use proto::onnx::tensor_proto::DataType;
use proto::onnx::tensor_shape_proto::{Dimension, dimension};
use proto::onnx::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, type_proto,
};

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
    /// The model, and ones for its input.
    pub fn new() -> Self {
        Self {
            model: model(),
            part: Part {
                file: String::new(),
                inputs: vec![tensor("x")],
                outputs: vec![tensor("y")],
                initializers: BTreeMap::new(),
                external_data: None,
                test_data_sets: vec![],
            },
            input: ArrayD::ones(IxDyn(&[1, WIDTH])),
        }
    }
}

fn tensor(name: &str) -> Tensor {
    Tensor {
        name: name.to_owned(),
        dtype: Dtype::Float32,
        shape: vec![Axis::Named("batch".to_owned()), Axis::Fixed(WIDTH)],
    }
}

/// `y = x · w`, `[batch, 16]` both, as ONNX (IR 8, opset 17).
pub fn model() -> Vec<u8> {
    let axis = |value| Dimension {
        value: Some(value),
        ..Dimension::default()
    };
    let value = |name: &str| ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                elem_type: Some(DataType::Float as i32),
                shape: Some(TensorShapeProto {
                    dim: vec![
                        axis(dimension::Value::DimParam("batch".to_owned())),
                        axis(dimension::Value::DimValue(WIDTH as i64)),
                    ],
                }),
            })),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    };
    let weights: Vec<u8> = (0..WIDTH * WIDTH)
        .flat_map(|index| ((index % 7) as f32).to_le_bytes())
        .collect();
    let graph = GraphProto {
        name: Some("probe".to_owned()),
        node: vec![NodeProto {
            name: Some("product".to_owned()),
            op_type: Some("MatMul".to_owned()),
            input: vec!["x".to_owned(), "w".to_owned()],
            output: vec!["y".to_owned()],
            ..NodeProto::default()
        }],
        initializer: vec![TensorProto {
            name: Some("w".to_owned()),
            dims: vec![WIDTH as i64; 2],
            data_type: Some(DataType::Float as i32),
            raw_data: Some(weights),
            ..TensorProto::default()
        }],
        input: vec![value("x")],
        output: vec![value("y")],
        ..GraphProto::default()
    };
    ModelProto {
        ir_version: Some(8),
        opset_import: vec![OperatorSetIdProto {
            version: Some(17),
            ..OperatorSetIdProto::default()
        }],
        graph: Some(graph),
        ..ModelProto::default()
    }
    .encode_to_vec()
}
