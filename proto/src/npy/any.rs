//! NPY files of any dtype, order and version: what is in them, for people to look at and for short
//! lists of numbers.

use super::any_element::AnyElement;
use super::error::NpyFault;
use super::header::{MAGIC, elements};
use super::literal::Literal;

/// The longest header read: a record of some hundred fields.
const LONGEST: usize = 1 << 16;

/// What the header of an NPY file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnyArray {
    /// Of the format: 1.0, 2.0 or 3.0.
    pub version: (u8, u8),
    pub element: AnyElement,
    /// Whether the elements lie column by column.
    pub fortran_order: bool,
    /// Axes, slowest first in C order.
    pub shape: Vec<usize>,
    /// Where the data begins in the file.
    pub data_start: usize,
}

impl AnyArray {
    /// Bytes from a file's beginning within which every header that is read ends.
    pub const HEAD: usize = LONGEST + 12;

    /// Reads a header from the beginning of a file.
    pub fn parse(bytes: &[u8]) -> Result<Self, NpyFault> {
        if !bytes.starts_with(MAGIC) {
            return Err(NpyFault::Magic);
        }
        let &[major, minor] = bytes.get(6..8).ok_or(NpyFault::HeaderTruncated)? else {
            return Err(NpyFault::HeaderTruncated);
        };
        let (start, length) = match major {
            1 => (10, bytes.get(8..10).map(little_endian)),
            2 | 3 => (12, bytes.get(8..12).map(little_endian)),
            _ => return Err(NpyFault::Version(major, minor)),
        };
        let length = length.ok_or(NpyFault::HeaderTruncated)?;
        if length > LONGEST {
            return Err(NpyFault::HeaderLength {
                found: length,
                most: LONGEST,
            });
        }
        let data_start = start + length;
        let text = bytes
            .get(start..data_start)
            .ok_or(NpyFault::HeaderTruncated)?;
        let text = match major {
            3 => String::from_utf8_lossy(text).into_owned(),
            _ => text.iter().copied().map(char::from).collect(), // Latin-1
        };
        let malformed = |what: &str| NpyFault::Header(what.to_owned());
        let header = Literal::parse(&text).ok_or_else(|| malformed("expected a dictionary"))?;
        let (Some(descr), Some(&Literal::Bool(fortran_order)), Some(Literal::Items(shape))) = (
            header.get("descr"),
            header.get("fortran_order"),
            header.get("shape"),
        ) else {
            return Err(malformed("expected `descr`, `fortran_order` and `shape`"));
        };
        let axis = |axis: &Literal| match axis {
            Literal::Number(axis) => usize::try_from(*axis).ok(),
            _ => None,
        };
        let shape: Option<Vec<usize>> = shape.iter().map(axis).collect();
        Ok(Self {
            version: (major, minor),
            element: AnyElement::of(descr).ok_or_else(|| malformed("expected a dtype"))?,
            fortran_order,
            shape: shape.ok_or_else(|| malformed("expected lengths of axes"))?,
            data_start,
        })
    }

    /// Elements of the array.
    pub fn elements(&self) -> Result<usize, NpyFault> {
        elements(&self.shape)
    }

    /// Compares the size of the data with what the header promises, where the dtype has a size.
    pub fn check_size(&self, found: u64) -> Result<(), NpyFault> {
        let Some(size) = self.element.size() else {
            return Ok(());
        };
        let promised = (self.elements()? as u64)
            .checked_mul(size as u64)
            .ok_or_else(|| NpyFault::Overflow(format!("{:?}", self.shape)))?;
        match promised == found {
            true => Ok(()),
            false => Err(NpyFault::Size {
                shape: self.shape.clone(),
                promised,
                found,
            }),
        }
    }

    /// Where the first elements lie in the data, counted in elements: first in C order, the last
    /// axis fastest, however they lie.
    pub fn first_in_c_order(&self, most: usize) -> Vec<usize> {
        let count = self.elements().unwrap_or(0).min(most);
        let position = |index: usize| match self.fortran_order {
            true => self.fortran_position(index),
            false => index,
        };
        (0..count).map(position).collect()
    }

    /// From an element's index in C order to that in Fortran order.
    fn fortran_position(&self, mut index: usize) -> usize {
        let mut on_axes = vec![0; self.shape.len()];
        for (axis, &length) in self.shape.iter().enumerate().rev() {
            (on_axes[axis], index) = (index % length, index / length);
        }
        let axes = self.shape.iter().zip(on_axes).rev();
        axes.fold(0, |position, (&length, on_axis)| {
            position * length + on_axis
        })
    }

    /// Whether the elements have one order only: at most one axis is longer than 1.
    pub fn is_vector(&self) -> bool {
        self.shape.iter().filter(|&&axis| axis != 1).count() <= 1
    }
}

fn little_endian(bytes: &[u8]) -> usize {
    let bytes = bytes.iter().rev();
    bytes.fold(0, |number, &byte| number << 8 | usize::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(version: u8, text: &str) -> Vec<u8> {
        let length = text.len() as u32;
        let length = match version {
            1 => length.to_le_bytes()[..2].to_vec(),
            _ => length.to_le_bytes().to_vec(),
        };
        [MAGIC.as_slice(), &[version, 0], &length, text.as_bytes()].concat()
    }

    fn header(descr: &str, shape: &str) -> String {
        format!("{{'descr': {descr}, 'fortran_order': True, 'shape': {shape}, }}\n")
    }

    #[test]
    fn every_version_order_and_dtype_is_read() {
        for version in 1..=3 {
            let bytes = file(version, &header("'>f2'", "(2, 3)"));
            let found = AnyArray::parse(&bytes).expect("a header");
            assert_eq!(found.version, (version, 0));
            assert_eq!(
                (found.shape.as_slice(), found.fortran_order),
                (&[2, 3][..], true)
            );
            assert_eq!(found.data_start, bytes.len());
            assert_eq!(found.element.name(), "float16, big endian");
            found.check_size(12).expect("six elements");
            found.check_size(11).expect_err("too few");
            assert_eq!(found.element.describe(&[0x3e, 0]), "1.5");
            assert_eq!(found.first_in_c_order(5), [0, 2, 4, 1, 3]);
            assert!(!found.is_vector());
        }
    }

    #[test]
    fn the_first_elements_are_those_with_the_lowest_indices() {
        let header = header("'<f4'", "(2, 3, 4)");
        let fortran = AnyArray::parse(&file(1, &header)).expect("a header");
        // numpy.arange(24).reshape(2, 3, 4, order="F").ravel()[:6]
        assert_eq!(fortran.first_in_c_order(6), [0, 6, 12, 18, 2, 8]);
        let c = AnyArray {
            fortran_order: false,
            ..fortran.clone()
        };
        assert_eq!(c.first_in_c_order(3), [0, 1, 2]);
        let empty = AnyArray {
            shape: vec![3, 0],
            ..fortran
        };
        assert!(empty.first_in_c_order(3).is_empty());
    }

    #[test]
    fn records_have_fields() {
        let descr = "[('x', '<i2'), ('y', [('a', '|b1'), ('b', '<f4', (2,))])]";
        let found = AnyArray::parse(&file(1, &header(descr, "(1,)"))).expect("a header");
        assert_eq!(found.element.size(), Some(11));
        assert_eq!(
            found.element.name(),
            "record of x (int16), y (record of a (bool), b (float32 [2]))"
        );
        let data = [
            &[7, 0, 1][..],
            &0.5f32.to_le_bytes(),
            &(-1f32).to_le_bytes(),
        ]
        .concat();
        assert_eq!(found.first_in_c_order(3), [0]);
        assert_eq!(found.element.describe(&data), "(7, (true, [0.5, -1]))");
    }

    #[test]
    fn hostile_headers_are_refused() {
        let refusal = |bytes: &[u8]| AnyArray::parse(bytes).expect_err("refused").to_string();
        assert!(refusal(b"PK\x03\x04").contains("not an NPY file"));
        assert!(refusal(b"\x93NUMPY\x01").contains("ends within its header"));
        assert!(refusal(b"\x93NUMPY\x04\0\0\0").contains("version 4.0"));
        assert!(refusal(&file(1, "{'descr': '<f4'}")).contains("expected `descr`"));
        assert!(refusal(&file(1, &header("'<f4'", "(-1,)"))).contains("malformed"));
        assert!(refusal(&file(1, &header("'<f3'", "(1,)"))).contains("expected a dtype"));
        assert!(refusal(&file(1, &header("'f'", "(1,)"))).contains("expected a dtype"));
        let mut long = file(2, &header("'<f4'", "(1,)"));
        long[10] = 1;
        assert!(refusal(&long).contains("claims"));
        let huge = file(1, &header("'<f8'", "(4294967296, 4294967296, 4294967296)"));
        let huge = AnyArray::parse(&huge).expect("a header");
        assert!(huge.check_size(8).is_err());
    }
}
