//! What files of arrays hold: any valid NPY, NPZ and safetensors.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use console::{grouped, say};
use proto::npy::AnyArray;
use proto::regular_file;
use serde::Deserialize;
use zip::ZipArchive;

/// Values of an array that are shown.
const SHOWN: usize = 6;

/// Bytes of values that are read for it; elements may be of any size.
const SHOWN_BYTES: u64 = 1 << 16;

/// As the safetensors library has it.
const LONGEST_HEADER: u64 = 100_000_000;

pub(super) fn inspect_npy(path: &Path) -> Result<()> {
    let name = || path.display().to_string();
    let mut file = regular_file::open(path).with_context(name)?;
    let size = file.metadata().with_context(name)?.len();
    let (array, values) = read_array(&mut file, size, seek_over).with_context(name)?;
    let element = &array.element;
    let descr = element.descr().unwrap_or("structured");
    let (major, minor) = array.version;
    say!("array        {} (NPY {major}.{minor})", path.display());
    say!("dtype        {} ({descr})", element.name());
    say!("shape        {:?}{}", array.shape, order(&array));
    say!(
        "elements     {} in {} bytes",
        grouped(array.elements().with_context(name)?),
        grouped((size - array.data_start as u64) as usize)
    );
    let values = values.to_string();
    if !values.is_empty() {
        say!("values       {values}");
    }
    if needs_conversion(&array) {
        say!(
            "convert      numpy.save(NEW, numpy.ascontiguousarray(numpy.load(FILE), \"<f4\")) \
             makes it float32 in C order, as other commands want it"
        );
    }
    Ok(())
}

/// Whether numbers stand otherwise than in C order as little-endian float32.
fn needs_conversion(array: &AnyArray) -> bool {
    let is_float32 = array.element.descr() == Some("<f4");
    let is_in_order = !array.fortran_order || array.is_vector();
    array.element.is_float() && !(is_float32 && is_in_order)
}

pub(super) fn inspect_npz(path: &Path) -> Result<()> {
    let name = || path.display().to_string();
    let file = regular_file::open(path).with_context(name)?;
    let mut zip = ZipArchive::new(BufReader::new(file)).with_context(name)?;
    say!("arrays       {} ({} entries)", path.display(), zip.len());
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).with_context(name)?;
        let entry_name = entry.name().with_context(name)?.into_owned();
        let shown = entry_name.strip_suffix(".npy").unwrap_or(&entry_name);
        let shown = shown.escape_debug().to_string();
        let size = entry.size();
        let what = match read_array(&mut entry, size, read_over) {
            Ok((array, values)) => describe(&array, &values),
            Err(error) => format!("{error:#}"),
        };
        say!("  {shown:<20} {what}");
    }
    Ok(())
}

/// Reads an array's header and the values that come first in C order; its data must be as many
/// bytes as that says. Bytes that are not needed are passed over by `skip`.
fn read_array<R: Read>(
    source: &mut R,
    size: u64,
    skip: fn(&mut R, u64) -> io::Result<()>,
) -> Result<(AnyArray, Values)> {
    let mut beginning = Vec::new();
    source
        .by_ref()
        .take(AnyArray::HEAD as u64 + SHOWN_BYTES)
        .read_to_end(&mut beginning)?;
    let array = AnyArray::parse(&beginning)?;
    array.check_size(size.saturating_sub(array.data_start as u64))?;
    if array.element.is_long_double() {
        return Ok((array, Values::LongDouble));
    }
    let length = match array.element.size() {
        Some(length @ 1..) if length as u64 <= SHOWN_BYTES => length,
        _ => return Ok((array, Values::Shown(vec![]))),
    };
    let positions = array.first_in_c_order(SHOWN + 1);
    let mut by_position: Vec<usize> = (0..positions.len()).collect();
    by_position.sort_by_key(|&value| positions[value]);
    let mut values = vec![String::new(); positions.len()];
    let mut at = beginning.len() as u64;
    for value in by_position {
        let start = (array.data_start + positions[value] * length) as u64;
        let mut bytes = vec![0; length];
        if start + length as u64 <= beginning.len() as u64 {
            bytes.copy_from_slice(&beginning[start as usize..][..length]);
        } else {
            // What of an element lies in the beginning was read with it.
            let had = beginning.get(start as usize..).unwrap_or_default();
            bytes[..had.len()].copy_from_slice(had);
            skip(source, (start + had.len() as u64) - at)?;
            source.read_exact(&mut bytes[had.len()..])?;
            at = start + length as u64;
        }
        values[value] = array.element.describe(&bytes);
    }
    Ok((array, Values::Shown(shortened(values))))
}

/// Passes over bytes of an entry that is decompressed.
fn read_over(source: &mut impl Read, bytes: u64) -> io::Result<()> {
    io::copy(&mut source.take(bytes), &mut io::sink()).map(drop)
}

fn seek_over(file: &mut File, bytes: u64) -> io::Result<()> {
    file.seek(SeekFrom::Current(bytes as i64)).map(drop)
}

/// The first values of an array.
enum Values {
    Shown(Vec<String>),
    LongDouble,
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shown(values) => f.write_str(&values.join(", ")),
            Self::LongDouble => f.write_str(
                "not shown: long double has another layout on each kind of machine; \
                 .astype(\"f8\") makes float64 of it",
            ),
        }
    }
}

fn shortened(mut values: Vec<String>) -> Vec<String> {
    if values.len() > SHOWN {
        values[SHOWN] = "…".to_owned();
    }
    values
}

fn describe(array: &AnyArray, values: &Values) -> String {
    let (element, shape) = (array.element.name(), &array.shape);
    let order = order(array);
    format!("{element:<8} {shape:?}{order}  {values}")
}

/// In which order the values lie, where that makes a difference.
fn order(array: &AnyArray) -> &'static str {
    match array.fortran_order && !array.is_vector() {
        true => ", Fortran order (column by column)",
        false => "",
    }
}

/// A tensor as the header of a safetensors file describes it.
#[derive(Debug, Deserialize)]
struct Described {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

pub(super) fn inspect_safetensors(path: &Path) -> Result<()> {
    let name = || path.display().to_string();
    let mut file = regular_file::open(path).with_context(name)?;
    let size = file.metadata().with_context(name)?.len();
    let mut header = read_header(&mut file, size)
        .with_context(|| format!("{}: not a valid safetensors file", path.display()))?;
    let header_metadata = header.remove("__metadata__");
    let mut tensors: Vec<(String, Described)> = Vec::new();
    for (tensor, value) in header {
        let described = serde_json::from_value(value)
            .with_context(|| format!("{}: tensor `{}`", name(), tensor.escape_debug()))?;
        tensors.push((tensor, described));
    }
    tensors.sort_by_key(|(_, tensor)| tensor.data_offsets);
    let end = tensors
        .last()
        .map_or(0, |(_, tensor)| tensor.data_offsets.1);
    let data_start = file.stream_position().with_context(name)?;
    ensure!(
        data_start.checked_add(end) == Some(size),
        "{}: not a valid safetensors file: its header promises {end} bytes of data, the file holds \
         {}",
        name(),
        size - data_start
    );
    let bytes = grouped(size as usize);
    say!("tensors      {} ({bytes} bytes)", path.display());
    let metadata = header_metadata.as_ref().and_then(|value| value.as_object());
    for (key, value) in metadata.into_iter().flatten() {
        say!(
            "metadata     {}: {}",
            key.escape_debug(),
            beginning(value.as_str().unwrap_or_default())
        );
    }
    for (tensor, Described { dtype, shape, .. }) in &tensors {
        let tensor = tensor.escape_debug().to_string();
        say!("  {tensor:<48} {:<8} {shape:?}", dtype.escape_debug());
    }
    Ok(())
}

/// The first characters of a text, which may be as long as the file.
fn beginning(text: &str) -> String {
    let characters = text.chars().take(60);
    characters.flat_map(char::escape_debug).collect()
}

fn read_header(file: &mut File, size: u64) -> Result<BTreeMap<String, serde_json::Value>> {
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    ensure!(
        length <= LONGEST_HEADER && length <= size - 8,
        "its header claims {length} bytes"
    );
    let mut text = Vec::new();
    file.take(length).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}
