//! NPY files from elsewhere.

use proto::npy::AnyHeader;

use super::array::{Array, Layout};
use super::element_type::{ElementType, FloatType};
use super::error::FileFault;

/// Bytes within which the header of an NPY file ends.
pub(super) const LONGEST_HEADER: usize = 4096;

/// An NPY file in memory.
pub(super) fn npy_array(bytes: &[u8], dtype: Option<FloatType>) -> Result<Array, FileFault> {
    let header = AnyHeader::parse(bytes)?;
    let data = &bytes[header.data_start..];
    let layout = npy_layout(&header, data.len() as u64, dtype)?;
    if header.fortran_order && header.shape.len() > 1 {
        return Ok(Array::of_fortran_order(layout, data));
    }
    Ok(Array {
        layout,
        bytes: data.to_vec(),
    })
}

/// How its elements are stored; `sixteen` says what 16-bit words without a type are.
pub(super) fn npy_layout(
    header: &AnyHeader,
    data: u64,
    sixteen: Option<FloatType>,
) -> Result<Layout, FileFault> {
    let descr = header
        .descr()
        .unwrap_or_else(|| "of several fields".to_owned());
    let element = ElementType::of_descr(&descr, sixteen);
    let element = element.ok_or(FileFault::Dtype { found: descr })?;
    Layout::new(element, &header.shape, data)
}
