//! Why the data cannot be used.

use std::path::PathBuf;

/// Why the data cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file is absent.
    #[error("{0}: no such file")]
    Missing(PathBuf),
    /// A file cannot be read.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A file is too short or too long.
    #[error(
        "{path}: {found} bytes, expected {expected} (10,000 records of 3,073 bytes)\n\
         hint: remove its folder and run `trainer data` again"
    )]
    Size {
        /// The file.
        path: PathBuf,
        /// Bytes found.
        found: u64,
        /// Bytes expected.
        expected: u64,
    },
    /// A label is no class.
    #[error("{path}: record {record} has label {label}, expected 0 to 9")]
    Label {
        /// The file.
        path: PathBuf,
        /// The record, from 0.
        record: usize,
        /// Its label.
        label: u8,
    },
    /// A file is not that of the official archive.
    #[error(
        "{path}: SHA-256 is {found}, expected {expected}: these are not CIFAR-10's images\n\
         hint: remove its folder and run `trainer data` again"
    )]
    NotCifar10 {
        /// The file.
        path: PathBuf,
        /// Its hash.
        found: String,
        /// The hash of the official file.
        expected: &'static str,
    },
}
