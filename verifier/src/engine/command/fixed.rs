//! A copy of a model whose batch is fixed, for engines that take no free one.

use prost::{DecodeError, Message as _};
use proto::onnx::tensor_shape_proto::dimension;
use proto::onnx::{ModelProto, ValueInfoProto, type_proto};

/// The model with the free first axis of its inputs, outputs and described tensors fixed.
pub fn with_fixed_batch(model: &[u8], batch: usize) -> Result<Vec<u8>, DecodeError> {
    let mut model = ModelProto::decode(model)?;
    if let Some(graph) = &mut model.graph {
        let values = graph.input.iter_mut().chain(&mut graph.output);
        for value in values.chain(&mut graph.value_info) {
            fix(value, batch);
        }
    }
    Ok(model.encode_to_vec())
}

fn fix(value: &mut ValueInfoProto, batch: usize) {
    let tensor = value.r#type.as_mut().and_then(|kind| kind.value.as_mut());
    let Some(type_proto::Value::TensorType(tensor)) = tensor else {
        return;
    };
    let axes = tensor
        .shape
        .as_mut()
        .and_then(|shape| shape.dim.first_mut());
    if let Some(first) = axes
        && !matches!(first.value, Some(dimension::Value::DimValue(_)))
    {
        first.value = Some(dimension::Value::DimValue(batch as i64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::probe::Probe;

    #[test]
    fn a_free_batch_becomes_a_number() {
        let fixed = with_fixed_batch(&Probe::new().model, 8).expect("a model");
        let model = ModelProto::decode(fixed.as_slice()).expect("a model");
        let graph = model.graph.expect("a graph");
        for value in graph.input.iter().chain(&graph.output) {
            let text = format!("{value:?}");
            assert!(text.contains("DimValue(8)"), "{text}");
        }
    }
}
