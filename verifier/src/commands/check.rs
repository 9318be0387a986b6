//! `verifier check`.

use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use proto::bundle::Bundle;
use proto::manifest::{Tensor, dataset, part};
use proto::npy::Npy;
use verifier::check::{self, ElementPair, Extreme, FaultySample, Verdict};
use verifier::compare::Tolerance;
use verifier::fault::Fault;
use verifier::locate::locate;
use verifier::onnxruntime::{OnnxRuntime, Options};
use verifier::report::{BundleReport, Host, OptionsReport, REPORT_VERSION, Report, ResultReport, RuntimeReport};

use super::{Status, grouped};
use crate::cli::CheckArgs;

/// Faulty samples shown to a person; the report has all of them.
const SHOWN: usize = 20;

pub(crate) fn check(arguments: &CheckArgs) -> Result<Status> {
    let faults: &[Fault] = if arguments.inject { &Fault::SEED } else { &[] };
    let mut report = empty_report(arguments, faults);
    if let Some(path) = &arguments.report {
        refuse_inside(path, &arguments.bundle)?;
        // Before the long run, not after it; and an earlier run's verdict must not survive this one.
        report.error = Some("the run did not finish".to_owned());
        report.write(path).with_context(|| format!("{}: cannot be written", path.display()))?;
    }
    let result = run(arguments, faults, &mut report);
    let (status, verdict) = match &result {
        Ok(status @ Status::Pass) => (*status, "pass"),
        Ok(status) => (*status, "fail"),
        Err(_) => (Status::NoResult, "error"),
    };
    report.verdict = verdict;
    report.exit_status = status.code();
    report.error = result.as_ref().err().map(|error| format!("{error:#}"));
    if let Some(path) = &arguments.report {
        report.write(path).with_context(|| format!("{}: cannot be written", path.display()))?;
        if result.is_ok() {
            say!("report       {}", path.display());
        }
    }
    result
}

/// A report must not replace a file of the bundle that it is about.
fn refuse_inside(report: &Path, bundle: &Path) -> Result<()> {
    let folder = report.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let (Ok(folder), Ok(bundle)) = (folder.canonicalize(), bundle.canonicalize()) else {
        return Ok(()); // one of them is absent, which is reported elsewhere
    };
    ensure!(
        !folder.starts_with(bundle),
        "--report {}: inside the bundle, which a check leaves as it is",
        report.display()
    );
    Ok(())
}

fn run(arguments: &CheckArgs, faults: &[Fault], report: &mut Report) -> Result<Status> {
    let started = Instant::now();
    let bundle = Bundle::open(&arguments.bundle)?;
    let library = locate(arguments.runtime.as_deref())?;
    let (model, part) = bundle.part(part::SUBMODEL)?;
    let input: Npy<f32> = bundle.dataset(dataset::SUBMODEL_INPUT)?;
    let golden: Npy<f32> = bundle.dataset(dataset::SUBMODEL_OUTPUT)?;
    let sample_index: Npy<i64> = bundle.dataset(dataset::SAMPLE_INDEX)?;
    ensure!(
        sample_index.shape().len() == 1,
        "dataset `sample_index` has shape {:?}, expected one axis",
        sample_index.shape()
    );
    for (tensors, npy, name) in [(&part.inputs, &input, "submodel_input"), (&part.outputs, &golden, "submodel_output")]
    {
        let expected = tensors.first().and_then(Tensor::sample_shape);
        ensure!(
            expected.as_deref() == Some(&npy.shape()[1..]),
            "dataset `{name}` has shape {:?}, but the model's tensor is {expected:?} for each sample",
            npy.shape()
        );
    }
    report.bundle = Some(BundleReport::new(&bundle));
    let bar = progress_bar(bundle.total_bytes(), "{bytes}/{total_bytes} hashed  {binary_bytes_per_sec}  {eta} left");
    bundle.verify_files(|bytes| bar.inc(bytes))?;
    bar.finish_and_clear();

    let sample_index = sample_index.rows(0..sample_index.rows_len())?;
    let split = bundle.manifest().selection.split;
    let positions = 0..split.images() as i64;
    if let Some(index) = sample_index.iter().find(|index| !positions.contains(*index)) {
        anyhow::bail!(
            "dataset `sample_index` has {index}, expected a position in CIFAR-10's {split} split, {positions:?}"
        );
    }
    let options = Options { device: arguments.device, threads: arguments.threads };
    let first = input.rows(0..arguments.batch_size.min(input.rows_len()))?;
    ensure!(!first.is_empty(), check::CheckError::NoSamples);
    let mut runtime = OnnxRuntime::load(&library, &model, part, options, &first)?;
    drop(first);
    report.runtime = Some(RuntimeReport::new(runtime.library(), runtime.placement(), arguments.device));
    print_setting(&bundle, &runtime, arguments);

    let tolerance = report.options.tolerance;
    let request =
        check::Request { input: &input, golden: &golden, batch_size: arguments.batch_size, tolerance, faults };
    let bar = progress_bar(golden.rows_len() as u64, "{pos}/{len} samples  {per_sec}  {eta} left");
    let compared = Instant::now();
    let verdict = check::check(&request, &mut runtime, |samples| bar.inc(samples as u64))?;
    let seconds = compared.elapsed().as_secs_f64();
    bar.finish_and_clear();

    report.result = Some(ResultReport::new(&verdict, faults, |sample| sample_index[sample], seconds));
    print_verdict(&verdict, faults, &sample_index, seconds);
    say!("time         {:.1} s", started.elapsed().as_secs_f64());
    Ok(if verdict.is_pass() { Status::Pass } else { Status::Fail })
}

fn empty_report(arguments: &CheckArgs, faults: &[Fault]) -> Report {
    Report {
        report_version: REPORT_VERSION,
        verifier: env!("CARGO_PKG_VERSION"),
        verdict: "error",
        exit_status: Status::NoResult.code(),
        error: None,
        options: OptionsReport {
            bundle: arguments.bundle.clone(),
            device: arguments.device,
            tolerance: Tolerance { atol: arguments.atol, rtol: arguments.rtol },
            batch_size: arguments.batch_size,
            threads: arguments.threads,
            faults: faults.iter().map(Fault::to_string).collect(),
        },
        started_unix_seconds: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs()),
        host: Host::this(),
        bundle: None,
        runtime: None,
        result: None,
    }
}

fn print_setting(bundle: &Bundle, runtime: &OnnxRuntime, arguments: &CheckArgs) {
    let manifest = bundle.manifest();
    let placed: Vec<String> =
        runtime.placement().iter().map(|(provider, nodes)| format!("{nodes} nodes on {provider}")).collect();
    say!("bundle       {} ({}, {})", bundle.root().display(), manifest.model.preset, manifest.module);
    say!("hashes       {} files as in the manifest", manifest.files.len());
    say!("runtime      ONNX Runtime {} ({})", runtime.library().version, runtime.library().path.display());
    say!("device       {} ({}), {}", arguments.device.name(), placed.join(", "), arguments.device.precision());
}

fn print_verdict(verdict: &Verdict, faults: &[Fault], sample_index: &[i64], seconds: f64) {
    say!(
        "compared     {} samples, {} elements, {:.0} samples/s",
        grouped(verdict.samples),
        grouped(verdict.elements),
        verdict.samples as f64 / seconds
    );
    say!(
        "differing    {} elements in {} samples are not equal to the golden",
        grouped(verdict.differing_elements),
        grouped(verdict.differing_samples)
    );
    say!("largest      finite absolute error {}", extreme(verdict.max_abs_error, |value| format!("{value:.3e}")));
    say!(
        "             finite ULP distance   {} (large near zero)",
        extreme(verdict.max_ulp, |value| grouped(value as usize))
    );
    say!(
        "outside      {} elements, and {} that are not finite, in {} samples",
        grouped(verdict.mismatches),
        grouped(verdict.non_finite),
        grouped(verdict.faulty.len())
    );
    for faulty in verdict.faulty.iter().take(SHOWN) {
        print_faulty(faulty, sample_index[faulty.sample]);
    }
    if verdict.faulty.len() > SHOWN {
        say!("  … and {} more samples (--report lists them all)", grouped(verdict.faulty.len() - SHOWN));
    }
    if !faults.is_empty() {
        print_faults(verdict, faults);
    }
    match verdict.faulty.len() {
        0 => say!("verdict      PASS: every element is within the tolerance"),
        count => say!("verdict      FAIL: {} of {} samples are faulty", grouped(count), grouped(verdict.samples)),
    }
}

fn print_faulty(faulty: &FaultySample, sample_index: i64) {
    let ElementPair { index: [_, token, feature], golden, actual } = faulty.worst;
    say!(
        "  sample {} (test image {sample_index}): {} outside, {} not finite; worst [{token}, {feature}]: golden {golden:e}, found {actual:e}, xor {:08x}",
        faulty.sample,
        faulty.mismatches,
        faulty.non_finite,
        faulty.worst.xor()
    );
}

fn print_faults(verdict: &Verdict, faults: &[Fault]) {
    let results = faults.iter().zip(&verdict.faults_found);
    let missed: Vec<String> = results.filter(|&(_, &found)| !found).map(|(fault, _)| fault.to_string()).collect();
    let clean =
        verdict.faulty.iter().filter(|faulty| faults.iter().all(|fault| fault.sample() != faulty.sample)).count();
    say!(
        "injected     {} errors into the golden: {} found, {} missed{}; {clean} samples without one were flagged",
        faults.len(),
        faults.len() - missed.len(),
        missed.len(),
        if missed.is_empty() { String::new() } else { format!(" ({})", missed.join(", ")) },
    );
}

fn extreme<T>(extreme: Extreme<T>, value: impl Fn(T) -> String) -> String {
    match extreme.index {
        None => "0: every element is equal to the golden".to_owned(),
        Some([sample, token, feature]) => format!("{} at [{sample}, {token}, {feature}]", value(extreme.value)),
    }
}

/// A bar on a terminal, nothing elsewhere.
fn progress_bar(length: u64, counts: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(&format!("{{bar:40}} {counts}")).expect("a valid template");
    ProgressBar::new(length).with_style(style)
}
