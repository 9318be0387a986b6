//! The one loop over recorded samples: batch after batch, until the last one or until told to stop.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use ndarray::ArrayViewD;
use proto::npy::NpyFault;

use super::error::SamplesError;
use super::of_part::Recordings;
use super::recording::{Reader, Recording, Window};
use super::tensors::elements;

/// Consecutive samples, with a window of each recording.
#[derive(Debug)]
pub struct Batch<'a> {
    /// Which samples of the recordings.
    pub samples: Range<usize>,
    /// Seconds that reading and hashing them took.
    pub reading_seconds: f64,
    recordings: &'a Recordings,
    inputs: Vec<Window<'a>>,
    goldens: Vec<Window<'a>>,
}

/// Iterates over batches; the last one may be smaller. What they hold is known to be what the
/// bundle's hashes say only when [`Batches::finish`] says so.
#[derive(Debug)]
pub struct Batches<'a> {
    recordings: &'a Recordings,
    inputs: Vec<Reader<'a>>,
    goldens: Vec<Reader<'a>>,
    left: Range<usize>,
    batch_size: usize,
    stop: &'a AtomicBool,
    is_stopped: bool,
}

impl<'a> Batches<'a> {
    /// Over samples that all recordings have.
    pub fn new(
        recordings: &'a Recordings,
        samples: Range<usize>,
        batch_size: usize,
        stop: &'a AtomicBool,
    ) -> Self {
        Self {
            recordings,
            inputs: recordings.inputs.iter().map(Recording::reader).collect(),
            goldens: recordings.goldens.iter().map(Recording::reader).collect(),
            left: samples,
            batch_size: batch_size.max(1),
            stop,
            is_stopped: false,
        }
    }

    /// Whether it ended before the last sample because it was told to.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Reads what is left of the recordings' files, and compares every file with its hash. False if
    /// it was told to stop before.
    pub fn finish(self) -> Result<bool, SamplesError> {
        for reader in self.inputs.into_iter().chain(self.goldens) {
            match reader.finish(|_| !self.stop.load(Ordering::Relaxed)) {
                Ok(()) => {}
                Err(error) if matches!(error.fault, NpyFault::Interrupted) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    fn batch(&mut self) -> Result<Batch<'a>, SamplesError> {
        let started = Instant::now();
        let end = self
            .left
            .end
            .min(self.left.start.saturating_add(self.batch_size));
        let samples = self.left.start..end;
        let inputs = windows(&mut self.inputs, &samples)?;
        let goldens = windows(&mut self.goldens, &samples)?;
        self.left.start = samples.end;
        Ok(Batch {
            samples,
            reading_seconds: started.elapsed().as_secs_f64(),
            recordings: self.recordings,
            inputs,
            goldens,
        })
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<Batch<'a>, SamplesError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left.is_empty() {
            return None;
        }
        if self.stop.load(Ordering::Relaxed) {
            self.is_stopped = true;
            return None;
        }
        let batch = self.batch();
        if batch.is_err() {
            self.left.start = self.left.end;
        }
        Some(batch)
    }
}

impl Batch<'_> {
    /// Each input's values of these samples, `[samples, …]`.
    pub fn inputs(&self) -> Vec<ArrayViewD<'_, f32>> {
        self.inputs.iter().map(Window::view).collect()
    }

    /// Each golden's values of these samples, `[samples, …]`.
    pub fn goldens(&self) -> Vec<ArrayViewD<'_, f32>> {
        self.goldens.iter().map(Window::view).collect()
    }

    /// Refuses an input that is infinite or not a number.
    pub fn check_finite(&self) -> Result<(), SamplesError> {
        for (recording, view) in self.recordings.inputs.iter().zip(self.inputs()) {
            check_finite(recording.name(), &view, self.samples.start)?;
        }
        Ok(())
    }
}

/// The same samples of several recordings.
fn windows<'a>(
    readers: &mut [Reader<'a>],
    samples: &Range<usize>,
) -> Result<Vec<Window<'a>>, SamplesError> {
    let windows = readers
        .iter_mut()
        .map(|reader| reader.window(samples.clone()));
    windows.collect()
}

/// Refuses values of recorded samples, `[samples, …]` from `first` on, that are not finite.
pub fn check_finite(
    name: &str,
    values: &ArrayViewD<'_, f32>,
    first: usize,
) -> Result<(), SamplesError> {
    let values_per_sample = values.len() / values.shape()[0].max(1);
    let values = elements(values);
    // Counted rather than searched: without an early end the compiler makes vector code of it.
    if values.iter().filter(|value| !value.is_finite()).count() == 0 {
        return Ok(());
    }
    let position = values.iter().position(|value| !value.is_finite());
    let position = position.expect("one was counted above");
    Err(SamplesError::NotFinite {
        name: name.to_owned(),
        sample: first + position / values_per_sample,
        element: position % values_per_sample,
        value: values[position],
    })
}

/// Refuses recordings of different samples, of none, and samples that they do not have.
pub fn check_samples<'a>(
    mut recordings: impl Iterator<Item = &'a Recording> + Clone,
    samples: &Range<usize>,
) -> Result<(), SamplesError> {
    let Some(first) = recordings.clone().next() else {
        return Err(SamplesError::Nothing);
    };
    let available = first.samples();
    if let Some(other) = recordings
        .clone()
        .find(|other| other.samples() != available)
    {
        return Err(SamplesError::Counts {
            name: other.name().to_owned(),
            found: other.samples(),
            of: first.name().to_owned(),
            expected: available,
        });
    }
    if available == 0 || recordings.any(|recording| recording.sample_elements() == 0) {
        return Err(SamplesError::Nothing);
    }
    if samples.is_empty() {
        return Err(SamplesError::Range {
            samples: samples.clone(),
            available,
        });
    }
    if samples.end > available {
        return Err(SamplesError::Outside {
            samples: samples.clone(),
            available,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ndarray::Array;

    use super::*;
    use crate::samples::of_part::fixtures::recordings;

    fn recording() -> Recording {
        let values = Array::from_iter((0..10u8).map(f32::from));
        let values = values.into_shape_with_order((5, 2)).expect("ten");
        Recording::in_memory("x", values.into_dyn()).expect("two axes")
    }

    fn echo() -> Recordings {
        recordings(recording(), recording())
    }

    #[test]
    fn batches_cover_the_samples_in_order_and_the_last_one_is_what_is_left() {
        let (data, stop) = (echo(), AtomicBool::new(false));
        let mut found = Vec::new();
        for batch in Batches::new(&data, 1..5, 3, &stop) {
            let batch = batch.expect("in memory");
            found.push((batch.samples.clone(), batch.inputs()[0][[0, 1]]));
        }
        assert_eq!(found, [(1..4, 3.0), (4..5, 9.0)]);
    }

    #[test]
    fn the_largest_batch_size_is_no_overflow() {
        let (data, stop) = (echo(), AtomicBool::new(false));
        assert_eq!(Batches::new(&data, 2..5, usize::MAX, &stop).count(), 1);
    }

    #[test]
    fn told_to_stop_it_ends_before_the_next_batch_and_says_so() {
        let (data, stop) = (echo(), AtomicBool::new(false));
        let mut batches = Batches::new(&data, 0..5, 2, &stop);
        assert!(batches.next().is_some());
        stop.store(true, Ordering::Relaxed);
        assert!(batches.next().is_none() && batches.is_stopped());
        let mut whole = Batches::new(&data, 0..2, 2, &stop);
        stop.store(false, Ordering::Relaxed);
        assert!(whole.next().is_some() && whole.next().is_none());
        assert!(!whole.is_stopped(), "the last sample was reached");
    }

    #[test]
    fn a_restricted_recording_counts_its_samples_from_0() {
        let part = recording().restricted(2..4);
        assert_eq!((part.shape(), part.samples()), ([2, 2].as_slice(), 2));
        let window = part.reader().window(1..2).expect("in memory");
        assert_eq!(elements(&window.view()), [6.0, 7.0]);
    }
}
