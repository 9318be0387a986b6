//! Shapes as a graph declares them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::npy::Dtype;
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

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(length) => write!(f, "{length}"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

/// The description of a tensor: its name, element type and shape.
pub fn value_info(name: &str, dtype: Dtype, shape: &[Axis]) -> ValueInfoProto {
    let tensor = type_proto::Tensor {
        elem_type: Some(data_type(dtype) as i32),
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

/// ONNX's own name of an element type.
pub fn data_type(dtype: Dtype) -> DataType {
    match dtype {
        Dtype::Float32 => DataType::Float,
        Dtype::Float64 => DataType::Double,
        Dtype::Int64 => DataType::Int64,
        Dtype::Uint8 => DataType::Uint8,
    }
}

/// The element type of a described tensor; `None` where it is none that bundles use.
pub(super) fn dtype_of(value: &ValueInfoProto) -> Option<Dtype> {
    let type_proto::Value::TensorType(tensor) = value.r#type.as_ref()?.value.as_ref()? else {
        return None;
    };
    let is_declared = |dtype: &Dtype| data_type(*dtype) as i32 == tensor.elem_type();
    Dtype::ALL.into_iter().find(is_declared)
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
