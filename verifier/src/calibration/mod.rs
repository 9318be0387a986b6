//! Calibration: how far a device that works is from the golden, what tolerance follows, and which
//! errors that would catch.
//!
//! Every pass runs all samples without a fault. The smallest tolerance without a false alarm is
//! found for a given `rtol`; one more pass with the chosen tolerance must flag nothing, and its
//! outputs show what single-bit flips would do.

pub mod file;
mod floor;
pub mod plot;

use std::ops::Range;

use rayon::prelude::*;

use crate::compare::{Outcome, SampleComparison, Tolerance, compare_sample};
use crate::recording::{Recording, windows};
use crate::runtime::{RunError, Runtime};
use crate::verdict::{Extreme, OutputVerdict, Verdict};

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
    /// What the model is given, in the order of its inputs.
    pub inputs: &'a [Recording],
    /// What it must give back, in the order of its outputs.
    pub goldens: &'a [Recording],
    /// The samples.
    pub samples: Range<usize>,
    /// Samples in one run of the runtime.
    pub batch_size: usize,
    /// Passes over all samples; one more checks the tolerance.
    pub passes: usize,
    /// Relative part of the tolerance.
    pub rtol: f32,
    /// How many times the smallest absolute part without a false alarm is chosen.
    pub margin: f32,
}

/// What the passes show.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// Elements compared in each pass.
    pub elements: usize,
    /// Largest absolute error.
    pub max_abs_error: Extreme<f64>,
    /// Largest ULP distance.
    pub max_ulp: Extreme<u32>,
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
    /// A value that no tolerance allows.
    #[error(
        "pass {pass}, sample {sample}: `{name}` is {actual} at element {element}, the golden is {golden}: a device that works gives finite numbers"
    )]
    NotFinite {
        /// Which pass, from 1.
        pass: usize,
        /// The sample.
        sample: usize,
        /// The output.
        name: String,
        /// Flat index in the sample.
        element: usize,
        /// What the runtime computed.
        actual: f32,
        /// The golden.
        golden: f32,
    },
    /// Stopped by the user.
    #[error("interrupted: nothing was written")]
    Interrupted,
    /// A file cannot be read.
    #[error(transparent)]
    Npy(#[from] proto::npy::NpyError),
    /// The runtime failed.
    #[error("samples {first} to {last}: {error}")]
    Run {
        /// First sample of the batch.
        first: usize,
        /// Last sample of the batch.
        last: usize,
        /// What the runtime said.
        error: RunError,
    },
}

/// One output of one sample.
struct Measured {
    comparison: SampleComparison,
    /// The least absolute part that lets all of it pass.
    needed_atol: f32,
    /// Tells whether a later pass gives the same bits.
    digest: String,
}

/// Runs all passes; `progress` is told the samples done after each batch, `stop` is asked before.
pub fn calibrate(
    request: &Request<'_>,
    runtime: &mut dyn Runtime,
    progress: &mut dyn FnMut(usize),
    stop: &dyn Fn() -> bool,
) -> Result<Calibration, CalibrationError> {
    let mut totals = vec![OutputVerdict::default(); request.goldens.len()];
    let mut first_pass: Vec<String> = Vec::new();
    let (mut smallest_atol, mut differing_samples) = (0f32, 0);
    for pass in 1..=request.passes {
        let mut position = 0;
        each_batch(
            request,
            runtime,
            progress,
            stop,
            |samples, outputs, goldens| {
                let measured: Vec<Vec<Measured>> = samples
                    .clone()
                    .into_par_iter()
                    .map(|sample| {
                        let of_output = |(output, golden): (usize, &Recording)| {
                            let own = elements(golden, sample, samples.start);
                            let (actual, golden) =
                                (&outputs[output][own.clone()], &goldens[output][own]);
                            Measured {
                                comparison: compare_sample(actual, golden, LIMITLESS),
                                needed_atol: needed_atol(actual, golden, request.rtol),
                                digest: proto::digest::blake3_bytes(bytemuck::cast_slice(actual)),
                            }
                        };
                        request.goldens.iter().enumerate().map(of_output).collect()
                    })
                    .collect();
                for (sample, measured) in samples.clone().zip(&measured) {
                    let mut differs = false;
                    for (output, (measured, golden)) in
                        measured.iter().zip(request.goldens).enumerate()
                    {
                        if measured.comparison.is_faulty() {
                            let own = elements(golden, sample, samples.start);
                            return Err(not_finite(
                                pass,
                                sample,
                                golden,
                                &outputs[output][own.clone()],
                                &goldens[output][own],
                            ));
                        }
                        let counted = if pass == 1 {
                            golden.sample_elements()
                        } else {
                            0
                        };
                        totals[output].add(
                            sample,
                            golden.sample_shape(),
                            &measured.comparison,
                            counted,
                        );
                        smallest_atol = smallest_atol.max(measured.needed_atol);
                        if pass == 1 {
                            first_pass.push(measured.digest.clone());
                        } else {
                            differs |= first_pass[position] != measured.digest;
                            position += 1;
                        }
                    }
                    differing_samples += usize::from(differs);
                }
                Ok(())
            },
        )?;
    }
    let tolerance = Tolerance {
        atol: (smallest_atol * request.margin).min(f32::MAX),
        rtol: request.rtol,
    };
    let (floor, false_alarms) = check_chosen(request, tolerance, runtime, progress, stop)?;
    let total = Verdict {
        outputs: totals,
        ..Default::default()
    }
    .total();
    Ok(Calibration {
        elements: total.elements,
        max_abs_error: total.max_abs_error,
        max_ulp: total.max_ulp,
        differing_samples,
        smallest_atol,
        tolerance,
        false_alarms,
        floor,
    })
}

/// One more pass, with the tolerance that was chosen.
fn check_chosen(
    request: &Request<'_>,
    tolerance: Tolerance,
    runtime: &mut dyn Runtime,
    progress: &mut dyn FnMut(usize),
    stop: &dyn Fn() -> bool,
) -> Result<(Floor, usize), CalibrationError> {
    let mut floor = Floor::default();
    let mut false_alarms = 0;
    let stride = floor::stride(
        request.samples.len(),
        request.goldens.iter().map(Recording::sample_elements).sum(),
    );
    each_batch(
        request,
        runtime,
        progress,
        stop,
        |samples, outputs, goldens| {
            let measured: Vec<(bool, Floor)> = samples
                .clone()
                .into_par_iter()
                .map(|sample| {
                    let (mut flagged, mut floor) = (false, Floor::default());
                    for (output, golden) in request.goldens.iter().enumerate() {
                        let own = elements(golden, sample, samples.start);
                        let (actual, golden) =
                            (&outputs[output][own.clone()], &goldens[output][own]);
                        flagged |= compare_sample(actual, golden, tolerance).is_faulty();
                        if (sample - request.samples.start).is_multiple_of(stride) {
                            floor.add(actual, golden, tolerance);
                        }
                    }
                    (flagged, floor)
                })
                .collect();
            for (flagged, part) in &measured {
                false_alarms += usize::from(*flagged);
                floor.merge(part);
            }
            Ok(())
        },
    )?;
    Ok((floor, false_alarms))
}

/// Runs every batch once; `take` gets the batch's samples, the outputs and the goldens.
fn each_batch(
    request: &Request<'_>,
    runtime: &mut dyn Runtime,
    progress: &mut dyn FnMut(usize),
    stop: &dyn Fn() -> bool,
    mut take: impl FnMut(&Range<usize>, &[&[f32]], &[&[f32]]) -> Result<(), CalibrationError>,
) -> Result<(), CalibrationError> {
    for start in request.samples.clone().step_by(request.batch_size) {
        if stop() {
            return Err(CalibrationError::Interrupted);
        }
        let samples = start..(start + request.batch_size).min(request.samples.end);
        let inputs = windows(request.inputs, &samples)?;
        let inputs: Vec<&[f32]> = inputs.iter().map(|window| &**window).collect();
        let mut outcome = None;
        let ran = runtime.run(&inputs, samples.len(), &mut |outputs| {
            outcome = Some(with_goldens(request, &samples, outputs, &mut take));
        });
        let failed = |error| CalibrationError::Run {
            first: samples.start,
            last: samples.end - 1,
            error,
        };
        ran.map_err(failed)?;
        outcome.unwrap_or_else(|| {
            Err(failed(RunError(
                "the runtime gave back no output".to_owned(),
            )))
        })?;
        progress(samples.len());
    }
    Ok(())
}

fn with_goldens(
    request: &Request<'_>,
    samples: &Range<usize>,
    outputs: &[&[f32]],
    take: &mut impl FnMut(&Range<usize>, &[&[f32]], &[&[f32]]) -> Result<(), CalibrationError>,
) -> Result<(), CalibrationError> {
    let goldens = windows(request.goldens, samples)?;
    let goldens: Vec<&[f32]> = goldens.iter().map(|window| &**window).collect();
    let lengths = |tensors: &[&[f32]]| {
        tensors
            .iter()
            .map(|tensor| tensor.len())
            .collect::<Vec<_>>()
    };
    let (found, expected) = (lengths(outputs), lengths(&goldens));
    if found != expected {
        let error = RunError(format!(
            "outputs of {found:?} elements, expected {expected:?}"
        ));
        return Err(CalibrationError::Run {
            first: samples.start,
            last: samples.end - 1,
            error,
        });
    }
    take(samples, outputs, &goldens)
}

/// The elements of a sample in a batch that begins with `start`.
fn elements(recording: &Recording, sample: usize, start: usize) -> Range<usize> {
    let length = recording.sample_elements();
    (sample - start) * length..(sample - start + 1) * length
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
    recording: &Recording,
    actual: &[f32],
    golden: &[f32],
) -> CalibrationError {
    let outside = |(&y, &g): (&f32, &f32)| LIMITLESS.outcome(y, g) != Outcome::Close;
    let element = actual
        .iter()
        .zip(golden)
        .position(outside)
        .expect("one is outside");
    let name = recording.name().to_owned();
    CalibrationError::NotFinite {
        pass,
        sample,
        name,
        element,
        actual: actual[element],
        golden: golden[element],
    }
}

#[cfg(test)]
mod tests;
