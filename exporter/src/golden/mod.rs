//! Recording the golden tensors: one pass of the loaded network over the images, streamed to NPY.

mod arrays;
mod elements;
mod error;
mod kept;
mod pixels;
mod record;

pub use error::GoldenError;
pub use kept::Kept;
pub use record::{Plan, Recorded, record};
