//! ONNX's test data sets, in the layout of its own test runners.

use prost::Message as _;
use proto::bundle::{BundleWriter, WriteError};
use proto::graph::data_type;
use proto::manifest::{self, Part, dataset};
use proto::onnx::TensorProto;
use proto::preprocessing::{CHANNELS, CIFAR10_IMAGE_SIZE as SIDE, IMAGE, PIXELS};
use tch::Tensor;
use trainer::weights::shape_and_bytes;

use super::tolerance::{Tolerance, tolerance};
use crate::golden::Kept;
use crate::vit_graph::RESIDUAL;

/// Writes `test_data_set_K` for every `samples_per_set` kept samples beside a part's model, and the
/// two files with its tolerances.
pub fn write_test_data(
    writer: &mut BundleWriter,
    name: &str,
    part: &Part,
    kept: &[Kept],
    samples_per_set: usize,
) -> Result<(), WriteError> {
    if kept.is_empty() {
        return Ok(());
    }
    for (number, samples) in kept.chunks_exact(samples_per_set).enumerate() {
        for (kind, tensors) in [("input", &part.inputs), ("output", &part.outputs)] {
            for (position, tensor) in tensors.iter().enumerate() {
                let file = format!("onnx/{name}/test_data_set_{number}/{kind}_{position}.pb");
                let bytes = tensor_proto(samples, tensor);
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

/// The float32 tensor that a graph knows by this name.
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

/// A tensor of some samples, `[samples, …]`, in ONNX's own form.
fn tensor_proto(samples: &[Kept], tensor: &manifest::Tensor) -> Vec<u8> {
    let (mut axes, mut bytes) = (vec![], vec![]);
    for sample in samples {
        let (shape, values) = match tensor.name.as_str() {
            PIXELS => (vec![1, SIDE, SIDE, CHANNELS], sample.pixels.to_vec()),
            name => shape_and_bytes(tensor_of(sample, name)),
        };
        axes = shape[1..].to_vec();
        bytes.extend(values);
    }
    let dims = [&[samples.len()], axes.as_slice()].concat();
    TensorProto {
        name: Some(tensor.name.clone()),
        dims: dims.into_iter().map(|axis| axis as i64).collect(),
        data_type: Some(data_type(tensor.dtype) as i32),
        raw_data: Some(bytes),
        ..Default::default()
    }
    .encode_to_vec()
}
