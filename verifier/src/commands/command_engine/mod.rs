//! A part run by another engine's process, ready to be compared.

mod control;
mod runs;

use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::thread::available_parallelism;
use std::time::Duration;
use std::{fs, io};

use anyhow::{Context as _, Result, bail};
use proto::staging::ScratchFolder;
use verifier::calibrate::setting::Setting;
use verifier::engine::Device;
use verifier::engine::command::{EngineSpec, Finished, GivenModel};
use verifier::engine::onnxruntime::Library;
use verifier::engine::onnxruntime::locate::locate;
use verifier::engine::recorded::Recorded;
use verifier::inject::{Fault, Injection, Target};
use verifier::report::command::CommandRecord;
use verifier::report::record::FromPixelsRecord;
use verifier::samples::Recordings;

use super::model::Model;
use super::opened::{Opened, check_hashes, window};
use super::upstream;
use crate::cli::{EngineArgs, TargetArgs};

pub(super) use control::Control;
pub(super) use runs::{EngineError, Given, Runs};

/// What an engine gave, ready to be compared.
pub(super) struct PreparedCommand {
    pub(super) opened: Opened,
    /// Of the model and the inputs as they are.
    pub(super) fault_free: Recorded,
    /// With the faults of weights and inputs, if there are any.
    pub(super) corrupted: Option<Recorded>,
    pub(super) record: CommandRecord,
    /// What a calibration is bound to, beside the engine's command.
    pub(super) model_blake3: String,
    /// Samples that it was told to take at a time, and those that are compared at a time.
    pub(super) batch_size: usize,
    pub(super) window: usize,
    /// ONNX Runtime, if something was computed from pixels.
    pub(super) library: Option<Library>,
    /// The input that was computed from pixels.
    pub(super) from_pixels: Option<FromPixelsRecord>,
    _scratch: ScratchFolder,
}

/// An engine that can be started: every hash of the bundle is right.
pub(super) struct Launch {
    pub(super) opened: Opened,
    pub(super) spec: EngineSpec,
    pub(super) model: Model,
    pub(super) scratch: ScratchFolder,
    threads: usize,
    time_limit: Duration,
    library: Option<Library>,
    from_pixels: Option<FromPixelsRecord>,
}

impl Launch {
    pub(super) fn new(
        opened: Opened,
        spec: EngineSpec,
        (engine, target): (&EngineArgs, &TargetArgs),
        stop: &AtomicBool,
    ) -> Result<Self> {
        let model = Model::read(&opened, target.model.as_deref())?;
        // Several runs read them.
        let opened = opened.verified(stop)?;
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
        let scratch = ScratchFolder::create(engine.scratch.as_deref())
            .context("no folder for the engine's inputs and outputs")?;
        let cores = available_parallelism().map_or(1, NonZero::get);
        Ok(Self {
            opened,
            spec,
            model,
            scratch,
            threads: target.threads.unwrap_or(cores),
            time_limit: Duration::from_secs_f64(engine.engine_timeout),
            library,
            from_pixels,
        })
    }

    /// The model in a new folder of this name.
    pub(super) fn given(&self, name: &str, batch_size: usize) -> Result<GivenModel> {
        let path = self.model.write_into(&self.scratch.path().join(name));
        path.and_then(|path| GivenModel::new(path, self.fixed_batch(batch_size)))
            .context("a copy of the model for the engine")
    }

    /// The model with its weights changed.
    fn given_changed(&self, model: &[u8], batch_size: usize) -> Result<GivenModel> {
        let path = self.scratch.path().join("changed/model.onnx");
        let written = write_model(&path, model);
        written
            .and_then(|()| GivenModel::new(path, self.fixed_batch(batch_size)))
            .context("a copy of the model with its faults for the engine")
    }

    fn fixed_batch(&self, batch_size: usize) -> Option<usize> {
        self.spec.needs_fixed_model().then_some(batch_size)
    }

    /// Outputs of the model that are not compared.
    fn further_outputs(&self) -> Vec<String> {
        let mut names = self.model.output_names();
        names.extend(self.opened.recordings.without_golden.iter().cloned());
        names
    }

    pub(super) fn runs<'a>(&'a self, batch_size: usize, stop: &'a AtomicBool) -> Runs<'a> {
        Runs {
            spec: &self.spec,
            opened: &self.opened,
            further_outputs: self.further_outputs(),
            scratch: self.scratch.path(),
            batch_size,
            threads: self.threads,
            time_limit: self.time_limit,
            stop,
        }
    }

    /// As records have it.
    pub(super) fn record(&self, finished: Finished, control: Control) -> CommandRecord {
        CommandRecord {
            engine: self.spec.clone(),
            expected: self.spec.expect.of(&self.opened.part_name),
            other_model: self.model.record(),
            threads: self.threads,
            says: finished.says,
            seconds: finished.seconds,
            repeats: control.repeats,
            control_samples: control.samples,
            swapped: control.swapped,
        }
    }
}

impl PreparedCommand {
    /// Runs the engine on all samples, and its controls; with faults that reach it once more.
    pub(super) fn new(
        opened: Opened,
        spec: EngineSpec,
        flags: (&EngineArgs, &TargetArgs),
        batch_size: Option<usize>,
        faults: &[Fault],
        stop: &AtomicBool,
    ) -> Result<Self> {
        let mut launch = Launch::new(opened, spec, flags, stop)?;
        let batch_size = launch.model.batch_size(batch_size, &Device::Cpu)?;
        // What is wrong with a fault is known before anything runs.
        check_no_edge(faults)?;
        let injection = injection(&launch.opened, faults)?;
        let changed = launch.model.with_weight_faults(faults)?;
        let own = launch.given("model", batch_size)?;
        launch.model.release();
        let runs = launch.runs(batch_size, stop);
        let (mut fault_free, finished) = runs.run(&Given::all("fault_free", &own))?;
        let control = Control::of(&runs, &own, &mut fault_free)?;
        let corrupted = if faults.iter().any(Fault::needs_a_run) {
            let model = match changed {
                None => own,
                Some(graph) => launch.given_changed(&graph.to_bytes(), batch_size)?,
            };
            let given = Given {
                faults: Some(&injection),
                ..Given::all("corrupted", &model)
            };
            Some(runs.run(&given)?.0)
        } else {
            None
        };
        Ok(Self {
            batch_size,
            window: window(&launch.opened),
            fault_free,
            corrupted,
            record: launch.record(finished, control),
            model_blake3: launch.model.blake3(&launch.opened),
            opened: launch.opened,
            library: launch.library,
            from_pixels: launch.from_pixels,
            _scratch: launch.scratch,
        })
    }

    /// What a calibration of this engine is bound to.
    pub(super) fn setting(&self) -> Setting {
        let (model, part) = (self.model_blake3.clone(), &self.opened.part_name);
        Setting::of_command(model, part, &self.record.engine)
    }
}

/// Another engine runs a part as a whole.
fn check_no_edge(faults: &[Fault]) -> Result<()> {
    let mut faults = faults.iter();
    match faults.find(|fault| matches!(fault.target, Target::Edge(_))) {
        None => Ok(()),
        Some(fault) => bail!(
            "--fault {fault} with --engine: only ONNX Runtime runs a part that is cut\n\
             hint: faults of input, weights, output and golden can be put in"
        ),
    }
}

fn injection<'a>(opened: &Opened, faults: &'a [Fault]) -> Result<Injection<'a>> {
    let Recordings {
        inputs, goldens, ..
    } = &opened.recordings;
    Ok(Injection::new(faults, inputs, goldens, &opened.samples)?)
}

fn write_model(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir(path.parent().unwrap_or(Path::new(".")))?;
    fs::write(path, bytes)
}
