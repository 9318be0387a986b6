//! Why the data cannot be used.

use std::path::PathBuf;

/// Why the data cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    #[error("{0}: no such file")]
    Missing(PathBuf),
    #[error("{0}: a file, expected the folder that CIFAR-10's files are in")]
    NotFolder(PathBuf),
    #[error("{path}: {error}")]
    Io {
        path: PathBuf,
        error: std::io::Error,
    },
    /// A file is too short or too long.
    #[error(
        "{path}: {found} bytes, expected {expected} (10,000 records of 3,073 bytes)\n\
         hint: remove its folder and run `trainer data` again"
    )]
    Size {
        path: PathBuf,
        found: u64,
        expected: u64,
    },
    /// A label is no class.
    #[error("{path}: record {record} has label {label}, expected 0 to 9")]
    Label {
        path: PathBuf,
        /// The record, from 0.
        record: usize,
        label: u8,
    },
    /// A file is not that of the official archive.
    #[error(
        "{path}: SHA-256 is {found}, expected {expected}: these are not CIFAR-10's images\n\
         hint: remove its folder and run `trainer data` again"
    )]
    NotCifar10 {
        path: PathBuf,
        found: String,
        /// The hash of the official file.
        expected: &'static str,
    },
}
