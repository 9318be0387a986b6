//! Files of another program that `exporter bundle --recorded` takes the golden from.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
use console::{Progress, say};
use exporter::golden::{RecordedArray, RecordedFile, RecordedGolden, find_images};
use proto::manifest::Manifest;
use proto::module::Module;
use trainer::cifar10;
use trainer::vit::Vit;

use super::{hints, images};
use crate::cli::BundleArgs;

/// The names under which the Python repository's `test.py` saves what passes the cut.
const INPUTS: &str = "inputs";
const TARGETS: &str = "targets";

/// Opens the files that were named, if any were, and checks what is in them against the network.
pub(super) fn open(arguments: &BundleArgs, vit: &Vit) -> Result<Option<RecordedGolden>> {
    let (mut files, input, output) = match arguments.recorded.as_slice() {
        [] => return Ok(None),
        [both] => {
            ensure!(
                !is_npy(both),
                "{}: one array, expected inputs and targets\n\
                 hint: --recorded INPUTS.npy TARGETS.npy",
                both.display()
            );
            let file = RecordedFile::open(both)?;
            let (input, output) = (file.array(Some(INPUTS))?, file.array(Some(TARGETS))?);
            (vec![file], input, output)
        }
        [inputs, targets, ..] => {
            let (inputs, input) = alone(inputs)?;
            let (targets, output) = alone(targets)?;
            (vec![inputs, targets], input, output)
        }
    };
    let logits = match &arguments.golden_logits {
        None => None,
        Some(path) => {
            let (file, logits) = alone(path)?;
            files.push(file);
            Some(logits)
        }
    };
    let recorded = RecordedGolden {
        input,
        output,
        logits,
        files,
        accept_differences: arguments.accept_differences,
    };
    recorded.check(vit.config(), arguments.split.images())?;
    Ok(Some(recorded))
}

fn is_npy(path: &Path) -> bool {
    path.extension().is_some_and(|name| name == "npy")
}

/// A file that is one array alone.
fn alone(path: &Path) -> Result<(RecordedFile, RecordedArray)> {
    let file = RecordedFile::open(path)?;
    let array = file.array(None)?;
    Ok((file, array))
}

/// The images that the recorded samples are of: those of `--indices`, the whole split in its order,
/// or those that are found by their inputs.
pub(super) fn images(
    arguments: &BundleArgs,
    recorded: &RecordedGolden,
    vit: &Vit,
    split: &cifar10::Split,
    stop: &AtomicBool,
) -> Result<Vec<usize>> {
    let rows = recorded.samples();
    ensure!(rows > 0, "no sample was recorded: the arrays have no rows");
    if arguments.indices.is_some() {
        let indices = images::chosen_images(arguments)?;
        ensure!(
            indices.len() == rows,
            "--indices has {} images, but {rows} samples were recorded",
            indices.len()
        );
        return Ok(indices);
    }
    let samples = arguments.samples.unwrap_or(rows);
    ensure!(
        samples > 0,
        "--samples 0 writes models and weights without a golden, but --recorded gives one\n\
         hint: leave out --recorded, or --samples N with N from 1 to {rows}"
    );
    ensure!(
        (1..=rows).contains(&samples),
        "--samples {samples}: {rows} samples were recorded"
    );
    if rows == split.len() {
        return Ok((0..samples).collect());
    }
    ensure!(
        arguments.module == Module::DEFAULT_NAME,
        "{rows} samples were recorded of the {} images of the {} split, and of {} alone are \
         images found by their inputs\nhint: --indices FILE says which images they are",
        split.len(),
        arguments.split,
        Module::DEFAULT_NAME
    );
    let progress = Progress::count("images searched", split.len() as u64);
    let go_on = |done: usize| {
        progress.advance(done as u64);
        !stop.load(Ordering::Relaxed)
    };
    let found = find_images(vit, split, recorded, samples, arguments.batch_size, go_on);
    let found = found.map_err(|error| hints::of_bundle(error.into()))?;
    progress.finish();
    Ok(found)
}

/// From which files the golden is, and how far it lies from what the network gives.
pub(super) fn say_recorded(manifest: &Manifest) {
    for (name, recorded) in &manifest.golden.recorded {
        say!(
            "recorded     {name} elsewhere, in a file with SHA-256 {}: at most {:.3e} off what \
             these weights give",
            recorded.sha256,
            recorded.largest_difference
        );
        if recorded.samples_outside > 0 {
            say!(
                "warning      {name}: {} samples are beyond {:e} + {:e}·|computed|",
                recorded.samples_outside,
                recorded.atol,
                recorded.rtol
            );
        }
    }
}
