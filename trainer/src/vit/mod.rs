//! The network: the vision transformer of the Python repository, module for module, under the same
//! names.
//!
//! After "An Image is Worth 16x16 Words" (arXiv:2010.11929) as lucidrains' `vit-pytorch` 0.24 to
//! 0.29 builds it: pre-norm blocks, no bias in `to_qkv`, no LayerNorm but the head's after the last
//! block.

mod block;
mod float64;
mod layers;
mod network;

pub use block::Observer;
pub use float64::Float64Module;
pub use network::{TrainingPass, Vit};
