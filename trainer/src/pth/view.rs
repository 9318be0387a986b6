//! A tensor's numbers, from the storage that it is a view of.

use std::borrow::Cow;

use proto::config::Parameter;
use proto::pickle::View;
use proto::printable::printable;
use tch::{Kind, Tensor};

use super::error::PthFault;
use crate::tensor_file::shape_and_bytes;

/// A dtype that a network's parameters may have in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Float {
    kind: Kind,
    /// Bytes of one element.
    pub(super) size: usize,
    /// Whether every number is one in float32.
    pub(super) is_exact: bool,
}

impl Float {
    /// By PyTorch's name; none of what is no floating-point number.
    pub(super) fn of(dtype: &str) -> Option<Self> {
        let (kind, size, is_exact) = match dtype {
            "float32" => (Kind::Float, 4, true),
            "float16" => (Kind::Half, 2, true),
            "bfloat16" => (Kind::BFloat16, 2, true),
            "float64" => (Kind::Double, 8, false),
            _ => return None,
        };
        Some(Self {
            kind,
            size,
            is_exact,
        })
    }
}

/// A parameter as float32, from the bytes of its storage; every number is finite.
pub(super) fn tensor(
    bytes: &[u8],
    float: Float,
    parameter: &Parameter,
    view: &View<'_>,
) -> Result<Tensor, PthFault> {
    let tensor = match float.size {
        2 => in_c_order(bytes.as_chunks::<2>().0, float.kind, parameter, view),
        4 => in_c_order(bytes.as_chunks::<4>().0, float.kind, parameter, view),
        _ => in_c_order(bytes.as_chunks::<8>().0, float.kind, parameter, view),
    }?;
    if float.kind == Kind::Double {
        check_range(&tensor, &parameter.name)?;
    }
    let tensor = tensor.to_kind(Kind::Float);
    check_finite(&tensor, &parameter.name)?;
    Ok(tensor)
}

fn in_c_order<const N: usize>(
    storage: &[[u8; N]],
    kind: Kind,
    parameter: &Parameter,
    view: &View<'_>,
) -> Result<Tensor, PthFault> {
    let values = view_elements(storage, &parameter.name, view)?;
    let shape: Vec<i64> = view.shape.iter().map(|&axis| axis as i64).collect();
    Ok(Tensor::from_data_size(values.as_flattened(), &shape, kind))
}

/// A tensor's elements in C order, as they are where they stand so in the storage; every axis is
/// at least 1 long.
pub(super) fn view_elements<'a, const N: usize>(
    storage: &'a [[u8; N]],
    name: &str,
    view: &View<'_>,
) -> Result<Cow<'a, [[u8; N]]>, PthFault> {
    // The storage has as many elements as the pickle says.
    let axes = view.axes();
    bounds(view, name, &axes)?;
    let count = view.shape.iter().product();
    if is_contiguous(&axes) {
        return Ok(Cow::Borrowed(&storage[view.offset..view.offset + count]));
    }
    let mut elements = Vec::with_capacity(count);
    gather(storage, view.offset, &axes, &mut elements);
    Ok(Cow::Owned(elements))
}

/// Refuses a view, every axis of which is at least 1 long, that reaches past its storage.
pub(super) fn bounds(view: &View<'_>, name: &str, axes: &[(usize, usize)]) -> Result<(), PthFault> {
    let reach = |last: usize, &(length, stride): &(usize, usize)| {
        let reach = usize::checked_mul(length - 1, stride)?;
        last.checked_add(reach)
    };
    let last = axes.iter().try_fold(view.offset, reach);
    match last.is_some_and(|last| last < view.storage.elements) {
        true => Ok(()),
        false => Err(PthFault::OutOfBounds {
            name: name.to_owned(),
            key: printable(view.storage.key),
            elements: view.storage.elements,
        }),
    }
}

/// The stride of an axis of length 1 is never used, and PyTorch leaves anything there.
pub(super) fn is_contiguous(axes: &[(usize, usize)]) -> bool {
    let mut expected: usize = 1;
    axes.iter().rev().all(|&(length, stride)| {
        let fits = length == 1 || stride == expected;
        expected = expected.saturating_mul(length);
        fits
    })
}

fn gather<const N: usize>(
    storage: &[[u8; N]],
    start: usize,
    axes: &[(usize, usize)],
    elements: &mut Vec<[u8; N]>,
) {
    match axes {
        [] => elements.push(storage[start]),
        [(length, stride), inner @ ..] => {
            for index in 0..*length {
                gather(storage, start + index * stride, inner, elements);
            }
        }
    }
}

/// Refuses finite float64 numbers that are none in float32.
fn check_range(tensor: &Tensor, name: &str) -> Result<(), PthFault> {
    let mut bytes = vec![0; tensor.numel() * size_of::<f64>()];
    tensor.copy_data_u8(&mut bytes, tensor.numel());
    let (values, _) = bytes.as_chunks();
    let values = values.iter().map(|&bytes| f64::from_le_bytes(bytes));
    let is_beyond = |value: &f64| value.is_finite() && !(*value as f32).is_finite();
    let mut beyond = values.enumerate().filter(|(_, value)| is_beyond(value));
    let Some((element, value)) = beyond.next() else {
        return Ok(());
    };
    Err(PthFault::Beyond {
        name: name.to_owned(),
        count: 1 + beyond.count(),
        of: tensor.numel(),
        element,
        value,
    })
}

fn check_finite(tensor: &Tensor, name: &str) -> Result<(), PthFault> {
    let (_, bytes) = shape_and_bytes(tensor);
    let (values, _) = bytes.as_chunks();
    let mut values = values
        .iter()
        .map(|&bytes| f32::from_le_bytes(bytes))
        .enumerate();
    match values.find(|(_, value)| !value.is_finite()) {
        None => Ok(()),
        Some((element, value)) => Err(PthFault::NotFinite {
            name: name.to_owned(),
            element,
            value,
        }),
    }
}
