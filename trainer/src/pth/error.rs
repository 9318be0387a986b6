//! Why a checkpoint cannot be used.

use std::io;
use std::path::PathBuf;

use proto::config::Preset;
use zip::result::ZipError;

use super::pickle::PickleFault;

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {fault}")]
pub struct PthError {
    pub path: PathBuf,
    pub fault: PthFault,
}

/// The rule that a checkpoint breaks.
#[derive(Debug, thiserror::Error)]
pub enum PthFault {
    #[error("no such file")]
    Absent,
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Not of `torch.save` at all.
    #[error("not a checkpoint: expected the zip archive that torch.save writes")]
    NotArchive,
    /// One long pickle.
    #[error(
        "in the format of PyTorch before 1.6, expected a zip archive\n\
         hint: PyTorch 1.6 or later rewrites it: torch.save(torch.load(FILE), FILE)"
    )]
    Legacy,
    /// Zip, but not a valid one.
    #[error(
        "not a valid zip archive: {0}\nhint: it may have been cut short; copy or download it again"
    )]
    Zip(#[from] ZipError),
    /// One name stands for two entries, as a damaged name may.
    #[error("not a valid zip archive: two entries of one name")]
    SameName,
    /// Bytes of one entry are bytes of another.
    #[error("not a valid zip archive: its entries overlap")]
    Overlap,
    #[error("no entry `{0}` in the archive")]
    NoEntry(String),
    /// An entry is compressed or encrypted.
    #[error("entry `{0}` is compressed, expected it stored as torch.save does")]
    Compressed(String),
    /// An entry's bytes are not those that were written.
    #[error("entry `{name}`: {error}\nhint: the file is damaged; copy or download it again")]
    Entry { name: String, error: io::Error },
    /// An entry has another size.
    #[error("entry `{name}`: {found} bytes, expected {expected}")]
    EntrySize {
        name: String,
        /// What the pickle says.
        expected: u128,
        /// What the archive holds.
        found: u64,
    },
    /// The pickle or a note beside it is larger than that of any state dict.
    #[error("entry `{name}`: {found} bytes, expected at most {most}")]
    TooLarge {
        name: String,
        found: u64,
        /// The largest size accepted.
        most: u64,
    },
    /// Another order of bytes.
    #[error("byte order `{0}`, expected `little`\nhint: save it again on a little-endian machine")]
    ByteOrder(String),
    /// The pickle breaks a rule.
    #[error(transparent)]
    Pickle(#[from] PickleFault),
    /// The saved object is something else.
    #[error(
        "expected a state dict, found {0}\nhint: torch.save(model.state_dict(), FILE) writes one"
    )]
    NoStateDict(&'static str),
    /// A name in the state dict is no text.
    #[error("a name in its state dict: expected str, found {0}")]
    Name(&'static str),
    /// An entry of the state dict is something else.
    #[error(
        "entry `{name}`: expected a tensor, found {found}\n\
         hint: a file is a state dict, or has one under `model_state_dict`"
    )]
    NotTensor { name: String, found: &'static str },
    /// A name stands twice in the state dict.
    #[error("tensor `{0}` appears twice")]
    Twice(String),
    /// The tensors are not those of the network.
    #[error("{difference}")]
    Difference {
        /// The first difference, in the order of the network's state dict; tensors without a
        /// parameter come last.
        difference: Difference,
        /// Another preset, whose names and shapes these are.
        fits: Option<Preset>,
    },
    /// A view reaches past its storage.
    #[error("tensor `{name}`: reaches past the {elements} elements of its storage `{key}`")]
    OutOfBounds {
        name: String,
        key: String,
        /// Elements of the storage.
        elements: usize,
    },
    /// A parameter is infinite or not a number.
    #[error("tensor `{name}`: element {element} is {value}, expected a finite number")]
    NotFinite {
        name: String,
        /// Flat index, C order.
        element: usize,
        value: f32,
    },
}

/// What a state dict has otherwise than the network.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Difference {
    #[error("tensor `{name}` is missing, expected with shape {expected:?}")]
    Missing { name: String, expected: Vec<usize> },
    /// A tensor belongs to no parameter.
    #[error("tensor `{name}` of shape {found:?} is no parameter of the network")]
    Extra { name: String, found: Vec<usize> },
    /// A parameter has another shape.
    #[error("tensor `{name}`: expected shape {expected:?}, found {found:?}")]
    Shape {
        name: String,
        expected: Vec<usize>,
        found: Vec<usize>,
    },
    /// A parameter is not float32.
    #[error(
        "tensor `{name}`: expected dtype float32, found {found}\n\
         hint: torch.save(model.float().state_dict(), FILE) converts it"
    )]
    Dtype {
        name: String,
        /// The file's dtype, as PyTorch calls it.
        found: &'static str,
    },
}
