//! What gives outputs for inputs: a trait of one method; behind it ONNX Runtime, files that
//! something else wrote, and a fake for tests.

pub mod batch;
pub mod batch_size;
pub mod child;
pub mod command;
pub mod device;
#[cfg(test)]
pub(crate) mod fake;
pub mod files;
pub mod float_mode;
pub mod interface;
pub mod onnxruntime;
pub mod other_model;
pub mod placement;
pub mod probe;
pub mod recorded;
pub mod upstream;

pub use batch::{BatchError, Outputs, run_batch};
pub use device::Device;
pub use interface::{Engine, RunError};
