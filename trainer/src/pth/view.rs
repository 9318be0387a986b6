//! A tensor's numbers, from the storage that it is a view of.

use std::borrow::Cow;

use proto::config::Parameter;

use super::error::PthFault;
use super::pickle::View;
use super::printable::printable;

/// A tensor's elements in C order, as they are where they stand so in the storage.
pub(super) fn view_elements<'a>(
    storage: &'a [[u8; 4]],
    parameter: &Parameter,
    view: &View<'_>,
) -> Result<Cow<'a, [[u8; 4]]>, PthFault> {
    // Every axis is at least 1 long: the shape is that of a parameter.
    let axes: Vec<(usize, usize)> = view
        .shape
        .iter()
        .copied()
        .zip(view.strides.iter().copied())
        .collect();
    let last = axes
        .iter()
        .try_fold(view.offset, |last, &(length, stride)| {
            (length - 1)
                .checked_mul(stride)
                .and_then(|reach| last.checked_add(reach))
        });
    if last.is_none_or(|last| last >= storage.len()) {
        let (name, key) = (parameter.name.clone(), printable(view.storage.key));
        return Err(PthFault::OutOfBounds {
            name,
            key,
            elements: storage.len(),
        });
    }
    let count = view.shape.iter().product();
    if is_contiguous(&axes) {
        return Ok(Cow::Borrowed(&storage[view.offset..view.offset + count]));
    }
    let mut elements = Vec::with_capacity(count);
    gather(storage, view.offset, &axes, &mut elements);
    Ok(Cow::Owned(elements))
}

/// The stride of an axis of length 1 is never used, and PyTorch leaves anything there.
fn is_contiguous(axes: &[(usize, usize)]) -> bool {
    let mut expected = 1;
    axes.iter().rev().all(|&(length, stride)| {
        let fits = length == 1 || stride == expected;
        expected *= length;
        fits
    })
}

fn gather(storage: &[[u8; 4]], start: usize, axes: &[(usize, usize)], elements: &mut Vec<[u8; 4]>) {
    match axes {
        [] => elements.push(storage[start]),
        [(length, stride), inner @ ..] => {
            for index in 0..*length {
                gather(storage, start + index * stride, inner, elements);
            }
        }
    }
}

pub(super) fn check_finite(values: &[[u8; 4]], name: &str) -> Result<(), PthFault> {
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
