//! Why no golden could be recorded.

use std::io;
use std::path::PathBuf;

use proto::bundle::WriteError;
use proto::npy::NpyError;
use trainer::pth::PthError;

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
    #[error(transparent)]
    Recorded(#[from] RecordedError),
    /// The user stopped it.
    #[error("interrupted: nothing was written")]
    Interrupted,
}

/// Why goldens of another program cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordedError {
    #[error(transparent)]
    Pth(#[from] PthError),
    #[error(transparent)]
    Npy(#[from] NpyError),
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    /// An array has another shape than the network's tensor.
    #[error("{}: {array}: expected shape {expected}, found {found:?}", path.display())]
    Shape {
        path: PathBuf,
        /// What it is in a bundle.
        array: &'static str,
        expected: String,
        found: Vec<usize>,
    },
    /// A recorded value is infinite or not a number.
    #[error(
        "{}: {array}: element {element} of sample {sample} is {value}, expected a finite number",
        path.display()
    )]
    NotFinite {
        path: PathBuf,
        array: &'static str,
        /// Row in the file.
        sample: usize,
        /// Flat index in the row, C order.
        element: usize,
        value: f32,
    },
    /// The network gives something else for the image.
    #[error(
        "{}: {array} of sample {sample} is up to {difference:.3e} off what these weights give for \
         image {image}, beyond {atol:e} + {rtol:e}·|computed|",
        path.display()
    )]
    Different {
        path: PathBuf,
        array: &'static str,
        /// Row in the file.
        sample: usize,
        /// Position in the split.
        image: usize,
        difference: f64,
        atol: f64,
        rtol: f64,
    },
    /// No image of the split gives a recorded input.
    #[error(
        "{}: sample {sample} is the input of none of the split's {images} images: the nearest, \
         image {nearest}, is {distance:.3e} off in the mean of its tokens",
        path.display()
    )]
    NoImage {
        path: PathBuf,
        /// Row in the file.
        sample: usize,
        images: usize,
        /// Position in the split.
        nearest: usize,
        distance: f64,
    },
}
