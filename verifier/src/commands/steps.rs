//! What the commands that run a model do alike.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use proto::bundle::{self, Bundle};
use proto::manifest::Part;
use verifier::check::CheckError;
use verifier::onnxruntime::{Engine, OnnxRuntime, Options, Source};
use verifier::recording::{Recording, Recordings};
use verifier::report::Heading;

use super::Status;

/// The Python repository's tolerance.
pub(super) const ATOL: f32 = 5e-6;
pub(super) const RTOL: f32 = 1e-5;

/// Nothing is written into a bundle, which a check leaves as it is.
pub(super) fn refuse_inside(flag: &str, path: &Path) -> Result<()> {
    match bundle::around(path) {
        None => Ok(()),
        Some(bundle) => bail!(
            "{flag} {}: inside the bundle {}",
            path.display(),
            bundle.display()
        ),
    }
}

/// A report that a command fills in.
pub(super) trait Document {
    /// How the run ended.
    fn heading(&mut self) -> &mut Heading;
    /// Writes it in the format of the file's ending.
    fn write(&self, path: &Path) -> io::Result<()>;
}

/// Runs a command and writes its report: before the long run too, since an earlier run's verdict
/// must not survive this one.
pub(super) fn reported<D: Document>(
    paths: &[PathBuf],
    mut report: D,
    run: impl FnOnce(&mut D) -> Result<Status>,
) -> Result<Status> {
    let write = |report: &D, path: &Path| {
        report
            .write(path)
            .with_context(|| format!("{}: cannot be written", path.display()))
    };
    for path in paths {
        refuse_inside("--report", path)?;
        write(&report, path)?;
    }
    let result = run(&mut report);
    let status = *result.as_ref().unwrap_or(&Status::NoResult);
    let heading = report.heading();
    (heading.verdict, heading.exit_status) = (status.verdict(), status.code());
    heading.error = result.as_ref().err().map(|error| format!("{error:#}"));
    for path in paths {
        write(&report, path)?;
        if result.is_ok() {
            say!("report       {}", path.display());
        }
    }
    result
}

/// Compares every file of the bundle with its hash.
pub(super) fn verify(bundle: &Bundle) -> Result<()> {
    let bar = progress_bar(
        bundle.total_bytes(),
        "{bytes}/{total_bytes} hashed  {binary_bytes_per_sec}  {eta} left",
    );
    bundle.verify_files(|bytes| bar.inc(bytes))?;
    bar.finish_and_clear();
    Ok(())
}

/// The samples asked for, all of them unless a range is given; at least one.
pub(super) fn samples(recordings: &Recordings, range: Option<&[usize]>) -> Result<Range<usize>> {
    let there = recordings.goldens.first().map_or(0, Recording::samples);
    ensure!(there > 0, CheckError::NoSamples);
    let samples = match range {
        Some(&[start, end]) => start..end,
        _ => 0..there,
    };
    if samples.is_empty() || samples.end > there {
        bail!(CheckError::Samples { samples, there });
    }
    Ok(samples)
}

/// One sample is enough to see where the nodes run.
pub(super) fn load(
    engine: &Engine,
    source: Source<'_>,
    path: &Path,
    part: &Part,
    options: &Options,
    recordings: &Recordings,
) -> Result<OnnxRuntime> {
    let first = recordings
        .inputs
        .iter()
        .map(|input| input.window(0..1))
        .collect::<Result<Vec<_>, _>>()?;
    let first: Vec<&[f32]> = first.iter().map(|window| &**window).collect();
    Ok(engine.load(source, path, part, options, &first)?)
}

/// Set by the first SIGINT or SIGTERM; the second one ends the process.
pub(super) fn stop_flag() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 2, Arc::clone(&stop))
            .context("signals")?;
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("signals")?;
    }
    Ok(stop)
}

/// A bar on a terminal, nothing elsewhere.
pub(super) fn progress_bar(length: u64, counts: &str) -> ProgressBar {
    let style =
        ProgressStyle::with_template(&format!("{{bar:40}} {counts}")).expect("a valid template");
    ProgressBar::new(length).with_style(style)
}
