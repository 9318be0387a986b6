//! What the commands that run a model do first: open the bundle, check its hashes, choose samples,
//! find and start the runtime.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, bail};
use console::{Progress, check_threads};
use proto::bundle::Bundle;
use proto::manifest::Part;
use verifier::calibrate::file::Setting;
use verifier::engine::Engine;
use verifier::engine::onnxruntime::locate::locate;
use verifier::engine::onnxruntime::{Library, Options};
use verifier::engine::recorded::Recorded;
use verifier::report::record::{Body, BundleRecord, FromPixelsRecord, Record, RuntimeRecord};
use verifier::samples::batches::check_samples;
use verifier::samples::{Recording, Recordings, SamplesError};

use super::model::{Model, Place};
use super::upstream;
use crate::cli::{OutputsArgs, PartArgs, TargetArgs};

/// Outputs from files are compared so many bytes at a time: they stay in cache.
const WINDOW_BYTES: usize = 4 << 20;
const LARGEST_WINDOW: usize = 1024;

/// Exit status of a process that is told twice to stop.
const TOLD_TWICE: i32 = 2;

/// A bundle's part with the samples that are asked for.
pub(super) struct Opened {
    pub(super) bundle: Bundle,
    pub(super) part_name: String,
    pub(super) part: Part,
    pub(super) recordings: Recordings,
    pub(super) samples: Range<usize>,
}

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

impl Opened {
    /// BLAKE3 of the part's model, and of the file with its large weights if there is one: what a
    /// calibration holds for.
    pub(super) fn model_blake3(&self) -> String {
        let files = &self.bundle.manifest().files;
        let model = files[&self.part.file].blake3.clone();
        match &self.part.external_data {
            None => model,
            Some(external) => format!("{model}+{}", files[external].blake3),
        }
    }

    /// Hashes the recordings now, so that their samples can be read in any order.
    pub(super) fn verified(self, stop: &AtomicBool) -> Result<Self> {
        let files = self.recordings.files.iter();
        let bytes = files
            .map(|file| self.bundle.manifest().files[file].size)
            .sum();
        let progress = Progress::bytes("hashed", bytes);
        let recordings = self.recordings.verified(|bytes| {
            progress.advance(bytes);
            !stop.load(Ordering::Relaxed)
        })?;
        Ok(Self { recordings, ..self })
    }

    /// Opens a bundle and notes it in the record. Its hashes are not checked yet.
    pub(super) fn new<B: Body>(input: &PartArgs, record: Option<&mut Record<B>>) -> Result<Self> {
        let bundle = Bundle::open(&input.bundle)?;
        check_expected(&bundle, input.expect_bundle.as_deref())?;
        let (_, part) = bundle.part(&input.part)?;
        let part = part.clone();
        if let Some(record) = record {
            record.bundle = Some(BundleRecord::new(&bundle));
        }
        let recordings = Recordings::of(&bundle, &input.part, input.test_data)?;
        let samples = choose_samples(&recordings, input.range.as_deref())?;
        Ok(Self {
            part_name: input.part.clone(),
            part,
            bundle,
            recordings,
            samples,
        })
    }
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
        let mut opened = opened;
        // Nothing is run: what would have to be computed first is not needed.
        let inputs = &mut opened.recordings.inputs;
        inputs.retain(|input| !input.is_from_pixels());
        let reading = arguments.reading(batch_size);
        let goldens = &opened.recordings.goldens;
        let recorded = Recorded::open(path, &reading, goldens, opened.samples.clone())?;
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

/// How many samples of outputs that are there already are compared at a time.
pub(super) fn window(opened: &Opened) -> usize {
    let Recordings {
        inputs, goldens, ..
    } = &opened.recordings;
    let tensors = inputs.iter().chain(goldens);
    let sample_bytes: usize = tensors.map(|tensor| 4 * tensor.sample_elements()).sum();
    (WINDOW_BYTES / sample_bytes.max(1)).clamp(1, LARGEST_WINDOW)
}

/// Refuses a bundle that is not the one that the user was told of.
fn check_expected(bundle: &Bundle, expected: Option<&str>) -> Result<()> {
    let found = bundle.blake3();
    match expected {
        Some(expected) if !found.starts_with(expected) => bail!(
            "{}: BLAKE3 of the bundle is {found}, expected {expected}\n\
             hint: it is another bundle than the one that --expect-bundle names",
            bundle.root().display()
        ),
        _ => Ok(()),
    }
}

/// Set by the first SIGINT, SIGTERM or SIGHUP; the second one ends the process.
pub(super) fn stop_flag() -> Result<Arc<AtomicBool>> {
    console::stop_flag(TOLD_TWICE).context("no thread for signals can be started")
}

/// Compares every file of the bundle with its hash, but for those that are hashed as they are read.
pub(super) fn check_hashes(opened: &Opened, stop: &AtomicBool) -> Result<()> {
    let later = opened.recordings.file_names();
    let progress = Progress::bytes("hashed", opened.bundle.unverified_bytes(&later));
    let go_on = |bytes| {
        progress.advance(bytes);
        !stop.load(Ordering::Relaxed)
    };
    Ok(opened.bundle.verify_files(&later, go_on)?)
}

/// The samples asked for, all of them unless a range is given; at least one.
fn choose_samples(
    recordings: &Recordings,
    range: Option<&[usize]>,
) -> Result<Range<usize>, SamplesError> {
    let samples = match range {
        Some(&[start, end]) => start..end,
        _ => 0..recordings.samples(),
    };
    let tensors = recordings.goldens.iter().chain(&recordings.inputs);
    if recordings.samples() == 0 {
        return Err(SamplesError::Nothing);
    }
    check_samples(tensors, &samples)?;
    Ok(samples)
}
