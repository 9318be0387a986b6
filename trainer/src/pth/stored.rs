//! A tensor in a file, of which a few rows are read at a time: recorded activations are larger than
//! memory.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _};
use std::ops::Range;
use std::path::Path;

use proto::checkpoint::{Archive, Format, HEAD, Tree, listed};
use proto::digest::read_at;
use proto::pickle::{Pickle, View};
use proto::regular_file;

use super::error::{PthError, PthFault};
use super::safetensors_file::SafetensorsFile;
use super::view::{bounds, is_contiguous};

/// A float32 tensor `[rows, …]` in C order, in a file of `torch.save` or a safetensors file.
#[derive(Debug)]
pub struct StoredTensor {
    file: File,
    /// Where its first element begins in the file.
    start: u64,
    shape: Vec<usize>,
    /// Bytes of a row.
    row_bytes: usize,
}

impl StoredTensor {
    /// Finds a tensor by its key in the saved dict; without one it is the saved object itself. Its
    /// bytes are compared with the archive's checksum, if they have one.
    pub fn open(path: &Path, key: Option<&str>) -> Result<Self, PthError> {
        open(path, key).map_err(|fault| PthError {
            path: path.to_owned(),
            fault,
        })
    }

    /// Axes, slowest first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements of some rows, in C order.
    pub fn rows(&self, range: Range<usize>) -> std::io::Result<Vec<f32>> {
        let mut bytes = vec![0; range.len() * self.row_bytes];
        let start = self.start + (range.start * self.row_bytes) as u64;
        read_at(&self.file, start, &mut bytes, None)?;
        let (elements, _) = bytes.as_chunks();
        Ok(elements
            .iter()
            .map(|&bytes| f32::from_le_bytes(bytes))
            .collect())
    }
}

fn open(path: &Path, key: Option<&str>) -> Result<StoredTensor, PthFault> {
    let file = regular_file::open(path)?;
    let mut reader = BufReader::new(&file);
    let mut head = Vec::new();
    reader.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    reader.rewind()?;
    let (start, shape) = match Format::of(&head)? {
        Format::Zip => {
            let mut archive = Archive::open(reader)?;
            let bytes = archive.pickle()?;
            let pickle = Pickle::parse(&bytes)?;
            let view = checked(&pickle, key)?;
            let storage = archive.storage_start(view.storage.key, storage_bytes(view))?;
            (storage + offset_bytes(view), view.shape.clone())
        }
        Format::Safetensors => {
            let tensors = SafetensorsFile::open(&mut reader)?;
            let pickle = Pickle::of_tensors(tensors.views());
            let view = checked(&pickle, key)?;
            let start = tensors.storage_start(view.storage.key, storage_bytes(view))?;
            (start, view.shape.clone())
        }
    };
    // The whole tensor lies in its storage, whose bytes are in the file.
    let row_bytes = shape[1..].iter().product::<usize>() * size_of::<f32>();
    Ok(StoredTensor {
        file,
        start,
        shape,
        row_bytes,
    })
}

fn storage_bytes(view: &View<'_>) -> u128 {
    view.storage.elements as u128 * size_of::<f32>() as u128
}

fn offset_bytes(view: &View<'_>) -> u64 {
    (view.offset * size_of::<f32>()) as u64
}

/// The tensor meant, if rows of it can be read as they stand.
fn checked<'a>(pickle: &'a Pickle<'a>, key: Option<&str>) -> Result<&'a View<'a>, PthFault> {
    let view = find(pickle, key)?;
    let name = key.unwrap_or("the saved tensor");
    if view.storage.dtype != "float32" {
        return Err(PthFault::NotFloat32 {
            name: name.to_owned(),
            found: view.storage.dtype,
        });
    }
    let axes = view.axes();
    if axes.is_empty() || axes.iter().any(|&(length, _)| length == 0) {
        return Err(PthFault::NoRows {
            name: name.to_owned(),
            found: view.shape.clone(),
        });
    }
    bounds(view, name, &axes)?;
    match is_contiguous(&axes) {
        true => Ok(view),
        false => Err(PthFault::Strided(name.to_owned())),
    }
}

fn find<'a>(pickle: &'a Pickle<'a>, key: Option<&str>) -> Result<&'a View<'a>, PthFault> {
    let (view, expected) = match key {
        None => (pickle.tensor(pickle.root), "one tensor alone".to_owned()),
        Some(key) => (
            pickle.entry(pickle.root, key),
            format!("a dict with a tensor `{key}`"),
        ),
    };
    view.ok_or_else(|| {
        let tree = Tree::of(pickle);
        let entries = tree.entries(0).unwrap_or_default();
        let found = match entries {
            [] => pickle.describe(pickle.root),
            entries => listed(entries.iter(), |&entry| tree.describe(0, entry)).join(", "),
        };
        PthFault::NoTensor { expected, found }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(name: &str, key: Option<&str>) -> Result<StoredTensor, String> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/recorded");
        StoredTensor::open(&Path::new(folder).join(name), key)
            .map_err(|error| error.fault.to_string())
    }

    #[track_caller]
    fn assert_rows(tensor: &StoredTensor, range: Range<usize>, first: usize, count: usize) {
        let expected: Vec<f32> = (first..first + count).map(|i| i as f32 / 8.0).collect();
        assert_eq!(tensor.rows(range).expect("rows"), expected);
    }

    #[test]
    fn rows_of_what_pytorch_saved_are_its_numbers() {
        for name in ["dataset.pt", "dataset.safetensors"] {
            let inputs = open(name, Some("inputs")).expect(name);
            assert_eq!(inputs.shape(), [4, 3, 2]);
            assert_rows(&inputs, 0..4, 0, 24);
            assert_rows(&inputs, 2..3, 12, 6);
            assert_rows(&inputs, 4..4, 0, 0);
            let targets = open(name, Some("targets")).expect(name);
            assert_eq!(targets.rows(3..4).expect("rows")[0], 100.0 + 18.0 / 8.0);
        }
        let logits = open("logits.pt", None).expect("a tensor alone");
        assert_eq!(logits.shape(), [4, 10]);
        assert_rows(&logits, 1..2, 10, 10);
        // A slice without its own storage begins within it.
        let sliced = open("views.pt", Some("sliced")).expect("a view");
        assert_eq!(sliced.shape(), [3, 2]);
        assert_rows(&sliced, 0..3, 4, 6);
    }

    #[test]
    fn what_has_no_rows_as_they_stand_is_refused() {
        let refusal = |name, key| open(name, key).expect_err("refused");
        let missing = refusal("dataset.pt", Some("labels"));
        assert_eq!(
            missing,
            "expected a dict with a tensor `labels`, found `inputs` (tensor [4, 3, 2]), \
             `targets` (tensor [4, 3, 2])"
        );
        let alone = refusal("dataset.pt", None);
        assert!(
            alone.starts_with("expected one tensor alone, found"),
            "{alone}"
        );
        let dict = refusal("logits.pt", Some("inputs"));
        assert!(dict.ends_with("found tensor [4, 10]"), "{dict}");
        let views = |key| refusal("views.pt", Some(key));
        assert!(views("transposed").contains("expected its elements in C order"));
        assert_eq!(
            views("double"),
            "tensor `double`: expected dtype float32, found float64"
        );
        assert!(views("none").contains("expected rows, found shape [0, 2]"));
        assert!(views("scalar").contains("expected rows, found shape []"));
        assert!(views("count").contains("`count` (int)"));
    }
}
