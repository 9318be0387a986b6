//! Which files hold which output, and in what order.

use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};

use super::array::{Array, Layout};
use super::element_type::FloatType;
use super::error::{FileFault, RecordedError};
use super::forms::{Form, open_streamed, read_all};
use crate::engine::files::FileRecord;

/// Folders within folders that are looked into.
const DEPTH: usize = 3;

/// Consecutive samples of an output.
#[derive(Debug)]
pub(super) struct Piece {
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

/// A piece that nobody has claimed yet.
struct Entry {
    /// Folders and name, without an ending.
    key: String,
    piece: Piece,
}

/// Finds the outputs in a file or a folder.
pub(super) fn find(
    path: &Path,
    outputs: &[&str],
    dtype: Option<FloatType>,
) -> Result<Found, RecordedError> {
    let mut found = Found::default();
    let mut entries = Vec::new();
    for (file, form) in files(path)? {
        let at = |fault| RecordedError::File {
            path: file.clone(),
            fault,
        };
        let read = entries_of(&file, form, path, dtype, &mut found).map_err(at)?;
        entries.extend(read);
    }
    found.pieces = claimed(path, entries, outputs)?;
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
fn entries_of(
    file: &Path,
    form: Form,
    root: &Path,
    dtype: Option<FloatType>,
    found: &mut Found,
) -> Result<Vec<Entry>, FileFault> {
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
            source_name: file.display().to_string(),
            layout,
            source: Source::File {
                path: file.to_owned(),
                form,
            },
        };
        return Ok(vec![Entry { key, piece }]);
    }
    let (arrays, record) = read_all(file, form, dtype)?;
    if arrays.is_empty() {
        return Err(FileFault::Empty);
    }
    found.files.push(record);
    let several = arrays.len() > 1;
    let mut entries = Vec::new();
    for named in arrays {
        found.is_decimal |= named.is_decimal;
        let source_name = match &named.name {
            Some(name) if several => format!("{}: {name}", file.display()),
            _ => file.display().to_string(),
        };
        let key = match named.name {
            Some(name) => format!("{key}/{name}"),
            None => key.clone(),
        };
        let piece = Piece {
            source_name,
            layout: named.array.layout.clone(),
            source: Source::Memory(named.array),
        };
        entries.push(Entry { key, piece });
    }
    Ok(entries)
}

/// Gives every entry to the output that it names; where there is one output and no name of it, all
/// are its own.
fn claimed(
    path: &Path,
    mut entries: Vec<Entry>,
    outputs: &[&str],
) -> Result<Vec<Vec<Piece>>, RecordedError> {
    // Stable: what has the same key keeps its order.
    entries.sort_by(|a, b| natural_order(&a.key, &b.key));
    let claims: Vec<Option<usize>> = entries
        .iter()
        .map(|entry| claim(&entry.key, outputs))
        .collect();
    let nobody = claims.iter().all(Option::is_none);
    if nobody && outputs.len() > 1 {
        return Err(RecordedError::Unclaimed {
            path: entries.first().map_or(path.to_owned(), |entry| {
                PathBuf::from(&entry.piece.source_name)
            }),
            outputs: outputs.iter().map(|&name| name.to_owned()).collect(),
        });
    }
    let mut of_output: Vec<Vec<Entry>> = outputs.iter().map(|_| vec![]).collect();
    let mut others = Vec::new();
    for (entry, claim) in entries.into_iter().zip(claims) {
        match claim {
            Some(output) => of_output[output].push(entry),
            None if nobody => of_output[0].push(entry),
            None => others.push(entry.key),
        }
    }
    for (entries, output) in of_output.iter().zip(outputs) {
        if entries.is_empty() {
            return Err(RecordedError::Missing {
                path: path.to_owned(),
                output: (*output).to_owned(),
                found: others.join(", "),
            });
        }
        check_sequence(entries)?;
    }
    let pieces = |entries: Vec<Entry>| entries.into_iter().map(|entry| entry.piece).collect();
    Ok(of_output.into_iter().map(pieces).collect())
}

/// The output that a key names: `NAME`, `NAME_7`, `NAME/7`, `7/NAME`, `NAME.output.8.65.96.fp32`;
/// and `output_1`, the second one, as ONNX's test data sets have it.
fn claim(key: &str, outputs: &[&str]) -> Option<usize> {
    let by_name = outputs
        .iter()
        .enumerate()
        .filter(|(_, name)| key.split('/').any(|part| names(part, name)));
    // Of names that begin alike, the longest.
    let by_name = by_name.max_by_key(|(_, name)| name.len());
    by_name.map(|(index, _)| index).or_else(|| {
        let last = key.rsplit('/').next()?;
        let index = last.strip_prefix("output_")?.parse().ok()?;
        (index < outputs.len() && key.contains("test_data_set_")).then_some(index)
    })
}

fn names(part: &str, output: &str) -> bool {
    let Some(rest) = part.strip_prefix(output) else {
        return false;
    };
    let number = rest.trim_start_matches(['_', '-', '.']);
    rest.is_empty()
        || number.bytes().all(|byte| byte.is_ascii_digit())
        || rest.starts_with(".output.")
}

/// Refuses files whose numbers leave one out.
fn check_sequence(entries: &[Entry]) -> Result<(), RecordedError> {
    let numbers: Vec<Vec<u64>> = entries.iter().map(|entry| numbers(&entry.key)).collect();
    let mut step = None;
    for (pair, found) in entries.windows(2).zip(numbers.windows(2)) {
        let (before, after) = (&found[0], &found[1]);
        let mut differing = before.iter().zip(after).filter(|(a, b)| a != b);
        let (Some((before, after)), None) = (differing.next(), differing.next()) else {
            continue;
        };
        let this = after.abs_diff(*before);
        if *step.get_or_insert(this) != this {
            return Err(RecordedError::Gap {
                before: PathBuf::from(&pair[0].piece.source_name),
                after: PathBuf::from(&pair[1].piece.source_name),
            });
        }
    }
    Ok(())
}

/// The numbers in a text, in order; those that are too long for 64 bits as the largest.
fn numbers(text: &str) -> Vec<u64> {
    text.split(|letter: char| !letter.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .map(|digits| digits.parse().unwrap_or(u64::MAX))
        .collect()
}

/// `batch_2` before `batch_10`.
fn natural_order(a: &str, b: &str) -> Ordering {
    let words = |text: &str| -> Vec<String> {
        let words = text.split(|letter: char| letter.is_ascii_digit());
        words
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    };
    words(a)
        .cmp(&words(b))
        .then_with(|| numbers(a).cmp(&numbers(b)))
        .then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_named_by_any_part_of_a_path() {
        let outputs = ["residual", "submodel_input"];
        for (key, expected) in [
            ("residual", Some(0)),
            ("submodel_input_12", Some(1)),
            ("submodel_input/3", Some(1)),
            ("Result_7/residual", Some(0)),
            ("submodel_input.output.8.65.96.fp32", Some(1)),
            ("test_data_set_2/output_1", Some(1)),
            ("test_data_set_2/output_2", None),
            ("output_1", None),
            ("residuals", None),
            ("submodel_inputs/x", None),
        ] {
            assert_eq!(claim(key, &outputs), expected, "{key}");
        }
        assert_eq!(claim("x_1_0", &["x", "x_1"]), Some(1));
    }

    #[test]
    fn numbers_are_ordered_by_their_value() {
        let mut keys = ["b_10", "b_9", "a_11", "b_1"];
        keys.sort_by(|a, b| natural_order(a, b));
        assert_eq!(keys, ["a_11", "b_1", "b_9", "b_10"]);
    }
}
