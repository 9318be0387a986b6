//! Outputs that something else computed, read from files: nothing is run.
//!
//! A path is a file or a folder: NPY, NPZ, raw little-endian elements, ONNX's TensorProto, JSON of
//! Polygraphy or trtexec. NPY and raw files are read as they are compared; others are held in
//! memory.

mod array;
mod claim;
pub mod element_type;
mod error;
mod exact;
mod find;
mod forms;
mod json;
mod npy;
mod npz;
mod order;
mod piece;
mod reading;
mod record;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, ArrayViewD, IxDyn};

use self::array::Values;
use self::element_type::{ElementType, FloatType};
use self::find::{Found, find};
use self::forms::open_streamed;
use self::order::check_sequence;
use self::piece::{Piece, Source};
use self::rows::{check_count, rows, stored_shape};
use super::files::FileRecord;
use super::interface::{Engine, RunError};
use crate::samples::Recording;

pub use claim::TensorNames;
pub use error::{FileFault, RecordedError};
pub use reading::Reading;
pub use record::OutputsRecord;

/// Samples that are read at a time where they are not asked for.
const SKIPPED: usize = 16;

/// An engine that gives back what is in files.
#[derive(Debug)]
pub struct Recorded {
    outputs: Vec<Output>,
    /// The samples that the files hold.
    samples: Range<usize>,
    /// The sample that is next.
    next: usize,
    transpose: Option<Vec<usize>>,
    dtype: Option<FloatType>,
    /// By path, those that were read to their end.
    files: BTreeMap<PathBuf, FileRecord>,
    is_decimal: bool,
    padding: usize,
}

/// One output in its files.
#[derive(Debug)]
struct Output {
    sample_shape: Vec<usize>,
    pieces: Vec<Piece>,
    /// Samples in each piece.
    rows: Vec<usize>,
    /// The piece that is read, and how many of its samples were read.
    at: (usize, usize),
    /// The file of that piece.
    open: Option<Values<'static>>,
    values: ArrayD<f32>,
}

impl Recorded {
    /// Finds the outputs of some samples in a file or folder, by their names; refuses other counts
    /// and shapes.
    pub fn open(
        path: &Path,
        reading: &Reading,
        tensors: &TensorNames,
        goldens: &[Recording],
        samples: Range<usize>,
    ) -> Result<Self, RecordedError> {
        let names: Vec<&str> = goldens.iter().map(Recording::name).collect();
        let Found {
            pieces,
            files,
            is_decimal,
        } = find(path, &names, tensors, reading.dtype)?;
        let mut padding = 0;
        let mut outputs = Vec::with_capacity(goldens.len());
        for (pieces, golden) in pieces.into_iter().zip(goldens) {
            let rows = rows(&pieces, golden, reading, samples.start)?;
            check_sequence(&pieces, &rows)?;
            padding = check_count(&rows, golden, reading, &samples)?;
            outputs.push(Output {
                sample_shape: golden.sample_shape().to_vec(),
                pieces,
                rows,
                at: (0, 0),
                open: None,
                values: ArrayD::default(IxDyn(&[0])),
            });
        }
        let files = files.into_iter().map(|file| (file.path.clone(), file));
        Ok(Self {
            outputs,
            next: samples.start,
            samples,
            transpose: reading.transpose.clone(),
            dtype: reading.dtype,
            files: files.collect(),
            is_decimal,
            padding,
        })
    }

    /// Whether numbers came as decimal text: their bits are not those that were computed.
    pub fn is_decimal(&self) -> bool {
        self.is_decimal
    }

    /// Samples beyond the last one, which are left out.
    pub fn padding(&self) -> usize {
        self.padding
    }

    /// How elements are stored; each way once.
    pub fn element_types(&self) -> Vec<ElementType> {
        let mut found = Vec::new();
        for piece in self.outputs.iter().flat_map(|output| &output.pieces) {
            let element = piece.layout.element;
            if !found.contains(&element) {
                found.push(element);
            }
        }
        found
    }

    /// The files that were read to their end, with their hashes.
    pub fn files(&self) -> Vec<FileRecord> {
        self.files.values().cloned().collect()
    }

    /// Reads what is left of the files.
    pub fn finish(&mut self) -> Result<(), RecordedError> {
        for number in 0..self.outputs.len() {
            self.leave_file(number)?;
            // What a check that ended early did not come to.
            let first = self.outputs[number].at.0;
            for piece in first..self.outputs[number].pieces.len() {
                self.outputs[number].at = (piece, 0);
                self.enter_file(number)?;
                self.leave_file(number)?;
            }
        }
        Ok(())
    }

    /// Opens the file of an output's next samples.
    fn enter_file(&mut self, number: usize) -> Result<(), RecordedError> {
        let output = &mut self.outputs[number];
        let (piece, row) = output.at;
        let piece = &output.pieces[piece];
        let Source::File { path, form } = &piece.source else {
            return Ok(());
        };
        if output.open.is_some() || row > 0 {
            return Ok(());
        }
        let changed = || RecordedError::Changed { path: path.clone() };
        let opened =
            open_streamed(path, *form, self.dtype).map_err(|fault| RecordedError::File {
                path: path.clone(),
                fault,
            })?;
        let (layout, values) = opened.ok_or_else(changed)?;
        if layout != piece.layout {
            return Err(changed());
        }
        output.open = Some(values);
        Ok(())
    }

    /// Reads an output's open file to its end and keeps its hash, which must be that of any earlier
    /// pass.
    fn leave_file(&mut self, number: usize) -> Result<(), RecordedError> {
        let output = &mut self.outputs[number];
        let Some(Values::File(file)) = output.open.take() else {
            return Ok(());
        };
        output.at = (output.at.0 + 1, 0);
        let piece = &output.pieces[output.at.0 - 1];
        let at = |error: std::io::Error| RecordedError::File {
            path: PathBuf::from(&piece.source_name),
            fault: error.into(),
        };
        let record = file.finish().map_err(at)?;
        let earlier = self.files.insert(record.path.clone(), record.clone());
        match earlier {
            Some(earlier) if earlier != record => Err(RecordedError::Changed { path: record.path }),
            _ => Ok(()),
        }
    }

    /// Reads the next samples of an output.
    fn read(&mut self, number: usize, samples: usize) -> Result<(), RecordedError> {
        let mut left = samples;
        let sample_elements: usize = self.outputs[number].sample_shape.iter().product();
        let mut values = vec![0.0; samples * sample_elements];
        let mut into = values.as_mut_slice();
        while left > 0 {
            self.enter_file(number)?;
            let output = &mut self.outputs[number];
            let (piece, row) = output.at;
            let rows = left.min(output.rows[piece] - row);
            let (these, rest) = into.split_at_mut(rows * sample_elements);
            let stored = &output.pieces[piece];
            let element = stored.layout.element;
            let read = match (&mut output.open, &stored.source) {
                (Some(open), _) => open.read(element, these),
                (None, Source::Memory(array)) => {
                    let first = row * sample_elements * element.float.size();
                    Values::Memory(&array.bytes[first..]).read(element, these)
                }
                (None, Source::File { .. }) => unreachable!("opened above"),
            };
            read.map_err(|error| RecordedError::File {
                path: PathBuf::from(&stored.source_name),
                fault: error.into(),
            })?;
            (into, left) = (rest, left - rows);
            output.at.1 += rows;
            if output.at.1 == output.rows[piece] {
                if output.open.is_some() {
                    self.leave_file(number)?;
                } else {
                    output.at = (piece + 1, 0);
                }
            }
        }
        let shape = &self.outputs[number].sample_shape;
        let values = in_order(values, samples, shape, self.transpose.as_deref());
        self.outputs[number].values = values;
        Ok(())
    }

    /// Reads samples that are not asked for.
    fn skip_to(&mut self, sample: usize) -> Result<(), RecordedError> {
        while self.next < sample {
            let samples = (sample - self.next).min(SKIPPED);
            for number in 0..self.outputs.len() {
                self.read(number, samples)?;
            }
            self.next += samples;
        }
        Ok(())
    }

    /// Begins with the first sample again.
    fn rewind(&mut self) -> Result<(), RecordedError> {
        for number in 0..self.outputs.len() {
            self.leave_file(number)?;
            self.outputs[number].at = (0, 0);
        }
        self.next = self.samples.start;
        Ok(())
    }
}

impl Engine for Recorded {
    fn run(
        &mut self,
        samples: &Range<usize>,
        _: &[ArrayViewD<'_, f32>],
    ) -> Result<Vec<ArrayViewD<'_, f32>>, RunError> {
        let failed = |error: RecordedError| RunError(error.to_string());
        if samples.start == self.samples.start && self.next > samples.start {
            self.rewind().map_err(failed)?;
        }
        if samples.start < self.next || samples.end > self.samples.end {
            return Err(RunError(format!(
                "samples {samples:?} are asked for, the next in the files is {}",
                self.next
            )));
        }
        self.skip_to(samples.start).map_err(failed)?;
        for number in 0..self.outputs.len() {
            self.read(number, samples.len()).map_err(failed)?;
        }
        self.next = samples.end;
        Ok(self
            .outputs
            .iter()
            .map(|output| output.values.view())
            .collect())
    }
}

/// Gives rows the shape `[samples, …]`; where axes are reordered, they are stored in another order.
fn in_order(
    values: Vec<f32>,
    samples: usize,
    sample_shape: &[usize],
    transpose: Option<&[usize]>,
) -> ArrayD<f32> {
    let shape = [&[samples], sample_shape].concat();
    let as_many = "as many values as the shape has";
    match transpose {
        None => ArrayD::from_shape_vec(shape, values).expect(as_many),
        Some(order) => {
            let stored = stored_shape(&shape, order);
            let stored = ArrayD::from_shape_vec(stored, values).expect(as_many);
            let reordered = stored.permuted_axes(order.to_vec());
            reordered.as_standard_layout().into_owned()
        }
    }
}
