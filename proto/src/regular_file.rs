//! Files that a user names are opened only if they are regular: reading a pipe would wait for ever.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::Path;

/// Which file it is and when it was last changed: equal stamps mean the same bytes, but for a
/// change within the clock's tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    size: u64,
    /// Device, number on it, and nanoseconds of the last change.
    identity: (u64, u64, i128),
}

impl Stamp {
    /// Of an open file, or of what a path leads to.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.len(),
            identity: identity(metadata),
        }
    }
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> (u64, u64, i128) {
    use std::os::unix::fs::MetadataExt as _;
    // The time of the last change of contents or name; programs cannot set it back.
    let changed = i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec());
    (metadata.dev(), metadata.ino(), changed)
}

#[cfg(not(unix))]
fn identity(metadata: &Metadata) -> (u64, u64, i128) {
    let changed = metadata.modified().ok();
    let since = changed.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    (0, 0, since.map_or(0, |since| since.as_nanos() as i128))
}

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

/// A path as text in a record: what is not UTF-8 in it is replaced by `U+FFFD`.
pub fn path_as_text<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}
