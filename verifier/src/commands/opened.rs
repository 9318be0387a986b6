//! A bundle's part with the samples that are asked for: what every command that compares opens
//! first.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};
use console::Progress;
use proto::bundle::Bundle;
use proto::manifest::Part;
use verifier::inject::Parameters;
use verifier::report::record::{Body, BundleRecord, Record};
use verifier::samples::batches::check_samples;
use verifier::samples::{Recordings, SamplesError};

use crate::cli::PartArgs;

/// Outputs from files are compared so many bytes at a time: they stay in cache. Of 2, 4, 8 and
/// 16 MiB the first was fastest, with 512 samples of `base` on two cores of an AMD EPYC (Zen 3).
const WINDOW_BYTES: usize = 2 << 20;
const LARGEST_WINDOW: usize = 1024;

/// A bundle's part with the samples that are asked for.
pub(super) struct Opened {
    pub(super) bundle: Bundle,
    pub(super) part_name: String,
    pub(super) part: Part,
    pub(super) recordings: Recordings,
    pub(super) samples: Range<usize>,
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

    /// PyTorch's names of the weights of the bundle's own model.
    pub(super) fn parameters(&self) -> Parameters {
        Parameters::new(&self.part, &self.bundle.manifest().module)
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
