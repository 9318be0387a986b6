//! Why no golden could be recorded.

use proto::bundle::WriteError;
use proto::npy::NpyError;

#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// A golden value is infinite or not a number.
    #[error(
        "{tensor} of sample {sample} has a value that is not finite: \
         these weights make no usable golden"
    )]
    NotFinite {
        tensor: &'static str,
        /// Position in the split.
        sample: usize,
    },
    /// The user stopped it.
    #[error("interrupted: nothing was written")]
    Interrupted,
}
