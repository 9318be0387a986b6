//! Why samples cannot be run.

use std::ops::Range;

use proto::npy::NpyError;

/// Samples that cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum SamplesError {
    #[error("the bundle holds no sample: nothing would be compared")]
    Nothing,
    #[error(
        "samples {} up to {}, which is not one of them, are asked for; expected START < END, and \
         END at most {available}, the samples there are",
        samples.start, samples.end
    )]
    Range {
        samples: Range<usize>,
        available: usize,
    },
    #[error(
        "samples {} to {} are asked for, there are {available}",
        samples.start, samples.end.saturating_sub(1)
    )]
    Outside {
        samples: Range<usize>,
        available: usize,
    },
    #[error("{found} samples of `{name}`, {expected} of `{of}`")]
    Counts {
        name: String,
        found: usize,
        of: String,
        expected: usize,
    },
    #[error(
        "`{name}` of sample {sample} has {value} at element {element}: a recorded tensor must be \
         finite\n\
         hint: the bundle was made from broken weights or was damaged before its hashes were \
         taken; export it again"
    )]
    NotFinite {
        name: String,
        sample: usize,
        /// Flat index in the sample.
        element: usize,
        value: f32,
    },
    #[error(
        "`{name}` of samples {} to {} from their pixels: {reason}",
        samples.start, samples.end.saturating_sub(1)
    )]
    FromPixels {
        name: String,
        samples: Range<usize>,
        reason: String,
    },
    #[error(transparent)]
    Npy(#[from] NpyError),
}
