//! Runs a batch of faults: each at its site beside the same run without it, and what is beyond the
//! tolerance on to the logits.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use ndarray::{ArrayViewD, Axis, stack};

use super::alone::RunsAlone;
use super::effect::{Effect, Effects};
use super::error::RunnerError;
use super::site_runner::{BatchOf, Both, Load, Part, SiteRunner, Strike, gathered, run, views};
use super::study::{Planned, Study};
use super::under_way::{Batch, Logits, Pair, Waiting, effects};
use crate::check::tail::Tail;
use crate::compare::Class;
use crate::engine::RunError;
use crate::inject::{Site, SiteKind};
use crate::samples::{Recording, elements, sample_of};

/// What tells the class of a sample's outputs.
pub enum Classes<'a> {
    /// The part's output of this number is the logits.
    Logits(usize),
    /// The rest of the model, behind the part's only output.
    Tail(Box<Tail<'a>>),
    /// Nothing does.
    Unknown,
}

/// Runs the faults of a study.
pub struct Runner<'a> {
    part: Part,
    load: Box<Load<'a>>,
    /// The part's inputs, whose samples can be read in any order.
    inputs: Vec<Recording>,
    classes: Classes<'a>,
    /// The sites whose pieces are loaded, the one used last at the end.
    loaded: Vec<Loaded>,
    shared: Arc<FaultFreeRuns>,
    most_bytes_loaded: usize,
}

/// What is known of runs without a fault; runners share it.
pub struct FaultFreeRuns {
    /// By sample, what `tail` gives, where the logits are finite.
    classes: Vec<OnceLock<Option<FaultFree>>>,
    alone: RunsAlone,
}

/// A sample without a fault.
struct FaultFree {
    class: Class,
    logits: Vec<f32>,
}

struct Loaded {
    site: usize,
    runner: SiteRunner,
    bytes: usize,
}

impl FaultFreeRuns {
    /// None of so many samples is known yet.
    pub fn new(samples: usize, alone: RunsAlone) -> Self {
        Self {
            classes: (0..samples).map(|_| OnceLock::new()).collect(),
            alone,
        }
    }

    fn of(&self, sample: usize) -> Option<&FaultFree> {
        self.classes[sample].get()?.as_ref()
    }
}

impl<'a> Runner<'a> {
    /// `inputs` are those of the part, in its order. The pieces of a large model are as large as
    /// itself, at each of its sites: the bytes of those that stay loaded are kept below
    /// `most_bytes_loaded`, one site aside.
    pub fn new(
        part: Part,
        load: Box<Load<'a>>,
        inputs: Vec<Recording>,
        classes: Classes<'a>,
        shared: Arc<FaultFreeRuns>,
        most_bytes_loaded: usize,
    ) -> Self {
        Self {
            part,
            load,
            inputs,
            classes,
            loaded: vec![],
            shared,
            most_bytes_loaded,
        }
    }

    /// Runs the faults of some numbers, all of them in rounds of the plan. Which samples share a
    /// run follows from the numbers alone: site after site, in the order of the numbers.
    pub fn run(&mut self, study: &Study, numbers: Range<u64>) -> Result<Vec<Effects>, RunnerError> {
        let (effects, _) = self.run_batch(study, numbers, Batch::default())?;
        Ok(effects)
    }

    /// The same, and the logits of one fault of a sample, where its outputs were carried on.
    pub fn run_and_trace(
        &mut self,
        study: &Study,
        numbers: Range<u64>,
        traced: u64,
    ) -> Result<(Vec<Effects>, Option<Logits>), RunnerError> {
        let traced = traced.checked_sub(numbers.start);
        let batch = Batch {
            traced: traced.map(|position| position as usize),
            ..Batch::default()
        };
        self.run_batch(study, numbers, batch)
    }

    fn run_batch(
        &mut self,
        study: &Study,
        numbers: Range<u64>,
        mut batch: Batch,
    ) -> Result<(Vec<Effects>, Option<Logits>), RunnerError> {
        let planned = numbers.map(|number| study.planned(number).expect("a fault of a round"));
        let planned: Vec<Planned> = planned.collect();
        let mut by_site: Vec<usize> = (0..planned.len()).collect();
        by_site.sort_by_key(|&fault| planned[fault].site);
        for of_site in by_site.chunk_by(|&a, &b| planned[a].site == planned[b].site) {
            let site = planned[of_site[0]].site;
            if study.sites[site].kind == SiteKind::Weight {
                self.run_weight(study, site, &planned, of_site, &mut batch)?;
            } else {
                for faults in of_site.chunks(study.settings.run_samples) {
                    self.run_samples(study, site, &planned, faults, &mut batch)?;
                }
            }
        }
        self.carry_on(study, &mut batch)?;
        Ok((effects(study, &planned, &batch.pairs), batch.logits))
    }

    /// Faults of one site in a sample each.
    fn run_samples(
        &mut self,
        study: &Study,
        site: usize,
        planned: &[Planned],
        faults: &[usize],
        batch: &mut Batch,
    ) -> Result<(), RunnerError> {
        let sample_of_fault = |&fault: &usize| planned[fault].sample.expect("has a sample");
        let samples: Vec<usize> = faults.iter().map(sample_of_fault).collect();
        let own = &study.sites[site];
        let shape = [&[self.inputs[0].samples()], own.shape.as_slice()].concat();
        let strikes = faults
            .iter()
            .map(|&fault| strike(&planned[fault], own, &shape));
        let strikes = strikes.collect::<Result<Vec<_>, _>>()?;
        let at = self.loaded(study, site)?;
        let of = BatchOf {
            site,
            site_name: own,
            samples: &samples,
            recordings: &self.inputs,
            alone: &self.shared.alone,
        };
        let runner = &mut self.loaded[at].runner;
        let both = runner.run(&mut *self.part.engine, &of, &strikes)?;
        let pairs = faults.iter().copied().zip(samples);
        self.judge(study, &both, pairs, batch)
    }

    /// Faults of a weight, each in all of the samples that it meets.
    fn run_weight(
        &mut self,
        study: &Study,
        site: usize,
        planned: &[Planned],
        faults: &[usize],
        batch: &mut Batch,
    ) -> Result<(), RunnerError> {
        let own = &study.sites[site];
        let at = self.loaded(study, site)?;
        for met in study.met.chunks(study.settings.run_samples) {
            let samples: Vec<usize> = met.iter().map(|&(sample, _)| sample).collect();
            let inputs = gathered(&self.inputs, &samples)?;
            let views = views(&inputs);
            let error = |error| run_error(own, error);
            let runner = &mut self.loaded[at].runner;
            let mut fault_free = runner.run_weight(&views, None).map_err(error)?;
            for &fault in faults {
                let strike = strike(&planned[fault], own, &own.shape)?;
                let runner = &mut self.loaded[at].runner;
                let corrupted = runner.run_weight(&views, Some(&strike)).map_err(error)?;
                let both = Both {
                    fault_free,
                    corrupted,
                };
                let pairs = samples.iter().map(|&sample| (fault, sample));
                self.judge(study, &both, pairs, batch)?;
                fault_free = both.fault_free;
            }
        }
        Ok(())
    }

    /// Where the pieces of a site are among those that are loaded.
    fn loaded(&mut self, study: &Study, site: usize) -> Result<usize, RunnerError> {
        if let Some(at) = self.loaded.iter().position(|loaded| loaded.site == site) {
            let own = self.loaded.remove(at);
            self.loaded.push(own);
        } else {
            let (runner, bytes) =
                SiteRunner::load(&self.part, &study.sites[site], &mut *self.load)?;
            self.loaded.push(Loaded {
                site,
                runner,
                bytes,
            });
            let mut all: usize = self.loaded.iter().map(|loaded| loaded.bytes).sum();
            while all > self.most_bytes_loaded && self.loaded.len() > 1 {
                all -= self.loaded.remove(0).bytes;
            }
        }
        Ok(self.loaded.len() - 1)
    }

    /// Compares what came out, sample by sample; what is beyond the tolerance goes on.
    fn judge(
        &mut self,
        study: &Study,
        both: &Both,
        pairs: impl Iterator<Item = (usize, usize)>,
        batch: &mut Batch,
    ) -> Result<(), RunnerError> {
        for (position, (fault, sample)) in pairs.enumerate() {
            let rows = rows_of(both, position);
            let rows = rows.iter().map(|(fault_free, corrupted)| {
                let width = fault_free.shape().last().copied().unwrap_or(1).max(1);
                (elements(fault_free), elements(corrupted), width)
            });
            let mut effect = Effect::of_outputs(rows, study.settings.tolerance);
            let mut output = None;
            if effect.is_beyond() {
                match &self.classes {
                    Classes::Unknown => {}
                    Classes::Logits(logits) => {
                        let (fault_free, corrupted) = &rows_of(both, position)[*logits];
                        let before = Class::of(elements(fault_free));
                        let before = before.ok_or(RunnerError::NotFinite(sample))?;
                        effect.classify(before, elements(corrupted));
                        batch.trace(fault, elements(fault_free), elements(corrupted));
                    }
                    Classes::Tail(_) => {
                        let own = sample_of(&both.corrupted[0].view(), position).to_owned();
                        output = Some(own);
                    }
                }
            }
            batch.pairs.push(Pair {
                fault,
                sample,
                effect,
            });
            if let Some(output) = output {
                let pair = batch.pairs.len() - 1;
                batch.waiting.push(Waiting { pair, output });
                if batch.waiting.len() == tail_samples(study) {
                    self.carry_on(study, batch)?;
                }
            }
        }
        Ok(())
    }

    /// Takes what waits through `tail`.
    fn carry_on(&mut self, study: &Study, batch: &mut Batch) -> Result<(), RunnerError> {
        let waiting = std::mem::take(&mut batch.waiting);
        if waiting.is_empty() {
            return Ok(());
        }
        let samples = waiting
            .iter()
            .map(|waiting| batch.pairs[waiting.pair].sample);
        let samples: Vec<usize> = samples.collect();
        for &sample in &samples {
            self.classify_fault_free(study, sample)?;
        }
        let outputs: Vec<_> = waiting
            .iter()
            .map(|waiting| waiting.output.view())
            .collect();
        let outputs = stack(Axis(0), &outputs).expect("outputs of one shape");
        let Classes::Tail(tail) = &mut self.classes else {
            return Ok(());
        };
        let logits = tail.logits(&samples, &outputs.view())?;
        for (position, (waiting, sample)) in waiting.iter().zip(samples).enumerate() {
            let before = self.shared.of(sample);
            let before = before.ok_or(RunnerError::NotFinite(sample))?;
            let logits = sample_of(&logits.view(), position);
            let pair = &mut batch.pairs[waiting.pair];
            pair.effect.classify(before.class, elements(&logits));
            let fault = pair.fault;
            batch.trace(fault, &before.logits, elements(&logits));
        }
        Ok(())
    }

    /// Finds the class of a sample without a fault, and of those beside it, once: always the same
    /// ones together, so that it does not depend on what was run before.
    fn classify_fault_free(&mut self, study: &Study, sample: usize) -> Result<(), RunnerError> {
        let Classes::Tail(tail) = &mut self.classes else {
            return Ok(());
        };
        if self.shared.classes[sample].get().is_some() {
            return Ok(());
        }
        let ([first, end], together) = (study.settings.samples, tail_samples(study));
        let start = first + (sample - first) / together * together;
        let block: Vec<usize> = (start..(start + together).min(end)).collect();
        let inputs = gathered(&self.inputs, &block)?;
        let views = views(&inputs);
        let outputs = run(&mut *self.part.engine, &views);
        let outputs = outputs.map_err(|error| RunnerError::Run {
            site: "none".to_owned(),
            error,
        })?;
        let logits = tail.logits(&block, &outputs[0].view())?;
        for (position, &sample) in block.iter().enumerate() {
            let logits = sample_of(&logits.view(), position);
            let logits = elements(&logits).to_vec();
            let class = Class::of(&logits);
            // Another runner may have come to the same meanwhile.
            let _ = self.shared.classes[sample].set(class.map(|class| FaultFree { class, logits }));
        }
        Ok(())
    }
}

/// Samples in a run of `tail`, where they are run alone in the part: measured on two cores of an
/// AMD EPYC (Zen 3), a thread takes 0.80 ms for each sample of `nano` alone, 0.76 in fours, 0.80 in
/// sixteens; 35.1, 34.7 and 39.7 ms for those of `tiny`.
const LEAST_IN_TAIL: usize = 4;

fn tail_samples(study: &Study) -> usize {
    study.settings.run_samples.max(LEAST_IN_TAIL)
}

/// A sample's outputs without and with the fault.
fn rows_of(both: &Both, position: usize) -> Vec<(ArrayViewD<'_, f32>, ArrayViewD<'_, f32>)> {
    let outputs = both.fault_free.iter().zip(&both.corrupted);
    let rows = outputs.map(|(fault_free, corrupted)| {
        let of = Axis(0);
        (
            fault_free.index_axis(of, position),
            corrupted.index_axis(of, position),
        )
    });
    rows.collect()
}

fn strike(planned: &Planned, site: &Site, shape: &[usize]) -> Result<Strike, RunnerError> {
    Ok(Strike {
        elements: planned.fault.elements(&site.name, shape)?,
        change: planned.fault.change,
    })
}

fn run_error(site: &Site, error: RunError) -> RunnerError {
    let site = site.to_string();
    RunnerError::Run { site, error }
}
