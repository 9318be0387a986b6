//! NPY files of float32, `[samples, …]`, read and written batch by batch.

use std::fmt;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use npyz::{NpyFile, NpyReader, NpyWriter, Order, WriterBuilder};

/// An input, read from its first sample to its last.
pub struct Input {
    file: PathBuf,
    shape: Vec<usize>,
    values: NpyReader<f32, BufReader<File>>,
}

impl Input {
    /// Fails if the file is not an NPY file of float32 in C order, `[samples, …]`.
    pub fn open(file: &Path) -> Result<Self> {
        let context = || file.display().to_string();
        let npy = NpyFile::new(BufReader::new(File::open(file).with_context(context)?))
            .with_context(context)?;
        let shape: Vec<usize> = npy.shape().iter().map(|&axis| axis as usize).collect();
        ensure!(
            npy.order() == Order::C && !shape.is_empty(),
            "{}: expected C order and an axis of samples, found {:?} and shape {shape:?}",
            file.display(),
            npy.order()
        );
        let values = npy.data().with_context(context)?;
        Ok(Self {
            file: file.to_owned(),
            shape,
            values,
        })
    }

    pub fn samples(&self) -> usize {
        self.shape[0]
    }

    /// The next `count` samples, filled up with zeros: shape `[given, …]` and elements.
    pub fn next(&mut self, count: usize, given: usize) -> Result<(Vec<usize>, Vec<f32>)> {
        let row = &self.shape[1..];
        let row_elements: usize = row.iter().product();
        let shape = [&[given], row].concat();
        let values = self
            .values
            .by_ref()
            .take(count * row_elements)
            .collect::<Result<Vec<f32>, _>>();
        let mut values = values.with_context(|| self.to_string())?;
        values.resize(given * row_elements, 0.0);
        Ok((shape, values))
    }
}

impl fmt::Display for Input {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        self.file.display().fmt(formatter)
    }
}

/// An output, written beside its name until it is complete.
pub struct Output {
    file: PathBuf,
    partial: PathBuf,
    row: Vec<usize>,
    values: NpyWriter<f32, BufWriter<File>>,
}

impl Output {
    /// Begins `NAME.npy` in `folder`, of shape `[samples, row…]`.
    pub fn create(folder: &Path, name: &str, samples: usize, row: &[usize]) -> Result<Self> {
        let file = folder.join(format!("{name}.npy"));
        let partial = folder.join(format!(".{name}.partial"));
        let context = || partial.display().to_string();
        let shape: Vec<u64> = std::iter::once(samples)
            .chain(row.iter().copied())
            .map(|axis| axis as u64)
            .collect();
        let values = npyz::WriteOptions::new()
            .default_dtype()
            .shape(&shape)
            .writer(BufWriter::new(
                File::create(&partial).with_context(context)?,
            ))
            .begin_nd()
            .with_context(context)?;
        Ok(Self {
            file,
            partial,
            row: row.to_vec(),
            values,
        })
    }

    /// Appends the elements of some samples, each of shape `row`.
    pub fn extend(&mut self, row: &[usize], values: &[f32]) -> Result<()> {
        ensure!(
            row == self.row,
            "{}: expected samples of shape {:?}, found {row:?}",
            self.file.display(),
            self.row
        );
        let written = self.values.extend(values.iter().copied());
        written.with_context(|| self.partial.display().to_string())
    }

    /// Gives the complete file its name.
    pub fn finish(self) -> Result<()> {
        let Self {
            file,
            partial,
            values,
            ..
        } = self;
        values
            .finish()
            .with_context(|| partial.display().to_string())?;
        std::fs::rename(&partial, &file).with_context(|| file.display().to_string())
    }
}
