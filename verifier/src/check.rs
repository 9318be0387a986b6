//! The check: run every sample, put faults where asked to, compare every element.

use std::ops::Range;
use std::time::Instant;

use rayon::prelude::*;

use crate::compare::{Outcome, SampleComparison, Tolerance, compare_sample};
use crate::fault::{Change, Fault, FaultError, Target};
use crate::geometry::Extent;
use crate::recording::{Recording, Window};
use crate::runtime::{RunError, Runtime};
use crate::verdict::{ElementPair, FaultResult, FaultyOutput, FaultySample, OutputVerdict, Repeats, Stop, Verdict};

/// What is compared, and how.
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
    /// When an element is close.
    pub tolerance: Tolerance,
    /// Deliberate errors, all at once.
    pub faults: &'a [Fault],
    /// How often every batch is run; each run is compared.
    pub repeat: usize,
    /// End with the first faulty batch.
    pub fail_fast: bool,
}

/// What runs the model.
pub struct Runtimes<'a> {
    /// The model as it is.
    pub sound: &'a mut dyn Runtime,
    /// The model with its weight faults, if there are any.
    pub faulty: Option<&'a mut dyn Runtime>,
}

/// What the caller does meanwhile.
pub struct Hooks<'a> {
    /// Told the samples done after each batch.
    pub progress: &'a mut dyn FnMut(usize),
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

/// A fault at its place: which tensor of its kind, and which flat element of its sample.
#[derive(Debug, Clone, Copy)]
struct Placed {
    fault: usize,
    kind: Kind,
    tensor: usize,
    sample: usize,
    element: usize,
    change: Change,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Golden,
    Input,
    Output,
}

/// Runs the check. When it is stopped, what was compared until then is the verdict.
pub fn check(request: &Request<'_>, runtimes: &mut Runtimes<'_>, hooks: &mut Hooks<'_>) -> Result<Verdict, CheckError> {
    check_counts(request)?;
    let mut run = Run::new(request)?;
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
    let Some(first) = request.goldens.first() else { return Err(CheckError::NoSamples) };
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
        return Err(CheckError::Samples { samples: request.samples.clone(), there: first.samples() });
    }
    Ok(())
}

/// How one output of a sample compares, and its values and golden where faults changed them.
type Compared = (SampleComparison, Option<Vec<f32>>, Option<Vec<f32>>);

/// A check under way.
struct Run<'a> {
    request: &'a Request<'a>,
    faults: Vec<Placed>,
    has_weight_faults: bool,
    verdict: Verdict,
}

/// The tensors of one batch.
struct Batch<'a> {
    samples: Range<usize>,
    inputs: Vec<Window<'a>>,
    goldens: Vec<Window<'a>>,
}

impl<'a> Run<'a> {
    fn new(request: &'a Request<'a>) -> Result<Self, CheckError> {
        let outputs = request
            .goldens
            .iter()
            .map(|golden| OutputVerdict { name: golden.name().to_owned(), ..OutputVerdict::default() });
        let placed =
            request.faults.iter().enumerate().filter_map(|(index, fault)| place(request, index, fault).transpose());
        Ok(Self {
            request,
            faults: placed.collect::<Result<_, _>>()?,
            has_weight_faults: request.faults.iter().any(|fault| matches!(fault.target, Target::Weight(_))),
            verdict: Verdict {
                outputs: outputs.collect(),
                faults: vec![FaultResult::default(); request.faults.len()],
                repeats: (request.repeat > 1).then(|| Repeats { runs: request.repeat, ..Repeats::default() }),
                ..Verdict::default()
            },
        })
    }

    fn batch(
        &mut self,
        samples: Range<usize>,
        runtimes: &mut Runtimes<'_>,
        hooks: &mut Hooks<'_>,
    ) -> Result<(), CheckError> {
        let started = Instant::now();
        let windows = |recordings: &'a [Recording]| -> Result<Vec<Window<'a>>, CheckError> {
            recordings
                .iter()
                .map(|recording| {
                    let window = recording.window(samples.clone())?;
                    all_finite(recording, &window, samples.start)?;
                    Ok(window)
                })
                .collect()
        };
        let batch = Batch {
            inputs: windows(self.request.inputs)?,
            goldens: windows(self.request.goldens)?,
            samples: samples.clone(),
        };
        self.verdict.seconds.reading += started.elapsed().as_secs_f64();

        let sound_inputs: Vec<&[f32]> = batch.inputs.iter().map(|window| &**window).collect();
        let spoiled = self.with_input_faults(&batch);
        let is_touched = self.has_weight_faults || spoiled.is_some();
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
                if keep {
                    kept = Some(outputs.iter().map(|output| output.to_vec()).collect());
                }
                if number > 0 && !this.differs_from_first(&batch, first.as_deref().unwrap_or_default(), outputs) {
                    return;
                }
                outcome = this.compare(&batch, number, outputs, sound.as_deref(), hooks);
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
        let expected: Vec<usize> =
            self.request.goldens.iter().map(|golden| golden.sample_elements() * samples.len()).collect();
        let mut problem = Some("the runtime gave back no output".to_owned());
        let (started, mut taken) = (Instant::now(), 0.0);
        runtime
            .run(inputs, samples.len(), &mut |outputs| {
                let within = Instant::now();
                let found: Vec<usize> = outputs.iter().map(|output| output.len()).collect();
                problem = (found != expected).then(|| format!("outputs of {found:?} elements, expected {expected:?}"));
                if problem.is_none() {
                    take(self, outputs);
                }
                taken += within.elapsed().as_secs_f64();
            })
            .and_then(|()| problem.map_or(Ok(()), |problem| Err(RunError(problem))))
            .map_err(|error| CheckError::Run { first: samples.start, last: samples.end - 1, error })?;
        self.verdict.seconds.running += started.elapsed().as_secs_f64() - taken;
        self.verdict.seconds.comparing += taken;
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

    /// The inputs with their faults; `None` for a batch without any.
    fn with_input_faults(&self, batch: &Batch<'_>) -> Option<Vec<Vec<f32>>> {
        let faults = || self.faults.iter().filter(|f| f.kind == Kind::Input && batch.samples.contains(&f.sample));
        faults().next()?;
        let mut inputs: Vec<Vec<f32>> = batch.inputs.iter().map(|window| window.to_vec()).collect();
        for fault in faults() {
            let length = self.request.inputs[fault.tensor].sample_elements();
            let value = &mut inputs[fault.tensor][(fault.sample - batch.samples.start) * length + fault.element];
            *value = fault.change.apply(*value);
        }
        Some(inputs)
    }

    /// Counts what a later run does not repeat bit for bit.
    fn differs_from_first(&mut self, batch: &Batch<'_>, first: &[Vec<f32>], outputs: &[&[f32]]) -> bool {
        let repeats = self.verdict.repeats.get_or_insert_default();
        let mut samples = vec![false; batch.samples.len()];
        for ((first, output), golden) in first.iter().zip(outputs).zip(self.request.goldens) {
            for (index, (a, b)) in
                first.iter().zip(*output).enumerate().filter(|(_, (a, b))| a.to_bits() != b.to_bits())
            {
                repeats.differing_elements += 1;
                samples[index / golden.sample_elements()] = true;
                repeats.raise(*a, *b);
            }
        }
        let differing = samples.iter().filter(|&&differs| differs).count();
        repeats.differing_samples += differing;
        differing > 0
    }

    fn compare(
        &mut self,
        batch: &Batch<'_>,
        number: usize,
        outputs: &[&[f32]],
        sound: Option<&[Vec<f32>]>,
        hooks: &mut Hooks<'_>,
    ) -> Result<(), CheckError> {
        let (request, tolerance) = (self.request, self.request.tolerance);
        let lengths: Vec<usize> = request.goldens.iter().map(Recording::sample_elements).collect();
        let spoiled = |kind, output: usize, sample: usize, values: &[f32]| -> Option<Vec<f32>> {
            let mut faults =
                self.faults.iter().filter(|f| f.kind == kind && f.tensor == output && f.sample == sample).peekable();
            faults.peek()?;
            let mut values = values.to_vec();
            faults.for_each(|fault| values[fault.element] = fault.change.apply(values[fault.element]));
            Some(values)
        };
        // Every sample and output on its own, on all cores; the sums are made in order.
        let compared: Vec<Vec<Compared>> = (0..batch.samples.len())
            .into_par_iter()
            .map(|offset| {
                let of_output = |output: usize| {
                    let range = offset * lengths[output]..(offset + 1) * lengths[output];
                    let (actual, golden) = (&outputs[output][range.clone()], &batch.goldens[output][range]);
                    let sample = batch.samples.start + offset;
                    let own_actual = spoiled(Kind::Output, output, sample, actual);
                    let own_golden = spoiled(Kind::Golden, output, sample, golden);
                    let comparison = compare_sample(
                        own_actual.as_deref().unwrap_or(actual),
                        own_golden.as_deref().unwrap_or(golden),
                        tolerance,
                    );
                    (comparison, own_actual, own_golden)
                };
                (0..outputs.len()).map(of_output).collect()
            })
            .collect();

        for (offset, results) in compared.iter().enumerate() {
            let sample = batch.samples.start + offset;
            let slices: Vec<(&[f32], &[f32])> = results
                .iter()
                .enumerate()
                .map(|(output, (_, own_actual, own_golden))| {
                    let range = offset * lengths[output]..(offset + 1) * lengths[output];
                    (
                        own_actual.as_deref().unwrap_or(&outputs[output][range.clone()]),
                        own_golden.as_deref().unwrap_or(&batch.goldens[output][range]),
                    )
                })
                .collect();
            if number == 0 {
                self.verdict.samples += 1;
                self.verdict.differing_samples +=
                    usize::from(results.iter().any(|(comparison, ..)| comparison.differing > 0));
            }
            for (output, (comparison, ..)) in results.iter().enumerate() {
                let shape = request.goldens[output].sample_shape();
                self.verdict.outputs[output].add(sample, shape, comparison, lengths[output]);
            }
            let outputs_outside: Vec<FaultyOutput> = results
                .iter()
                .enumerate()
                .filter(|(_, (comparison, ..))| comparison.is_faulty())
                .map(|(output, (comparison, ..))| {
                    let (actual, golden) = slices[output];
                    faulty_output(&request.goldens[output], output, sample, actual, golden, comparison, tolerance)
                })
                .collect();
            let sound_slices = sound.map(|sound| -> Vec<&[f32]> {
                sound
                    .iter()
                    .zip(&lengths)
                    .map(|(values, &length)| &values[offset * length..(offset + 1) * length])
                    .collect()
            });
            let raw: Vec<&[f32]> = outputs
                .iter()
                .zip(&lengths)
                .map(|(values, &length)| &values[offset * length..(offset + 1) * length])
                .collect();
            let recorded: Vec<&[f32]> = batch
                .goldens
                .iter()
                .zip(&lengths)
                .map(|(values, &length)| &values[offset * length..(offset + 1) * length])
                .collect();
            if number == 0 {
                self.judge_faults(sample, &slices, &raw, &recorded, sound_slices.as_deref(), &outputs_outside);
            }
            if !outputs_outside.is_empty() {
                let faulty = FaultySample { sample, run: number, outputs: outputs_outside };
                let outputs = request.goldens.iter().zip(&slices).map(|(r, &(actual, golden))| (r, golden, actual));
                (hooks.faulty)(&Specimen { sample: &faulty, outputs: outputs.collect() }).map_err(CheckError::Hook)?;
                self.verdict.faulty.push(faulty);
            }
        }
        Ok(())
    }

    /// What each fault in this sample changed, and whether that was seen.
    ///
    /// A change of the golden or of an output is its own effect, and must be seen at its own element. One of an input
    /// or a weight spreads: its effect is the distance between the outputs with and without it, and it must be seen
    /// at an element that no other fault changed directly.
    fn judge_faults(
        &mut self,
        sample: usize,
        slices: &[(&[f32], &[f32])],
        raw: &[&[f32]],
        recorded: &[&[f32]],
        sound: Option<&[&[f32]]>,
        outside: &[FaultyOutput],
    ) {
        let tolerance = self.request.tolerance;
        let is_outside = |output: usize, element: usize| {
            let (actual, golden) = slices[output];
            tolerance.outcome(actual[element], golden[element]) != Outcome::Close
        };
        let direct: std::collections::BTreeSet<(usize, usize)> = self
            .faults
            .iter()
            .filter(|fault| fault.sample == sample && fault.kind != Kind::Input)
            .map(|fault| (fault.tensor, fault.element))
            .collect();
        for fault in self.faults.iter().filter(|fault| fault.sample == sample && fault.kind != Kind::Input) {
            let before = match fault.kind {
                Kind::Golden => recorded[fault.tensor][fault.element],
                _ => raw[fault.tensor][fault.element],
            };
            let after = fault.change.apply(before);
            let beyond = match fault.kind {
                Kind::Golden => tolerance.outcome(before, after),
                _ => tolerance.outcome(after, before),
            } != Outcome::Close;
            let result = &mut self.verdict.faults[fault.fault];
            result.raise(before, after);
            result.judge(beyond, is_outside(fault.tensor, fault.element));
        }
        let Some(sound) = sound else { return };
        let spreading: Vec<usize> = self
            .request
            .faults
            .iter()
            .enumerate()
            .filter(|(_, fault)| match fault.target {
                Target::Weight(_) => true,
                Target::Input(_) => fault.sample() == Some(sample),
                _ => false,
            })
            .map(|(index, _)| index)
            .collect();
        if spreading.is_empty() {
            return;
        }
        let seen_elsewhere = outside.iter().map(|output| output.mismatches + output.non_finite).sum::<usize>()
            > direct.iter().filter(|&&(output, element)| is_outside(output, element)).count();
        let mut effect = FaultResult::default();
        let mut beyond = false;
        for (&after, &before) in raw.iter().zip(sound).flat_map(|(after, before)| after.iter().zip(*before)) {
            effect.raise(before, after);
            beyond |= tolerance.outcome(after, before) != Outcome::Close;
        }
        for index in spreading {
            let result = &mut self.verdict.faults[index];
            result.merge_effect(&effect);
            result.judge(beyond, seen_elsewhere);
        }
    }
}

/// Finds a fault's tensor and element; `None` for one of a weight, which is in the model already.
fn place(request: &Request<'_>, index: usize, fault: &Fault) -> Result<Option<Placed>, CheckError> {
    let (kind, recordings, name) = match &fault.target {
        Target::Golden(name) => (Kind::Golden, request.goldens, name),
        Target::Output(name) => (Kind::Output, request.goldens, name),
        Target::Input(name) => (Kind::Input, request.inputs, name),
        Target::Weight(_) => return Ok(None),
    };
    let found = match name {
        None => (!recordings.is_empty()).then_some(0),
        Some(name) => recordings.iter().position(|recording| recording.name() == name),
    };
    let Some(tensor) = found else {
        return Err(FaultError::NoTensor {
            fault: fault.to_string(),
            kind: if kind == Kind::Input { "input" } else { "output" },
            name: name.clone().unwrap_or_default(),
            available: recordings.iter().map(Recording::name).collect::<Vec<_>>().join(", "),
        }
        .into());
    };
    let recording = &recordings[tensor];
    let element = fault.element(recording.name(), recording.shape())?;
    let sample = fault.index[0];
    if !request.samples.contains(&sample) {
        let (first, last) = (request.samples.start, request.samples.end - 1);
        return Err(FaultError::NotChecked { fault: fault.to_string(), sample, first, last }.into());
    }
    let element = element - sample * recording.sample_elements();
    Ok(Some(Placed { fault: index, kind, tensor, sample, element, change: fault.change }))
}

fn faulty_output(
    golden_recording: &Recording,
    output: usize,
    sample: usize,
    actual: &[f32],
    golden: &[f32],
    comparison: &SampleComparison,
    tolerance: Tolerance,
) -> FaultyOutput {
    let shape = golden_recording.sample_shape();
    let width = shape.last().copied().unwrap_or(1).max(1);
    let badness = |pair: &ElementPair| pair.abs_error().unwrap_or(f64::INFINITY);
    let mut extent = Extent::new();
    let (mut first, mut worst): (Option<ElementPair>, Option<ElementPair>) = (None, None);
    for (element, (&actual, &golden)) in actual.iter().zip(golden).enumerate() {
        if tolerance.outcome(actual, golden) == Outcome::Close {
            continue;
        }
        extent.add(element / width, element % width);
        let pair = ElementPair { index: crate::verdict::index(sample, element, shape), golden, actual };
        // No finite error is as bad as a value that is not finite; of equals the first.
        if worst.as_ref().is_none_or(|worst| badness(&pair) > badness(worst)) {
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
    let at = values.iter().position(|value| !value.is_finite()).expect("counted above");
    let length = recording.sample_elements();
    let (name, sample) = (recording.name().to_owned(), start + at / length);
    Err(CheckError::NotFinite { name, sample, element: at % length, value: values[at] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Geometry;
    use crate::verdict::Fate;
    use proptest::prelude::*;

    const TOLERANCE: Tolerance = Tolerance { atol: 5e-6, rtol: 1e-5 };

    /// Gives back its input, changed by the call's number.
    struct Echo<F: FnMut(usize, &mut Vec<f32>)>(F, usize);

    impl<F: FnMut(usize, &mut Vec<f32>)> Runtime for Echo<F> {
        fn run(&mut self, inputs: &[&[f32]], _: usize, outputs: &mut dyn FnMut(&[&[f32]])) -> Result<(), RunError> {
            let mut result = inputs[0].to_vec();
            (self.0)(self.1, &mut result);
            self.1 += 1;
            outputs(&[&result]);
            Ok(())
        }
    }

    /// Claims success and gives nothing back.
    struct Silent;

    impl Runtime for Silent {
        fn run(&mut self, _: &[&[f32]], _: usize, _: &mut dyn FnMut(&[&[f32]])) -> Result<(), RunError> {
            Ok(())
        }
    }

    fn recording(name: &str, shape: &[usize], value: impl Fn(usize) -> f32) -> Recording {
        let values = (0..shape.iter().product()).map(value).collect();
        Recording::in_memory(name, shape.to_vec(), values).expect("as many values as the shape says")
    }

    fn faults(texts: &[&str]) -> Vec<Fault> {
        texts.iter().map(|text| text.parse().expect("a fault")).collect()
    }

    struct Case<'a> {
        input: &'a Recording,
        golden: &'a Recording,
        faults: &'a [Fault],
        repeat: usize,
        fail_fast: bool,
        stop_after: usize,
    }

    impl<'a> Case<'a> {
        fn of(data: &'a Recording) -> Self {
            Self { input: data, golden: data, faults: &[], repeat: 1, fail_fast: false, stop_after: usize::MAX }
        }

        fn run(&self, runtime: &mut dyn Runtime) -> Result<Verdict, CheckError> {
            self.run_with(runtime, None)
        }

        fn run_with<'r>(
            &self,
            sound: &'r mut dyn Runtime,
            faulty: Option<&'r mut dyn Runtime>,
        ) -> Result<Verdict, CheckError> {
            let request = Request {
                inputs: std::slice::from_ref(self.input),
                goldens: std::slice::from_ref(self.golden),
                samples: 0..self.golden.samples().max(1),
                batch_size: 2,
                tolerance: TOLERANCE,
                faults: self.faults,
                repeat: self.repeat,
                fail_fast: self.fail_fast,
            };
            let done = std::cell::Cell::new(0);
            let mut hooks = Hooks {
                progress: &mut |samples| done.set(done.get() + samples),
                faulty: &mut |_| Ok(()),
                stop: &|| done.get() >= self.stop_after,
            };
            check(&request, &mut Runtimes { sound, faulty }, &mut hooks)
        }
    }

    fn exact() -> Echo<impl FnMut(usize, &mut Vec<f32>)> {
        Echo(|_, _: &mut Vec<f32>| {}, 0)
    }

    #[test]
    fn an_exact_runtime_passes_and_every_element_is_counted() {
        let data = recording("x", &[5, 3, 4], |i| i as f32);
        let verdict = Case::of(&data).run(&mut exact()).expect("check");
        assert!(verdict.is_pass());
        let total = verdict.total();
        assert_eq!((verdict.samples, total.elements, total.differing_elements), (5, 60, 0));
        assert_eq!(total.max_abs_error.index, None);
    }

    #[test]
    fn a_wrong_element_of_a_later_batch_is_found_where_it_is() {
        let data = recording("x", &[5, 3, 4], |i| i as f32);
        let mut runtime = Echo(
            |call, output: &mut Vec<f32>| {
                if call == 1 {
                    output[12 + 7] += 0.5; // sample 3, token 1, feature 3
                    output[12 + 9] = f32::NAN; // sample 3, token 2, feature 1
                }
            },
            0,
        );
        let verdict = Case::of(&data).run(&mut runtime).expect("check");
        assert!(!verdict.is_pass());
        let total = verdict.total();
        assert_eq!((total.mismatches, total.non_finite, verdict.differing_samples), (1, 1, 1));
        assert_eq!((total.max_abs_error.value, total.max_abs_error.index), (0.5, Some(vec![3, 1, 3])));
        let [faulty] = verdict.faulty.as_slice() else { panic!("one sample: {:?}", verdict.faulty) };
        let [output] = faulty.outputs.as_slice() else { panic!("one output: {faulty:?}") };
        assert_eq!((faulty.sample, output.geometry), (3, Geometry::Scattered));
        assert_eq!((output.first.index.as_slice(), output.worst.index.as_slice()), (&[3, 1, 3][..], &[3, 2, 1][..]));
        assert_eq!((output.first.golden, output.first.actual, output.worst.abs_error()), (43.0, 43.5, None));
    }

    #[test]
    fn faults_in_the_golden_flag_their_samples_and_no_other() {
        let data = recording("x", &[301, 35, 55], |i| (i % 1000) as f32 * 1e-3);
        let seed = Fault::seed();
        let verdict = Case { faults: &seed, ..Case::of(&data) }.run(&mut exact()).expect("check");
        let flagged: Vec<usize> = verdict.faulty.iter().map(|faulty| faulty.sample).collect();
        assert_eq!(flagged, [150, 200, 201, 300]);
        assert_eq!((verdict.total().mismatches, verdict.total().non_finite), (3, 2));
        assert!(verdict.faults.iter().all(|result| result.fate() == Fate::Detected));
        assert_eq!(verdict.faulty[0].outputs[0].geometry, Geometry::Row);
    }

    #[test]
    fn a_fault_without_effect_is_masked_and_not_found_by_another_error_in_its_sample() {
        let data = recording("x", &[2, 2, 2], |i| i as f32);
        let faults = faults(&["golden[1,0,1]=5", "golden[1,1,0]=12", "output[0,0,0]=1e-7"]);
        let verdict = Case { faults: &faults, ..Case::of(&data) }.run(&mut exact()).expect("check");
        let fates: Vec<Fate> = verdict.faults.iter().map(|result| result.fate()).collect();
        assert_eq!(fates, [Fate::Masked, Fate::Detected, Fate::Masked]);
        assert_eq!(verdict.faulty.len(), 1);
        assert!((verdict.faults[2].largest_change - 1e-7).abs() < 1e-12);
    }

    #[test]
    fn a_fault_in_an_input_is_judged_by_what_comes_out() {
        let data = recording("x", &[4, 2, 2], |i| 1.0 + i as f32);
        let faults = faults(&["input[2,0,1]^30", "input[3,0,0]^0"]);
        let verdict = Case { faults: &faults, ..Case::of(&data) }.run(&mut exact()).expect("check");
        let fates: Vec<Fate> = verdict.faults.iter().map(|result| result.fate()).collect();
        assert_eq!(fates, [Fate::Detected, Fate::Masked]);
        assert_eq!(verdict.faulty.iter().map(|faulty| faulty.sample).collect::<Vec<_>>(), [2]);
        assert!(verdict.faults[1].largest_change > 0.0);
    }

    #[test]
    fn what_hides_a_faults_effect_makes_it_missed() {
        let data = recording("x", &[2, 2, 2], |i| 1.0 + i as f32);
        // The golden is changed in the same way, so that the comparison sees nothing.
        let hidden = faults(&["input[1,0,0]=7", "golden[1,0,0]=7"]);
        let verdict = Case { faults: &hidden, ..Case::of(&data) }.run(&mut exact()).expect("check");
        assert!(verdict.faulty.is_empty());
        assert!(verdict.faults.iter().all(|result| result.fate() == Fate::Missed), "{:?}", verdict.faults);
        // An error elsewhere in the sample, put there by another fault, is no detection of this one.
        let elsewhere = faults(&["input[1,0,0]=7", "golden[1,0,0]=7", "golden[1,1,1]=0"]);
        let verdict = Case { faults: &elsewhere, ..Case::of(&data) }.run(&mut exact()).expect("check");
        let fates: Vec<Fate> = verdict.faults.iter().map(|result| result.fate()).collect();
        assert_eq!(fates, [Fate::Missed, Fate::Missed, Fate::Detected]);
    }

    #[test]
    fn a_weight_fault_is_judged_over_all_samples() {
        let data = recording("x", &[5, 2, 2], |i| 1.0 + i as f32);
        let faults = faults(&["weight:w[0]=2"]);
        let mut broken = Echo(|_, output: &mut Vec<f32>| output.iter_mut().for_each(|y| *y += 1.0), 0);
        let case = Case { faults: &faults, ..Case::of(&data) };
        let verdict = case.run_with(&mut exact(), Some(&mut broken)).expect("check");
        assert_eq!((verdict.faulty.len(), verdict.faults[0].samples_beyond), (5, 5));
        assert_eq!((verdict.faults[0].fate(), verdict.faults[0].largest_change), (Fate::Detected, 1.0));
        assert_eq!(verdict.faulty[0].outputs[0].geometry, Geometry::Block);
    }

    #[test]
    fn runs_that_do_not_repeat_are_counted_and_compared() {
        let data = recording("x", &[3, 2, 2], |i| 1.0 + i as f32);
        let mut runtime = Echo(
            |call, output: &mut Vec<f32>| match call {
                1 => output[0] = output[0].next_up(),
                5 => output[3] += 1.0,
                _ => {}
            },
            0,
        );
        let verdict = Case { repeat: 3, ..Case::of(&data) }.run(&mut runtime).expect("check");
        let repeats = verdict.repeats.expect("several runs");
        assert_eq!((repeats.runs, repeats.differing_elements, repeats.differing_samples), (3, 2, 2));
        assert_eq!((verdict.samples, verdict.faulty.len()), (3, 1));
        assert_eq!((verdict.faulty[0].sample, verdict.faulty[0].run), (2, 2));
        let same = Case { repeat: 3, ..Case::of(&data) }.run(&mut exact()).expect("check");
        assert_eq!(same.repeats.map(|repeats| repeats.differing_elements), Some(0));
    }

    #[test]
    fn what_is_stopped_is_no_pass() {
        let data = recording("x", &[6, 2, 2], |i| i as f32);
        let verdict = Case { stop_after: 2, ..Case::of(&data) }.run(&mut exact()).expect("check");
        assert_eq!((verdict.samples, verdict.stopped, verdict.is_pass()), (2, Some(Stop::Interrupted), false));
        let mut wrong = Echo(|_, output: &mut Vec<f32>| output[0] += 1.0, 0);
        let verdict = Case { fail_fast: true, ..Case::of(&data) }.run(&mut wrong).expect("check");
        assert_eq!((verdict.samples, verdict.stopped, verdict.faulty.len()), (2, Some(Stop::FailFast), 1));
    }

    #[test]
    fn what_cannot_be_compared_is_an_error_and_never_a_pass() {
        let message = |result: Result<Verdict, CheckError>| result.expect_err("must be refused").to_string();
        let data = recording("x", &[3, 2, 2], |i| i as f32);
        let none = recording("x", &[0, 2, 2], |_| 0.0);
        let fewer = recording("fewer", &[2, 2, 2], |_| 0.0);
        let spoiled = recording("spoiled", &[3, 2, 2], |i| if i == 9 { f32::NAN } else { 0.0 });
        assert!(message(Case::of(&none).run(&mut exact())).contains("no sample"));
        let case = Case { input: &fewer, ..Case::of(&data) };
        assert!(message(case.run(&mut exact())).contains("2 samples of `fewer`, 3 of `x`"));
        let case = Case { golden: &spoiled, ..Case::of(&data) };
        assert!(message(case.run(&mut exact())).contains("`spoiled` of sample 2 has NaN at element 1"));
        let seed = Fault::seed();
        assert!(message(Case { faults: &seed, ..Case::of(&data) }.run(&mut exact())).contains("lies outside"));
        let unknown = faults(&["output:y[0,0,0]=1"]);
        assert!(message(Case { faults: &unknown, ..Case::of(&data) }.run(&mut exact())).contains("no output `y`"));
        let mut short = Echo(|_, output: &mut Vec<f32>| output.truncate(7), 0);
        assert!(message(Case::of(&data).run(&mut short)).contains("outputs of [7] elements, expected [8]"));
        let mut long = Echo(|_, output: &mut Vec<f32>| output.push(0.0), 0);
        assert!(message(Case::of(&data).run(&mut long)).contains("outputs of [9] elements, expected [8]"));
        assert!(message(Case::of(&data).run(&mut Silent)).contains("no output"));
    }

    proptest! {
        #[test]
        fn every_bit_flip_of_an_output_beyond_the_tolerance_is_flagged(
            golden in prop_oneof![any::<f32>(), Just(0.0), Just(-0.0), (0u32..0x0080_0000).prop_map(f32::from_bits)],
            bit in 0u8..32,
            place in 0usize..24,
        ) {
            prop_assume!(golden.is_finite());
            let data = recording("x", &[3, 2, 4], |i| if i == place { golden } else { 0.5 });
            let index = crate::verdict::index(place / 8, place % 8, &[2, 4]);
            let fault = Fault { target: Target::Output(None), index, change: Change::Flip(bit) };
            let verdict = Case { faults: &[fault], ..Case::of(&data) }.run(&mut exact()).expect("check");
            let flipped = Change::Flip(bit).apply(golden);
            // In float64, by the rule's own words; the rule computes in float32, hence the margin.
            let (error, allowed) = ((f64::from(flipped) - f64::from(golden)).abs(), 5e-6 + 1e-5 * f64::from(golden).abs());
            if !flipped.is_finite() || error > 1.000_001 * allowed {
                prop_assert_eq!(verdict.faulty.iter().map(|faulty| faulty.sample).collect::<Vec<_>>(), [place / 8]);
                prop_assert_eq!(verdict.faults[0].fate(), Fate::Detected);
            } else if error < 0.999_999 * allowed {
                prop_assert!(verdict.faulty.is_empty());
                prop_assert_eq!(verdict.faults[0].fate(), Fate::Masked);
            }
        }
    }
}
