//! What a part was recorded with: tensors of every sample, the one loop over them in batches, the
//! images that they are of, and outputs kept as files.

pub mod batches;
mod error;
pub mod from_pixels;
pub mod images;
pub mod of_part;
pub mod outputs;
pub mod recording;
mod tensors;

pub use batches::{Batch, Batches};
pub use error::SamplesError;
pub use from_pixels::FromPixels;
pub use images::Images;
pub use of_part::{Origin, Recordings, SampleInfo};
pub use recording::{Reader, Recording, Window};
pub use tensors::{elements, sample_of};
