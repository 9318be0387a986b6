//! Getting what was written onto the disk, so that a name never stands for less than all of it,
//! even after a power cut.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// A folder's list of names. Some file systems cannot be asked for that, and a folder that may be
/// written need not be one that may be read.
pub(super) fn folder(path: &Path) -> io::Result<()> {
    match File::open(path).and_then(|folder| folder.sync_all()) {
        Err(error) if !is_not_to_be_had(error.kind()) => Err(error),
        _ => Ok(()),
    }
}

/// A folder and all that is in it.
pub(super) fn tree(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            tree(&entry.path())?;
        } else if kind.is_file() {
            File::open(entry.path())?.sync_all()?;
        }
    }
    folder(path)
}

fn is_not_to_be_had(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    matches!(kind, InvalidInput | PermissionDenied | Unsupported)
}
