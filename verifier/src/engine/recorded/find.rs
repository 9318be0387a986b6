//! Which files hold which output, and in what order.

use std::fs;
use std::path::{Path, PathBuf};

use super::claim::{TensorNames, claimed};
use super::element_type::FloatType;
use super::error::{FileFault, RecordedError};
use super::forms::{Form, open_streamed, read_all};
use super::order::natural_order;
use super::piece::{Piece, Source};
use crate::engine::files::FileRecord;

/// Folders within folders that are looked into.
const DEPTH: usize = 3;

/// What a path holds.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// For each output, in the order of the samples.
    pub(super) pieces: Vec<Vec<Piece>>,
    /// Files that were read already.
    pub(super) files: Vec<FileRecord>,
    /// Whether some of it is decimal text.
    pub(super) is_decimal: bool,
}

/// Finds the outputs in a file or a folder.
pub(super) fn find(
    path: &Path,
    outputs: &[&str],
    tensors: &TensorNames,
    dtype: Option<FloatType>,
) -> Result<Found, RecordedError> {
    let mut found = Found::default();
    let mut pieces = Vec::new();
    for (file, form) in files(path)? {
        let at = |fault| RecordedError::File {
            path: file.clone(),
            fault,
        };
        let read = pieces_of(&file, form, path, dtype, &mut found).map_err(at)?;
        pieces.extend(read);
    }
    found.pieces = claimed(path, pieces, outputs, tensors)?;
    Ok(found)
}

/// The files of outputs below a path, or the path itself.
fn files(path: &Path) -> Result<Vec<(PathBuf, Form)>, RecordedError> {
    let none = || RecordedError::NoFile {
        path: path.to_owned(),
    };
    let metadata = path.metadata().map_err(|error| RecordedError::File {
        path: path.to_owned(),
        fault: error.into(),
    })?;
    if !metadata.is_dir() {
        let form = Form::of(path).ok_or_else(none)?;
        return Ok(vec![(path.to_owned(), form)]);
    }
    let mut found = Vec::new();
    collect(path, DEPTH, &mut found).map_err(|error| RecordedError::File {
        path: path.to_owned(),
        fault: FileFault::Io(error),
    })?;
    if found.is_empty() {
        return Err(none());
    }
    found.sort_by(|a, b| natural_order(&a.0.to_string_lossy(), &b.0.to_string_lossy()));
    Ok(found)
}

fn collect(folder: &Path, depth: usize, found: &mut Vec<(PathBuf, Form)>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            if depth > 1 {
                collect(&path, depth - 1, found)?;
            }
            continue;
        }
        let form = Form::of(&path);
        // Of ONNX's test data sets, the inputs; and reports, which are JSON too.
        let is_other = form == Some(Form::Json)
            || (form == Some(Form::TensorProto) && name.starts_with("input_"));
        if let Some(form) = form.filter(|_| !is_other) {
            found.push((path, form));
        }
    }
    Ok(())
}

/// The arrays of a file, with keys below `root`.
fn pieces_of(
    file: &Path,
    form: Form,
    root: &Path,
    dtype: Option<FloatType>,
    found: &mut Found,
) -> Result<Vec<Piece>, FileFault> {
    let below = file.strip_prefix(root).unwrap_or(file);
    let below = if below.as_os_str().is_empty() {
        Path::new(file.file_name().unwrap_or_default())
    } else {
        below
    };
    let key = below.with_extension("").to_string_lossy().into_owned();
    if form.is_streamed()
        && let Some((layout, _)) = open_streamed(file, form, dtype)?
    {
        let piece = Piece {
            key,
            is_named: false,
            source_name: file.display().to_string(),
            layout,
            source: Source::File {
                path: file.to_owned(),
                form,
            },
        };
        return Ok(vec![piece]);
    }
    let (arrays, record) = read_all(file, form, dtype)?;
    if arrays.is_empty() {
        return Err(FileFault::Empty);
    }
    found.files.push(record);
    let several = arrays.len() > 1;
    let mut pieces = Vec::new();
    for named in arrays {
        found.is_decimal |= named.is_decimal;
        let is_named = named.name.is_some();
        let (key, source_name) = match named.name {
            Some(name) if several => (
                format!("{key}/{name}"),
                format!("{}: {name}", file.display()),
            ),
            Some(name) => (format!("{key}/{name}"), file.display().to_string()),
            None => (key.clone(), file.display().to_string()),
        };
        pieces.push(Piece {
            key,
            is_named,
            source_name,
            layout: named.array.layout.clone(),
            source: Source::Memory(named.array),
        });
    }
    Ok(pieces)
}
