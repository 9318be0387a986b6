//! Reading: the file is checked once, then windows of rows are read.

use std::fs::File;
use std::io::{self, Read as _};
use std::marker::PhantomData;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};

use ndarray::ArrayViewD;

use super::dtype::Element;
use super::error::{NpyError, NpyFault};
use super::header::Header;
use crate::digest::read_at;
use crate::regular_file;

/// An open NPY file whose header agrees with its size.
///
/// Rows are read a window at a time, so that a process which walks through a file of any length
/// holds only the window in memory. They are copies: whoever changes or cuts the file meanwhile
/// changes nothing that was read.
#[derive(Debug)]
pub struct Npy<T> {
    path: PathBuf,
    pub(super) file: File,
    shape: Vec<usize>,
    /// The bytes before the data, as they were read.
    pub(super) header: Vec<u8>,
    row_elements: usize,
    /// BLAKE3 that the file should have, hexadecimal.
    pub(super) expected: Option<String>,
    element: PhantomData<T>,
}

/// Consecutive rows of an array; dereferences to their elements in C order.
///
/// ```
/// # use proto::npy::{Npy, NpyWriter};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("x.npy");
/// # let mut writer = NpyWriter::<f32>::create(&path, &[3, 2])?;
/// # writer.write(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0])?;
/// # writer.finish()?;
/// let npy = Npy::<f32>::open(&path)?; // [3, 2]
/// let rows = npy.rows(1..3)?;
/// assert_eq!(rows.view().shape(), [2, 2]);
/// assert_eq!(rows.view()[[1, 0]], 4.0);
/// assert_eq!(*rows, [2.0, 3.0, 4.0, 5.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Rows<T> {
    /// Axes, the rows first.
    shape: Vec<usize>,
    pub(super) elements: Vec<T>,
}

/// Reads the header alone; checks that the data has the size it promises.
pub fn read_header(path: &Path) -> Result<Header, NpyError> {
    open(path)
        .map(|(_, header, _)| header)
        .map_err(|fault| NpyError {
            path: path.to_owned(),
            fault,
        })
}

impl<T: Element> Npy<T> {
    /// Opens a file whose elements are `T` and whose shape has at least one axis.
    pub fn open(path: &Path) -> Result<Self, NpyError> {
        let at = |fault| NpyError {
            path: path.to_owned(),
            fault,
        };
        let (file, header, bytes) = open(path).map_err(at)?;
        if header.dtype != T::DTYPE {
            let (found, expected) = (header.dtype.descr().to_owned(), T::DTYPE.descr().to_owned());
            return Err(at(NpyFault::Dtype { found, expected }));
        }
        let Some((_, row)) = header.shape.split_first() else {
            return Err(at(NpyFault::Header(
                "a scalar: expected an axis of samples".to_owned(),
            )));
        };
        let row_elements = row
            .iter()
            .try_fold(1, |product: usize, &axis| product.checked_mul(axis))
            .ok_or_else(|| at(NpyFault::Overflow(format!("{:?}", header.shape))))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            shape: header.shape,
            header: bytes,
            row_elements,
            expected: None,
            element: PhantomData,
        })
    }

    /// Notes the BLAKE3, hexadecimal, that the file must have: [`Npy::all`], [`Npy::verified`] and
    /// [`super::HashedRows::finish`] compare it.
    pub fn expecting(self, blake3: &str) -> Self {
        Self {
            expected: Some(blake3.to_owned()),
            ..self
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Axes, slowest first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Length of the first axis.
    pub fn rows_len(&self) -> usize {
        self.shape[0]
    }

    /// Elements of one row: the product of all axes but the first.
    pub fn row_elements(&self) -> usize {
        self.row_elements
    }

    /// Reads a window of rows; its bytes are not hashed.
    pub fn rows(&self, range: Range<usize>) -> Result<Rows<T>, NpyError> {
        self.read(range, |file, at, bytes| read_at(file, at, bytes, None))
    }

    pub(super) fn read(
        &self,
        range: Range<usize>,
        fill: impl FnOnce(&File, u64, &mut [u8]) -> io::Result<()>,
    ) -> Result<Rows<T>, NpyError> {
        if range.start > range.end || range.end > self.rows_len() {
            return Err(self.at(NpyFault::Rows {
                start: range.start,
                end: range.end,
                rows: self.rows_len(),
            }));
        }
        let mut shape = self.shape.clone();
        shape[0] = range.end - range.start;
        let mut elements = vec![T::zeroed(); shape[0] * self.row_elements];
        let bytes = bytemuck::cast_slice_mut(&mut elements);
        fill(&self.file, self.offset(range.start), bytes).map_err(|error| self.at(error.into()))?;
        Ok(Rows { shape, elements })
    }

    /// Where a row begins in the file. Nothing overflows: the whole array's bytes were compared
    /// with the file's size.
    pub(super) fn offset(&self, row: usize) -> u64 {
        (self.header.len() + row * self.row_elements * T::DTYPE.size()) as u64
    }

    pub(super) fn at(&self, fault: NpyFault) -> NpyError {
        NpyError {
            path: self.path.clone(),
            fault,
        }
    }
}

impl<T: Element> Rows<T> {
    /// The same elements with their shape, `[rows, …]`; nothing is copied.
    pub fn view(&self) -> ArrayViewD<'_, T> {
        ArrayViewD::from_shape(self.shape.as_slice(), self)
            .expect("as many elements as the shape holds were read")
    }
}

impl<T> Deref for Rows<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.elements
    }
}

fn open(path: &Path) -> Result<(File, Header, Vec<u8>), NpyFault> {
    let file = regular_file::open(path)?;
    let mut beginning = Vec::new();
    (&file)
        .take(u64::from(u16::MAX) + 10)
        .read_to_end(&mut beginning)?;
    let (header, data_start) = Header::parse(&beginning)?;
    if !data_start.is_multiple_of(header.dtype.size()) {
        return Err(NpyFault::Header(format!(
            "the data begins at byte {data_start}, which is not aligned"
        )));
    }
    beginning.truncate(data_start);
    let promised = header.data_bytes()?;
    let found = file.metadata()?.len().saturating_sub(data_start as u64);
    if found != promised {
        return Err(NpyFault::Size {
            shape: header.shape,
            promised,
            found,
        });
    }
    Ok((file, header, beginning))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npy::Dtype;

    fn written(header: &[u8], data: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        std::fs::write(file.path(), [header, data].concat()).expect("write");
        file
    }

    #[test]
    fn windows_of_rows_hold_the_numbers_of_the_file() {
        let header = Header {
            dtype: Dtype::Float32,
            shape: vec![3, 2],
        }
        .to_bytes();
        let data: Vec<u8> = [1.0f32, 2.0, 3.0, 4.0, 5.0, f32::NAN]
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        let file = written(&header, &data);
        let npy = Npy::<f32>::open(file.path()).expect("open");
        assert_eq!(
            (npy.shape(), npy.rows_len(), npy.row_elements()),
            ([3, 2].as_slice(), 3, 2)
        );
        assert_eq!(&*npy.rows(1..2).expect("rows"), [3.0, 4.0]);
        assert_eq!(
            npy.rows(2..3).expect("rows")[1].to_bits(),
            f32::NAN.to_bits()
        );
        let window = npy.rows(1..3).expect("rows");
        let view = window.view();
        assert_eq!((view.shape(), view[[1, 0]]), ([2, 2].as_slice(), 5.0));
        let none = npy.rows(3..3).expect("rows");
        assert!(none.is_empty());
        assert_eq!(none.view().shape(), [0, 2]);
        assert!(matches!(
            npy.rows(2..4).expect_err("outside").fault,
            NpyFault::Rows { .. }
        ));
        assert!(matches!(
            Npy::<i64>::open(file.path()).expect_err("dtype").fault,
            NpyFault::Dtype { .. }
        ));
    }

    #[test]
    fn an_empty_array_has_a_view_however_long_its_other_axes() {
        // With the 4 of `<f4` the longest axis that a header may have.
        let longest = (usize::MAX / 4).saturating_sub(1);
        let shape = vec![0, longest];
        let header = Header {
            dtype: Dtype::Float32,
            shape: shape.clone(),
        };
        let file = written(&header.to_bytes(), &[]);
        let npy = Npy::<f32>::open(file.path()).expect("open");
        assert_eq!(npy.rows(0..0).expect("rows").view().shape(), shape);
    }

    #[test]
    fn a_header_that_lies_about_the_size_is_refused() {
        let header = Header {
            dtype: Dtype::Int64,
            shape: vec![2],
        }
        .to_bytes();
        for length in [0, 15, 17, 24] {
            let file = written(&header, &vec![0; length]);
            let error = Npy::<i64>::open(file.path()).expect_err("size").to_string();
            assert!(
                error.contains("promises 16 bytes") && error.contains(&format!("holds {length}")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_scalar_and_a_misaligned_header_are_refused() {
        let scalar = written(
            &Header {
                dtype: Dtype::Float32,
                shape: vec![],
            }
            .to_bytes(),
            &[0; 4],
        );
        assert!(
            Npy::<f32>::open(scalar.path())
                .expect_err("scalar")
                .to_string()
                .contains("scalar")
        );
        let text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } \n";
        let odd = [
            b"\x93NUMPY\x01\x00".as_slice(),
            &[text.len() as u8, 0],
            text,
        ]
        .concat();
        assert_eq!(odd.len() % 4, 1);
        let file = written(&odd, &[0; 4]);
        assert!(
            Npy::<f32>::open(file.path())
                .expect_err("alignment")
                .to_string()
                .contains("aligned")
        );
    }
}
