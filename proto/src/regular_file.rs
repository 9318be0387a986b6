//! Files that a user names are opened only if they are regular: reading a pipe would wait for ever.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Opens a regular file for reading; anything else is an error.
pub fn open(path: &Path) -> io::Result<File> {
    match path.metadata()? {
        metadata if metadata.is_file() => File::open(path),
        metadata if metadata.is_dir() => Err(io::Error::other("a folder, expected a file")),
        _ => Err(io::Error::other("not a regular file")),
    }
}

/// Reads a regular file.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}
