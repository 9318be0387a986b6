//! The tensors of the first samples, which become ONNX test data sets.

use tch::Tensor;
use trainer::cifar10::Image;

/// One sample's tensors at the edges of the parts, each with a batch axis of 1.
#[derive(Debug)]
pub struct Kept {
    /// Position in the split.
    pub index: usize,
    /// `[1, 32, 32, 3]`
    pub pixels: Image,
    /// `[1, 3, S, S]`
    pub image: Tensor,
    /// `[1, tokens, dim]`; nothing goes round a whole block.
    pub residual: Option<Tensor>,
    /// `[1, tokens, dim]`
    pub input: Tensor,
    /// `[1, tokens, dim]`
    pub output: Tensor,
    /// `[1, classes]`
    pub logits: Tensor,
}

/// The tensors of a batch, `[batch, …]`.
pub(super) struct Batch {
    pub(super) images: Tensor,
    pub(super) residual: Option<Tensor>,
    pub(super) input: Tensor,
    pub(super) output: Tensor,
    pub(super) logits: Tensor,
}

impl Batch {
    /// A copy of one sample on the CPU; `index` is its position in the split, `pixels` are
    /// `[32, 32, 3]`.
    pub(super) fn keep(&self, row: usize, index: usize, pixels: Image) -> Kept {
        let one = |tensor: &Tensor| {
            let narrow = tensor.narrow(0, row as i64, 1);
            narrow.to_device(tch::Device::Cpu).copy()
        };
        Kept {
            index,
            pixels,
            image: one(&self.images),
            residual: self.residual.as_ref().map(one),
            input: one(&self.input),
            output: one(&self.output),
            logits: one(&self.logits),
        }
    }
}
