//! Tensors of a network as a `.safetensors` file, written one after the other: no copy of all of
//! them in memory; and the header of any such file, read.

use std::collections::BTreeMap;
use std::io::{self, Read, Write as _};
use std::path::Path;

use proto::checkpoint::LONGEST_HEADER;
use proto::staging;
use safetensors::tensor::{Dtype, Metadata, SafeTensorError, TensorInfo};
use serde::Serialize;
use tch::{Kind, Tensor};

/// The header's length is a multiple of this, so that the tensors are aligned.
const ALIGNMENT: usize = 8;

/// Bytes before a file's header, which hold its length.
const PREFIX: u64 = 8;

/// What stands before the tensors' bytes. The order of both maps gives the same bytes each time.
#[derive(Serialize)]
struct Header<'a> {
    #[serde(rename = "__metadata__")]
    metadata: &'a BTreeMap<&'static str, String>,
    #[serde(flatten)]
    tensors: BTreeMap<&'a str, TensorInfo>,
}

/// Writes float32 tensors, and entries of metadata; the file is whole or as it was before.
///
/// The library's own writer puts all through a second temporary file, which a kill would leave.
pub(crate) fn write(
    path: &Path,
    metadata: &BTreeMap<&'static str, String>,
    tensors: &BTreeMap<String, Tensor>,
) -> io::Result<()> {
    let header = header(metadata, tensors)?;
    staging::write_file(path, |writer| {
        writer.write_all(&(header.len() as u64).to_le_bytes())?;
        writer.write_all(&header)?;
        for tensor in tensors.values() {
            writer.write_all(&shape_and_bytes(tensor).1)?;
        }
        Ok(())
    })
}

/// Reads up to the first tensor; refuses a header that does not fit a file of this length.
pub(crate) fn read_header(
    source: &mut impl Read,
    length: u64,
) -> io::Result<Result<Metadata, SafeTensorError>> {
    let mut prefix = Vec::new();
    source.by_ref().take(PREFIX).read_to_end(&mut prefix)?;
    let header_length = prefix.as_slice().try_into().map_or(0, u64::from_le_bytes);
    if header_length > length.saturating_sub(PREFIX) {
        return Ok(Err(SafeTensorError::InvalidHeaderLength));
    }
    if header_length > LONGEST_HEADER {
        return Ok(Err(SafeTensorError::HeaderTooLarge));
    }
    let mut text = Vec::new();
    source.by_ref().take(header_length).read_to_end(&mut text)?;
    let header: Metadata = match serde_json::from_slice(&text) {
        Ok(header) => header,
        Err(error) => return Ok(Err(SafeTensorError::InvalidHeaderDeserialization(error))),
    };
    if header.data_len() as u64 != length - PREFIX - header_length {
        return Ok(Err(SafeTensorError::MetadataIncompleteBuffer));
    }
    Ok(Ok(header))
}

fn header(
    metadata: &BTreeMap<&'static str, String>,
    tensors: &BTreeMap<String, Tensor>,
) -> io::Result<Vec<u8>> {
    let mut end = 0;
    let info = |(name, tensor)| {
        let start = end;
        end += Tensor::numel(tensor) * size_of::<f32>();
        let info = TensorInfo {
            dtype: Dtype::F32,
            shape: shape(tensor),
            data_offsets: (start, end),
        };
        (String::as_str(name), info)
    };
    let tensors = tensors.iter().map(info).collect();
    let mut header = serde_json::to_vec(&Header { metadata, tensors })?;
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
    Ok(header)
}

/// A tensor's shape and its elements as little-endian float32 bytes in C order.
pub fn shape_and_bytes(tensor: &Tensor) -> (Vec<usize>, Vec<u8>) {
    let tensor = tensor
        .detach()
        .to_device(tch::Device::Cpu)
        .to_kind(Kind::Float)
        .contiguous();
    let mut bytes = vec![0; tensor.numel() * size_of::<f32>()];
    tensor.copy_data_u8(&mut bytes, tensor.numel());
    (shape(&tensor), bytes)
}

fn shape(tensor: &Tensor) -> Vec<usize> {
    tensor.size().iter().map(|&axis| axis as usize).collect()
}
