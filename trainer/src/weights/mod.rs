//! Weights as one `.safetensors` file that says what it is: the network's config and the training
//! run stand inside.
//!
//! Tensors bear PyTorch's names and shapes, float32. The header's `__metadata__` has one key,
//! [`METADATA_KEY`], whose value is [`WeightsInfo`] as JSON.

mod error;
mod file;
mod info;
#[cfg(test)]
mod tests;

pub use crate::tensor_file::shape_and_bytes;
pub use error::{WeightsError, WeightsFault};
pub use file::{DEFAULT_FOLDER, EXTENSION, Loaded, default_path, load, load_chosen, save};
pub use info::{METADATA_KEY, Training, WeightsInfo};
