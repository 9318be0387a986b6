//! Tensors of ONNX's own test data sets.

use prost::Message as _;

use super::error::BundleError;
use super::open::Bundle;
use crate::onnx::{TensorProto, tensor_proto};

impl Bundle {
    /// A tensor of a test data set, float32 in ONNX's own form. It holds one sample, or a fixed
    /// batch; its axes after the first are `axes`.
    pub fn test_tensor(&self, file: &str, axes: &[usize]) -> Result<Vec<f32>, BundleError> {
        let path = self.root().join(file);
        let malformed = |reason: String| BundleError::Malformed {
            path: path.clone(),
            reason,
        };
        let bytes = self.read(file)?;
        let tensor =
            TensorProto::decode(bytes.as_slice()).map_err(|error| malformed(error.to_string()))?;
        let axes = [&[self.manifest().deployment().samples_per_run()], axes].concat();
        let expected: Vec<i64> = axes.iter().map(|&axis| axis as i64).collect();
        let is_float = tensor.data_type == Some(tensor_proto::DataType::Float as i32);
        let data = tensor.raw_data();
        let mut axes = axes.iter();
        let bytes = axes.try_fold(size_of::<f32>(), |product, &axis| product.checked_mul(axis));
        if !is_float || tensor.dims != expected || bytes != Some(data.len()) {
            return Err(malformed(format!(
                "a tensor of type {}, shape {:?} and {} bytes, \
                 expected float32 of shape {expected:?}",
                tensor.data_type.unwrap_or_default(),
                tensor.dims,
                data.len()
            )));
        }
        Ok(data
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("4 bytes")))
            .collect())
    }
}
