//! The check: run batch after batch, compare each of its samples, add them up.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Instant;

use ndarray::{ArrayD, ArrayViewD, Axis};
use proto::manifest::dataset;
use rayon::prelude::*;

use super::compared::{Compared, in_c_order};
use super::events::{Event, FaultyTensors, Observe};
use super::faults;
use super::outcome::FaultResult;
use super::request::{CheckError, Engines, Request};
use super::result::{CheckResult, Repeats, Stop};
use crate::compare::{Class, Histogram, compare_sample};
use crate::engine::{Engine, run_batch};
use crate::inject::{Injection, Kind};
use crate::samples::batches::{check_finite, check_samples};
use crate::samples::{Batch, Batches, Recording, Recordings, SamplesError, elements, sample_of};

/// Runs the check. When it is stopped, what was compared until then is the result.
pub fn check(
    request: &Request<'_>,
    engines: &mut Engines<'_>,
    observe: &mut Observe<'_>,
) -> Result<CheckResult, CheckError> {
    let Recordings {
        inputs, goldens, ..
    } = request.recordings;
    check_samples(goldens.iter().chain(inputs), &request.samples)?;
    let injection = Injection::new(request.faults, inputs, goldens, &request.samples)?;
    let mut run = Run::new(request, &injection);
    let samples = request.samples.clone();
    let mut batches = Batches::new(
        request.recordings,
        samples,
        request.batch_size,
        request.stop,
    );
    for batch in batches.by_ref() {
        let batch = batch?;
        run.batch(&batch, engines, observe)?;
        observe(Event::Done(batch.samples.len()));
        let is_last = batch.samples.end == request.samples.end;
        if request.fail_fast && !run.result.faulty.is_empty() && !is_last {
            run.result.stopped.get_or_insert(Stop::FailFast);
        }
        if run.result.stopped.is_some() {
            break;
        }
    }
    // Only now it is known that what was compared is what the hashes say.
    if batches.is_stopped() || !batches.finish()? {
        run.result.stopped = Some(Stop::Interrupted);
    }
    run.result.sum_up();
    Ok(run.result)
}

/// What one run of a batch gave, `[batch, …]` each.
struct BatchOutputs<'a> {
    samples: &'a Range<usize>,
    /// Which run of the batch, from 0.
    run: usize,
    goldens: &'a [ArrayViewD<'a, f32>],
    computed: Vec<ArrayViewD<'a, f32>>,
    fault_free: Option<&'a [ArrayD<f32>]>,
}

/// A check under way.
struct Run<'a> {
    request: &'a Request<'a>,
    injection: &'a Injection<'a>,
    result: CheckResult,
}

impl<'a> Run<'a> {
    fn new(request: &'a Request<'a>, injection: &'a Injection<'a>) -> Self {
        let mut result = CheckResult::new(request.recordings);
        result.faults = request.faults.iter().map(FaultResult::new).collect();
        result.repeats = (request.repeat > 1).then(Repeats::default);
        Self {
            request,
            injection,
            result,
        }
    }

    /// Runs a batch as often as asked for, and compares every run.
    fn batch(
        &mut self,
        batch: &Batch<'_>,
        engines: &mut Engines<'_>,
        observe: &mut Observe<'_>,
    ) -> Result<(), CheckError> {
        let started = Instant::now();
        batch.check_finite()?;
        self.result.seconds.reading += batch.reading_seconds + started.elapsed().as_secs_f64();

        let recorded = batch.inputs();
        let corrupted = self.injection.corrupted_inputs(&batch.samples, &recorded);
        // What the model without faults makes of inputs without faults shows what the faults
        // change.
        let fault_free = if corrupted.is_some() || self.injection.has_inner_faults() {
            Some(self.fault_free(engines.fault_free, batch, &recorded)?)
        } else {
            None
        };
        let inputs = match &corrupted {
            Some(inputs) => inputs.iter().map(|input| input.view()).collect(),
            None => recorded,
        };
        let engine: &mut dyn Engine = match &mut engines.corrupted {
            Some(engine) => &mut **engine,
            None => &mut *engines.fault_free,
        };
        let goldens = batch.goldens();
        let mut runs = 0;
        let mut first: Option<Vec<ArrayD<f32>>> = None;
        while runs < self.request.repeat.max(1) {
            if runs > 0 && self.request.stop.load(Ordering::Relaxed) {
                self.result.stopped = Some(Stop::Interrupted);
                break;
            }
            let outputs = run_batch(engine, batch, &inputs, &self.request.recordings.goldens)?;
            self.result.seconds.running += outputs.seconds;
            let outputs = BatchOutputs {
                samples: &batch.samples,
                run: runs,
                goldens: &goldens,
                computed: outputs.tensors,
                fault_free: fault_free.as_deref(),
            };
            self.one_run(&outputs, &mut first, observe)?;
            runs += 1;
        }
        if let Some(repeats) = &mut self.result.repeats {
            repeats.add_batch(runs);
        }
        Ok(())
    }

    /// The outputs of the model without faults for inputs without faults.
    fn fault_free(
        &mut self,
        engine: &mut dyn Engine,
        batch: &Batch<'_>,
        inputs: &[ArrayViewD<'_, f32>],
    ) -> Result<Vec<ArrayD<f32>>, CheckError> {
        let outputs = run_batch(engine, batch, inputs, &self.request.recordings.goldens)?;
        self.result.seconds.running += outputs.seconds;
        Ok(outputs.tensors.iter().map(ArrayViewD::to_owned).collect())
    }

    /// Compares one run with the goldens, and a later one with the first.
    fn one_run(
        &mut self,
        outputs: &BatchOutputs<'_>,
        first: &mut Option<Vec<ArrayD<f32>>>,
        observe: &mut Observe<'_>,
    ) -> Result<(), CheckError> {
        let started = Instant::now();
        let samples = match first {
            // What a later run repeats bit for bit is compared already.
            Some(first) => self.differing_from_first(outputs, first),
            None => {
                let views = outputs.computed.iter().map(|output| output.view());
                observe(Event::Outputs(outputs.samples.clone(), views.collect()));
                if self.request.repeat > 1 {
                    let copies = outputs.computed.iter().map(ArrayViewD::to_owned);
                    *first = Some(copies.collect());
                }
                outputs.samples.clone().collect()
            }
        };
        self.compare(outputs, &samples, observe)?;
        self.result.seconds.comparing += started.elapsed().as_secs_f64();
        Ok(())
    }

    /// Counts what a later run does not repeat bit for bit, and gives the samples it is in.
    fn differing_from_first(
        &mut self,
        outputs: &BatchOutputs<'_>,
        first: &[ArrayD<f32>],
    ) -> Vec<usize> {
        let repeats = self.result.repeats.get_or_insert_default();
        let mut samples = BTreeSet::new();
        for (first, later) in first.iter().zip(&outputs.computed) {
            let (first, later) = (first.view(), later);
            let sample_elements = later.len() / outputs.samples.len();
            let pairs = elements(&first).iter().zip(elements(later)).enumerate();
            for (element, (&first, &later)) in pairs {
                if first.to_bits() != later.to_bits() {
                    repeats.add_difference(first, later);
                    samples.insert(outputs.samples.start + element / sample_elements);
                }
            }
        }
        repeats.differing_samples += samples.len();
        samples.into_iter().collect()
    }

    /// Compares some samples of the batch, in ascending order.
    fn compare(
        &mut self,
        outputs: &BatchOutputs<'_>,
        samples: &[usize],
        observe: &mut Observe<'_>,
    ) -> Result<(), CheckError> {
        // Every sample on its own, on all cores; the sums are made in order.
        let compared: Vec<Vec<Compared<'_>>> = samples
            .par_iter()
            .map(|&sample| self.compare_one(outputs, sample))
            .collect::<Result<_, SamplesError>>()?;
        for (&sample, compared) in samples.iter().zip(&compared) {
            self.add(sample, outputs.run, compared, observe)?;
        }
        Ok(())
    }

    /// Compares every output of one sample.
    fn compare_one<'v>(
        &self,
        outputs: &'v BatchOutputs<'_>,
        sample: usize,
    ) -> Result<Vec<Compared<'v>>, SamplesError> {
        let position = sample - outputs.samples.start;
        let goldens = &self.request.recordings.goldens;
        let mut compared = Vec::with_capacity(goldens.len());
        for (output, golden) in goldens.iter().enumerate() {
            let recorded = sample_of(&outputs.goldens[output].view(), position);
            let as_batch = recorded.clone().insert_axis(Axis(0));
            check_finite(golden.name(), &as_batch, sample)?;
            let computed = sample_of(&outputs.computed[output].view(), position);
            let fault_free = outputs
                .fault_free
                .map(|fault_free| sample_of(&fault_free[output].view(), position));
            let injection = self.injection;
            let actual = injection.corrupted(Kind::Output, output, sample, computed.clone());
            let golden = injection.corrupted(Kind::Golden, output, sample, recorded.clone());
            let (y, g) = (in_c_order(&actual), in_c_order(&golden));
            let comparison = compare_sample(y, g, self.request.tolerance);
            let histogram = self.request.histogram.then(|| Histogram::of(y, g));
            compared.push(Compared {
                computed,
                recorded,
                fault_free,
                actual,
                golden,
                comparison,
                histogram,
            });
        }
        Ok(compared)
    }

    /// Counts right classes where the part gives logits.
    fn add_classes(&mut self, sample: usize, outputs: &[Compared<'_>]) {
        let recordings = self.request.recordings;
        let is_logits = |golden: &Recording| golden.name() == dataset::LOGITS;
        let Some(position) = recordings.goldens.iter().position(is_logits) else {
            return;
        };
        let output = &outputs[position];
        let class = |logits: &ArrayViewD<'_, f32>| Some(Class::of(elements(logits))?.class);
        let label = recordings.info[sample].label;
        let top1 = self.result.top1.get_or_insert_default();
        top1.add(class(&output.recorded), class(&output.computed), label);
    }

    /// Adds a compared sample to the result.
    fn add(
        &mut self,
        sample: usize,
        run: usize,
        outputs: &[Compared<'_>],
        observe: &mut Observe<'_>,
    ) -> Result<(), CheckError> {
        let Request {
            recordings,
            tolerance,
            ..
        } = *self.request;
        if run == 0 {
            let differs = outputs.iter().any(|output| output.comparison.differing > 0);
            self.result.samples += 1;
            *self.result.differing_samples.get_or_insert_default() += usize::from(differs);
            let faults = &mut self.result.faults;
            faults::judge(self.injection, sample, outputs, tolerance, faults);
            self.add_classes(sample, outputs);
        }
        for (number, output) in outputs.iter().enumerate() {
            let golden = &recordings.goldens[number];
            let result = &mut self.result.outputs[number];
            result.add(sample, golden.sample_shape(), &output.comparison);
            if let Some(histogram) = &output.histogram {
                result.histogram.get_or_insert_default().merge(histogram);
            }
            if output.comparison.is_faulty() {
                let info = recordings.info[sample];
                let mut faulty = output.describe(golden.name(), sample, info, run, tolerance);
                if golden.name() == dataset::LOGITS {
                    faulty.class = output.class_change();
                }
                let tensors = FaultyTensors {
                    golden: output.golden.view(),
                    actual: output.actual.view(),
                    recorded: output.recorded.clone(),
                };
                observe(Event::Faulty(&faulty, &tensors));
                self.result.faulty.push(faulty);
            }
        }
        Ok(())
    }
}
