//! What a part was recorded with: tensors of every sample, the one loop over them in batches, and
//! outputs kept as files.

pub mod batches;
pub mod outputs;
pub mod recording;
pub mod recordings;
mod tensors;

pub use batches::{Batch, Batches, SamplesError};
pub use recording::{Reader, Recording, Window};
pub use recordings::{Origin, Recordings, SampleInfo};
pub use tensors::{elements, sample_of};
