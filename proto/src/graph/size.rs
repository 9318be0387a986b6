//! How much data an operator moves: what a batch size is chosen by.

use super::links::reads;
use super::read::Graph;
use super::shape::Axis;
use crate::npy::Dtype;
use crate::onnx::NodeProto;

impl Graph {
    /// The most that a single operator reads and writes for one sample: bytes of its inputs that
    /// are no initializers, and of its outputs. The first axis is that of the samples. `None` when
    /// a shape is not known; an element type that bundles do not use is taken as float32.
    pub fn largest_operator_bytes(&self) -> Option<usize> {
        let mut sizes = self.nodes().iter().map(|node| self.operator_bytes(node));
        sizes.try_fold(0, |largest, bytes| Some(largest.max(bytes?)))
    }

    fn operator_bytes(&self, node: &NodeProto) -> Option<usize> {
        let read = reads(node);
        let read = read.iter().filter(|name| !self.is_initializer(name));
        let written = node.output.iter().filter(|name| !name.is_empty());
        let tensors = read.copied().chain(written.map(String::as_str));
        let mut bytes = tensors.map(|name| self.bytes_per_sample(name));
        bytes.try_fold(0usize, |sum, bytes| sum.checked_add(bytes?))
    }

    fn bytes_per_sample(&self, tensor: &str) -> Option<usize> {
        let elements = self.elements_per_sample(tensor)?;
        let dtype = self.dtype(tensor).unwrap_or(Dtype::Float32);
        elements.checked_mul(dtype.size())
    }

    fn elements_per_sample(&self, tensor: &str) -> Option<usize> {
        let shape = self.shape(tensor)?;
        shape
            .iter()
            .skip(1)
            .try_fold(1usize, |product, axis| match axis {
                Axis::Fixed(length) => product.checked_mul(*length),
                Axis::Named(_) => None,
            })
    }
}
