//! What files of arrays hold: any valid NPY, NPZ and safetensors.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek as _};
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
    let (array, values) = read_array(&mut file, size).with_context(name)?;
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
    if !values.is_empty() {
        say!("values       {}", values.join(", "));
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
        let what = match read_array(&mut entry, size) {
            Ok((array, values)) => describe(&array, &values),
            Err(error) => format!("{error:#}"),
        };
        say!("  {shown:<20} {what}");
    }
    Ok(())
}

/// Reads an array's header and first values; its data must be as many bytes as that says.
fn read_array(source: &mut impl Read, size: u64) -> Result<(AnyArray, Vec<String>)> {
    let mut beginning = Vec::new();
    source
        .take(AnyArray::HEAD as u64 + SHOWN_BYTES)
        .read_to_end(&mut beginning)?;
    let array = AnyArray::parse(&beginning)?;
    array.check_size(size.saturating_sub(array.data_start as u64))?;
    let values = array.first(&beginning[array.data_start..], SHOWN + 1);
    Ok((array, shortened(values)))
}

fn shortened(mut values: Vec<String>) -> Vec<String> {
    if values.len() > SHOWN {
        values[SHOWN] = "…".to_owned();
    }
    values
}

fn describe(array: &AnyArray, values: &[String]) -> String {
    let (element, shape) = (array.element.name(), &array.shape);
    let order = order(array);
    format!("{element:<8} {shape:?}{order}  {}", values.join(", "))
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
