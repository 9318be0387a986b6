//! What can be wrong with an NPY file.

use std::io;
use std::path::PathBuf;

/// A broken rule, and the file that breaks it.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {fault}")]
pub struct NpyError {
    pub path: PathBuf,
    pub fault: NpyFault,
}

/// The rule that an NPY file breaks.
#[derive(Debug, thiserror::Error)]
pub enum NpyFault {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("not an NPY file: it does not begin with \\x93NUMPY")]
    Magic,
    #[error(
        "NPY version {0}.{1}: expected 1.0\n\
         hint: numpy.save(NEW, numpy.load(FILE)) writes it"
    )]
    Version(u8, u8),
    #[error("the header claims {found} bytes: expected at most {most}")]
    HeaderLength { found: usize, most: usize },
    #[error("the file ends within its header")]
    HeaderTruncated,
    /// The header is not the dictionary it should be.
    #[error("malformed header: {0}")]
    Header(String),
    /// The elements are stored column by column.
    #[error(
        "Fortran order: expected C order \
         (hint: numpy.save(NEW, numpy.ascontiguousarray(numpy.load(FILE))))"
    )]
    FortranOrder,
    /// An element type that bundles do not use, as NumPy's type string.
    #[error(
        "dtype {found}: expected {expected}\n\
         hint: numpy.save(NEW, numpy.load(FILE).astype(\"{}\")) converts it",
        expected.split(',').next().unwrap_or_default()
    )]
    Dtype { found: String, expected: String },
    /// The shape's product does not fit.
    #[error("shape {0} is too large to be true")]
    Overflow(String),
    /// The header promises another size than the file has after it, in bytes.
    #[error(
        "the header promises {promised} bytes of data for shape {shape:?}, the file holds {found}"
    )]
    Size {
        shape: Vec<usize>,
        promised: u64,
        found: u64,
    },
    /// Other contents than expected.
    #[error(
        "BLAKE3 is {found}, expected {expected}\n\
         hint: the file was changed or damaged; copy it again"
    )]
    Hash { found: String, expected: String },
    /// Rows differ from what they were when the file was hashed.
    #[error("the file was changed while it was used\nhint: run the command again")]
    Changed,
    /// The caller ended it.
    #[error("interrupted while its hash was checked")]
    Interrupted,
    /// Rows were asked for that are not there.
    #[error("rows {start}..{end} lie outside the array, which has {rows}")]
    Rows {
        start: usize,
        end: usize,
        rows: usize,
    },
    /// More or fewer elements were written than the shape holds.
    #[error("{written} elements were written for shape {shape:?}")]
    Count { shape: Vec<usize>, written: usize },
}
