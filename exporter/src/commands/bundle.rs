//! The commands as a person sees them: results on stdout, progress on stderr.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result};
use exporter::bundle::{self, Request};
use indicatif::{ProgressBar, ProgressStyle};
use trainer::cifar10;
use trainer::device::device_name;
use trainer::weights::{self, Loaded};

use crate::cli::BundleArgs;

/// Prints a line. A reader who has gone away must not end the work: the result is also in files and the exit status.
macro_rules! say {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($argument)*);
    }};
}

pub(crate) fn bundle(arguments: &BundleArgs) -> Result<()> {
    let started = Instant::now();
    if let Some(threads) = arguments.threads {
        tch::set_num_threads(i32::try_from(threads).context("--threads")?);
    }
    let device = arguments.device.resolve()?;
    let Loaded { path, vit, info, sha256 } =
        weights::load_chosen(arguments.weights.as_deref(), arguments.model, device)?;
    let split = cifar10::load_test(&arguments.data)?;
    let out = arguments.out.clone().unwrap_or_else(|| Path::new("bundles").join(info.preset_name()));
    let samples = arguments.samples.unwrap_or(split.len());
    say!("weights      {} ({}, {})", path.display(), info.preset_name(), info.epoch());
    say!("submodel     {}", arguments.module);
    say!(
        "golden       {} ({} threads), float32, libtorch {}",
        device_name(device),
        tch::get_num_threads(),
        trainer::LIBTORCH_VERSION
    );

    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(2); // asked twice: at once, and the next run clears up
        }
        eprintln!("interrupted: ending after this step; press again to end at once");
    })
    .context("no handler for interrupts")?;
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} samples  {per_sec}  {eta} left")?;
    let bar = ProgressBar::new(samples as u64).with_style(style);
    let request = Request {
        vit: &vit,
        info: &info,
        weights_sha256: &sha256,
        module: &arguments.module,
        split: &split,
        samples,
        batch_size: arguments.batch_size,
        out: &out,
        replace: arguments.force,
    };
    let manifest = bundle::write(&request, |done| {
        bar.inc(done as u64);
        !interrupted.load(Ordering::Relaxed)
    })?;
    bar.finish_and_clear();

    let accuracy = &manifest.accuracy;
    let bytes: u64 = manifest.files.values().map(|digest| digest.size).sum();
    say!(
        "samples      {}, of which {} are classified correctly ({:.2} %)",
        accuracy.samples,
        accuracy.correct,
        100.0 * accuracy.correct as f64 / accuracy.samples as f64
    );
    say!(
        "bundle       {} ({} files, {:.1} MB, manifest.json and SHA256SUMS)",
        out.display(),
        manifest.files.len(),
        bytes as f64 / 1e6
    );
    say!("time         {:.1} s", started.elapsed().as_secs_f64());
    say!("next         verifier check {}   (--device cpu where there is no NVIDIA GPU)", out.display());
    Ok(())
}
