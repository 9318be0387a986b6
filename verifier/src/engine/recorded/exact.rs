//! Outputs of which everything is known beforehand: an NPY file for each, float32, of one shape.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, IxDyn};

use super::array::Layout;
use super::element_type::ElementType;
use super::error::{FileFault, RecordedError};
use super::forms::{Form, open_streamed, read_all};
use super::piece::{Piece, Source};
use super::{Output, Recorded};
use crate::samples::Recording;
use crate::samples::outputs::file_name;

impl Recorded {
    /// Opens `NAME.npy` of every output in a folder; refuses any other type and shape than
    /// float32 `[samples, …]`.
    pub fn exact(
        folder: &Path,
        goldens: &[Recording],
        samples: Range<usize>,
    ) -> Result<Self, RecordedError> {
        let outputs = goldens
            .iter()
            .map(|golden| output(folder, golden, samples.len()))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            outputs,
            next: samples.start,
            samples,
            transpose: None,
            dtype: None,
            files: BTreeMap::new(),
            is_decimal: false,
            padding: 0,
        })
    }
}

fn output(folder: &Path, golden: &Recording, samples: usize) -> Result<Output, RecordedError> {
    let name = file_name(golden.name());
    let path = folder.join(&name);
    let shape = [&[samples], golden.sample_shape()].concat();
    let other = |found: String| RecordedError::Exact {
        file: name.clone(),
        expected: format!("{} {shape:?}", ElementType::FLOAT32),
        found,
    };
    let (layout, source) = layout(&path).map_err(|fault| match fault {
        FileFault::Dtype { found } => other(format!("elements of type {found}")),
        fault => RecordedError::File {
            path: PathBuf::from(&name),
            fault,
        },
    })?;
    let found = layout.shape.clone().unwrap_or_default();
    if layout.element != ElementType::FLOAT32 || found != shape {
        return Err(other(format!("{} {found:?}", layout.element)));
    }
    let piece = Piece {
        key: name.clone(),
        is_named: false,
        source_name: name,
        layout,
        source,
    };
    Ok(Output {
        sample_shape: golden.sample_shape().to_vec(),
        pieces: vec![piece],
        rows: vec![samples],
        at: (0, 0),
        open: None,
        values: ArrayD::default(IxDyn(&[0])),
    })
}

fn layout(path: &Path) -> Result<(Layout, Source), FileFault> {
    let form = Form::Npy;
    if let Some((layout, _)) = open_streamed(path, form, None)? {
        let path = path.to_owned();
        return Ok((layout, Source::File { path, form }));
    }
    // Column by column: its rows are put together in memory.
    let (mut arrays, _) = read_all(path, form, None)?;
    let array = arrays.pop().ok_or(FileFault::Empty)?.array;
    Ok((array.layout.clone(), Source::Memory(array)))
}
