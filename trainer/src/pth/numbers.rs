//! Whole numbers in a file of `torch.save`: positions of images, as the Python repository's
//! `confidence.py` saves them.

use std::io::{BufReader, Read as _, Seek as _};
use std::path::Path;

use proto::checkpoint::{Archive, Format, HEAD};
use proto::pickle::{Object, Pickle, Value, View};
use proto::regular_file;

use super::error::{PthError, PthFault};
use super::view::view_elements;

/// How many values are looked at, more than any data set has images.
const MOST_VALUES: usize = 10_000_000;

/// How many bytes of tensors are read; each of many may lie in one large storage.
const MOST_BYTES: u128 = 1 << 30;

/// How deep lists may lie in lists: tiers, and pairs in them.
const DEEPEST: usize = 4;

/// The whole numbers in a saved list, in lists in it one after the other, or in a tensor.
///
/// Beside them may stand as many floating-point numbers, the scores of each. Fails if there is
/// anything else.
pub fn whole_numbers(path: &Path) -> Result<Vec<i128>, PthError> {
    read(path).map_err(|fault| PthError {
        path: path.to_owned(),
        fault,
    })
}

type File = BufReader<std::fs::File>;

fn read(path: &Path) -> Result<Vec<i128>, PthFault> {
    let mut file = BufReader::new(regular_file::open(path)?);
    let mut head = Vec::new();
    file.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    file.rewind()?;
    if Format::of(&head)? == Format::Safetensors {
        return Err(not_numbers("a safetensors file"));
    }
    let mut archive = Archive::open(file)?;
    let bytes = archive.pickle()?;
    let pickle = Pickle::parse(&bytes)?;
    let mut found = Found {
        pickle: &pickle,
        archive: &mut archive,
        numbers: Vec::new(),
        scores: 0,
        values: 0,
        bytes: 0,
    };
    found.add(pickle.root, 0)?;
    let (whole, scores) = (found.numbers.len(), found.scores);
    match scores == 0 || scores == whole {
        true => Ok(found.numbers),
        false => Err(not_numbers(format!(
            "{scores} floating-point numbers beside {whole} whole ones"
        ))),
    }
}

fn not_numbers(found: impl Into<String>) -> PthFault {
    PthFault::NotNumbers(found.into())
}

struct Found<'f, 'a> {
    pickle: &'f Pickle<'a>,
    archive: &'f mut Archive<File>,
    numbers: Vec<i128>,
    /// How many floating-point numbers there are.
    scores: usize,
    /// Values looked at so far.
    values: usize,
    /// Bytes of tensors read so far.
    bytes: u128,
}

impl<'a> Found<'_, 'a> {
    fn add(&mut self, value: Value<'a>, depth: usize) -> Result<(), PthFault> {
        self.values += 1;
        if self.values > MOST_VALUES || depth > DEEPEST {
            return Err(not_numbers("lists in lists without end"));
        }
        let pickle = self.pickle;
        match (value, pickle.object(value)) {
            (Value::Int(number), _) => self.numbers.push(number.into()),
            (Value::Other("float"), _) => self.scores += 1,
            (_, Some(Object::List(items) | Object::Tuple(items))) => {
                for &item in items {
                    self.add(item, depth + 1)?;
                }
            }
            (_, Some(Object::Dict(entries))) => {
                for &(_, value) in entries {
                    self.add(value, depth + 1)?;
                }
            }
            (_, Some(Object::Tensor(view))) => self.add_tensor(view)?,
            _ => return Err(not_numbers(pickle.describe(value))),
        }
        Ok(())
    }

    fn add_tensor(&mut self, view: &View<'_>) -> Result<(), PthFault> {
        let (dtype, shape) = (view.storage.dtype, &view.shape);
        let count = shape
            .iter()
            .fold(1, |count: usize, &axis| count.saturating_mul(axis));
        self.values = self.values.saturating_add(count);
        let is_vector = shape.iter().filter(|&&axis| axis != 1).count() <= 1;
        let size = match dtype {
            "float16" | "bfloat16" | "float32" | "float64" => {
                self.scores = self.scores.saturating_add(count);
                return Ok(());
            }
            "uint8" | "int8" => 1,
            "int16" => 2,
            "int32" => 4,
            "int64" => 8,
            _ => return Err(not_numbers(format!("a tensor of {dtype}"))),
        };
        let expected = view.storage.elements as u128 * size;
        self.bytes += expected;
        if !is_vector || self.values > MOST_VALUES || self.bytes > MOST_BYTES {
            return Err(not_numbers(format!("a tensor {shape:?}")));
        }
        if count > 0 {
            let bytes = self.archive.storage(view.storage.key, expected)?;
            self.numbers.extend(whole(&bytes, view)?);
        }
        Ok(())
    }
}

/// The elements of a tensor of whole numbers, from the bytes of its storage.
fn whole(bytes: &[u8], view: &View<'_>) -> Result<Vec<i128>, PthFault> {
    match view.storage.dtype {
        "uint8" => each(bytes, view, u8::from_le_bytes),
        "int8" => each(bytes, view, i8::from_le_bytes),
        "int16" => each(bytes, view, i16::from_le_bytes),
        "int32" => each(bytes, view, i32::from_le_bytes),
        _ => each(bytes, view, i64::from_le_bytes),
    }
}

fn each<const N: usize, T: Into<i128>>(
    bytes: &[u8],
    view: &View<'_>,
    number: fn([u8; N]) -> T,
) -> Result<Vec<i128>, PthFault> {
    let elements = view_elements(bytes.as_chunks().0, "the saved tensor", view)?;
    Ok(elements.iter().map(|&bytes| number(bytes).into()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str) -> Result<Vec<i128>, String> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/recorded");
        whole_numbers(&Path::new(folder).join(name)).map_err(|error| error.fault.to_string())
    }

    #[test]
    fn lists_of_the_python_repository_are_read() {
        assert_eq!(read("indices_tiers.pt").expect("tiers"), [5, 3, 9999, 7]);
        assert_eq!(read("indices_scores.pt").expect("with scores"), [4, 2, 8]);
        assert_eq!(
            read("indices_tensors.pt").expect("tensors"),
            [3, 1, 2, 6, 300, -1]
        );
    }

    #[test]
    fn what_is_no_list_of_numbers_is_refused() {
        let refused = |name: &str, text: &str| {
            let message = read(name).expect_err(name);
            assert!(message.contains(text), "{name}: {message}");
        };
        refused("logits.pt", "40 floating-point numbers beside 0 whole ones");
        refused("views.pt", "floating-point numbers beside 1 whole ones");
        refused("indices_mask.pt", "a tensor of bool");
        refused("dataset.safetensors", "safetensors");
    }
}
