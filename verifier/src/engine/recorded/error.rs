//! Outputs from files that cannot be compared.

use std::io;
use std::path::PathBuf;

use proto::npy::NpyFault;

use super::element_type::ElementType;

/// Why outputs from files cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum RecordedError {
    #[error("{path}: {fault}")]
    File { path: PathBuf, fault: FileFault },
    #[error("{path}: no file of outputs: expected .npy, .npz, .raw, .bin, .pb or .json")]
    NoFile { path: PathBuf },
    #[error(
        "{path}: nothing says of which output it is; the part's are {}\n\
         hint: name files after the outputs, NAME.npy or NAME_0.npy, NAME_1.npy … for batches",
        .outputs.join(", ")
    )]
    Unclaimed { path: PathBuf, outputs: Vec<String> },
    #[error(
        "{path}: nothing says of which output it is, and {named} says it\n\
         hint: one of them may be of another run: leave one out, or name both after their tensors"
    )]
    Beside { path: PathBuf, named: PathBuf },
    #[error(
        "{one} and {other}: nothing says which comes first\n\
         hint: number the batches, NAME_0.npy, NAME_1.npy …"
    )]
    Order { one: PathBuf, other: PathBuf },
    #[error("{path}: nothing of output `{output}`: it has {found}")]
    Missing {
        path: PathBuf,
        output: String,
        found: String,
    },
    #[error("{before} is followed by {after}: a file between them is missing")]
    Gap { before: PathBuf, after: PathBuf },
    #[error(
        "{source_name}: `{output}` has shape {found}, expected {expected:?} for the samples from \
         {first} on\n\
         hint: --transpose reorders axes; a shape is never guessed"
    )]
    Shape {
        source_name: String,
        output: String,
        /// Also how it was to be reordered.
        found: String,
        expected: Vec<usize>,
        first: usize,
    },
    #[error("{file}: expected {expected}, found {found}")]
    Exact {
        file: String,
        /// Type and shape, such as `float32 [8, 10]`.
        expected: String,
        found: String,
    },
    #[error(
        "{source_name}: {elements} elements of `{output}` are not a whole number of samples of \
         {sample_elements}"
    )]
    Elements {
        source_name: String,
        output: String,
        elements: usize,
        sample_elements: usize,
    },
    #[error(
        "output `{output}` has {found} samples in {files}, expected {expected}: samples {first} to \
         {last}\n\
         hint: --range START END compares the samples that the files are of; a last batch that is \
         padded is cut where --batch-size N names the batch"
    )]
    Samples {
        output: String,
        found: usize,
        files: String,
        expected: usize,
        first: usize,
        last: usize,
    },
    #[error(
        "--transpose {given}: `{output}` has {axes} axes, and the samples' must stay the first"
    )]
    Transpose {
        given: String,
        output: String,
        axes: usize,
    },
    #[error("{path}: it was changed while it was compared\nhint: run the command again")]
    Changed { path: PathBuf },
}

/// What is wrong with one file of outputs.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Npy(#[from] NpyFault),
    #[error("elements of type {found}: expected float32, float16, bfloat16 or float64")]
    Dtype { found: String },
    #[error(
        "{found} bytes of data, but {} bytes are {} for shape {shape:?} of {element}",
        .promised.map_or_else(|| "more than can be counted".to_owned(), |bytes| bytes.to_string()),
        if .promised.is_some() { "needed" } else { "promised" }
    )]
    Size {
        shape: Vec<usize>,
        element: ElementType,
        promised: Option<usize>,
        found: u64,
    },
    #[error(
        "a raw file says nothing of its elements\n\
         hint: --dtype float32, float16, bfloat16 or float64"
    )]
    RawDtype,
    #[error("{bytes} bytes are not a whole number of elements of {element}")]
    RawSize { bytes: u64, element: ElementType },
    #[error("not a ZIP archive of arrays: {0}")]
    Zip(String),
    #[error("not a TensorProto of ONNX: {0}")]
    TensorProto(String),
    #[error("not JSON of Polygraphy or trtexec: {0}")]
    Json(String),
    #[error("it holds no array")]
    Empty,
}
