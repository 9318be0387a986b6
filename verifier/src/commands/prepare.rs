//! What the commands that run a model do first: open the bundle, check its hashes, choose samples,
//! find and start the runtime.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result};
use console::Progress;
use proto::bundle::Bundle;
use proto::graph::Graph;
use proto::manifest::Part;
use verifier::engine::onnxruntime::locate::locate;
use verifier::engine::onnxruntime::{Library, Options, Session, Source};
use verifier::engine::{Engine, batch_size};
use verifier::report::record::{Body, BundleRecord, Record, RuntimeRecord};
use verifier::samples::batches::check_samples;
use verifier::samples::{Recordings, SamplesError};

use crate::cli::{PartArgs, TargetArgs};

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
    /// The model's file.
    pub(super) path: PathBuf,
    /// The model in memory, until it is taken for weight faults.
    pub(super) model: Option<Graph>,
    pub(super) library: Library,
    pub(super) options: Options,
    pub(super) batch_size: usize,
    pub(super) stop: Arc<AtomicBool>,
}

/// An engine with the part's model in it.
pub(super) struct Loaded {
    pub(super) engine: Box<dyn Engine>,
    /// What it is and where it ran.
    pub(super) runtime: RuntimeRecord,
}

impl Opened {
    /// Opens a bundle and notes it in the record. Its hashes are not checked yet.
    pub(super) fn new<B: Body>(input: &PartArgs, record: Option<&mut Record<B>>) -> Result<Self> {
        let bundle = Bundle::open(&input.bundle)?;
        let (_, part) = bundle.part(&input.part)?;
        let part = part.clone();
        if let Some(record) = record {
            record.bundle = Some(BundleRecord::new(&bundle));
        }
        let recordings = Recordings::of(&bundle, &input.part)?;
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
    /// Checks every hash, starts the runtime, and chooses a batch size unless one is given.
    pub(super) fn new(
        opened: Opened,
        target: &TargetArgs,
        batch_size: Option<usize>,
        stop: Arc<AtomicBool>,
    ) -> Result<Self> {
        let library = locate(target.runtime.as_deref())?;
        check_hashes(&opened.bundle)?;
        let library = Library::start(&library)?;
        let (path, _) = opened.bundle.part(&opened.part_name)?;
        let model = opened.bundle.graph(&opened.part_name)?;
        let options = target.options();
        let batch_size = batch_size
            .unwrap_or_else(|| batch_size::choose(&options.device, model.largest_operator_bytes()));
        Ok(Self {
            path,
            model: Some(model),
            library,
            batch_size,
            options,
            stop,
            opened,
        })
    }

    /// The part's model as it lies in the bundle, on the device, with a proof that it runs there.
    pub(super) fn load(&self) -> Result<Loaded> {
        self.load_from(Source::File(&self.path))
    }

    /// The part's model with its bytes changed.
    pub(super) fn load_changed(&self, model: &[u8]) -> Result<Loaded> {
        self.load_from(Source::Memory(model))
    }

    fn load_from(&self, source: Source<'_>) -> Result<Loaded> {
        let Opened {
            part, recordings, ..
        } = &self.opened;
        // One sample is enough to see where the nodes run.
        let first: Vec<_> = recordings
            .inputs
            .iter()
            .map(|input| input.window(0..1))
            .collect::<Result<_, _>>()?;
        let first: Vec<_> = first.iter().map(|window| window.view()).collect();
        let session = Session::load(
            &self.library,
            source,
            &self.path,
            part,
            &self.options,
            &first,
        )?;
        Ok(Loaded {
            runtime: RuntimeRecord::new(self.library.info(), &session, &self.options),
            engine: Box::new(session),
        })
    }
}

/// Set by the first SIGINT, SIGTERM or SIGHUP; the second one ends the process.
pub(super) fn stop_flag() -> Result<Arc<AtomicBool>> {
    console::stop_flag(TOLD_TWICE).context("signals")
}

/// Compares every file of the bundle with its hash.
fn check_hashes(bundle: &Bundle) -> Result<()> {
    let progress = Progress::bytes("hashed", bundle.total_bytes());
    bundle.verify_files(|bytes| progress.advance(bytes))?;
    Ok(())
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
