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
mod error;
mod pickle;
mod printable;
mod state_dict;
mod view;
mod write;

use std::io::{self, BufReader, Write as _};
use std::path::Path;

use proto::config::VitConfig;
use proto::{regular_file, staging};

use crate::vit::Vit;
pub use checkpoint::Checkpoint;
pub use error::{Difference, PthError, PthFault};
pub use pickle::PickleFault;

/// Reads the weights of a network from a checkpoint, bit for bit.
///
/// Accepts a state dict, or the Python repository's `{"epoch", "model_state_dict", …}`. Fails
/// unless names, shapes and dtypes are those of the config and every number is finite.
pub fn load(path: &Path, config: &VitConfig) -> Result<Checkpoint, PthError> {
    read(path, config).map_err(|fault| PthError {
        path: path.to_owned(),
        fault,
    })
}

fn read(path: &Path, config: &VitConfig) -> Result<Checkpoint, PthFault> {
    match regular_file::open(path) {
        Ok(file) => checkpoint::read(BufReader::new(file), config),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(PthFault::Absent),
        Err(error) => Err(error.into()),
    }
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
