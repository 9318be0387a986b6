//! A safetensors file of Python: tensors by name, with or without metadata.

use std::io::{Read, Seek, SeekFrom};

use safetensors::tensor::{Dtype, Metadata};

use proto::checkpoint::ArchiveFault;
use proto::pickle::{Storage, View};
use proto::printable::printable;

use super::error::PthFault;
use crate::tensor_file::read_header;
use crate::weights::METADATA_KEY;

/// What the file's header says.
pub(super) struct SafetensorsFile {
    header: Metadata,
    names: Vec<String>,
    data_start: u64,
}

impl SafetensorsFile {
    /// Reads the header from the beginning of a file.
    pub(super) fn open(mut file: impl Read + Seek) -> Result<Self, PthFault> {
        let length = file.seek(SeekFrom::End(0))?;
        file.rewind()?;
        let header = read_header(&mut file, length)??;
        let data_start = file.stream_position()?;
        if let Some(metadata) = header.metadata()
            && metadata.contains_key(METADATA_KEY)
        {
            return Err(PthFault::OwnWeights);
        }
        let names = header.offset_keys();
        Ok(Self {
            header,
            names,
            data_start,
        })
    }

    /// The tensors, each as a view of a storage of its own that has its name.
    pub(super) fn views(&self) -> impl Iterator<Item = (&str, View<'_>)> {
        let names = self.names.iter();
        names.filter_map(|name| {
            let info = self.header.info(name)?;
            let view = View {
                storage: Storage {
                    dtype: dtype(info.dtype),
                    key: name,
                    elements: product(&info.shape),
                },
                offset: 0,
                shape: info.shape.clone(),
                strides: (1..=info.shape.len())
                    .map(|inner| product(&info.shape[inner..]))
                    .collect(),
            };
            Some((name.as_str(), view))
        })
    }

    /// The bytes of a tensor, which must be this many.
    pub(super) fn storage(
        &self,
        mut file: impl Read + Seek,
        name: &str,
        expected: u128,
    ) -> Result<Vec<u8>, PthFault> {
        let start = self.storage_start(name, expected)?;
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = vec![0; expected as usize];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Where the bytes of a tensor begin in the file; there must be this many.
    pub(super) fn storage_start(&self, name: &str, expected: u128) -> Result<u64, PthFault> {
        let Some(info) = self.header.info(name) else {
            return Err(ArchiveFault::NoEntry(printable(name)).into());
        };
        let (start, end) = info.data_offsets;
        match (end - start) as u128 == expected {
            true => Ok(self.data_start + start as u64),
            false => Err(ArchiveFault::EntrySize {
                name: printable(name),
                expected,
                found: (end - start) as u64,
            }
            .into()),
        }
    }
}

/// The whole shape's was checked with the header, a part's beside an axis of 0 was not.
fn product(axes: &[usize]) -> usize {
    axes.iter()
        .fold(1, |product: usize, &axis| product.saturating_mul(axis))
}

/// As PyTorch calls it.
fn dtype(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F32 => "float32",
        Dtype::F16 => "float16",
        Dtype::BF16 => "bfloat16",
        Dtype::F64 => "float64",
        Dtype::I64 => "int64",
        Dtype::I32 => "int32",
        Dtype::I16 => "int16",
        Dtype::I8 => "int8",
        Dtype::U8 => "uint8",
        Dtype::BOOL => "bool",
        Dtype::C64 => "complex64",
        _ => "a dtype that weights do not have",
    }
}
