//! One tensor of every sample, in a file or in memory.

use std::ops::Range;
use std::sync::Arc;

use ndarray::{ArcArray, ArrayD, ArrayViewD, Axis, IxDyn, Slice, concatenate};
use proto::npy::{HashedRows, Npy, NpyError, Rows, VerifiedRows};

use super::error::SamplesError;
use super::from_pixels::{FromPixels, PixelReader, Pixels, PixelsError};

/// Float32 values `[samples, …]`, at least one axis. A copy shares the values.
#[derive(Debug, Clone)]
pub struct Recording {
    name: String,
    shape: Vec<usize>,
    /// Where its first sample lies in the values.
    first: usize,
    values: Values,
    on_all_cores: bool,
}

#[derive(Debug, Clone)]
enum Values {
    File(Arc<Npy<f32>>),
    Verified(Arc<VerifiedRows<f32>>),
    Memory(ArcArray<f32, IxDyn>),
    Pixels(Pixels),
}

/// Consecutive samples of a recording.
#[derive(Debug)]
pub enum Window<'a> {
    /// Read from a file.
    Read(Rows<f32>),
    /// In memory.
    Memory(ArrayViewD<'a, f32>),
    /// Computed from pixels.
    Computed(ArrayD<f32>),
}

/// Reads a recording's samples in ascending order and hashes its file on the way.
#[derive(Debug)]
pub struct Reader<'a> {
    name: &'a str,
    /// Where the first sample lies in the values.
    first: usize,
    source: Source<'a>,
}

#[derive(Debug)]
enum Source<'a> {
    /// A file that is hashed as it is read.
    Hashed(Box<HashedRows<'a, f32>>),
    Verified(&'a VerifiedRows<f32>),
    Memory(&'a ArcArray<f32, IxDyn>),
    Pixels(PixelReader<'a>),
}

impl Recording {
    /// Samples in a file, `[samples, …]`.
    pub fn in_file(name: &str, npy: Npy<f32>) -> Self {
        Self {
            name: name.to_owned(),
            shape: npy.shape().to_vec(),
            first: 0,
            values: Values::File(Arc::new(npy)),
            on_all_cores: false,
        }
    }

    /// Samples of which a file holds the pixels, `[samples, 32, 32, 3]`; each is `[…]`, of the
    /// sample's shape, and can be read when [`Self::compute_with`] has said what computes it.
    pub fn from_pixels(name: &str, pixels: Npy<u8>, sample_shape: &[usize]) -> Self {
        Self {
            name: name.to_owned(),
            shape: [&[pixels.rows_len()], sample_shape].concat(),
            first: 0,
            values: Values::Pixels(Pixels::in_file(pixels)),
            on_all_cores: false,
        }
    }

    /// Sets what computes the samples, if they come from pixels; the first one stays.
    pub fn compute_with(&self, compute: Box<dyn FromPixels>) {
        if let Values::Pixels(pixels) = &self.values {
            pixels.set(compute);
        }
    }

    /// Keeps samples that are computed from pixels, if all of them take no more than so many bytes:
    /// each is computed once, always with the same others of so many `together`.
    pub fn keep_computed(&mut self, together: usize, most_bytes: usize) {
        let bytes = size_of::<f32>() * self.sample_elements() * self.samples();
        if let Values::Pixels(pixels) = &mut self.values
            && bytes <= most_bytes
        {
            pixels.keep(together.max(1));
        }
    }

    /// Whether its samples are computed from pixels.
    pub fn is_from_pixels(&self) -> bool {
        matches!(self.values, Values::Pixels(_))
    }

    /// Samples in memory, `[samples, …]`; `None` for a scalar.
    pub fn in_memory(name: &str, values: ArrayD<f32>) -> Option<Self> {
        (values.ndim() > 0).then(|| Self {
            name: name.to_owned(),
            shape: values.shape().to_vec(),
            first: 0,
            values: Values::Memory(values.as_standard_layout().to_shared()),
            on_all_cores: false,
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

    /// The same, read by every core, where no engine runs between two windows.
    pub fn on_all_cores(mut self) -> Self {
        self.on_all_cores = true;
        self
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

    /// Hashes its file, if it is in one, so that its samples can be read in any order; `go_on` is
    /// told the bytes as they are read and may end it.
    pub fn verified(self, go_on: impl FnMut(u64) -> bool) -> Result<Self, NpyError> {
        let values = match self.values {
            Values::File(npy) => Values::Verified(Arc::new(npy.verified(go_on)?)),
            Values::Pixels(pixels) => Values::Pixels(pixels.verified(go_on)?),
            others => others,
        };
        Ok(Self { values, ..self })
    }

    /// Begins to read samples in order.
    pub fn reader(&self) -> Reader<'_> {
        Reader {
            name: &self.name,
            first: self.first,
            source: match &self.values {
                Values::File(npy) if self.on_all_cores => {
                    Source::Hashed(Box::new(npy.hashed().on_all_cores()))
                }
                Values::File(npy) => Source::Hashed(Box::new(npy.hashed())),
                Values::Verified(rows) => Source::Verified(rows),
                Values::Memory(values) => Source::Memory(values),
                Values::Pixels(pixels) => Source::Pixels(pixels.reader()),
            },
        }
    }
}

impl<'a> Reader<'a> {
    /// Reads some consecutive samples.
    ///
    /// # Panics
    /// If its file is hashed as it is read, and the samples lie before the end of those read last.
    pub fn window(&mut self, samples: Range<usize>) -> Result<Window<'a>, SamplesError> {
        let rows = self.first + samples.start..self.first + samples.end;
        Ok(match &mut self.source {
            Source::Hashed(hashed) => Window::Read(hashed.rows(rows)?),
            Source::Verified(verified) => Window::Read(verified.rows(rows)?),
            Source::Memory(values) => Window::Memory(values.slice_axis(Axis(0), Slice::from(rows))),
            Source::Pixels(pixels) => {
                let computed = pixels.compute(rows);
                let computed =
                    computed.map_err(|error| from_pixels_error(error, self.name, samples));
                Window::Computed(computed?)
            }
        })
    }

    /// Reads some samples in any order, `[samples, …]`; at least one.
    ///
    /// # Panics
    /// If its file is hashed as it is read.
    pub fn gathered(&mut self, samples: &[usize]) -> Result<ArrayD<f32>, SamplesError> {
        let rows: Vec<usize> = samples.iter().map(|sample| self.first + sample).collect();
        if let Source::Pixels(pixels) = &mut self.source {
            let computed = pixels.gathered(&rows);
            let of = samples[0]..samples[samples.len() - 1] + 1;
            return computed.map_err(|error| from_pixels_error(error, self.name, of));
        }
        let mut values = Vec::with_capacity(samples.len());
        for &sample in samples {
            values.push(self.window(sample..sample + 1)?);
        }
        let views: Vec<ArrayViewD<'_, f32>> = values.iter().map(Window::view).collect();
        Ok(concatenate(Axis(0), &views).expect("samples of one shape"))
    }

    /// Hashes what is left of the file, and compares it with its hash; `go_on` is told the bytes as
    /// they are read and may end it.
    pub fn finish(self, go_on: impl FnMut(u64) -> bool) -> Result<(), NpyError> {
        match self.source {
            Source::Hashed(rows) => rows.finish(go_on),
            Source::Pixels(pixels) => pixels.finish(go_on),
            Source::Verified(_) | Source::Memory(_) => Ok(()),
        }
    }
}

fn from_pixels_error(error: PixelsError, name: &str, samples: Range<usize>) -> SamplesError {
    match error {
        PixelsError::Npy(error) => SamplesError::Npy(error),
        PixelsError::Compute(reason) => SamplesError::FromPixels {
            name: name.to_owned(),
            samples,
            reason,
        },
    }
}

impl Window<'_> {
    /// The values, `[samples, …]`.
    pub fn view(&self) -> ArrayViewD<'_, f32> {
        match self {
            Self::Read(rows) => rows.view(),
            Self::Memory(values) => values.view(),
            Self::Computed(values) => values.view(),
        }
    }
}
