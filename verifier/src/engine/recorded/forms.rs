//! The forms in which outputs come back: each gives arrays, with names where it has them.

use std::path::Path;

use prost::Message as _;
use proto::npy::AnyHeader;
use proto::onnx::{TensorProto, tensor_proto::DataType};

use super::array::{Array, Layout, Named, Values, unnamed};
use super::element_type::{ElementType, FloatType};
use super::error::FileFault;
use super::json;
use super::npy::{LONGEST_HEADER, npy_array, npy_layout};
use super::npz::npz;
use crate::engine::files::{FileRecord, HashedFile, read_whole};

/// By the ending of a file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Npy,
    Npz,
    Raw,
    TensorProto,
    Json,
}

impl Form {
    pub(super) fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "npy" => Some(Self::Npy),
            "npz" => Some(Self::Npz),
            "raw" | "bin" => Some(Self::Raw),
            "pb" => Some(Self::TensorProto),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// Whether its arrays are read as they are compared, rather than held in memory.
    pub(super) fn is_streamed(self) -> bool {
        matches!(self, Self::Npy | Self::Raw)
    }
}

/// Opens an NPY or a raw file at its first element. An array in Fortran order has no first row to
/// read: it is `None`, and [`read_all`] takes it.
pub(super) fn open_streamed(
    path: &Path,
    form: Form,
    dtype: Option<FloatType>,
) -> Result<Option<(Layout, Values<'static>)>, FileFault> {
    let mut file = HashedFile::open(path)?;
    if form == Form::Raw {
        let layout = raw_layout(file.size, raw_type(path, dtype)?)?;
        return Ok(Some((layout, Values::File(Box::new(file)))));
    }
    let header = AnyHeader::parse(file.beginning(LONGEST_HEADER)?)?;
    if header.fortran_order && header.shape.len() > 1 {
        return Ok(None);
    }
    file.skip(header.data_start);
    let data = file.size - header.data_start as u64;
    let layout = npy_layout(&header, data, dtype)?;
    Ok(Some((layout, Values::File(Box::new(file)))))
}

/// Reads all arrays of a file.
pub(super) fn read_all(
    path: &Path,
    form: Form,
    dtype: Option<FloatType>,
) -> Result<(Vec<Named>, FileRecord), FileFault> {
    let (bytes, record) = read_whole(path)?;
    let named = match form {
        Form::Npy => vec![unnamed(npy_array(&bytes, dtype)?)],
        Form::Npz => npz(bytes, dtype)?,
        Form::Raw => {
            let layout = raw_layout(bytes.len() as u64, raw_type(path, dtype)?)?;
            vec![unnamed(Array { layout, bytes })]
        }
        Form::TensorProto => vec![tensor(&bytes)?],
        Form::Json => json::arrays(&bytes, dtype)?,
    };
    Ok((named, record))
}

/// The elements of a raw file: by flag, or as `trtexec --dumpRawBindingsToFile` names its files,
/// `NAME.output.8.65.96.fp32.raw`.
fn raw_type(path: &Path, dtype: Option<FloatType>) -> Result<ElementType, FileFault> {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy());
    let by_name = match stem.as_deref().and_then(|stem| stem.rsplit('.').next()) {
        Some("fp32") => Some(FloatType::Float32),
        Some("fp16") => Some(FloatType::Float16),
        Some("bf16") => Some(FloatType::Bfloat16),
        _ => None,
    };
    let float = dtype.or(by_name).ok_or(FileFault::RawDtype)?;
    Ok(ElementType::little(float))
}

fn raw_layout(bytes: u64, element: ElementType) -> Result<Layout, FileFault> {
    let size = element.float.size() as u64;
    if !bytes.is_multiple_of(size) {
        return Err(FileFault::RawSize { bytes, element });
    }
    Ok(Layout {
        element,
        shape: None,
        elements: (bytes / size) as usize,
    })
}

/// One tensor, as ONNX's own test runners keep it.
fn tensor(bytes: &[u8]) -> Result<Named, FileFault> {
    let broken = |reason: String| FileFault::TensorProto(reason);
    let tensor = TensorProto::decode(bytes).map_err(|error| broken(error.to_string()))?;
    let data_type = tensor
        .data_type
        .and_then(|number| DataType::try_from(number).ok());
    let float = match data_type {
        Some(DataType::Float) => FloatType::Float32,
        Some(DataType::Float16) => FloatType::Float16,
        Some(DataType::Bfloat16) => FloatType::Bfloat16,
        Some(DataType::Double) => FloatType::Float64,
        other => {
            let found = other.map_or_else(|| "none".to_owned(), |other| format!("{other:?}"));
            return Err(FileFault::Dtype { found });
        }
    };
    let data = match tensor.raw_data.as_deref() {
        Some(raw) if !raw.is_empty() => raw.to_vec(),
        _ => match float {
            FloatType::Float32 => bytes_of(&tensor.float_data, |value| value.to_le_bytes()),
            FloatType::Float64 => bytes_of(&tensor.double_data, |value| value.to_le_bytes()),
            // Sixteen bits in each of these.
            _ => bytes_of(&tensor.int32_data, |value| (value as u16).to_le_bytes()),
        },
    };
    let axes = tensor.dims.iter().map(|&axis| usize::try_from(axis));
    let shape: Vec<usize> = axes
        .collect::<Result<_, _>>()
        .map_err(|_| broken(format!("shape {:?}", tensor.dims)))?;
    let layout = Layout::new(ElementType::little(float), &shape, data.len() as u64)?;
    let name = tensor.name.clone().filter(|name| !name.is_empty());
    Ok(Named {
        name,
        ..unnamed(Array {
            layout,
            bytes: data,
        })
    })
}

fn bytes_of<T: Copy, const N: usize>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|&value| bytes(value)).collect()
}
