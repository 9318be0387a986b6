//! An array from elsewhere: how it is stored, and its rows as float32.

use std::io::{self, Read};

use super::element_type::ElementType;
use super::error::FileFault;
use crate::engine::files::HashedFile;

/// How an array is stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    pub(super) element: ElementType,
    /// Axes as they are stored; none of a raw file, which says nothing of them.
    pub(super) shape: Option<Vec<usize>>,
    pub(super) elements: usize,
}

/// An array in memory, in C order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Array {
    pub(super) layout: Layout,
    pub(super) bytes: Vec<u8>,
}

/// An array of a file, under the name it has there.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) name: Option<String>,
    pub(super) array: Array,
    /// Decimal text, of which no bits are compared.
    pub(super) is_decimal: bool,
}

/// Reads an array's elements in order.
#[derive(Debug)]
pub(super) enum Values<'a> {
    /// From a file that is positioned at its first element.
    File(Box<HashedFile>),
    /// From memory.
    Memory(&'a [u8]),
}

/// An array without a name, exact.
pub(super) fn unnamed(array: Array) -> Named {
    Named {
        name: None,
        array,
        is_decimal: false,
    }
}

impl Layout {
    /// Refuses a shape that does not fit the bytes there are.
    pub(super) fn new(
        element: ElementType,
        shape: &[usize],
        bytes: u64,
    ) -> Result<Self, FileFault> {
        let mut axes = shape.iter();
        let elements = axes.try_fold(1, |product: usize, &axis| product.checked_mul(axis));
        let promised = elements.and_then(|elements| elements.checked_mul(element.float.size()));
        match (elements, promised) {
            (Some(elements), Some(promised)) if promised as u64 == bytes => Ok(Self {
                element,
                shape: Some(shape.to_vec()),
                elements,
            }),
            _ => Err(FileFault::Size {
                shape: shape.to_vec(),
                element,
                promised,
                found: bytes,
            }),
        }
    }
}

impl Array {
    /// Puts elements that lie column by column into C order.
    pub(super) fn of_fortran_order(layout: Layout, columns: &[u8]) -> Self {
        let size = layout.element.float.size();
        let shape = layout.shape.clone().unwrap_or_default();
        let mut bytes = Vec::with_capacity(columns.len());
        let mut index = vec![0; shape.len()];
        for _ in 0..layout.elements {
            let mut at = 0;
            for (&position, &axis) in index.iter().zip(&shape).rev() {
                at = at * axis + position;
            }
            bytes.extend_from_slice(&columns[at * size..(at + 1) * size]);
            for (position, &axis) in index.iter_mut().zip(&shape).rev() {
                *position += 1;
                if *position < axis {
                    break;
                }
                *position = 0;
            }
        }
        Self { layout, bytes }
    }
}

impl Values<'_> {
    /// The next elements, as float32.
    pub(super) fn read(&mut self, element: ElementType, into: &mut [f32]) -> io::Result<()> {
        if element == ElementType::FLOAT32 && cfg!(target_endian = "little") {
            return self.read_exact(bytemuck::cast_slice_mut(into));
        }
        let mut bytes = vec![0; into.len() * element.float.size()];
        self.read_exact(&mut bytes)?;
        element.decode(&mut bytes, into);
        Ok(())
    }

    fn read_exact(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.read_exact(bytes),
            Self::Memory(left) => left.read_exact(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_become_rows() {
        // numpy.asfortranarray(numpy.arange(6).reshape(1, 2, 3)): 0 3 1 4 2 5
        let columns: Vec<u8> = [0.0f32, 3.0, 1.0, 4.0, 2.0, 5.0]
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let layout = Layout::new(ElementType::FLOAT32, &[1, 2, 3], 24).expect("24 bytes");
        let array = Array::of_fortran_order(layout, &columns);
        let mut rows = [0.0; 6];
        Values::Memory(&array.bytes)
            .read(ElementType::FLOAT32, &mut rows)
            .expect("six elements");
        assert_eq!(rows, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    fn a_shape_that_its_bytes_do_not_fill_is_refused() {
        for shape in [vec![7], vec![usize::MAX, 2], vec![usize::MAX]] {
            Layout::new(ElementType::FLOAT32, &shape, 24).expect_err("six elements");
        }
    }
}
