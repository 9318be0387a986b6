//! Carries outputs of a part on to the logits: which class a faulty sample has, and how many
//! samples have the golden's.

use std::ops::Range;

use ndarray::{ArrayD, ArrayViewD, Axis, stack};

use crate::compare::{Class, ClassChange, Top1};
use crate::engine::{Engine, RunError, float_mode};
use crate::samples::{Recording, SampleInfo, SamplesError, elements, sample_of};

/// The rest of the model behind the checked part.
pub struct Tail<'a> {
    engine: Box<dyn Engine + 'a>,
    /// In the order of its inputs; `None` stands for the output of the checked part.
    inputs: Vec<Option<Recording>>,
    /// Samples in one run.
    batch_size: usize,
    waiting: Vec<Waiting>,
    changes: Vec<Option<ClassChange>>,
    top1: Option<Top1>,
}

/// A faulty output that is to be carried on, `[…]` each.
struct Waiting {
    sample: usize,
    recorded: ArrayD<f32>,
    actual: ArrayD<f32>,
}

/// What came out.
#[derive(Debug)]
pub struct Carried {
    /// One for each faulty output, in order; `None` where even the golden's logits are not finite.
    pub changes: Vec<Option<ClassChange>>,
    /// Of all samples, if they were carried on.
    pub top1: Option<Top1>,
}

/// Outputs could not be carried on.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    #[error(transparent)]
    Samples(#[from] SamplesError),
    #[error("`tail`: {0}")]
    Run(#[from] RunError),
}

impl<'a> Tail<'a> {
    /// Inputs that are recorded can be read in any order.
    pub fn new(
        engine: Box<dyn Engine + 'a>,
        inputs: Vec<Option<Recording>>,
        batch_size: usize,
    ) -> Self {
        Self {
            engine,
            inputs,
            batch_size: batch_size.max(1),
            waiting: vec![],
            changes: vec![],
            top1: None,
        }
    }

    /// Takes a faulty output of a sample and its golden, `[…]` each.
    pub fn add_faulty(
        &mut self,
        sample: usize,
        recorded: &ArrayViewD<'_, f32>,
        actual: &ArrayViewD<'_, f32>,
    ) -> Result<(), TailError> {
        self.waiting.push(Waiting {
            sample,
            recorded: recorded.to_owned(),
            actual: actual.to_owned(),
        });
        if self.waiting.len() == self.batch_size {
            self.carry_waiting()?;
        }
        Ok(())
    }

    /// Takes an output of consecutive samples, `[samples, …]`, to count their classes.
    pub fn add_all(
        &mut self,
        samples: &Range<usize>,
        output: &ArrayViewD<'_, f32>,
        info: &[SampleInfo],
    ) -> Result<(), TailError> {
        let mut first = samples.start;
        for output in output.axis_chunks_iter(Axis(0), self.batch_size) {
            let chunk: Vec<usize> = (first..first + output.len_of(Axis(0))).collect();
            first += chunk.len();
            let logits = self.logits(&chunk, &output.into_dyn())?;
            let top1 = self.top1.get_or_insert_default();
            for (position, &sample) in chunk.iter().enumerate() {
                let SampleInfo {
                    prediction, label, ..
                } = info[sample];
                let golden = prediction.and_then(|class| usize::try_from(class).ok());
                let class = Class::of(elements(&sample_of(&logits.view(), position)));
                top1.add(golden, class.map(|class| class.class), label);
            }
        }
        Ok(())
    }

    /// Carries on what is left.
    pub fn finish(mut self) -> Result<Carried, TailError> {
        self.carry_waiting()?;
        Ok(Carried {
            changes: self.changes,
            top1: self.top1,
        })
    }

    /// Golden and actual in the same place of a batch, so that its size makes no difference.
    fn carry_waiting(&mut self) -> Result<(), TailError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let waiting = std::mem::take(&mut self.waiting);
        let samples: Vec<usize> = waiting.iter().map(|waiting| waiting.sample).collect();
        let goldens = stacked(waiting.iter().map(|waiting| waiting.recorded.view()));
        let actuals = stacked(waiting.iter().map(|waiting| waiting.actual.view()));
        let golden_logits = self.logits(&samples, &goldens.view())?;
        let logits = self.logits(&samples, &actuals.view())?;
        for position in 0..samples.len() {
            let [before, after] = [&golden_logits, &logits];
            let before = sample_of(&before.view(), position);
            let after = sample_of(&after.view(), position);
            let change = ClassChange::new(elements(&before), elements(&after));
            self.changes.push(change);
        }
        Ok(())
    }

    /// The logits `[samples, classes]` of outputs `[samples, …]`.
    pub fn logits(
        &mut self,
        samples: &[usize],
        output: &ArrayViewD<'_, f32>,
    ) -> Result<ArrayD<f32>, TailError> {
        let mut read = Vec::new();
        for input in &self.inputs {
            read.push(match input {
                None => None,
                Some(recording) => Some(recording.reader().gathered(samples)?),
            });
        }
        let inputs = read.iter().map(|read| match read {
            None => output.clone(),
            Some(values) => values.view(),
        });
        let inputs: Vec<ArrayViewD<'_, f32>> = inputs.collect();
        let outputs = self.engine.run(&(0..samples.len()), &inputs);
        float_mode::restore();
        let mut outputs = outputs?.into_iter();
        let logits = outputs
            .next()
            .filter(|logits| logits.ndim() == 2 && logits.len_of(Axis(0)) == samples.len());
        let logits = logits.ok_or_else(|| RunError("it gave no logits".to_owned()))?;
        Ok(logits.to_owned())
    }
}

fn stacked<'v>(tensors: impl Iterator<Item = ArrayViewD<'v, f32>>) -> ArrayD<f32> {
    let tensors: Vec<ArrayViewD<'v, f32>> = tensors.collect();
    stack(Axis(0), &tensors).expect("outputs of one shape")
}
