//! Writing: the shape is known at the start, the elements are streamed, the count is checked at the
//! end.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use super::dtype::Element;
use super::error::{NpyError, NpyFault};
use super::header::Header;
use crate::digest::{DigestWriter, FileDigest};

/// Streams an array into a file.
#[derive(Debug)]
pub struct NpyWriter<T> {
    path: PathBuf,
    header: Header,
    writer: BufWriter<DigestWriter<File>>,
    written: usize,
    element: PhantomData<T>,
}

impl<T: Element> NpyWriter<T> {
    /// Creates the file and writes its header.
    pub fn create(path: &Path, shape: &[usize]) -> Result<Self, NpyError> {
        let at = |fault| NpyError {
            path: path.to_owned(),
            fault,
        };
        let header = Header {
            dtype: T::DTYPE,
            shape: shape.to_vec(),
        };
        header.data_bytes().map_err(at)?;
        let file = File::create(path).map_err(|error| at(error.into()))?;
        let mut writer = BufWriter::with_capacity(1 << 20, DigestWriter::new(file));
        writer
            .write_all(&header.to_bytes())
            .map_err(|error| at(error.into()))?;
        Ok(Self {
            path: path.to_owned(),
            header,
            writer,
            written: 0,
            element: PhantomData,
        })
    }

    /// Axes, slowest first.
    pub fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// Appends elements in C order.
    pub fn write(&mut self, elements: &[T]) -> Result<(), NpyError> {
        self.written += elements.len();
        let result = self.writer.write_all(bytemuck::cast_slice(elements));
        result.map_err(|error| NpyError {
            path: self.path.clone(),
            fault: error.into(),
        })
    }

    /// Ends the file and gives its hashes; fails unless exactly as many elements were written as
    /// the shape holds.
    pub fn finish(self) -> Result<FileDigest, NpyError> {
        let at = |fault| NpyError {
            path: self.path.clone(),
            fault,
        };
        if self.header.elements().map_err(at)? != self.written {
            return Err(at(NpyFault::Count {
                shape: self.header.shape.clone(),
                written: self.written,
            }));
        }
        self.writer
            .into_inner()
            .map(DigestWriter::finish)
            .map_err(|error| NpyError {
                path: self.path,
                fault: error.into_error().into(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npy::Npy;

    #[test]
    fn a_streamed_array_is_read_back() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("x.npy");
        let mut writer = NpyWriter::<i64>::create(&path, &[4]).expect("create");
        writer.write(&[1, -2]).expect("write");
        writer.write(&[3, i64::MIN]).expect("write");
        assert_eq!(
            writer.finish().expect("finish"),
            crate::digest::digest_file(&path).expect("digest")
        );
        let npy = Npy::<i64>::open(&path).expect("open");
        assert_eq!(&*npy.rows(0..4).expect("rows"), [1, -2, 3, i64::MIN]);
    }

    #[test]
    fn a_wrong_count_is_an_error() {
        let folder = tempfile::tempdir().expect("folder");
        let mut writer =
            NpyWriter::<f32>::create(&folder.path().join("x.npy"), &[2]).expect("create");
        writer.write(&[1.0]).expect("write");
        assert!(
            writer
                .finish()
                .expect_err("count")
                .to_string()
                .contains("1 elements")
        );
    }
}
