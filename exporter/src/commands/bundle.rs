//! `exporter bundle`.

use std::io::Read as _;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use console::exit::INTERRUPTED;
use console::{Progress, say, stop_flag};
use exporter::bundle::{self, PARTS, Request};
use exporter::onnx_file::LARGEST_MESSAGE;
use proto::manifest::{Split, part};
use proto::npy::Npy;
use proto::plain;
use trainer::cifar10;
use trainer::device::device_name;
use trainer::weights::{self, Loaded};

use super::say_written;
use crate::cli::{BundleArgs, GoldenKind};

/// An image's number in a text has at most five digits; a larger file than this is no list of
/// images.
const LARGEST_LIST: u64 = 64 << 20;

pub(crate) fn bundle(arguments: &BundleArgs) -> Result<()> {
    let started = Instant::now();
    let stop = stop_flag(INTERRUPTED).context("no handler for signals")?;
    if let Some(threads) = arguments.threads {
        tch::set_num_threads(i32::try_from(threads).context("--threads")?);
    }
    let parts: Vec<&str> = PARTS
        .into_iter()
        .filter(|name| arguments.parts.iter().any(|part| part == name))
        .collect();
    ensure!(
        parts.contains(&part::SUBMODEL),
        "--parts {}: expected submodel among them",
        arguments.parts.join(",")
    );
    let device = arguments.device.resolve()?;
    let Loaded {
        path,
        vit,
        info,
        sha256,
    } = weights::load_chosen(arguments.weights.as_deref(), arguments.model, device)?;
    let indices = indices(arguments)?;
    ensure!(
        !indices.is_empty() || !(arguments.raw || arguments.golden == GoldenKind::F64),
        "--raw and --golden f64 are about recorded arrays, of which --samples 0 has none"
    );
    let split = match arguments.split {
        // Without samples there is no need of the images.
        _ if indices.is_empty() => cifar10::Split::default(),
        Split::Test => cifar10::load_test(&arguments.data)?,
        Split::Train => cifar10::load_train(&arguments.data)?,
    };
    let out = arguments
        .out
        .clone()
        .unwrap_or_else(|| Path::new("bundles").join(info.preset_name()));
    let progress = Progress::count("samples", indices.len() as u64);
    let request = Request {
        vit: &vit,
        info: &info,
        weights_sha256: &sha256,
        module: &arguments.module,
        parts: &parts,
        split: &split,
        split_name: arguments.split,
        indices: &indices,
        batch_size: arguments.batch_size,
        float64: arguments.golden == GoldenKind::F64,
        raw: arguments.raw,
        test_data_sets: arguments.test_data_sets,
        largest_model: arguments.largest_model.unwrap_or(LARGEST_MESSAGE),
        out: &out,
        replace: arguments.force,
    };
    let manifest = bundle::write(&request, |done| {
        progress.advance(done as u64);
        !stop.load(Ordering::Relaxed)
    })?;
    progress.finish();

    say!(
        "weights      {} ({}, {})",
        path.display(),
        info.preset_name(),
        info.epoch()
    );
    say!("submodel     {}", arguments.module);
    say!("parts        {}", parts.join(", "));
    if !indices.is_empty() {
        say!(
            "golden       {} ({} threads), float32, libtorch {}",
            device_name(device),
            tch::get_num_threads(),
            trainer::LIBTORCH_VERSION
        );
    }
    if let Some(float64) = &manifest.golden.float64 {
        say!(
            "float64      the golden's own error is at most {:.3e}",
            float64.largest_error
        );
    }
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

/// Which images of the split become samples, in this order.
fn indices(arguments: &BundleArgs) -> Result<Vec<usize>> {
    let most = arguments.split.images();
    let Some(path) = &arguments.indices else {
        let samples = arguments.samples.unwrap_or(most);
        ensure!(
            samples <= most,
            "--samples {samples}: the {} split has {most} images",
            arguments.split
        );
        return Ok((0..samples).collect());
    };
    let numbers = if path.extension().is_some_and(|extension| extension == "npy") {
        let npy = Npy::<i64>::open(path)?;
        ensure!(
            npy.shape().len() == 1,
            "{}: shape {:?}, expected one axis",
            path.display(),
            npy.shape()
        );
        let bytes = npy.rows_len() as u64 * 8;
        ensure!(
            bytes <= LARGEST_LIST,
            "{}: {} numbers, expected a list of images",
            path.display(),
            npy.rows_len()
        );
        let rows = npy.rows(0..npy.rows_len())?;
        rows.iter()
            .map(|&number| usize::try_from(number).map_err(|_| number.to_string()))
            .collect()
    } else {
        let name = || path.display().to_string();
        let mut file = plain::open(path).with_context(name)?;
        let size = file.metadata().with_context(name)?.len();
        ensure!(
            size <= LARGEST_LIST,
            "{}: {size} bytes, expected a list of numbers",
            name()
        );
        let mut text = String::new();
        file.read_to_string(&mut text).with_context(name)?;
        let words = text.lines().flat_map(|line| {
            line.split('#')
                .next()
                .unwrap_or_default()
                .split_whitespace()
        });
        words
            .map(|word| word.parse().map_err(|_| word.to_owned()))
            .collect::<Result<Vec<usize>, String>>()
    };
    let numbers = match numbers {
        Ok(numbers) => numbers,
        Err(word) => bail!(
            "{}: `{word}` is no position of an image, 0 to {}",
            path.display(),
            most - 1
        ),
    };
    ensure!(!numbers.is_empty(), "{}: no number in it", path.display());
    if let Some(number) = numbers.iter().find(|&&number| number >= most) {
        bail!(
            "{}: {number}, but the {} split has images 0 to {}",
            path.display(),
            arguments.split,
            most - 1
        );
    }
    Ok(numbers)
}
