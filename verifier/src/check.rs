//! The check: run every sample, put faults where asked to, compare every element.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Instant;

use rayon::prelude::*;

use crate::compare::{Outcome, Tolerance, compare_sample};
use crate::fault::{Fault, FaultError};
use crate::geometry::Extent;
use crate::histogram::Histogram;
use crate::injection::{Compared, Injection, Kind};
use crate::recording::{Recording, windows};
use crate::runtime::{RunError, Runtime};
use crate::verdict::{
    ElementPair, FaultResult, FaultyOutput, FaultySample, OutputVerdict, Repeats, Stop, Verdict,
};

/// What is compared, and how.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// What the model is given, in the order of its inputs.
    pub inputs: &'a [Recording],
    /// What it must give back, in the order of its outputs.
    pub goldens: &'a [Recording],
    /// The samples.
    pub samples: Range<usize>,
    /// Samples in one run of the runtime.
    pub batch_size: usize,
    /// When an element is close.
    pub tolerance: Tolerance,
    /// Deliberate errors, all at once.
    pub faults: &'a [Fault],
    /// How often every batch is run; each run is compared.
    pub repeat: usize,
    /// End with the first faulty batch.
    pub fail_fast: bool,
    /// Count the sizes of all errors.
    pub histogram: bool,
}

/// What runs the model.
pub struct Runtimes<'a> {
    /// The model as it is.
    pub sound: &'a mut dyn Runtime,
    /// The model with its weight faults, if there are any.
    pub faulty: Option<&'a mut dyn Runtime>,
}

/// Takes the outputs of a batch.
pub type TakeOutputs<'a> = dyn FnMut(&[&[f32]]) -> Result<(), String> + 'a;

/// What the caller does meanwhile.
pub struct Hooks<'a> {
    /// Told the samples done after each batch.
    pub progress: &'a mut dyn FnMut(usize),
    /// Given what the runtime computed of each batch in its first run, before faults of outputs.
    pub outputs: &'a mut TakeOutputs<'a>,
    /// Given every faulty sample.
    pub faulty: &'a mut dyn FnMut(&Specimen<'_>) -> Result<(), String>,
    /// Asked before each batch whether to end.
    pub stop: &'a dyn Fn() -> bool,
}

/// A faulty sample with its tensors.
#[derive(Debug)]
pub struct Specimen<'a> {
    /// What is wrong with it.
    pub sample: &'a FaultySample,
    /// Per output: its golden and what the runtime computed, with faults.
    pub outputs: Vec<(&'a Recording, &'a [f32], &'a [f32])>,
}

/// Why nothing could be concluded.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// There is no sample.
    #[error("the bundle holds no sample: nothing would be compared")]
    NoSamples,
    /// The samples asked for are not there.
    #[error("samples {} to {} are asked for, there are {there}", samples.start, samples.end.saturating_sub(1))]
    Samples {
        /// Asked for.
        samples: Range<usize>,
        /// In the bundle.
        there: usize,
    },
    /// The recordings are not of as many samples.
    #[error("{found} samples of `{name}`, {expected} of `{of}`")]
    Counts {
        /// A recording.
        name: String,
        /// Its samples.
        found: usize,
        /// Another recording.
        of: String,
        /// Its samples.
        expected: usize,
    },
    /// A fault has no place.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// A recorded value is infinite or not a number.
    #[error(
        "`{name}` of sample {sample} has {value} at element {element}: a recorded tensor must be finite\n\
         hint: the bundle was made from broken weights or was damaged before its hashes were taken; export it again"
    )]
    NotFinite {
        /// The recording.
        name: String,
        /// The sample.
        sample: usize,
        /// Flat index in the sample.
        element: usize,
        /// The value.
        value: f32,
    },
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
    /// A hook failed.
    #[error("{0}")]
    Hook(String),
}

/// Runs the check. When it is stopped, what was compared until then is the verdict.
pub fn check(
    request: &Request<'_>,
    runtimes: &mut Runtimes<'_>,
    hooks: &mut Hooks<'_>,
) -> Result<Verdict, CheckError> {
    check_counts(request)?;
    let injection = Injection::new(request)?;
    let mut run = Run::new(request, &injection);
    for start in request.samples.clone().step_by(request.batch_size) {
        if (hooks.stop)() {
            run.verdict.stopped = Some(Stop::Interrupted);
            break;
        }
        let batch = start..(start + request.batch_size).min(request.samples.end);
        run.batch(batch.clone(), runtimes, hooks)?;
        (hooks.progress)(batch.len());
        if run.verdict.stopped.is_some() {
            break;
        }
        if request.fail_fast && !run.verdict.faulty.is_empty() {
            if batch.end < request.samples.end {
                run.verdict.stopped = Some(Stop::FailFast);
            }
            break;
        }
    }
    Ok(run.verdict)
}

fn check_counts(request: &Request<'_>) -> Result<(), CheckError> {
    let recordings = || request.inputs.iter().chain(request.goldens);
    let Some(first) = request.goldens.first() else {
        return Err(CheckError::NoSamples);
    };
    if let Some(other) = recordings().find(|other| other.samples() != first.samples()) {
        return Err(CheckError::Counts {
            name: other.name().to_owned(),
            found: other.samples(),
            of: first.name().to_owned(),
            expected: first.samples(),
        });
    }
    if first.samples() == 0 || recordings().any(|recording| recording.sample_elements() == 0) {
        return Err(CheckError::NoSamples);
    }
    if request.samples.is_empty() || request.samples.end > first.samples() {
        return Err(CheckError::Samples {
            samples: request.samples.clone(),
            there: first.samples(),
        });
    }
    Ok(())
}

/// A check under way.
struct Run<'a> {
    request: &'a Request<'a>,
    injection: &'a Injection<'a>,
    verdict: Verdict,
}

/// Bytes of the goldens that are mapped at once: enough to keep all cores busy, and little beside a
/// run's own memory.
const WINDOW_BYTES: usize = 4 << 20;

impl<'a> Run<'a> {
    fn new(request: &'a Request<'a>, injection: &'a Injection<'a>) -> Self {
        let outputs = request.goldens.iter().map(|golden| OutputVerdict {
            name: golden.name().to_owned(),
            ..OutputVerdict::default()
        });
        Self {
            request,
            injection,
            verdict: Verdict {
                outputs: outputs.collect(),
                faults: vec![FaultResult::default(); request.faults.len()],
                repeats: (request.repeat > 1).then(|| Repeats {
                    runs: request.repeat,
                    ..Repeats::default()
                }),
                ..Verdict::default()
            },
        }
    }

    fn batch(
        &mut self,
        samples: Range<usize>,
        runtimes: &mut Runtimes<'_>,
        hooks: &mut Hooks<'_>,
    ) -> Result<(), CheckError> {
        let started = Instant::now();
        let inputs = windows(self.request.inputs, &samples)?;
        for (recording, window) in self.request.inputs.iter().zip(&inputs) {
            all_finite(recording, window, samples.start)?;
        }
        self.verdict.seconds.reading += started.elapsed().as_secs_f64();

        let sound_inputs: Vec<&[f32]> = inputs.iter().map(|window| &**window).collect();
        let spoiled = self.injection.inputs(&samples, &sound_inputs);
        let is_touched = self.injection.has_weight_faults() || spoiled.is_some();
        let given: Vec<&[f32]> = match &spoiled {
            Some(inputs) => inputs.iter().map(Vec::as_slice).collect(),
            None => sound_inputs.clone(),
        };

        // What the sound model makes of the sound inputs shows what the faults change.
        let sound = match is_touched {
            true => Some(self.outputs(runtimes.sound, &sound_inputs, &samples)?),
            false => None,
        };
        let mut first: Option<Vec<Vec<f32>>> = None;
        for number in 0..self.request.repeat.max(1) {
            if number > 0 && (hooks.stop)() {
                self.verdict.stopped = Some(Stop::Interrupted);
                break;
            }
            let runtime: &mut dyn Runtime = match &mut runtimes.faulty {
                Some(faulty) => &mut **faulty,
                None => &mut *runtimes.sound,
            };
            let keep = self.request.repeat > 1 && number == 0;
            let mut outcome = Ok(());
            let mut kept = None;
            self.run(runtime, &given, &samples, |this, outputs| {
                if number == 0 {
                    outcome = (hooks.outputs)(outputs).map_err(CheckError::Hook);
                    if outcome.is_err() {
                        return;
                    }
                }
                if keep {
                    kept = Some(outputs.iter().map(|output| output.to_vec()).collect());
                }
                // What a later run repeats bit for bit is judged already.
                let wanted = match &first {
                    Some(first) => this.differing_from_first(samples.start, first, outputs),
                    None => samples.clone().collect(),
                };
                outcome = this.compare(
                    samples.start,
                    number,
                    &wanted,
                    outputs,
                    sound.as_deref(),
                    hooks,
                );
            })?;
            outcome?;
            if keep {
                first = kept;
            }
        }
        Ok(())
    }

    /// One run of a runtime, whose outputs must have the goldens' sizes.
    fn run(
        &mut self,
        runtime: &mut dyn Runtime,
        inputs: &[&[f32]],
        samples: &Range<usize>,
        mut take: impl FnMut(&mut Self, &[&[f32]]),
    ) -> Result<(), CheckError> {
        let expected: Vec<usize> = self
            .request
            .goldens
            .iter()
            .map(|golden| golden.sample_elements() * samples.len())
            .collect();
        let mut problem = Some("the runtime gave back no output".to_owned());
        let (started, mut taken, reading) = (Instant::now(), 0.0, self.verdict.seconds.reading);
        runtime
            .run(inputs, samples.len(), &mut |outputs| {
                let within = Instant::now();
                let found: Vec<usize> = outputs.iter().map(|output| output.len()).collect();
                problem = (found != expected)
                    .then(|| format!("outputs of {found:?} elements, expected {expected:?}"));
                if problem.is_none() {
                    take(self, outputs);
                }
                taken += within.elapsed().as_secs_f64();
            })
            .and_then(|()| problem.map_or(Ok(()), |problem| Err(RunError(problem))))
            .map_err(|error| CheckError::Run {
                first: samples.start,
                last: samples.end - 1,
                error,
            })?;
        self.verdict.seconds.running += started.elapsed().as_secs_f64() - taken;
        self.verdict.seconds.comparing += taken - (self.verdict.seconds.reading - reading);
        Ok(())
    }

    fn outputs(
        &mut self,
        runtime: &mut dyn Runtime,
        inputs: &[&[f32]],
        samples: &Range<usize>,
    ) -> Result<Vec<Vec<f32>>, CheckError> {
        let mut copies = Vec::new();
        self.run(runtime, inputs, samples, |_, outputs| {
            copies = outputs.iter().map(|output| output.to_vec()).collect();
        })?;
        Ok(copies)
    }

    /// Counts what a later run does not repeat bit for bit, and gives the samples it is in.
    fn differing_from_first(
        &mut self,
        start: usize,
        first: &[Vec<f32>],
        outputs: &[&[f32]],
    ) -> Vec<usize> {
        let repeats = self.verdict.repeats.get_or_insert_default();
        let mut samples = BTreeSet::new();
        for ((first, output), golden) in first.iter().zip(outputs).zip(self.request.goldens) {
            let pairs = first.iter().zip(*output).enumerate();
            for (index, (&a, &b)) in pairs.filter(|(_, (a, b))| a.to_bits() != b.to_bits()) {
                repeats.differing_elements += 1;
                repeats.raise(a, b);
                samples.insert(start + index / golden.sample_elements());
            }
        }
        repeats.differing_samples += samples.len();
        samples.into_iter().collect()
    }

    /// Compares some samples of the batch that begins at `start`; they are in ascending order.
    fn compare(
        &mut self,
        start: usize,
        run: usize,
        wanted: &[usize],
        outputs: &[&[f32]],
        sound: Option<&[Vec<f32>]>,
        hooks: &mut Hooks<'_>,
    ) -> Result<(), CheckError> {
        let (request, injection) = (self.request, self.injection);
        let sample_bytes: usize = request
            .goldens
            .iter()
            .map(|golden| 4 * golden.sample_elements())
            .sum();
        for wanted in wanted.chunks((WINDOW_BYTES / sample_bytes).max(1)) {
            let started = Instant::now();
            let mapped = wanted[0]..wanted[wanted.len() - 1] + 1;
            let goldens = windows(request.goldens, &mapped)?;
            self.verdict.seconds.reading += started.elapsed().as_secs_f64();
            // Every sample on its own, on all cores; the sums are made in order.
            let compared: Vec<Vec<Compared<'_>>> = wanted
                .par_iter()
                .map(|&sample| {
                    let of_output = |(output, golden): (usize, &Recording)| {
                        let length = golden.sample_elements();
                        let own =
                            |first: usize| (sample - first) * length..(sample - first + 1) * length;
                        let recorded = &goldens[output][own(mapped.start)];
                        all_finite(golden, recorded, sample)?;
                        let computed = &outputs[output][own(start)];
                        let actual = injection.spoil(Kind::Output, output, sample, computed);
                        let golden = injection.spoil(Kind::Golden, output, sample, recorded);
                        let comparison = compare_sample(&actual, &golden, request.tolerance);
                        let sound = sound.map(|sound| &sound[output][own(start)]);
                        let histogram = request.histogram.then(|| Histogram::of(&actual, &golden));
                        Ok(Compared {
                            computed,
                            recorded,
                            sound,
                            actual,
                            golden,
                            comparison,
                            histogram,
                        })
                    };
                    request.goldens.iter().enumerate().map(of_output).collect()
                })
                .collect::<Result<_, CheckError>>()?;
            for (&sample, outputs) in wanted.iter().zip(&compared) {
                self.add(sample, run, outputs, hooks)?;
            }
        }
        Ok(())
    }

    /// Adds a compared sample to the verdict.
    fn add(
        &mut self,
        sample: usize,
        run: usize,
        outputs: &[Compared<'_>],
        hooks: &mut Hooks<'_>,
    ) -> Result<(), CheckError> {
        let request = self.request;
        if run == 0 {
            self.verdict.samples += 1;
            self.verdict.differing_samples +=
                usize::from(outputs.iter().any(|output| output.comparison.differing > 0));
            self.injection
                .judge(sample, outputs, &mut self.verdict.faults);
        }
        for ((verdict, output), golden) in self
            .verdict
            .outputs
            .iter_mut()
            .zip(outputs)
            .zip(request.goldens)
        {
            verdict.add(
                sample,
                golden.sample_shape(),
                &output.comparison,
                output.golden.len(),
            );
            if let Some(histogram) = &output.histogram {
                verdict.add_histogram(histogram);
            }
        }
        let faulty = |(_, output): &(usize, &Compared<'_>)| output.comparison.is_faulty();
        let outside = outputs.iter().enumerate().filter(faulty);
        let outside: Vec<FaultyOutput> = outside
            .map(|(output, compared)| {
                faulty_output(
                    &request.goldens[output],
                    output,
                    sample,
                    compared,
                    request.tolerance,
                )
            })
            .collect();
        if outside.is_empty() {
            return Ok(());
        }
        let faulty = FaultySample {
            sample,
            run,
            outputs: outside,
        };
        let tensors = request
            .goldens
            .iter()
            .zip(outputs)
            .map(|(recording, output)| (recording, &*output.golden, &*output.actual));
        (hooks.faulty)(&Specimen {
            sample: &faulty,
            outputs: tensors.collect(),
        })
        .map_err(CheckError::Hook)?;
        self.verdict.faulty.push(faulty);
        Ok(())
    }
}

fn faulty_output(
    golden_recording: &Recording,
    output: usize,
    sample: usize,
    Compared {
        actual,
        golden,
        comparison,
        ..
    }: &Compared<'_>,
    tolerance: Tolerance,
) -> FaultyOutput {
    let shape = golden_recording.sample_shape();
    let width = shape.last().copied().unwrap_or(1).max(1);
    let badness = |pair: &ElementPair| pair.abs_error().unwrap_or(f64::INFINITY);
    let mut extent = Extent::new();
    let (mut first, mut worst): (Option<ElementPair>, Option<ElementPair>) = (None, None);
    for (element, (&actual, &golden)) in actual.iter().zip(golden.iter()).enumerate() {
        if tolerance.outcome(actual, golden) == Outcome::Close {
            continue;
        }
        extent.add(element / width, element % width);
        let pair = ElementPair {
            index: crate::verdict::index(sample, element, shape),
            golden,
            actual,
        };
        // No finite error is as bad as a value that is not finite; of equals the first.
        if worst
            .as_ref()
            .is_none_or(|worst| badness(&pair) > badness(worst))
        {
            worst = Some(pair.clone());
        }
        first.get_or_insert(pair);
    }
    let at_least_one = "a faulty sample has an element outside";
    FaultyOutput {
        output,
        mismatches: comparison.mismatches,
        non_finite: comparison.non_finite,
        first: first.expect(at_least_one),
        worst: worst.expect(at_least_one),
        geometry: extent.geometry().expect(at_least_one),
    }
}

fn all_finite(recording: &Recording, values: &[f32], start: usize) -> Result<(), CheckError> {
    // Counted rather than searched: without an early end the compiler makes vector code of it.
    if values.iter().filter(|value| !value.is_finite()).count() == 0 {
        return Ok(());
    }
    let at = values
        .iter()
        .position(|value| !value.is_finite())
        .expect("counted above");
    let length = recording.sample_elements();
    let (name, sample) = (recording.name().to_owned(), start + at / length);
    Err(CheckError::NotFinite {
        name,
        sample,
        element: at % length,
        value: values[at],
    })
}

#[cfg(test)]
mod tests;
