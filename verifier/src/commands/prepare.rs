//! What the commands that run a model do after they opened the bundle: check its hashes, find and
//! start the runtime, or the files of outputs.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result};
use console::check_threads;
use proto::manifest::Tensor;
use verifier::calibrate::setting::Setting;
use verifier::engine::Engine;
use verifier::engine::onnxruntime::locate::locate;
use verifier::engine::onnxruntime::{Library, Options};
use verifier::engine::recorded::{Recorded, TensorNames};
use verifier::report::record::{FromPixelsRecord, RuntimeRecord};
use verifier::samples::Recording;

use super::model::{Model, Place};
use super::opened::{Opened, check_hashes, window};
use super::upstream;
use crate::cli::{OutputsArgs, TargetArgs};

/// Exit status of a process that is told twice to stop.
const TOLD_TWICE: i32 = 2;

/// A part ready to be loaded: hashes are right, the runtime is started.
pub(super) struct Prepared {
    pub(super) opened: Opened,
    /// The model that runs.
    pub(super) model: Model,
    pub(super) library: Library,
    pub(super) options: Options,
    pub(super) batch_size: usize,
    /// The input that is computed from pixels.
    pub(super) from_pixels: Option<FromPixelsRecord>,
    pub(super) stop: Arc<AtomicBool>,
}

/// Outputs from files, ready to be compared: hashes of the bundle are right.
pub(super) struct PreparedFiles {
    pub(super) opened: Opened,
    pub(super) recorded: Recorded,
    /// Samples that are compared at a time.
    pub(super) window: usize,
    engine_name: Option<String>,
}

/// An engine with the part's model in it.
pub(super) struct Loaded {
    pub(super) engine: Box<dyn Engine>,
    /// What it is and where it ran.
    pub(super) runtime: RuntimeRecord,
}

impl Prepared {
    /// Reads the model, the bundle's own or another one, checks every hash but those of the
    /// recordings, which are checked as they are read, starts the runtime, and chooses a batch size
    /// unless one is given.
    pub(super) fn new(
        opened: Opened,
        target: &TargetArgs,
        batch_size: Option<usize>,
        stop: Arc<AtomicBool>,
    ) -> Result<Self> {
        let library = locate(target.runtime.as_deref())?;
        let model = Model::read(&opened, target.model.as_deref())?;
        check_hashes(&opened, &stop)?;
        let options = target.options();
        check_threads(options.threads).context("the runtime")?;
        let library = Library::start(&library)?;
        let batch_size = model.batch_size(batch_size, &options.device)?;
        let from_pixels = upstream::attach(&opened, &library, &upstream::options(target))?;
        Ok(Self {
            from_pixels,
            model,
            library,
            batch_size,
            options,
            stop,
            opened,
        })
    }

    /// The model as it is, on the device, with a proof that it runs there.
    pub(super) fn load(&self, batch_size: usize) -> Result<Loaded> {
        self.load_bytes(None, batch_size)
    }

    /// The part's model with its bytes changed.
    pub(super) fn load_changed(&self, model: &[u8]) -> Result<Loaded> {
        self.load_bytes(Some(model), self.batch_size)
    }

    /// What a calibration of this run is bound to.
    pub(super) fn setting(&self) -> Setting {
        Setting::of_session(
            self.model.blake3(&self.opened),
            &self.opened.part_name,
            self.library.info(),
            &self.options,
            self.batch_size,
        )
    }

    /// Refuses a result of a bundle or a runtime that is another one by now.
    pub(super) fn check_unchanged(&self) -> Result<()> {
        self.opened.bundle.check_unchanged()?;
        Ok(self.library.check_unchanged()?)
    }

    fn load_bytes(&self, changed: Option<&[u8]>, batch_size: usize) -> Result<Loaded> {
        let Opened {
            part, recordings, ..
        } = &self.opened;
        // As many samples as in the runs to come: a provider may choose by the batch size.
        let first = 0..batch_size.min(recordings.samples());
        let first: Vec<_> = recordings
            .inputs
            .iter()
            .map(|input| input.reader().window(first.clone()))
            .collect::<Result<_, _>>()?;
        let first: Vec<_> = first.iter().map(|window| window.view()).collect();
        let place = Place {
            library: &self.library,
            options: &self.options,
            part,
            outputs: recordings.goldens.iter().map(Recording::name).collect(),
            first_inputs: &first,
        };
        let session = match changed {
            None => self.model.load(&place),
            Some(bytes) => self.model.load_changed(bytes, &place),
        }?;
        Ok(Loaded {
            runtime: RuntimeRecord::new(
                self.library.info(),
                &session,
                &self.options,
                self.model.record(),
            ),
            engine: Box::new(session),
        })
    }
}

impl PreparedFiles {
    /// Finds the outputs, checks every hash but those of the recordings.
    pub(super) fn new(
        opened: Opened,
        arguments: &OutputsArgs,
        batch_size: Option<usize>,
        stop: &AtomicBool,
    ) -> Result<Self> {
        let path = arguments
            .outputs
            .as_deref()
            .context("--outputs names the files")?;
        // Nothing is run that would take them.
        let opened = Opened {
            recordings: opened.recordings.goldens_alone(),
            ..opened
        };
        let reading = arguments.reading(batch_size);
        let goldens = &opened.recordings.goldens;
        let recorded = Recorded::open(
            path,
            &reading,
            &tensor_names(&opened),
            goldens,
            opened.samples.clone(),
        )?;
        check_hashes(&opened, stop)?;
        Ok(Self {
            window: window(&opened),
            engine_name: arguments.engine_name.clone(),
            opened,
            recorded,
        })
    }

    /// What a calibration of these outputs is bound to; `None` without a name of the engine.
    pub(super) fn setting(&self) -> Option<Setting> {
        let name = self.engine_name.as_deref()?;
        let model = self.opened.model_blake3();
        Some(Setting::of_files(model, &self.opened.part_name, name))
    }
}

/// By which files say what they hold.
fn tensor_names(opened: &Opened) -> TensorNames {
    let name = |tensor: &Tensor| tensor.name.clone();
    let parts = opened.bundle.manifest().parts.values();
    let all = parts.flat_map(|part| part.inputs.iter().chain(&part.outputs));
    TensorNames {
        outputs: opened.part.outputs.iter().map(name).collect(),
        all: all.map(name).collect(),
    }
}

/// Set by the first SIGINT, SIGTERM or SIGHUP; the second one ends the process.
pub(super) fn stop_flag() -> Result<Arc<AtomicBool>> {
    console::stop_flag(TOLD_TWICE).context("no thread for signals can be started")
}
