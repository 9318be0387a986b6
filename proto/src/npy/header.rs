//! The header of an NPY file: `numpy.save`'s bytes out, hostile bytes in.

use npyz::{DType, NpyHeader, Order};

use super::dtype::Dtype;
use super::error::NpyFault;

pub(super) const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Magic, version and header length.
const PREFIX: usize = 10;
/// NumPy pads the header so that the data begins at a multiple of this
/// (`numpy.lib.format.ARRAY_ALIGN`).
const ALIGN: usize = 64;
/// NumPy leaves room for the first axis to grow to this many digits
/// (`numpy.lib.format.GROWTH_AXIS_MAX_DIGITS`).
const GROWTH_DIGITS: usize = 21;
/// `numpy.save` writes 118 bytes for the arrays of a bundle; a plain array of 32 axes would need
/// about 800.
const LONGEST: usize = 1024;

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub dtype: Dtype,
    /// Axes, slowest first.
    pub shape: Vec<usize>,
}

/// What the header of any NPY file says: one that a bundle would not hold, too.
#[derive(Debug, Clone, PartialEq)]
pub struct AnyHeader {
    dtype: DType,
    /// Whether the elements lie column by column.
    pub fortran_order: bool,
    /// Axes, slowest first in C order.
    pub shape: Vec<usize>,
    /// Where the data begins in the file.
    pub data_start: usize,
}

impl Header {
    /// The bytes before the data, exactly as `numpy.save` (NumPy 1.23 and later) writes them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let axes: Vec<String> = self.shape.iter().map(usize::to_string).collect();
        let shape = match axes.as_slice() {
            [one] => format!("({one},)"),
            many => format!("({})", many.join(", ")),
        };
        let mut text = format!(
            "{{'descr': '{}', 'fortran_order': False, 'shape': {shape}, }}",
            self.dtype.descr()
        );
        if let Some(first) = axes.first() {
            text.push_str(&" ".repeat(GROWTH_DIGITS.saturating_sub(first.len())));
        }
        let length = text.len() + 1;
        let padding = ALIGN - (PREFIX + length) % ALIGN;
        text.push_str(&" ".repeat(padding));
        text.push('\n');

        let length = u16::try_from(text.len())
            .expect("a shape of a few axes is far below 65,535 characters");
        [
            MAGIC.as_slice(),
            &[1, 0],
            &length.to_le_bytes(),
            text.as_bytes(),
        ]
        .concat()
    }

    /// Reads a header from the beginning of a file; also says where the data begins.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), NpyFault> {
        if let (true, Some(&[major, minor])) = (bytes.starts_with(MAGIC), bytes.get(6..8))
            && (major, minor) != (1, 0)
        {
            return Err(NpyFault::Version(major, minor));
        }
        let any = AnyHeader::parse(bytes)?;
        // A vector has one order only.
        let is_vector = any.shape.iter().filter(|&&axis| axis != 1).count() <= 1;
        if any.fortran_order && !is_vector {
            return Err(NpyFault::FortranOrder);
        }
        let dtype = plain_dtype(&any.dtype)?;
        let shape = any.shape;
        Ok((Self { dtype, shape }, any.data_start))
    }

    /// Elements of the array.
    pub fn elements(&self) -> Result<usize, NpyFault> {
        elements(&self.shape)
    }

    /// Bytes of the array's data.
    pub fn data_bytes(&self) -> Result<u64, NpyFault> {
        u64::try_from(self.elements()?)
            .ok()
            .and_then(|elements| elements.checked_mul(self.dtype.size() as u64))
            .ok_or_else(|| NpyFault::Overflow(format!("{:?}", self.shape)))
    }
}

impl AnyHeader {
    /// Reads a header from the beginning of a file.
    pub fn parse(bytes: &[u8]) -> Result<Self, NpyFault> {
        if !bytes.starts_with(MAGIC) {
            return Err(NpyFault::Magic);
        }
        let &[major, minor, low, high] = bytes.get(6..PREFIX).ok_or(NpyFault::HeaderTruncated)?
        else {
            unreachable!("a slice of four bytes")
        };
        let (text_start, length) = match major {
            1 => (PREFIX, usize::from(u16::from_le_bytes([low, high]))),
            2 | 3 => {
                let &[third, fourth] = bytes
                    .get(PREFIX..PREFIX + 2)
                    .ok_or(NpyFault::HeaderTruncated)?
                else {
                    unreachable!("a slice of two bytes")
                };
                let length = u32::from_le_bytes([low, high, third, fourth]);
                (PREFIX + 2, length as usize)
            }
            _ => return Err(NpyFault::Version(major, minor)),
        };
        // npyz trusts the length, multiplies the shape unchecked and recurses into brackets: check
        // these first.
        if length > LONGEST {
            return Err(NpyFault::HeaderLength {
                found: length,
                most: LONGEST,
            });
        }
        let data_start = text_start + length;
        let text = bytes
            .get(text_start..data_start)
            .ok_or(NpyFault::HeaderTruncated)?;
        check_numbers(text)?;
        check_brackets(text)?;
        let header =
            NpyHeader::from_reader(bytes).map_err(|error| NpyFault::Header(error.to_string()))?;
        let shape = header.shape().iter().map(|&axis| usize::try_from(axis));
        let shape = shape
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| NpyFault::Overflow(format!("{:?}", header.shape())))?;
        Ok(Self {
            dtype: header.dtype(),
            fortran_order: header.order() == Order::Fortran,
            shape,
            data_start,
        })
    }

    /// NumPy's type string of a plain array, such as `<f4`.
    pub fn descr(&self) -> Option<String> {
        match &self.dtype {
            DType::Plain(plain) => Some(plain.to_string()),
            _ => None,
        }
    }

    /// Elements of the array.
    pub fn elements(&self) -> Result<usize, NpyFault> {
        elements(&self.shape)
    }
}

pub(super) fn elements(shape: &[usize]) -> Result<usize, NpyFault> {
    let mut axes = shape.iter();
    axes.try_fold(1, |product: usize, &axis| product.checked_mul(axis))
        .ok_or_else(|| NpyFault::Overflow(format!("{shape:?}")))
}

/// The element type, if it is one that bundles use.
fn plain_dtype(found: &DType) -> Result<Dtype, NpyFault> {
    let mut known = Dtype::ALL.into_iter();
    let dtype = match found {
        DType::Plain(plain) => known.find(|dtype| plain.to_string() == dtype.descr()),
        _ => None,
    };
    dtype.ok_or_else(|| NpyFault::Dtype {
        found: found.descr(),
        expected: "<f4, <f8, <i8 or |u1".to_owned(),
    })
}

/// Bounds every product of axes by that of all numbers in the text, zeros taken as one. Python
/// would also read hexadecimal and grouped digits as numbers; numpy writes neither.
fn check_numbers(text: &[u8]) -> Result<(), NpyFault> {
    let is_decimal = |pair: &[u8]| {
        !(pair[0].is_ascii_digit() && (pair[1].is_ascii_alphabetic() || pair[1] == b'_'))
    };
    if !text.windows(2).all(is_decimal) {
        return Err(NpyFault::Header(
            "a number that is not plainly decimal".to_owned(),
        ));
    }
    let overflow = || NpyFault::Overflow(String::from_utf8_lossy(text).trim_end().to_owned());
    text.split(|byte| !byte.is_ascii_digit())
        .filter_map(|digits| {
            std::str::from_utf8(digits)
                .ok()
                .filter(|digits| !digits.is_empty())
        })
        .try_fold(1u64, |product, digits| {
            product.checked_mul(digits.parse::<u64>().ok()?.max(1))
        })
        .map(|_| ())
        .ok_or_else(overflow)
}

/// A plain array's header is a dictionary with one tuple in it.
fn check_brackets(text: &[u8]) -> Result<(), NpyFault> {
    match text.iter().filter(|byte| b"([{".contains(byte)).count() {
        0..=2 => Ok(()),
        _ => Err(NpyFault::Header(
            "expected one dictionary with one tuple in it".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(text: &str) -> Vec<u8> {
        let length = u16::try_from(text.len()).expect("short").to_le_bytes();
        [MAGIC.as_slice(), &[1, 0], &length, text.as_bytes()].concat()
    }

    fn fault(text: &str) -> String {
        Header::parse(&file(text))
            .expect_err("must be refused")
            .to_string()
    }

    #[test]
    fn bytes_are_those_of_numpy_save() {
        // python -c 'import numpy, sys; numpy.save(sys.stdout.buffer, numpy.zeros((10000, 65, 96),
        // "<f4"))' | head -c 128
        let bytes = Header {
            dtype: Dtype::Float32,
            shape: vec![10000, 65, 96],
        }
        .to_bytes();
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (10000, 65, 96), }";
        assert_eq!(bytes.len(), 128);
        assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00v\x00");
        assert_eq!(&bytes[10..10 + text.len()], text.as_bytes());
        assert!(bytes[10 + text.len()..127].iter().all(|&byte| byte == b' '));
        assert_eq!(bytes[127], b'\n');
    }

    #[test]
    fn every_element_type_is_read_as_it_is_written() {
        for (dtype, descr) in Dtype::ALL.into_iter().zip(["<f4", "<f8", "<i8", "|u1"]) {
            let shape = vec![7, 32];
            let header = Header { dtype, shape };
            let bytes = header.to_bytes();
            let text = format!("{{'descr': '{descr}', ");
            assert!(bytes[10..].starts_with(text.as_bytes()), "{descr}");
            let read = Header::parse(&bytes).expect("own header");
            assert_eq!(read, (header, bytes.len()));
        }
    }

    #[test]
    fn each_broken_rule_is_named() {
        let good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";
        assert!(Header::parse(&file(good)).is_ok());
        let with = |from, to| fault(&good.replace(from, to));

        assert!(with("<f4", ">f4").contains("dtype '>f4'"));
        assert!(with("<f4", "<f2").contains("dtype '<f2'"));
        assert!(with("<f4", "|i1").contains("dtype '|i1': expected <f4, <f8, <i8 or |u1"));
        assert!(with("False", "True").contains("Fortran"));
        for vector in ["3,", "3, 1", "1, 3", "1, 1", ""] {
            let text = good.replace("False", "True").replace("2, 3", vector);
            assert!(Header::parse(&file(&text)).is_ok(), "{vector}");
        }
        assert!(with("2, 3", "18446744073709551615, 3").contains("too large"));
        assert!(with("2, 3", "4294967296, 4294967296").contains("too large"));
        assert!(with("2, 3", "2, -3").contains("malformed"));
        assert!(with("2, 3", "0xffffffffffffffff, 3").contains("not plainly decimal"));
        assert!(with("2, 3", "9_9, 3").contains("not plainly decimal"));
        assert!(with("(2, 3)", "((2,), 3)").contains("one tuple"));
        assert!(with("shape", "shard").contains("malformed"));
        assert!(fault(&"(".repeat(1000)).contains("one tuple"));
        assert!(fault("").contains("malformed"));

        let mut bytes = file(good);
        bytes[6] = 2;
        assert!(matches!(
            Header::parse(&bytes),
            Err(NpyFault::Version(2, 0))
        ));
        bytes[6] = 1;
        bytes[9] = 0xff;
        assert!(matches!(
            Header::parse(&bytes),
            Err(NpyFault::HeaderLength { .. })
        ));
        assert!(matches!(
            Header::parse(&file(good)[..30]),
            Err(NpyFault::HeaderTruncated)
        ));
        assert!(matches!(
            Header::parse(&file(good)[..7]),
            Err(NpyFault::HeaderTruncated)
        ));
        assert!(matches!(Header::parse(b"PK\x03\x04"), Err(NpyFault::Magic)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(shape in prop::collection::vec(0usize..5000, 0..5)) {
            let header = Header { dtype: Dtype::Int64, shape };
            let bytes = header.to_bytes();
            prop_assert_eq!(bytes.len() % ALIGN, 0);
            prop_assert_eq!(Header::parse(&bytes).expect("own header"), (header, bytes.len()));
        }

        #[test]
        fn arbitrary_text_never_panics(text in ".{0,200}") {
            let _ = Header::parse(&file(&text));
        }
    }
}
