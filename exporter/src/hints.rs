//! What a user may do about an error of the trainer's library, by the flags of `exporter bundle`,
//! the one command that calls it.

use anyhow::{Error, anyhow};
use trainer::cifar10::DataError;
use trainer::device::DeviceError;
use trainer::failure::TorchFailure;

const GET_DATA: &str = "`trainer data --data DIR` fetches CIFAR-10 into DIR, or makes it of what \
                        lies there; --data names a folder that has it";
const OTHER_DEVICE: &str = "`make build DEVICE=cuda` fetches the CUDA libraries and builds with \
                            them; --device cpu runs on the CPU";
const SMALLER_BATCH: &str = "a smaller --batch-size needs less";

/// The error, with a hint if there is one.
pub(crate) fn with_hint(error: Error) -> Error {
    let is_out_of_memory = error
        .downcast_ref()
        .is_some_and(TorchFailure::is_out_of_memory);
    let hint = if let Some(DataError::Missing(_)) = error.downcast_ref() {
        GET_DATA
    } else if let Some(DeviceError::Unavailable { .. }) = error.downcast_ref() {
        OTHER_DEVICE
    } else if is_out_of_memory {
        SMALLER_BATCH
    } else {
        return error;
    };
    anyhow!("{error:#}\nhint: {hint}")
}
