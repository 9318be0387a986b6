//! A part of an output: consecutive samples, and where they are.

use std::path::PathBuf;

use super::array::{Array, Layout};
use super::forms::Form;

/// Consecutive samples of an output.
#[derive(Debug)]
pub(super) struct Piece {
    /// Folders and name, without an ending: it says which output it is of, and in what order.
    pub(super) key: String,
    /// Whether it has the name of a tensor, rather than that of a file.
    pub(super) is_named: bool,
    /// The file, and the name in it if there are several.
    pub(super) source_name: String,
    pub(super) layout: Layout,
    pub(super) source: Source,
}

/// Where the values are.
#[derive(Debug)]
pub(super) enum Source {
    /// In a file that is read when it is their turn.
    File {
        path: PathBuf,
        form: Form,
    },
    Memory(Array),
}
