//! Shapes as a graph declares them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::onnx::tensor_proto::DataType;
use crate::onnx::tensor_shape_proto::{Dimension, dimension};
use crate::onnx::{TensorShapeProto, TypeProto, ValueInfoProto, type_proto};

/// The length of an axis: a number, or a name for one that is free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Axis {
    Fixed(usize),
    /// Free, such as `batch`.
    Named(String),
}

/// The description of a float32 tensor: its name and shape.
pub fn float_value(name: &str, shape: &[Axis]) -> ValueInfoProto {
    let tensor = type_proto::Tensor {
        elem_type: Some(DataType::Float as i32),
        shape: Some(TensorShapeProto {
            dim: shape.iter().map(dimension).collect(),
        }),
    };
    value(name, type_proto::Value::TensorType(tensor))
}

/// The description of a tensor of any type with fixed axes, such as an initializer's.
pub(super) fn fixed_value(name: &str, data_type: i32, dims: &[i64]) -> ValueInfoProto {
    let fixed = |&length: &i64| Dimension {
        value: Some(dimension::Value::DimValue(length)),
        ..Dimension::default()
    };
    let tensor = type_proto::Tensor {
        elem_type: Some(data_type),
        shape: Some(TensorShapeProto {
            dim: dims.iter().map(fixed).collect(),
        }),
    };
    value(name, type_proto::Value::TensorType(tensor))
}

/// The shape of a described tensor; `None` where the number of axes or the length of one is not
/// said.
pub(super) fn shape_of(value: &ValueInfoProto) -> Option<Vec<Axis>> {
    let type_proto::Value::TensorType(tensor) = value.r#type.as_ref()?.value.as_ref()? else {
        return None;
    };
    tensor.shape.as_ref()?.dim.iter().map(axis).collect()
}

fn value(name: &str, value: type_proto::Value) -> ValueInfoProto {
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto {
            value: Some(value),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

fn dimension(axis: &Axis) -> Dimension {
    let value = match axis {
        Axis::Fixed(length) => dimension::Value::DimValue(*length as i64),
        Axis::Named(name) => dimension::Value::DimParam(name.clone()),
    };
    Dimension {
        value: Some(value),
        ..Dimension::default()
    }
}

fn axis(dimension: &Dimension) -> Option<Axis> {
    match dimension.value.as_ref()? {
        dimension::Value::DimValue(length) => usize::try_from(*length).ok().map(Axis::Fixed),
        dimension::Value::DimParam(name) => Some(Axis::Named(name.clone())),
    }
}
