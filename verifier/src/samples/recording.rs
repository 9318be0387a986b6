//! One tensor of every sample, in a file or in memory.

use std::ops::Range;
use std::sync::Arc;

use ndarray::{ArcArray, ArrayD, ArrayViewD, Axis, IxDyn, Slice};
use proto::npy::{Npy, NpyError, Rows};

/// Float32 values `[samples, …]`, at least one axis. A copy shares the values.
#[derive(Debug, Clone)]
pub struct Recording {
    name: String,
    shape: Vec<usize>,
    /// Where its first sample lies in the values.
    first: usize,
    values: Values,
}

#[derive(Debug, Clone)]
enum Values {
    File(Arc<Npy<f32>>),
    Memory(ArcArray<f32, IxDyn>),
}

/// Consecutive samples of a recording.
#[derive(Debug)]
pub enum Window<'a> {
    /// Mapped from a file.
    Mapped(Rows<f32>),
    /// In memory.
    Memory(ArrayViewD<'a, f32>),
}

impl Recording {
    /// Samples in a file, `[samples, …]`.
    pub fn mapped(name: &str, npy: Npy<f32>) -> Self {
        Self {
            name: name.to_owned(),
            shape: npy.shape().to_vec(),
            first: 0,
            values: Values::File(Arc::new(npy)),
        }
    }

    /// Samples in memory, `[samples, …]`; `None` for a scalar.
    pub fn in_memory(name: &str, values: ArrayD<f32>) -> Option<Self> {
        (values.ndim() > 0).then(|| Self {
            name: name.to_owned(),
            shape: values.shape().to_vec(),
            first: 0,
            values: Values::Memory(values.as_standard_layout().to_shared()),
        })
    }

    /// Some consecutive samples alone; they are counted from 0 again.
    ///
    /// # Panics
    /// If the recording does not have these samples.
    pub fn restricted(&self, samples: Range<usize>) -> Self {
        assert!(samples.start <= samples.end && samples.end <= self.samples());
        let mut part = self.clone();
        part.first += samples.start;
        part.shape[0] = samples.len();
        part
    }

    /// The tensor's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Axes, the samples first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Axes of one sample.
    pub fn sample_shape(&self) -> &[usize] {
        &self.shape[1..]
    }

    /// How many samples there are.
    pub fn samples(&self) -> usize {
        self.shape[0]
    }

    /// Elements of one sample.
    pub fn sample_elements(&self) -> usize {
        self.sample_shape().iter().product()
    }

    /// Some consecutive samples; those of a file are mapped now.
    pub fn window(&self, samples: Range<usize>) -> Result<Window<'_>, NpyError> {
        let rows = self.first + samples.start..self.first + samples.end;
        Ok(match &self.values {
            Values::File(npy) => Window::Mapped(npy.rows(rows)?),
            Values::Memory(values) => Window::Memory(values.slice_axis(Axis(0), Slice::from(rows))),
        })
    }
}

/// The same samples of several recordings.
pub fn windows<'a>(
    recordings: &'a [Recording],
    samples: &Range<usize>,
) -> Result<Vec<Window<'a>>, NpyError> {
    recordings
        .iter()
        .map(|recording| recording.window(samples.clone()))
        .collect()
}

impl Window<'_> {
    /// The values, `[samples, …]`.
    pub fn view(&self) -> ArrayViewD<'_, f32> {
        match self {
            Self::Mapped(rows) => rows.view(),
            Self::Memory(values) => values.view(),
        }
    }
}
