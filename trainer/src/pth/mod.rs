//! PyTorch checkpoints (`.pth`), both ways: what the Python repository saves is read, what it loads
//! is written.
//!
//! A pickle is a program for a stack machine that may name and call any Python function. The reader
//! of [`proto::pickle`] has no way to call anything: it understands the few calls that tensors are
//! made by, and of any other it keeps the name. Where weights should be, such a name is refused;
//! beside them it is skipped. [`proto::checkpoint`] reads the archive round it.
//!
//! The weights are found by their names and shapes, under whichever keys they stand. Safetensors
//! files of Python are read in the same way.

mod checkpoint;
mod choose;
mod error;
mod names;
mod no_weights;
mod numbers;
mod prefixes;
mod safetensors_file;
mod sizes;
mod state_dict;
mod stored;
mod view;
mod write;

use std::io::{self, BufReader, Write as _};
use std::path::Path;

use proto::config::VitConfig;
use proto::{regular_file, staging};

use crate::vit::Vit;
pub use checkpoint::{Checkpoint, Options};
pub use error::{Difference, Prefixes, PthError, PthFault, TwoValues};
pub use numbers::whole_numbers;
pub use sizes::{SizesError, config_of};
pub use stored::StoredTensor;

/// Reads the weights of a network from a checkpoint, as [`load_with`] without options.
pub fn load(path: &Path, config: &VitConfig) -> Result<Checkpoint, PthError> {
    load_with(path, config, &Options::default())
}

/// Reads the weights of a network from a checkpoint or a safetensors file. float32 keeps every
/// bit, float16 and bfloat16 are widened exactly.
///
/// Finds the dict whose names, after a prefix that all of them share, and shapes are those of the
/// config. Fails unless there is one, its dtypes are floating-point ones and all numbers finite.
pub fn load_with(
    path: &Path,
    config: &VitConfig,
    options: &Options,
) -> Result<Checkpoint, PthError> {
    read(path, config, options).map_err(|fault| PthError {
        path: path.to_owned(),
        fault: fault.in_file(path),
    })
}

fn read(path: &Path, config: &VitConfig, options: &Options) -> Result<Checkpoint, PthFault> {
    match regular_file::open(path) {
        Ok(file) => checkpoint::read(BufReader::new(file), config, options),
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
