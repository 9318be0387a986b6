//! A model of one matrix product, to see whether a device works.

use prost::Message as _;
use proto::onnx::tensor_proto::DataType;
use proto::onnx::tensor_shape_proto::{Dimension, dimension};
use proto::onnx::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, type_proto,
};

/// The length of its vectors.
pub const WIDTH: usize = 16;

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
