//! PyTorch checkpoints (`.pth`), both ways: what the Python repository saves is read, what it loads
//! is written.
//!
//! `torch.save` of PyTorch 1.6 and later writes a zip archive without compression:
//!
//! | entry | holds |
//! |---|---|
//! | `NAME/data.pkl` | a pickle of the saved object, in which each tensor is a view of a storage |
//! | `NAME/data/KEY` | a storage: the elements of one or more tensors |
//! | `NAME/byteorder` | `little` or `big`; absent before PyTorch 2.1 |
//! | `NAME/version` | `3` |
//!
//! A pickle is a program for a stack machine that may name and call any Python function. The one in
//! `pickle` has no way to call anything: it knows the few names a state dict needs, and refuses a
//! pickle that holds another.

mod archive;
mod checkpoint;
mod pickle;
mod write;

use std::io::{self, BufReader, Write as _};
use std::path::{Path, PathBuf};

use proto::config::{Preset, VitConfig};
use proto::{regular_file, staging};
use zip::result::ZipError;

use crate::vit::Vit;
pub use checkpoint::Checkpoint;
pub use pickle::PickleFault;

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {fault}")]
pub struct PthError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: PthFault,
}

/// The rule that a checkpoint breaks.
#[derive(Debug, thiserror::Error)]
pub enum PthFault {
    /// There is no such file.
    #[error("no such file")]
    Absent,
    /// The file cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Not of `torch.save` at all.
    #[error("not a checkpoint: expected the zip archive that torch.save writes")]
    NotArchive,
    /// One long pickle.
    #[error(
        "in the format of PyTorch before 1.6, expected a zip archive\nhint: PyTorch 1.6 or later rewrites it: torch.save(torch.load(FILE), FILE)"
    )]
    Legacy,
    /// Zip, but not a sound one.
    #[error(
        "not a sound zip archive: {0}\nhint: it may have been cut short; copy or download it again"
    )]
    Zip(#[from] ZipError),
    /// One name stands for two entries, as a damaged name may.
    #[error("not a sound zip archive: two entries of one name")]
    SameName,
    /// Bytes of one entry are bytes of another.
    #[error("not a sound zip archive: its entries overlap")]
    Overlap,
    /// An entry is missing.
    #[error("no entry `{0}` in the archive")]
    NoEntry(String),
    /// An entry is compressed or encrypted.
    #[error("entry `{0}` is compressed, expected it stored as torch.save does")]
    Compressed(String),
    /// An entry's bytes are not those that were written.
    #[error("entry `{name}`: {error}\nhint: the file is damaged; copy or download it again")]
    Entry {
        /// The entry.
        name: String,
        /// What zip said.
        error: io::Error,
    },
    /// An entry has another size.
    #[error("entry `{name}`: {found} bytes, expected {expected}")]
    EntrySize {
        /// The entry.
        name: String,
        /// What the pickle says.
        expected: u128,
        /// What the archive holds.
        found: u64,
    },
    /// The pickle or a note beside it is larger than that of any state dict.
    #[error("entry `{name}`: {found} bytes, expected at most {most}")]
    TooLarge {
        /// The entry.
        name: String,
        /// Its size.
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
        "entry `{name}`: expected a tensor, found {found}\nhint: a file is a state dict, or has one under `model_state_dict`"
    )]
    NotTensor {
        /// The entry.
        name: String,
        /// What it is.
        found: &'static str,
    },
    /// A name stands twice in the state dict.
    #[error("tensor `{0}` appears twice")]
    Twice(String),
    /// The tensors are not those of the network.
    #[error("{difference}{}", fits_hint(*.fits))]
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
        /// The parameter.
        name: String,
        /// The storage.
        key: String,
        /// Elements of the storage.
        elements: usize,
    },
    /// A parameter is infinite or not a number.
    #[error("tensor `{name}`: element {element} is {value}, expected a finite number")]
    NotFinite {
        /// The parameter.
        name: String,
        /// Flat index, C order.
        element: usize,
        /// The value.
        value: f32,
    },
}

/// What a state dict has otherwise than the network.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Difference {
    /// A parameter is absent.
    #[error("tensor `{name}` is missing, expected with shape {expected:?}")]
    Missing {
        /// The parameter.
        name: String,
        /// The network's shape.
        expected: Vec<usize>,
    },
    /// A tensor belongs to no parameter.
    #[error("tensor `{name}` of shape {found:?} is no parameter of the network")]
    Extra {
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
    },
    /// A parameter has another shape.
    #[error("tensor `{name}`: expected shape {expected:?}, found {found:?}")]
    Shape {
        /// The parameter.
        name: String,
        /// The network's shape.
        expected: Vec<usize>,
        /// The file's shape.
        found: Vec<usize>,
    },
    /// A parameter is not float32.
    #[error(
        "tensor `{name}`: expected dtype float32, found {found}\nhint: torch.save(model.float().state_dict(), FILE) converts it"
    )]
    Dtype {
        /// The parameter.
        name: String,
        /// The file's dtype, as PyTorch calls it.
        found: &'static str,
    },
}

fn fits_hint(fits: Option<Preset>) -> String {
    fits.map_or_else(String::new, |preset| {
        format!("\nhint: its shapes are those of preset {preset}: --model {preset}")
    })
}

/// Text from a file, fit for a message: one line without control characters, and not too long.
fn printable(text: &str) -> String {
    text.chars()
        .take(100)
        .flat_map(char::escape_debug)
        .collect()
}

/// Reads the weights of a network from a checkpoint, bit for bit.
///
/// Accepts a state dict, or the Python repository's `{"epoch", "model_state_dict", …}`. Fails
/// unless names, shapes and dtypes are those of the config and every number is finite.
pub fn load(path: &Path, config: &VitConfig) -> Result<Checkpoint, PthError> {
    let open = || match regular_file::open(path) {
        Ok(file) => checkpoint::read(BufReader::new(file), config),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(PthFault::Absent),
        Err(error) => Err(error.into()),
    };
    open().map_err(|fault| PthError {
        path: path.to_owned(),
        fault,
    })
}

/// Writes a network's state dict for `torch.load(path, weights_only=True)`; the file is whole or
/// absent. The same weights give the same bytes.
pub fn save(path: &Path, vit: &Vit) -> Result<(), PthError> {
    staging::write_file(path, |writer| {
        write::write(&mut *writer, vit)?;
        writer.flush()
    })
    .map_err(|error| PthError {
        path: path.to_owned(),
        fault: error.into(),
    })
}
