//! A tensor's elements in C order.

use tch::Tensor;

use super::error::GoldenError;

pub(super) fn elements<T: tch::kind::Element + Clone + Default>(tensor: &Tensor) -> Vec<T> {
    let tensor = tensor.to_device(tch::Device::Cpu).contiguous();
    let mut elements = vec![T::default(); tensor.numel()];
    tensor.copy_data(&mut elements, tensor.numel());
    elements
}

/// As [`elements`], and every one is finite. `indices` are the samples' positions in the split.
pub(super) fn finite(
    tensor: &Tensor,
    name: &'static str,
    indices: &[usize],
) -> Result<Vec<f32>, GoldenError> {
    let elements = elements::<f32>(tensor);
    // The whole is summed up first: a search that may stop anywhere is slower.
    if are_finite(&elements) {
        return Ok(elements);
    }
    let mut samples = elements.chunks_exact(elements.len() / indices.len());
    let first = samples.position(|sample| !are_finite(sample));
    Err(GoldenError::NotFinite {
        tensor: name,
        sample: indices[first.unwrap_or(0)],
    })
}

fn are_finite(elements: &[f32]) -> bool {
    elements
        .iter()
        .fold(true, |all, element| all & element.is_finite())
}
