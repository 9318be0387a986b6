//! ONNX's test data sets, in the layout of its own test runners.

use prost::Message as _;
use proto::bundle::{BundleWriter, WriteError};
use proto::manifest::{Part, dataset};
use proto::onnx::TensorProto;
use proto::onnx::tensor_proto::DataType;
use tch::Tensor;
use trainer::weights::shape_and_bytes;

use super::tolerance::{Tolerance, tolerance};
use crate::golden::Kept;
use crate::vit_graph::{IMAGE, RESIDUAL};

/// Writes `test_data_set_K` for every kept sample beside a part's model, and the two files with its
/// tolerances.
pub fn write_test_data(
    writer: &mut BundleWriter,
    name: &str,
    part: &Part,
    kept: &[Kept],
) -> Result<(), WriteError> {
    if kept.is_empty() {
        return Ok(());
    }
    for (number, sample) in kept.iter().enumerate() {
        for (kind, tensors) in [("input", &part.inputs), ("output", &part.outputs)] {
            for (position, tensor) in tensors.iter().enumerate() {
                let file = format!("onnx/{name}/test_data_set_{number}/{kind}_{position}.pb");
                let bytes = tensor_proto(&tensor.name, tensor_of(sample, &tensor.name));
                writer.write(&file, &bytes)?;
            }
        }
    }
    let Tolerance { atol, rtol } = tolerance(name);
    let config = format!("per_sample_tolerance:{atol:e}\nrelative_per_sample_tolerance:{rtol:e}\n");
    writer.write(&format!("onnx/{name}/config.txt"), config.as_bytes())?;
    let data = format!("{{\"atol\": {atol:e}, \"rtol\": {rtol:e}}}\n");
    writer.write(&format!("onnx/{name}/data.json"), data.as_bytes())
}

/// The tensor that a graph knows by this name.
fn tensor_of<'a>(sample: &'a Kept, name: &str) -> &'a Tensor {
    match name {
        IMAGE => &sample.image,
        RESIDUAL => {
            let residual = sample.residual.as_ref();
            residual.expect("a graph has a residual where the module has one")
        }
        dataset::SUBMODEL_INPUT => &sample.input,
        dataset::SUBMODEL_OUTPUT => &sample.output,
        _ => &sample.logits,
    }
}

fn tensor_proto(name: &str, tensor: &Tensor) -> Vec<u8> {
    let raw_data = Some(shape_and_bytes(tensor).1);
    let data_type = Some(DataType::Float as i32);
    TensorProto {
        name: Some(name.to_owned()),
        dims: tensor.size(),
        data_type,
        raw_data,
        ..Default::default()
    }
    .encode_to_vec()
}
