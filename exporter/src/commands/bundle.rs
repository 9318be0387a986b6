//! `exporter bundle`.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use console::exit::INTERRUPTED;
use console::{Progress, say, stop_flag};
use exporter::bundle::{self, PARTS, Request};
use exporter::golden::RecordedGolden;
use proto::config::{Network, VitConfig};
use proto::graph::Deployment;
use proto::graph::write::LARGEST_MESSAGE;
use proto::manifest::{Manifest, Split, part};
use tch::Device;
use trainer::cifar10;
use trainer::vit::Vit;
use trainer::weights::{self, Loaded};

use super::images::chosen_images;
use super::{check_out, hints, recorded, remove_leftovers, say_written};
use crate::cli::{BundleArgs, GoldenKind};

/// Samples that become test data sets where nobody says how many.
const DEFAULT_TEST_SAMPLES: usize = 3;

pub(crate) fn bundle(arguments: &BundleArgs) -> Result<()> {
    let started = Instant::now();
    let stop = stop_flag(INTERRUPTED).context("no handler for signals")?;
    if let Some(threads) = arguments.threads {
        tch::set_num_threads(i32::try_from(threads).context("--threads")?);
    }
    let parts = parts(arguments)?;
    let device = arguments.device.resolve()?;
    let Loaded {
        path,
        vit,
        info,
        sha256,
    } = loaded(arguments, device)?;
    let recorded = recorded::open(arguments, &vit)?;
    let (indices, split) = samples(arguments, recorded.as_ref(), &vit, &stop)?;
    ensure!(
        !indices.is_empty() || !(arguments.raw || arguments.golden == GoldenKind::F64),
        "--raw and --golden f64 are about recorded arrays, of which --samples 0 has none"
    );
    let out = folder(arguments, &info.config);
    check_out(&out)?;
    remove_leftovers(&out);
    let progress = Progress::count("samples", indices.len() as u64);
    let request = Request {
        vit: &vit,
        info: &info,
        weights_sha256: &sha256,
        module: &arguments.module,
        deployment: deployment(arguments),
        parts: &parts,
        split: &split,
        split_name: arguments.split,
        indices: &indices,
        batch_size: arguments.batch_size,
        float64: arguments.golden == GoldenKind::F64,
        recorded: recorded.as_ref(),
        raw: arguments.raw,
        test_data_sets: test_data_sets(arguments),
        largest_model: arguments.largest_model.unwrap_or(LARGEST_MESSAGE),
        out: &out,
        replace: arguments.force,
    };
    let manifest = bundle::write(&request, |done| {
        progress.advance(done as u64);
        !stop.load(Ordering::Relaxed)
    })
    .map_err(hints::of_bundle)?;
    progress.finish();

    say!(
        "weights      {} ({}, {})",
        path.display(),
        info.preset_name(),
        info.epoch()
    );
    say!("submodel     {}", arguments.module);
    say!("parts        {}", parts.join(", "));
    say_deployment(&manifest);
    say_golden(&manifest);
    say_written(&manifest, &out);
    say!("time         {:.1} s", started.elapsed().as_secs_f64());
    if !indices.is_empty() {
        say!(
            "next         verifier check {}   (--device cpu where there is no NVIDIA GPU)",
            out.display()
        );
    }
    Ok(())
}

/// The network that the models are of.
fn loaded(arguments: &BundleArgs, device: Device) -> Result<Loaded> {
    let (weights, model) = (arguments.weights.as_deref(), arguments.model.as_ref());
    Ok(weights::load_chosen(weights, model, device)?)
}

/// Where the bundle goes: by default into a folder that is named after the network.
fn folder(arguments: &BundleArgs, config: &VitConfig) -> PathBuf {
    let network = Network::of(config);
    let name = arguments.model.as_ref().unwrap_or(&network).name();
    let named = || Path::new("bundles").join(name);
    arguments.out.clone().unwrap_or_else(named)
}

/// The parts asked for, in the order they are listed to users.
fn parts(arguments: &BundleArgs) -> Result<Vec<&'static str>> {
    let is_asked_for = |name: &&str| arguments.parts.iter().any(|part| part == name);
    let parts: Vec<&str> = PARTS.into_iter().filter(is_asked_for).collect();
    ensure!(
        parts.contains(&part::SUBMODEL),
        "--parts {}: expected submodel among them",
        arguments.parts.join(",")
    );
    Ok(parts)
}

/// The images that become samples, and the split that they are of.
fn samples(
    arguments: &BundleArgs,
    recorded: Option<&RecordedGolden>,
    vit: &Vit,
    stop: &AtomicBool,
) -> Result<(Vec<usize>, cifar10::Split)> {
    let Some(recorded) = recorded else {
        let indices = chosen_images(arguments)?;
        let split = images(arguments, indices.len())?;
        return Ok((indices, split));
    };
    let split = images(arguments, recorded.samples())?;
    let indices = recorded::images(arguments, recorded, vit, &split, stop)?;
    Ok((indices, split))
}

/// The split that the samples are of; without samples there is no need of the images.
fn images(arguments: &BundleArgs, samples: usize) -> Result<cifar10::Split> {
    Ok(match arguments.split {
        _ if samples == 0 => cifar10::Split::default(),
        Split::Test => cifar10::load_test(&arguments.data)?,
        Split::Train => cifar10::load_train(&arguments.data)?,
    })
}

fn deployment(arguments: &BundleArgs) -> Deployment {
    Deployment {
        opset: arguments.opset,
        fixed_batch: arguments.fixed_batch,
    }
}

fn test_data_sets(arguments: &BundleArgs) -> usize {
    let samples_per_set = deployment(arguments).samples_per_run();
    let default = DEFAULT_TEST_SAMPLES.div_ceil(samples_per_set);
    arguments.test_data_sets.unwrap_or(default)
}

/// What the models are written for, if it is not the default.
fn say_deployment(manifest: &Manifest) {
    let Some(Deployment { opset, fixed_batch }) = manifest.deployment else {
        return;
    };
    match fixed_batch {
        Some(samples) => say!("models       opset {opset}, {samples} samples in every run"),
        None => say!("models       opset {opset}"),
    }
}

/// Where the golden comes from, if there is one.
fn say_golden(manifest: &Manifest) {
    let golden = &manifest.golden;
    recorded::say_recorded(manifest);
    if manifest.accuracy.samples > 0 {
        let beside = match golden.recorded.is_empty() {
            true => "",
            false => ", of what was not recorded elsewhere",
        };
        say!(
            "golden       {} ({} threads), float32, libtorch {}{beside}",
            golden.device,
            golden.threads,
            golden.libtorch
        );
    }
    if let Some(float64) = &golden.float64 {
        say!(
            "float64      the golden's own error is at most {:.3e}",
            float64.largest_error
        );
    }
}
