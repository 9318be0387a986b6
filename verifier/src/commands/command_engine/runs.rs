//! Runs of an engine's process: fresh folders, inputs as the bundle has them, outputs opened.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use ndarray::{ArrayD, ArrayViewD, Axis, concatenate};
use proto::npy::NpyWriter;
use verifier::engine::command::{
    CommandError, EngineSpec, Expected, Finished, GivenModel, Job, folders, left, run,
};
use verifier::engine::recorded::Recorded;
use verifier::inject::Injection;
use verifier::samples::outputs::file_name;
use verifier::samples::{Batches, elements};

use super::super::opened::{Opened, window};

/// What all runs of an engine have in common.
pub(in crate::commands) struct Runs<'a> {
    pub(super) spec: &'a EngineSpec,
    pub(super) opened: &'a Opened,
    /// Outputs of the model that are not compared.
    pub(super) further_outputs: Vec<String>,
    pub(super) scratch: &'a Path,
    pub(super) batch_size: usize,
    pub(super) threads: usize,
    pub(super) time_limit: Duration,
    pub(super) stop: &'a AtomicBool,
}

/// An engine gave no outputs.
#[derive(Debug, thiserror::Error)]
#[error("engine `{name}`: {error}{hint}")]
pub(in crate::commands) struct EngineError {
    name: String,
    pub(in crate::commands) error: CommandError,
    hint: String,
}

/// What one run is given.
pub(in crate::commands) struct Given<'a> {
    /// Of its folders.
    pub(super) name: &'a str,
    pub(super) model: &'a GivenModel,
    /// All that were asked for, unless the run is of some alone.
    pub(super) samples: Option<Range<usize>>,
    /// Those of inputs are put in.
    pub(super) faults: Option<&'a Injection<'a>>,
    /// Two samples that change places, counted from the first.
    pub(super) swapped: Option<(usize, usize)>,
}

impl<'a> Given<'a> {
    /// All samples, as they are.
    pub(in crate::commands) fn all(name: &'a str, model: &'a GivenModel) -> Self {
        Self {
            name,
            model,
            samples: None,
            faults: None,
            swapped: None,
        }
    }
}

impl Runs<'_> {
    /// Runs the engine and opens what it left.
    pub(in crate::commands) fn run(&self, given: &Given<'_>) -> Result<(Recorded, Finished)> {
        let (inputs, outputs) = folders(self.scratch, given.name)
            .with_context(|| format!("{}: a folder for a run", self.scratch.display()))?;
        let samples = given.samples.clone();
        let samples = samples.unwrap_or_else(|| self.opened.samples.clone());
        self.write_inputs(&inputs, samples.clone(), given)?;
        let job = Job {
            model: &given.model.path,
            fixed_model: given.model.fixed.as_deref(),
            inputs: &inputs,
            outputs: &outputs,
            batch_size: self.batch_size,
            threads: self.threads,
            time_limit: self.time_limit,
        };
        let finished = run(self.spec, &job, self.stop).map_err(|error| self.error(error))?;
        if let Some(file) = given.model.changed() {
            bail!(
                "engine `{}`: it changed {}, which it was given to read",
                self.spec.name,
                file.display()
            );
        }
        let goldens = &self.opened.recordings.goldens;
        let recorded = left(&outputs, goldens, &self.further_outputs, samples)
            .map_err(|error| anyhow!("engine `{}`: {error}", self.spec.name))?;
        Ok((recorded, finished))
    }

    /// Inputs of some samples as the bundle has them, each `[samples, …]`.
    pub(super) fn inputs(&self, samples: Range<usize>) -> Result<Vec<ArrayD<f32>>> {
        let size = samples.len();
        let mut batches = Batches::new(&self.opened.recordings, samples, size, self.stop);
        let batch = batches.next().context("interrupted")??;
        let inputs = batch.inputs();
        Ok(inputs.iter().map(ArrayViewD::to_owned).collect())
    }

    /// Removes the folders of a run of which nothing more is read.
    pub(in crate::commands) fn remove(&self, name: &str) -> Result<()> {
        for kind in ["inputs", "outputs"] {
            let folder = self.scratch.join(format!("{name}_{kind}"));
            fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
        Ok(())
    }

    fn error(&self, error: CommandError) -> EngineError {
        let expected = self.spec.expect.of(&self.opened.part_name);
        let is_expected =
            matches!(error, CommandError::CannotRun { .. }) && expected.include(Expected::Cannot);
        EngineError {
            name: self.spec.name.clone(),
            hint: match is_expected {
                true => format!("\nhint: that is expected of it: {expected}"),
                false => String::new(),
            },
            error,
        }
    }

    /// Writes the inputs as the bundle has them, each hashed as it is read.
    fn write_inputs(&self, folder: &Path, samples: Range<usize>, given: &Given<'_>) -> Result<()> {
        let recordings = &self.opened.recordings;
        let mut writers = Vec::new();
        for input in &recordings.inputs {
            let shape = [&[samples.len()], input.sample_shape()].concat();
            let file = folder.join(file_name(input.name()));
            writers.push(NpyWriter::<f32>::create(&file, &shape)?);
        }
        // Two samples that are swapped lie in one batch.
        let size = match given.swapped {
            Some(_) => samples.len(),
            None => window(self.opened),
        };
        let mut batches = Batches::new(recordings, samples, size, self.stop);
        for batch in batches.by_ref() {
            let batch = batch?;
            batch.check_finite()?;
            let inputs = batch.inputs();
            let faults = given.faults;
            let corrupted = faults.and_then(|all| all.corrupted_inputs(&batch.samples, &inputs));
            for (number, writer) in writers.iter_mut().enumerate() {
                let values = match &corrupted {
                    Some(corrupted) => corrupted[number].view(),
                    None => inputs[number].view(),
                };
                match given.swapped {
                    None => writer.write(elements(&values))?,
                    Some(pair) => writer.write(elements(&with_swapped(&values, pair).view()))?,
                }
            }
        }
        // Only now it is known that what was written has the bundle's hashes.
        if batches.is_stopped() || !batches.finish()? {
            bail!("interrupted");
        }
        for writer in writers {
            writer.finish()?;
        }
        Ok(())
    }
}

/// A batch with two samples in each other's place.
fn with_swapped(batch: &ArrayViewD<'_, f32>, (a, b): (usize, usize)) -> ArrayD<f32> {
    let mut order: Vec<usize> = (0..batch.len_of(Axis(0))).collect();
    order.swap(a, b);
    let rows: Vec<ArrayViewD<'_, f32>> = order
        .iter()
        .map(|&row| batch.slice_axis(Axis(0), (row..row + 1).into()))
        .collect();
    concatenate(Axis(0), &rows).expect("rows of one batch")
}
