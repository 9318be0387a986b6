//! An input that a bundle does not record: it is computed from a sample's pixels when it is read.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ndarray::{ArrayD, ArrayViewD, Axis, concatenate, stack};
use proto::npy::{HashedRows, Npy, NpyError, VerifiedRows};

/// Computes an input of a part.
pub trait FromPixels: Send {
    /// Takes pixels `[samples, 32, 32, 3]` and gives the input `[samples, …]`.
    fn compute(&mut self, pixels: &ArrayViewD<'_, u8>) -> Result<ArrayD<f32>, String>;
}

/// Pixels `[samples, 32, 32, 3]`, and what makes an input of them once it is set.
#[derive(Clone)]
pub(super) struct Pixels {
    values: Values,
    compute: Arc<OnceLock<Mutex<Box<dyn FromPixels>>>>,
    kept: Option<Arc<Kept>>,
}

/// What was computed, in blocks of consecutive samples.
struct Kept {
    /// Samples that are computed together: what comes of one may depend on those beside it, and
    /// must not depend on which is asked for first.
    together: usize,
    blocks: Mutex<BTreeMap<usize, Arc<ArrayD<f32>>>>,
}

#[derive(Clone)]
enum Values {
    File(Arc<Npy<u8>>),
    Verified(Arc<VerifiedRows<u8>>),
}

/// Reads pixels in order, hashed on the way unless they are already.
pub(super) struct PixelReader<'a> {
    source: Source<'a>,
    pixels: &'a Pixels,
}

enum Source<'a> {
    Hashed(Box<HashedRows<'a, u8>>),
    Verified(&'a VerifiedRows<u8>),
}

/// Why an input could not be had.
pub(super) enum PixelsError {
    Npy(NpyError),
    Compute(String),
}

impl Pixels {
    pub(super) fn in_file(npy: Npy<u8>) -> Self {
        Self {
            values: Values::File(Arc::new(npy)),
            compute: Arc::default(),
            kept: None,
        }
    }

    pub(super) fn verified(self, go_on: impl FnMut(u64) -> bool) -> Result<Self, NpyError> {
        let values = match self.values {
            Values::File(npy) => Values::Verified(Arc::new(npy.verified(go_on)?)),
            verified => verified,
        };
        Ok(Self { values, ..self })
    }

    /// Sets what computes; the first one stays.
    pub(super) fn set(&self, compute: Box<dyn FromPixels>) {
        let _ = self.compute.set(Mutex::new(compute));
    }

    /// Keeps what is computed, in blocks of so many samples.
    pub(super) fn keep(&mut self, together: usize) {
        self.kept = Some(Arc::new(Kept {
            together,
            blocks: Mutex::default(),
        }));
    }

    pub(super) fn reader(&self) -> PixelReader<'_> {
        PixelReader {
            source: match &self.values {
                Values::File(npy) => Source::Hashed(Box::new(npy.hashed())),
                Values::Verified(rows) => Source::Verified(rows),
            },
            pixels: self,
        }
    }
}

impl PixelReader<'_> {
    /// The input of some samples in any order, `[samples, …]`.
    ///
    /// # Panics
    /// If the pixels are hashed as they are read.
    pub(super) fn gathered(&mut self, rows: &[usize]) -> Result<ArrayD<f32>, PixelsError> {
        let Source::Verified(verified) = &self.source else {
            panic!("pixels that are read in any order are hashed before");
        };
        if let Some(kept) = &self.pixels.kept {
            return self.gathered_from(kept, rows);
        }
        let mut pixels = Vec::with_capacity(rows.len());
        for &row in rows {
            let row = verified.rows(row..row + 1).map_err(PixelsError::Npy)?;
            pixels.push(row.view().to_owned());
        }
        let views: Vec<ArrayViewD<'_, u8>> = pixels.iter().map(|pixels| pixels.view()).collect();
        let pixels = concatenate(Axis(0), &views).expect("images of one size");
        self.computed(&pixels.view())
    }

    /// The input of some consecutive samples, `[samples, …]`.
    pub(super) fn compute(&mut self, rows: Range<usize>) -> Result<ArrayD<f32>, PixelsError> {
        let rows = match &mut self.source {
            Source::Hashed(hashed) => hashed.rows(rows),
            Source::Verified(verified) => verified.rows(rows),
        };
        let rows = rows.map_err(PixelsError::Npy)?;
        self.computed(&rows.view())
    }

    fn gathered_from(&self, kept: &Kept, rows: &[usize]) -> Result<ArrayD<f32>, PixelsError> {
        let mut found = Vec::with_capacity(rows.len());
        for &row in rows {
            found.push((self.block(kept, row / kept.together)?, row % kept.together));
        }
        let rows = found
            .iter()
            .map(|(block, row)| block.index_axis(Axis(0), *row));
        let rows: Vec<ArrayViewD<'_, f32>> = rows.collect();
        Ok(stack(Axis(0), &rows).expect("samples of one shape"))
    }

    fn block(&self, kept: &Kept, number: usize) -> Result<Arc<ArrayD<f32>>, PixelsError> {
        let mut blocks = kept.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(block) = blocks.get(&number) {
            return Ok(block.clone());
        }
        let Source::Verified(verified) = &self.source else {
            panic!("pixels that are read in any order are hashed before");
        };
        let first = number * kept.together;
        let end = (first + kept.together).min(verified.npy().rows_len());
        let pixels = verified.rows(first..end).map_err(PixelsError::Npy)?;
        let block = Arc::new(self.computed(&pixels.view())?);
        blocks.insert(number, block.clone());
        Ok(block)
    }

    fn computed(&self, pixels: &ArrayViewD<'_, u8>) -> Result<ArrayD<f32>, PixelsError> {
        let compute = self.pixels.compute.get();
        let compute = compute.ok_or_else(|| "nothing computes it".to_owned());
        let compute = compute.map_err(PixelsError::Compute)?;
        let mut compute = compute.lock().unwrap_or_else(PoisonError::into_inner);
        compute.compute(pixels).map_err(PixelsError::Compute)
    }

    pub(super) fn finish(self, go_on: impl FnMut(u64) -> bool) -> Result<(), NpyError> {
        match self.source {
            Source::Hashed(rows) => rows.finish(go_on),
            Source::Verified(_) => Ok(()),
        }
    }
}

impl fmt::Debug for Pixels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pixels")
    }
}

impl fmt::Debug for PixelReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PixelReader")
    }
}
