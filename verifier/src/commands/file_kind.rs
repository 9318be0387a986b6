//! What a file is, by what is in it: its name may say something else.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use proto::checkpoint::{Archive, ArchiveFault, Format, HEAD, NotCheckpoint};
use proto::regular_file;
use zip::ZipArchive;

/// A file that can be inspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    /// Or something without a mark of its own: ONNX has none.
    Onnx,
    Npy,
    Npz,
    Safetensors,
    /// Of torch.save.
    Checkpoint,
}

impl FileKind {
    pub(super) fn of(path: &Path) -> Result<Self> {
        let name = || path.display().to_string();
        let mut file = regular_file::open(path).with_context(name)?;
        let mut head = Vec::new();
        let read = file.by_ref().take(HEAD as u64).read_to_end(&mut head);
        read.with_context(name)?;
        match Format::of(&head) {
            Ok(Format::Safetensors) => Ok(Self::Safetensors),
            Ok(Format::Zip) => {
                file.rewind().with_context(name)?;
                in_zip(file).with_context(name)
            }
            Err(NotCheckpoint::NumPy) => Ok(Self::Npy),
            Err(NotCheckpoint::Unknown) => Ok(Self::Onnx),
            Err(other) => bail!(
                "{}: expected a bundle's folder, an ONNX model, arrays (NPY, NPZ, safetensors) or \
                 a checkpoint, found {}",
                path.display(),
                other.what()
            ),
        }
    }
}

fn in_zip(file: File) -> Result<FileKind> {
    let mut file = BufReader::new(file);
    let fault = match Archive::open(&mut file) {
        Ok(_) => return Ok(FileKind::Checkpoint),
        Err(ArchiveFault::NotCheckpoint(NotCheckpoint::NumPy)) => return Ok(FileKind::Npz),
        Err(fault) => fault,
    };
    file.rewind()?;
    // numpy.savez of nothing has no entry.
    match ZipArchive::new(file) {
        Ok(zip) if zip.is_empty() => Ok(FileKind::Npz),
        _ => Err(fault.into()),
    }
}
