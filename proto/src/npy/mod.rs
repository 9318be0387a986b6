//! NPY files, version 1.0: mapped when read, streamed when written, header byte for byte as
//! `numpy.save` writes it.

mod header;
mod read;
mod write;

use std::io;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use header::Header;
pub use read::{Npy, Rows, read_header};
pub use write::NpyWriter;

/// The element types of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// IEEE 754 binary32, `<f4`.
    Float32,
    /// IEEE 754 binary64, `<f8`.
    Float64,
    /// Two's complement 64-bit integer, `<i8`.
    Int64,
}

impl Dtype {
    /// NumPy's type string.
    pub fn descr(self) -> &'static str {
        match self {
            Self::Float32 => "<f4",
            Self::Float64 => "<f8",
            Self::Int64 => "<i8",
        }
    }

    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::Float32 => 4,
            Self::Float64 | Self::Int64 => 8,
        }
    }

    /// The name used in manifests and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Int64 => "int64",
        }
    }
}

/// A Rust type that is the element of an array.
pub trait Element: bytemuck::Pod {
    /// Its type in the file.
    const DTYPE: Dtype;
}

impl Element for f32 {
    const DTYPE: Dtype = Dtype::Float32;
}

impl Element for f64 {
    const DTYPE: Dtype = Dtype::Float64;
}

impl Element for i64 {
    const DTYPE: Dtype = Dtype::Int64;
}

/// What is wrong with an NPY file.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {fault}")]
pub struct NpyError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: NpyFault,
}

/// The rule that an NPY file breaks.
#[derive(Debug, thiserror::Error)]
pub enum NpyFault {
    /// The file cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A folder, a pipe or a device.
    #[error("not a regular file")]
    NotAFile,
    /// The first six bytes are not NPY's.
    #[error("not an NPY file: it does not begin with \\x93NUMPY")]
    Magic,
    /// Another version of the format.
    #[error("NPY version {0}.{1}: expected 1.0")]
    Version(u8, u8),
    /// The header's length makes no sense.
    #[error("the header claims {found} bytes: expected at most {most}")]
    HeaderLength {
        /// Claimed length.
        found: usize,
        /// The longest one accepted.
        most: usize,
    },
    /// The file ends within the header.
    #[error("the file ends within its header")]
    HeaderTruncated,
    /// The header is not the dictionary it should be.
    #[error("malformed header: {0}")]
    Header(String),
    /// The elements are stored column by column.
    #[error("Fortran order: expected C order (hint: numpy.ascontiguousarray)")]
    FortranOrder,
    /// An element type that bundles do not use.
    #[error("dtype {found}: expected {expected}")]
    Dtype {
        /// The header's type string.
        found: String,
        /// What would do.
        expected: String,
    },
    /// The shape's product does not fit.
    #[error("shape {0} is too large to be true")]
    Overflow(String),
    /// The header promises another size than the file has.
    #[error(
        "the header promises {promised} bytes of data for shape {shape:?}, the file holds {found}"
    )]
    Size {
        /// The header's shape.
        shape: Vec<usize>,
        /// Bytes the shape needs.
        promised: u64,
        /// Bytes after the header.
        found: u64,
    },
    /// Rows were asked for that are not there.
    #[error("rows {start}..{end} lie outside the array, which has {rows}")]
    Rows {
        /// First row asked for.
        start: usize,
        /// The row after the last.
        end: usize,
        /// Rows in the array.
        rows: usize,
    },
    /// More or fewer elements were written than the shape holds.
    #[error("{written} elements were written for shape {shape:?}")]
    Count {
        /// The header's shape.
        shape: Vec<usize>,
        /// Elements written.
        written: usize,
    },
}
