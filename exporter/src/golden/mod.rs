//! Recording the golden tensors: one pass of the loaded network over the images, streamed to NPY.
//! Tensors that another program recorded are compared with it, and take its place.

mod arrays;
mod elements;
mod error;
mod find;
mod kept;
mod pixels;
mod record;
mod recorded;

pub use error::{GoldenError, RecordedError};
pub use find::find_images;
pub use kept::Kept;
pub use record::{Plan, Recorded, record};
pub use recorded::{RecordedArray, RecordedFile, RecordedGolden};
