//! Views of tensors, sample by sample.

use ndarray::{ArrayViewD, Axis};

/// One sample of a batch: `[batch, …]` and its position in the batch to `[…]`.
pub fn sample_of<'a>(batch: &ArrayViewD<'a, f32>, position: usize) -> ArrayViewD<'a, f32> {
    batch.clone().index_axis_move(Axis(0), position)
}

/// The elements of a tensor in C order, which every tensor of a recording or a run has.
pub fn elements<'a>(tensor: &ArrayViewD<'a, f32>) -> &'a [f32] {
    tensor
        .to_slice()
        .expect("recordings and outputs are in C order")
}
