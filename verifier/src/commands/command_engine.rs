//! A part run by another engine's process, ready to be compared.

use std::fs;
use std::num::NonZero;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use ndarray::{ArrayD, ArrayViewD, Axis, concatenate};
use proto::npy::NpyWriter;
use proto::staging::ScratchFolder;
use verifier::calibrate::file::Setting;
use verifier::engine::command::{EngineSpec, Finished, Job, folders, run, with_fixed_batch};
use verifier::engine::onnxruntime::Library;
use verifier::engine::onnxruntime::locate::locate;
use verifier::engine::recorded::element_type::ElementType;
use verifier::engine::recorded::{Reading, Recorded};
use verifier::engine::{Device, Engine as _};
use verifier::inject::{Fault, Injection};
use verifier::report::command::CommandRecord;
use verifier::report::record::FromPixelsRecord;
use verifier::samples::outputs::file_name;
use verifier::samples::{Batches, elements};

use super::model::Model;
use super::prepare::{Opened, check_hashes, window};
use super::upstream;
use crate::cli::{EngineArgs, TargetArgs};

/// Samples that the controls are made with, at most.
const CONTROLS: usize = 64;

/// What an engine gave, ready to be compared.
pub(super) struct PreparedCommand {
    pub(super) opened: Opened,
    /// Of the model and the inputs as they are.
    pub(super) fault_free: Recorded,
    /// With the faults of weights and inputs, if there are any.
    pub(super) corrupted: Option<Recorded>,
    pub(super) record: CommandRecord,
    /// ONNX Runtime, if something was computed from pixels.
    pub(super) library: Option<Library>,
    /// The input that was computed from pixels.
    pub(super) from_pixels: Option<FromPixelsRecord>,
    /// What a calibration is bound to, beside the engine's name.
    pub(super) model_blake3: String,
    /// Samples that are compared at a time.
    pub(super) window: usize,
    _scratch: ScratchFolder,
}

/// What all runs of an engine have in common.
struct Runs<'a> {
    spec: &'a EngineSpec,
    opened: &'a Opened,
    scratch: &'a Path,
    batch_size: usize,
    threads: usize,
    time_limit: Duration,
    stop: &'a AtomicBool,
}

impl PreparedCommand {
    /// Runs the engine on all samples, and its controls; with faults that reach it once more.
    pub(super) fn new(
        opened: Opened,
        spec: EngineSpec,
        (engine, target): (&EngineArgs, &TargetArgs),
        batch_size: Option<usize>,
        faults: &[Fault],
        stop: &AtomicBool,
    ) -> Result<Self> {
        check_hashes(&opened, stop)?;
        let (library, from_pixels) = match opened.recordings.from_pixels {
            None => (None, None),
            Some(_) => {
                let library = Library::start(&locate(target.runtime.as_deref())?)?;
                let options = upstream::options(target);
                let from_pixels = upstream::attach(&opened, &library, &options)?;
                (Some(library), from_pixels)
            }
        };
        let mut model = Model::read(&opened, target.model.as_deref())?;
        let batch_size = model.batch_size(batch_size, &Device::Cpu)?;
        let scratch = ScratchFolder::create(engine.scratch.as_deref())
            .context("no folder for the engine's inputs and outputs")?;
        let cores = available_parallelism().map_or(1, NonZero::get);
        let runs = Runs {
            spec: &spec,
            opened: &opened,
            scratch: scratch.path(),
            batch_size,
            threads: target.threads.unwrap_or(cores),
            time_limit: Duration::from_secs_f64(engine.engine_timeout),
            stop,
        };
        let samples = opened.samples.clone();
        let own = model.write_into(&scratch.path().join("model"))?;
        let injection = Injection::new(
            faults,
            &opened.recordings.inputs,
            &opened.recordings.goldens,
            &samples,
        )?;
        let (mut fault_free, finished) =
            runs.run("fault_free", &own, samples.clone(), None, None)?;
        let (control_samples, repeats) = runs.control(&own, &mut fault_free)?;
        let is_reached = faults.iter().any(Fault::needs_a_run);
        let changed = model.with_weight_faults(faults)?;
        let corrupted = if is_reached {
            let path = match changed {
                None => own,
                Some(bytes) => write_model(&scratch.path().join("corrupted"), &bytes)?,
            };
            let run = runs.run("corrupted", &path, samples, Some(&injection), None)?;
            Some(run.0)
        } else {
            None
        };
        let model_blake3 = model.blake3(&opened);
        Ok(Self {
            window: window(&opened),
            library,
            from_pixels,
            fault_free,
            corrupted,
            record: CommandRecord {
                engine: spec.clone(),
                says: finished.says,
                seconds: finished.seconds,
                repeats,
                control_samples,
            },
            model_blake3,
            opened,
            _scratch: scratch,
        })
    }
}

impl PreparedCommand {
    /// What a calibration of this engine is bound to.
    pub(super) fn setting(&self) -> Setting {
        let (model, part) = (self.model_blake3.clone(), &self.opened.part_name);
        Setting::of_files(model, part, &self.record.engine.name)
    }
}

impl Runs<'_> {
    /// Runs the engine on some samples, with faults in their inputs if there are any; `swapped`
    /// are two samples that change places.
    fn run(
        &self,
        name: &str,
        model: &Path,
        samples: Range<usize>,
        faults: Option<&Injection<'_>>,
        swapped: Option<(usize, usize)>,
    ) -> Result<(Recorded, Finished)> {
        let (inputs, outputs) = folders(self.scratch, name).context(name.to_owned())?;
        self.write_inputs(&inputs, samples.clone(), faults, swapped)?;
        let fixed = match self.spec.needs_fixed_model() {
            true => Some(self.fixed(model)?),
            false => None,
        };
        let job = Job {
            model,
            fixed_model: fixed.as_deref(),
            inputs: &inputs,
            outputs: &outputs,
            batch_size: self.batch_size,
            threads: self.threads,
            time_limit: self.time_limit,
        };
        let finished = run(self.spec, &job, self.stop)
            .with_context(|| format!("engine `{}`", self.spec.name))?;
        let recorded = self.outputs(&outputs, samples)?;
        Ok((recorded, finished))
    }

    /// What it left: a file for each output, of exactly its shape, float32.
    fn outputs(&self, folder: &Path, samples: Range<usize>) -> Result<Recorded> {
        let name = &self.spec.name;
        let goldens = &self.opened.recordings.goldens;
        for golden in goldens {
            let file = folder.join(file_name(golden.name()));
            ensure!(
                file.is_file(),
                "engine `{name}`: it ended with exit status 0, but left no {}",
                file_name(golden.name())
            );
        }
        let recorded = Recorded::open(folder, &Reading::default(), goldens, samples);
        let recorded = recorded.with_context(|| format!("engine `{name}`"))?;
        ensure!(
            recorded.element_types() == [ElementType::FLOAT32] && recorded.padding() == 0,
            "engine `{name}`: its outputs are not float32 of exactly the samples there are"
        );
        Ok(recorded)
    }

    /// Writes the inputs as the bundle has them, each hashed as it is read.
    fn write_inputs(
        &self,
        folder: &Path,
        samples: Range<usize>,
        faults: Option<&Injection<'_>>,
        swapped: Option<(usize, usize)>,
    ) -> Result<()> {
        let recordings = &self.opened.recordings;
        let mut writers = Vec::new();
        for input in &recordings.inputs {
            let shape = [&[samples.len()], input.sample_shape()].concat();
            let file = folder.join(file_name(input.name()));
            writers.push(NpyWriter::<f32>::create(&file, &shape)?);
        }
        // Two samples that are swapped lie in one batch.
        let size = match swapped {
            Some(_) => samples.len(),
            None => window(self.opened),
        };
        let mut batches = Batches::new(recordings, samples, size, self.stop);
        for batch in batches.by_ref() {
            let batch = batch?;
            batch.check_finite()?;
            let inputs = batch.inputs();
            let corrupted =
                faults.and_then(|faults| faults.corrupted_inputs(&batch.samples, &inputs));
            for (number, writer) in writers.iter_mut().enumerate() {
                let values = match &corrupted {
                    Some(corrupted) => corrupted[number].view(),
                    None => inputs[number].view(),
                };
                match swapped {
                    None => writer.write(elements(&values))?,
                    Some((a, b)) => writer.write(elements(&with_swapped(&values, a, b).view()))?,
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

    fn fixed(&self, model: &Path) -> Result<PathBuf> {
        let folder = model.parent().unwrap_or(Path::new("."));
        let path = folder.join("fixed.onnx");
        let bytes = with_fixed_batch(&fs::read(model)?, self.batch_size)?;
        fs::write(&path, bytes)?;
        Ok(path)
    }

    /// Two runs of the first samples: does it read its inputs, and does it repeat its bits? Gives
    /// the number of samples, and the second answer.
    fn control(&self, model: &Path, all: &mut Recorded) -> Result<(usize, bool)> {
        let first = self.opened.samples.start;
        let samples = first..first + self.opened.samples.len().min(self.batch_size.min(CONTROLS));
        if samples.len() < 2 {
            return Ok((samples.len(), true));
        }
        let outputs = owned(all.run(&samples, &[])?);
        let (mut again, _) = self.run("again", model, samples.clone(), None, None)?;
        let repeats = same_bits(&outputs, &owned(again.run(&samples, &[])?));
        let (mut swapped, _) = self.run("swapped", model, samples.clone(), None, Some((0, 1)))?;
        let swapped = owned(swapped.run(&samples, &[])?);
        for (as_they_are, swapped) in outputs.iter().zip(&swapped) {
            let [first, second] = [0, 1].map(|sample| as_they_are.index_axis(Axis(0), sample));
            let moved = swapped.index_axis(Axis(0), 0);
            let is_moved = distance(&moved, &second) <= distance(&moved, &first);
            ensure!(
                is_moved || first == second,
                "engine `{}`: two inputs were swapped, and its outputs were not: does it read \
                 {{inputs}}?",
                self.spec.name
            );
        }
        Ok((samples.len(), repeats))
    }
}

fn owned(outputs: Vec<ArrayViewD<'_, f32>>) -> Vec<ArrayD<f32>> {
    outputs.iter().map(ArrayViewD::to_owned).collect()
}

fn same_bits(a: &[ArrayD<f32>], b: &[ArrayD<f32>]) -> bool {
    let bits = |arrays: &[ArrayD<f32>]| -> Vec<u32> {
        let values = arrays.iter().flatten();
        values.map(|value| value.to_bits()).collect()
    };
    bits(a) == bits(b)
}

/// The sum of the absolute differences; what is not finite counts as far.
fn distance(a: &ArrayViewD<'_, f32>, b: &ArrayViewD<'_, f32>) -> f64 {
    let pairs = a.iter().zip(b);
    let differences = pairs.map(|(&a, &b)| (f64::from(a) - f64::from(b)).abs());
    differences
        .map(|difference| {
            if difference.is_nan() {
                f64::MAX
            } else {
                difference
            }
        })
        .sum()
}

/// A batch with two samples in each other's place.
fn with_swapped(batch: &ArrayViewD<'_, f32>, a: usize, b: usize) -> ArrayD<f32> {
    let mut order: Vec<usize> = (0..batch.len_of(Axis(0))).collect();
    order.swap(a, b);
    let rows: Vec<ArrayViewD<'_, f32>> = order
        .iter()
        .map(|&row| batch.slice_axis(Axis(0), (row..row + 1).into()))
        .collect();
    concatenate(Axis(0), &rows).expect("rows of one batch")
}

fn write_model(folder: &Path, bytes: &[u8]) -> Result<PathBuf> {
    fs::create_dir(folder)?;
    let path = folder.join("model.onnx");
    fs::write(&path, bytes)?;
    Ok(path)
}
