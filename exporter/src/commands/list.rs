//! A list of whole numbers in a file, as people have it: a text in any of its shapes, an NPY file
//! of any width, or a list that torch.save wrote; or a mask, a yes or no for each.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use proto::npy::AnyArray;
use proto::regular_file;
use trainer::pth::whole_numbers;

/// An image's number in a text has at most five digits; a larger file than this is no list of
/// images.
const LARGEST_LIST: u64 = 64 << 20;

/// Reads the numbers of a list. A mask is for this many things, and gives the numbers of those it
/// is true for.
pub(super) fn read(path: &Path, mask_length: usize) -> Result<Vec<i128>> {
    let name = || path.display().to_string();
    let mut file = regular_file::open(path).with_context(name)?;
    let size = file.metadata().with_context(name)?.len();
    ensure!(
        size <= LARGEST_LIST,
        "{}: {size} bytes, expected a list of numbers",
        name()
    );
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).with_context(name)?;
    let list = if bytes.starts_with(b"\x93NUMPY") {
        of_npy(&bytes)
    } else if bytes.starts_with(b"PK") {
        return Ok(whole_numbers(path)?); // its errors name the file
    } else {
        of_text(&text(&bytes).with_context(name)?)
    };
    match list.with_context(name)? {
        List::Numbers(numbers) => {
            let is_mask = numbers.len() == mask_length
                && mask_length > 2
                && numbers.iter().all(|number| matches!(number, 0 | 1));
            ensure!(
                !is_mask,
                "{}: {mask_length} numbers, all 0 or 1, look like a mask, expected positions\n\
                 hint: a mask is of booleans: numpy.save(NEW, numpy.load(FILE).astype(bool))",
                name()
            );
            Ok(numbers)
        }
        List::Mask(mask) => {
            ensure!(
                mask.len() == mask_length,
                "{}: a mask of {} values, expected {mask_length}",
                name(),
                mask.len()
            );
            let numbers = (0..).zip(mask).filter(|(_, is_chosen)| *is_chosen);
            Ok(numbers.map(|(number, _)| number).collect())
        }
    }
}

enum List {
    Numbers(Vec<i128>),
    Mask(Vec<bool>),
}

fn of_npy(bytes: &[u8]) -> Result<List> {
    let array = AnyArray::parse(bytes)?;
    let data = &bytes[array.data_start..];
    array.check_size(data.len() as u64)?;
    ensure!(
        array.is_vector(),
        "shape {:?}, expected one axis\nhint: numpy.save(NEW, numpy.load(FILE).ravel())",
        array.shape
    );
    let element = &array.element;
    let size = element.size().filter(|&size| size > 0);
    let elements = data.chunks_exact(size.unwrap_or(usize::MAX));
    if element.is_bool() {
        let mask = elements.map(|element| element != [0]);
        return Ok(List::Mask(mask.collect()));
    }
    let number = |bytes: &[u8]| {
        let number = element.whole(bytes);
        number.ok_or_else(|| anyhow!("`{}` is no whole number", element.describe(bytes)))
    };
    ensure!(
        size.is_some(),
        "dtype {}, expected whole numbers or a mask",
        element.name()
    );
    let numbers: Result<Vec<i128>> = elements.map(number).collect();
    Ok(List::Numbers(numbers?))
}

/// UTF-8, or UTF-16 where its byte-order mark says so.
fn text(bytes: &[u8]) -> Result<String> {
    let utf16 = |unit: fn([u8; 2]) -> u16| {
        let (units, _) = bytes[2..].as_chunks();
        let units: Vec<u16> = units.iter().map(|&bytes| unit(bytes)).collect();
        String::from_utf16(&units).context("not valid UTF-16")
    };
    match bytes {
        [0xff, 0xfe, ..] => utf16(u16::from_le_bytes),
        [0xfe, 0xff, ..] => utf16(u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).context("not UTF-8"),
        _ => String::from_utf8(bytes.to_vec())
            .context("not UTF-8: expected a text, an NPY file or a file of torch.save"),
    }
}

/// Numbers apart by spaces, commas, semicolons or lines, also in brackets; a `#` begins a comment.
/// The first line may be a heading of one column.
fn of_text(text: &str) -> Result<List> {
    let mut lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
        .peekable();
    if let Some(heading) = lines.next_if(|line| is_heading(line)) {
        let columns = heading.split([',', ';', '\t']).count();
        ensure!(
            columns == 1,
            "{columns} columns by its heading `{}`, expected one of numbers",
            heading.escape_debug()
        );
    }
    let words: Vec<&str> = lines.flat_map(words).collect();
    let truths: Vec<Option<bool>> = words.iter().map(|word| truth(word)).collect();
    if !truths.is_empty() && truths.iter().all(Option::is_some) {
        return Ok(List::Mask(truths.into_iter().flatten().collect()));
    }
    let numbers: Result<Vec<i128>> = words.into_iter().map(number).collect();
    Ok(List::Numbers(numbers?))
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    let is_between = |character: char| {
        character.is_whitespace() || matches!(character, ',' | ';' | '[' | ']' | '(' | ')')
    };
    line.split(is_between)
        .map(|word| word.trim_matches(['"', '\'']))
        .filter(|word| !word.is_empty())
}

/// Whether a line begins with a letter in each of its words, as no number does.
fn is_heading(line: &str) -> bool {
    let is_name = |word: &str| word.starts_with(char::is_alphabetic) || word.starts_with('_');
    let is_value = |word: &str| truth(word).is_some() || word.parse::<f64>().is_ok();
    let mut words = words(line).peekable();
    words.peek().is_some() && words.all(|word| is_name(word) && !is_value(word))
}

fn truth(word: &str) -> Option<bool> {
    match word {
        "True" | "true" | "TRUE" => Some(true),
        "False" | "false" | "FALSE" => Some(false),
        _ => None,
    }
}

/// A whole number, also written as `5.0e+00`.
fn number(word: &str) -> Result<i128> {
    if let Ok(number) = word.parse() {
        return Ok(number);
    }
    match word.parse::<f64>() {
        Ok(number) if number.fract() == 0.0 && number.abs() < 2f64.powi(53) => Ok(number as i128),
        _ => bail!("`{}` is no whole number", word.escape_debug()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read_bytes(bytes: &[u8]) -> Result<Vec<i128>> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), bytes).expect("write");
        read(file.path(), 8)
    }

    #[track_caller]
    fn assert_numbers(bytes: &[u8], expected: &[i128]) {
        assert_eq!(read_bytes(bytes).expect("a list"), expected);
    }

    #[track_caller]
    fn assert_refused(bytes: &[u8], text: &str) {
        let error = format!("{:#}", read_bytes(bytes).expect_err("no list"));
        assert!(error.contains(text), "{error}\nexpected {text}");
    }

    fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header =
            format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let length = (header.len() as u16).to_le_bytes();
        [
            &b"\x93NUMPY\x01\0"[..],
            &length[..],
            header.as_bytes(),
            data,
        ]
        .concat()
    }

    #[test]
    fn texts_of_every_program_are_read() {
        assert_numbers(b"7 5\n3 # a frog\n", &[7, 5, 3]);
        assert_numbers(b"7,5;3,\r\n", &[7, 5, 3]);
        assert_numbers(b"[7, 5,\n 3]", &[7, 5, 3]);
        // numpy.savetxt
        assert_numbers(b"7.000000000000000000e+00\n5.0e+00\n3.\n", &[7, 5, 3]);
        assert_numbers(b"index\n7\n5\n", &[7, 5]);
        assert_numbers(b"# made by hand\n\"sample index\"\n\"7\"\n", &[7]);
        assert_numbers(b"\xef\xbb\xbf7\n5\n", &[7, 5]);
        assert_numbers(b"\xff\xfe7\0\n\x005\0", &[7, 5]);
        assert_numbers(b"\xfe\xff\x007\0\n\x005", &[7, 5]);
        assert_numbers(b"True False False False False True True False", &[0, 5, 6]);
        assert_numbers(b"", &[]);
        assert_numbers(b"-1", &[-1]); // which its reader refuses
    }

    #[test]
    fn what_is_no_list_is_refused() {
        assert_refused(b"7 five", "`five` is no whole number");
        assert_refused(b"7.5", "`7.5` is no whole number");
        assert_refused(b"nan", "`nan` is no whole number");
        assert_refused(b"1e300", "`1e300` is no whole number");
        assert_refused(b"7\nindex\n", "`index` is no whole number");
        assert_refused(
            b"index,label\n0,7\n",
            "2 columns by its heading `index,label`",
        );
        assert_refused(b",index\n0,7\n", "2 columns");
        assert_refused(b"0 1 0 1 0 1 0 1", "look like a mask");
        assert_refused(b"True False", "a mask of 2 values, expected 8");
        assert_refused(b"\xff\xd8\xff", "not UTF-8: expected a text, an NPY file");
    }

    #[test]
    fn lists_that_pytorch_saved_are_read() {
        let folder = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../trainer/tests/fixtures/recorded"
        );
        let read = |name: &str| read(&Path::new(folder).join(name), 10_000);
        let tiers = read("indices_tiers.pt").expect("a list of lists");
        assert_eq!(tiers, [5, 3, 9999, 7]);
        let refused = format!("{:#}", read("logits.pt").expect_err("no list"));
        assert!(
            refused.contains("logits.pt: expected whole numbers"),
            "{refused}"
        );
    }

    #[test]
    fn arrays_of_any_width_are_read() {
        assert_numbers(&npy("|u1", "(2,)", &[7, 5]), &[7, 5]);
        assert_numbers(&npy("<i2", "(2, 1)", &[7, 0, 0xff, 0xff]), &[7, -1]);
        assert_numbers(&npy(">i4", "(1, 1)", &[0, 0, 1, 0]), &[256]);
        assert_numbers(&npy("<f4", "(1,)", &5f32.to_le_bytes()), &[5]);
        assert_numbers(&npy("<u8", "()", &[7, 0, 0, 0, 0, 0, 0, 0]), &[7]);
        assert_numbers(&npy("|b1", "(8,)", &[1, 0, 0, 0, 0, 1, 0, 0]), &[0, 5]);
        assert_refused(
            &npy("|b1", "(2,)", &[1, 0]),
            "a mask of 2 values, expected 8",
        );
        assert_refused(
            &npy("<i2", "(2, 2)", &[0; 8]),
            "shape [2, 2], expected one axis",
        );
        assert_refused(
            &npy("<f4", "(1,)", &5.5f32.to_le_bytes()),
            "`5.5` is no whole",
        );
        assert_refused(&npy("<i8", "(2,)", &[0; 8]), "promises 16 bytes");
        assert_refused(&npy("|O", "(2,)", b"\x80\x04."), "Python objects");
    }
}
