//! Calibration: how far a device that works is from the golden, what tolerance follows, and which
//! errors that would catch.
//!
//! Every pass runs all samples without a fault. The smallest tolerance without a false alarm is
//! found for a given `rtol`; one more pass with the chosen tolerance must flag nothing, and its
//! outputs show what single-bit flips would do.

pub mod device_golden;
pub mod file;
mod floor;
pub mod setting;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use ndarray::ArrayViewD;
use rayon::prelude::*;

use crate::check::{Event, Observe, OutputResult};
use crate::compare::{Largest, SampleComparison, Tolerance, compare_sample};
use crate::engine::{BatchError, Engine, run_batch};
use crate::samples::batches::check_samples;
use crate::samples::{Batches, Recording, Recordings, SamplesError, elements, sample_of};

pub use floor::{BITS, Floor};

/// Lets every pair of numbers pass whose distance is one: what is outside is not finite, or further
/// apart than any number.
const LIMITLESS: Tolerance = Tolerance {
    atol: f32::MAX,
    rtol: 0.0,
};

/// What is measured, and how.
#[derive(Debug)]
pub struct Request<'a> {
    pub recordings: &'a Recordings,
    pub samples: Range<usize>,
    /// Samples in one run of the engine.
    pub batch_size: usize,
    /// Passes over all samples; one more checks the tolerance.
    pub passes: usize,
    /// Relative part of the tolerance.
    pub rtol: f32,
    /// How many times the smallest absolute part without a false alarm is chosen.
    pub margin: f32,
    /// When it is set, the calibration ends without a result.
    pub stop: &'a AtomicBool,
}

/// What the passes show.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// Elements compared in each pass.
    pub elements: usize,
    /// Largest absolute error.
    pub max_abs_error: Largest<f64>,
    /// Largest ULP distance.
    pub max_ulp: Largest<u32>,
    /// Samples of later passes with another bit than in the first.
    pub differing_samples: usize,
    /// The least absolute part with which no pass had a false alarm, within one rounding.
    pub smallest_atol: f32,
    /// The chosen tolerance.
    pub tolerance: Tolerance,
    /// Samples that it flags in one more pass.
    pub false_alarms: usize,
    /// What it would catch.
    pub floor: Floor,
}

/// Why nothing was learnt.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    #[error(
        "pass {pass}, sample {sample}: `{name}` is {actual} at element {element}, the golden is \
         {golden}: a device that works gives finite numbers"
    )]
    NotFinite {
        /// Which pass, from 1.
        pass: usize,
        sample: usize,
        /// The output.
        name: String,
        /// Flat index in the sample.
        element: usize,
        /// What the engine computed.
        actual: f32,
        golden: f32,
    },
    #[error("interrupted: nothing was written")]
    Interrupted,
    #[error(transparent)]
    Samples(#[from] SamplesError),
    #[error(transparent)]
    Run(#[from] BatchError),
}

/// A batch as it was computed and as it was recorded, `[batch, …]` for each output.
struct ComparedBatch<'a> {
    samples: Range<usize>,
    outputs: &'a [ArrayViewD<'a, f32>],
    goldens: &'a [ArrayViewD<'a, f32>],
}

/// One output of one sample.
struct Measured {
    comparison: SampleComparison,
    /// The least absolute part that lets all of it pass.
    needed_atol: f32,
    /// Tells whether a later pass gives the same bits.
    digest: String,
}

/// What the passes so far show.
struct Passes<'a> {
    request: &'a Request<'a>,
    /// Of each output, in the first pass.
    totals: Vec<OutputResult>,
    /// The digest of each output of each sample in the first pass.
    first: Vec<String>,
    differing_samples: usize,
    smallest_atol: f32,
}

/// Runs all passes.
pub fn calibrate(
    request: &Request<'_>,
    engine: &mut dyn Engine,
    observe: &mut Observe<'_>,
) -> Result<Calibration, CalibrationError> {
    let Recordings {
        inputs, goldens, ..
    } = request.recordings;
    check_samples(goldens.iter().chain(inputs), &request.samples)?;
    let mut passes = Passes {
        request,
        totals: vec![OutputResult::default(); goldens.len()],
        first: vec![],
        differing_samples: 0,
        smallest_atol: 0.0,
    };
    for pass in 1..=request.passes {
        each_batch(request, engine, observe, |batch| passes.add(pass, batch))?;
    }
    let atol = (passes.smallest_atol * request.margin).min(f32::MAX);
    let tolerance = Tolerance {
        atol,
        rtol: request.rtol,
    };
    let (floor, false_alarms) = check_chosen(request, tolerance, engine, observe)?;
    let mut total = OutputResult::default();
    passes.totals.iter().for_each(|output| total.merge(output));
    Ok(Calibration {
        elements: total.elements,
        max_abs_error: total.max_abs_error,
        max_ulp: total.bits.unwrap_or_default().max_ulp,
        differing_samples: passes.differing_samples,
        smallest_atol: passes.smallest_atol,
        tolerance,
        false_alarms,
        floor,
    })
}

impl Passes<'_> {
    /// Adds a batch of a pass, counted from 1.
    fn add(&mut self, pass: usize, batch: &ComparedBatch<'_>) -> Result<(), CalibrationError> {
        let rtol = self.request.rtol;
        let measured: Vec<Vec<Measured>> = batch
            .samples
            .clone()
            .into_par_iter()
            .map(|sample| {
                batch
                    .tensors(sample)
                    .map(|(y, g)| measure(y, g, rtol))
                    .collect()
            })
            .collect();
        for (sample, measured) in batch.samples.clone().zip(&measured) {
            self.add_sample(pass, sample, batch, measured)?;
        }
        Ok(())
    }

    fn add_sample(
        &mut self,
        pass: usize,
        sample: usize,
        batch: &ComparedBatch<'_>,
        measured: &[Measured],
    ) -> Result<(), CalibrationError> {
        let goldens = &self.request.recordings.goldens;
        let mut differs = false;
        for (output, (measured, golden)) in measured.iter().zip(goldens).enumerate() {
            if measured.comparison.is_faulty() {
                return Err(not_finite(pass, sample, output, golden.name(), batch));
            }
            let total = &mut self.totals[output];
            let shape = golden.sample_shape();
            self.smallest_atol = self.smallest_atol.max(measured.needed_atol);
            if pass == 1 {
                total.add(sample, shape, &measured.comparison);
                self.first.push(measured.digest.clone());
            } else {
                total.raise(sample, shape, &measured.comparison);
                let place = (sample - self.request.samples.start) * goldens.len() + output;
                differs |= self.first[place] != measured.digest;
            }
        }
        self.differing_samples += usize::from(differs);
        Ok(())
    }
}

impl ComparedBatch<'_> {
    /// Actual and golden of each output of a sample.
    fn tensors(&self, sample: usize) -> impl Iterator<Item = (&[f32], &[f32])> {
        let position = sample - self.samples.start;
        let pairs = self.outputs.iter().zip(self.goldens);
        pairs.map(move |(output, golden)| {
            let (output, golden) = (sample_of(output, position), sample_of(golden, position));
            (elements(&output), elements(&golden))
        })
    }
}

fn measure(actual: &[f32], golden: &[f32], rtol: f32) -> Measured {
    Measured {
        comparison: compare_sample(actual, golden, LIMITLESS),
        needed_atol: needed_atol(actual, golden, rtol),
        digest: proto::digest::blake3_bytes(bytemuck::cast_slice(actual)),
    }
}

/// One more pass, with the tolerance that was chosen.
fn check_chosen(
    request: &Request<'_>,
    tolerance: Tolerance,
    engine: &mut dyn Engine,
    observe: &mut Observe<'_>,
) -> Result<(Floor, usize), CalibrationError> {
    let mut floor = Floor::default();
    let mut false_alarms = 0;
    let goldens = &request.recordings.goldens;
    let sample_elements = goldens.iter().map(Recording::sample_elements).sum();
    let stride = floor::stride(request.samples.len(), sample_elements);
    let check_sample = |batch: &ComparedBatch<'_>, sample: usize| {
        let (mut flagged, mut floor) = (false, Floor::default());
        for (actual, golden) in batch.tensors(sample) {
            flagged |= compare_sample(actual, golden, tolerance).is_faulty();
            if (sample - request.samples.start).is_multiple_of(stride) {
                floor.add(actual, golden, tolerance);
            }
        }
        (flagged, floor)
    };
    each_batch(request, engine, observe, |batch| {
        let samples = batch.samples.clone().into_par_iter();
        let checked: Vec<(bool, Floor)> =
            samples.map(|sample| check_sample(batch, sample)).collect();
        for (flagged, part) in &checked {
            false_alarms += usize::from(*flagged);
            floor.merge(part);
        }
        Ok(())
    })?;
    Ok((floor, false_alarms))
}

/// Runs every batch once, and hands on what was computed and what was recorded.
fn each_batch(
    request: &Request<'_>,
    engine: &mut dyn Engine,
    observe: &mut Observe<'_>,
    mut take: impl FnMut(&ComparedBatch<'_>) -> Result<(), CalibrationError>,
) -> Result<(), CalibrationError> {
    let samples = request.samples.clone();
    let mut batches = Batches::new(
        request.recordings,
        samples,
        request.batch_size,
        request.stop,
    );
    for batch in batches.by_ref() {
        let batch = batch?;
        batch.check_finite()?;
        let goldens = &request.recordings.goldens;
        let outputs = run_batch(engine, &batch, &batch.inputs(), goldens)?;
        take(&ComparedBatch {
            samples: batch.samples.clone(),
            outputs: &outputs.tensors,
            goldens: &batch.goldens(),
        })?;
        observe(Event::Done(batch.samples.len()));
    }
    if batches.is_stopped() || !batches.finish()? {
        return Err(CalibrationError::Interrupted);
    }
    Ok(())
}

/// The least `atol` with which every element is within `atol + |rtol·golden|`, in the arithmetic of
/// the comparison.
fn needed_atol(actual: &[f32], golden: &[f32], rtol: f32) -> f32 {
    let parts = || {
        actual
            .iter()
            .zip(golden)
            .map(|(&y, &g)| ((y - g).abs(), (rtol * g).abs()))
    };
    let mut atol = parts()
        .map(|(error, allowed)| error - allowed)
        .fold(0f32, f32::max);
    if !atol.is_finite() {
        return atol; // the caller refuses such a sample
    }
    // The subtraction and the sum are rounded: a few steps up, until the sum reaches the error.
    for (error, allowed) in parts() {
        while atol + allowed < error && atol < f32::MAX {
            atol = atol.next_up();
        }
    }
    atol
}

fn not_finite(
    pass: usize,
    sample: usize,
    output: usize,
    name: &str,
    batch: &ComparedBatch<'_>,
) -> CalibrationError {
    let mut tensors = batch.tensors(sample);
    let (actual, golden) = tensors.nth(output).expect("one of the outputs");
    let mut pairs = actual.iter().zip(golden);
    let element = pairs.position(|(&y, &g)| !LIMITLESS.is_close(y, g));
    let element = element.expect("the sample has an element outside");
    CalibrationError::NotFinite {
        pass,
        sample,
        name: name.to_owned(),
        element,
        actual: actual[element],
        golden: golden[element],
    }
}
