//! What can be wrong with a bundle, and what can hinder one from being written.

use std::io;
use std::path::PathBuf;

use crate::graph::ReadError;
use crate::manifest::FORMAT_VERSION;
use crate::npy::{Dtype, NpyError};
use crate::staging::StagingError;

/// Why a bundle cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("{0}: no such folder\nhint: a bundle is the folder that `exporter bundle` wrote")]
    NoFolder(PathBuf),
    #[error(
        "{0}: a file, expected a bundle, which is the folder that `exporter bundle` wrote\n\
         hint: `verifier inspect` shows an ONNX or NPY file"
    )]
    NotAFolder(PathBuf),
    #[error(
        "{0}: not a bundle: it has no manifest.json\n\
         hint: a bundle is a folder that `exporter bundle` wrote, such as bundles/nano"
    )]
    NoManifest(PathBuf),
    #[error("{path}: {error}")]
    Io { path: PathBuf, error: io::Error },
    #[error("{path}: malformed manifest: {reason}")]
    Malformed { path: PathBuf, reason: String },
    /// Written by a program of another major version.
    #[error(
        "{path}: format_version {found}: \
         this program reads {FORMAT_VERSION} and later minor versions"
    )]
    Version { path: PathBuf, found: String },
    /// A path in the manifest leads out of the bundle or through a link.
    #[error("{file}: not a plain file inside the bundle ({reason})")]
    UnsafePath {
        /// As it stands in the manifest.
        file: String,
        reason: &'static str,
    },
    #[error(
        "{0}: missing from the bundle\n\
         hint: copy the whole folder again; `sha256sum -c SHA256SUMS` lists what differs"
    )]
    Missing(PathBuf),
    /// Another size than the manifest says, in bytes.
    #[error(
        "{path}: {found} bytes, expected {expected}\n\
         hint: the file was cut short or changed; copy the whole folder again"
    )]
    Size {
        path: PathBuf,
        found: u64,
        expected: u64,
    },
    /// Other contents than the manifest says.
    #[error(
        "{path}: {algorithm} is {found}, expected {expected}\n\
         hint: the file was changed or damaged; copy it again"
    )]
    Hash {
        path: PathBuf,
        algorithm: &'static str,
        found: String,
        expected: String,
    },
    #[error(
        "{0}: does not agree with manifest.json\n\
         hint: one of the two was changed or damaged; copy the bundle again"
    )]
    Sums(PathBuf),
    /// Another manifest lies in the folder than when it was opened.
    #[error(
        "{0}: the bundle was replaced or changed while it was used\n\
         hint: run the command again"
    )]
    Replaced(PathBuf),
    /// The caller ended it.
    #[error("interrupted while hashes were checked")]
    Interrupted,
    /// Something the caller needs is not in the manifest.
    #[error("{path}: no {kind} `{name}`; it has {available}")]
    Absent {
        path: PathBuf,
        /// `part` or `dataset`.
        kind: &'static str,
        name: String,
        /// The names that there are.
        available: String,
    },
    /// A dataset's file has another shape than its entry in the manifest.
    #[error("{path}: shape {found:?}, expected {expected:?} as in manifest.json")]
    Shape {
        path: PathBuf,
        found: Vec<usize>,
        expected: Vec<usize>,
    },
    /// A dataset's file has another element type than its entry in the manifest.
    #[error("{path}: dtype {}, expected {} as in manifest.json", .found.name(), .expected.name())]
    Dtype {
        path: PathBuf,
        found: Dtype,
        expected: Dtype,
    },
    #[error(transparent)]
    Npy(#[from] NpyError),
    #[error(transparent)]
    Graph(#[from] ReadError),
}

/// Why a bundle cannot be written. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error(transparent)]
    Staging(#[from] StagingError),
    #[error("{out}: inside the bundle {bundle}")]
    InsideBundle { out: PathBuf, bundle: PathBuf },
    /// What is in the place may not be removed.
    #[error("{path}: not a bundle alone, and stays as it is: {reason}")]
    NotABundle { path: PathBuf, reason: String },
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    #[error("{path}: {error}")]
    Io { path: PathBuf, error: io::Error },
    #[error(transparent)]
    Npy(#[from] NpyError),
}

/// The target's file system has too little room.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {:.1} MB needed, {:.1} MB free", *.needed as f64 / 1e6, *.free as f64 / 1e6)]
pub struct NoRoom {
    pub path: PathBuf,
    /// In bytes, as `free` is.
    pub needed: u64,
    pub free: u64,
}
