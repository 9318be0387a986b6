//! `verifier check`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use proto::bundle::Bundle;
use proto::manifest::{Part, part};
use verifier::check::{self, Hooks, Request, Runtimes};
use verifier::compare::Tolerance;
use verifier::fault::Fault;
use verifier::locate::locate;
use verifier::model::Model;
use verifier::onnxruntime::{Engine, OnnxRuntime, Options, Source};
use verifier::recording::{Recording, Recordings};
use verifier::report::{BundleReport, Host, OptionsReport, REPORT_VERSION, Report, ResultReport, RuntimeReport};
use verifier::runtime::Runtime;
use verifier::specimens::Specimens;
use verifier::verdict::{Extreme, Fate, FaultySample, OutputVerdict, Stop, Verdict};

use super::{Status, grouped};
use crate::cli::CheckArgs;

/// Faulty samples shown to a person; the report has all of them.
const SHOWN: usize = 20;

/// The last sample that `--inject` changes.
const LAST_INJECTED: usize = 300;

pub(crate) fn check(arguments: &CheckArgs) -> Result<Status> {
    let mut faults = if arguments.inject { Fault::seed() } else { vec![] };
    faults.extend(arguments.faults.iter().cloned());
    ensure!(
        !arguments.expect_detected || !faults.is_empty(),
        "--expect-detected without a fault: nothing would be proven\nhint: add --inject or --fault SPEC"
    );
    let mut report = empty_report(arguments, &faults);
    for path in &arguments.reports {
        refuse_inside("--report", path.parent(), &arguments.bundle)?;
        // Before the long run, not after it; and an earlier run's verdict must not survive this one.
        report.error = Some("the run did not finish".to_owned());
        write(&report, path)?;
    }
    let result = run(arguments, &faults, &mut report);
    let (status, verdict) = match &result {
        Ok(status @ Status::Pass) => (*status, "pass"),
        Ok(status) => (*status, "fail"),
        Err(_) => (Status::NoResult, "error"),
    };
    report.verdict = verdict;
    report.exit_status = status.code();
    report.error = result.as_ref().err().map(|error| format!("{error:#}"));
    for path in &arguments.reports {
        write(&report, path)?;
        if result.is_ok() {
            say!("report       {}", path.display());
        }
    }
    result
}

fn write(report: &Report, path: &Path) -> Result<()> {
    report.write(path).with_context(|| format!("{}: cannot be written", path.display()))
}

/// Nothing is written into the bundle that is checked.
fn refuse_inside(flag: &str, folder: Option<&Path>, bundle: &Path) -> Result<()> {
    let folder = folder.filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let Ok(bundle) = bundle.canonicalize() else { return Ok(()) }; // reported elsewhere
    // The nearest folder that exists: what is to be made lies in it.
    let existing = folder.ancestors().map(|folder| if folder == Path::new("") { Path::new(".") } else { folder });
    let nearest = existing.filter_map(|folder| folder.canonicalize().ok()).next();
    ensure!(
        nearest.is_none_or(|folder| !folder.starts_with(&bundle)),
        "{flag} {}: inside the bundle, which a check leaves as it is",
        folder.display()
    );
    Ok(())
}

fn run(arguments: &CheckArgs, faults: &[Fault], report: &mut Report) -> Result<Status> {
    let started = Instant::now();
    let stop = stop_flag()?;
    let bundle = Bundle::open(&arguments.bundle)?;
    let library = locate(arguments.target.runtime.as_deref())?;
    let (path, part) = bundle.part(&arguments.part)?;
    report.bundle = Some(BundleReport::new(&bundle));
    let bar = progress_bar(bundle.total_bytes(), "{bytes}/{total_bytes} hashed  {binary_bytes_per_sec}  {eta} left");
    bundle.verify_files(|bytes| bar.inc(bytes))?;
    bar.finish_and_clear();

    let recordings = Recordings::of(&bundle, &arguments.part)?;
    let there = recordings.goldens.first().map_or(0, Recording::samples);
    ensure!(there > 0, check::CheckError::NoSamples);
    ensure!(
        !arguments.inject || there > LAST_INJECTED,
        "--inject changes samples 150 to {LAST_INJECTED} of the golden, but there are {there}\n\
         hint: export at least {} samples, or choose your own with --fault",
        LAST_INJECTED + 1
    );
    let samples = match arguments.range.as_deref() {
        Some(&[start, end]) => start..end,
        _ => 0..there,
    };
    if samples.is_empty() || samples.end > there {
        bail!(check::CheckError::Samples { samples, there });
    }
    let mut specimens = match &arguments.dump_faulty {
        None => None,
        Some(folder) => {
            refuse_inside("--dump-faulty", Some(folder), &arguments.bundle)?;
            Some(Specimens::create(folder, report.options.tolerance).context("--dump-faulty")?)
        }
    };

    let options = arguments.target.options();
    let engine = Engine::start(&library)?;
    let changed = Model::open(&path, part)?.with_weight_faults(faults)?;
    let mut sound = load(&engine, Source::File(&path), &path, part, &options, &recordings)?;
    let mut faulty = match &changed {
        Some(bytes) => Some(load(&engine, Source::Memory(bytes), &path, part, &options, &recordings)?),
        None => None,
    };
    drop(changed);
    report.runtime = Some(RuntimeReport::new(engine.library(), &sound, &options));
    print_setting(&bundle, &engine, &sound, &options, arguments, recordings.origin);

    let request = Request {
        inputs: &recordings.inputs,
        goldens: &recordings.goldens,
        samples: samples.clone(),
        batch_size: arguments.batch_size,
        tolerance: report.options.tolerance,
        faults,
        repeat: arguments.repeat,
        fail_fast: arguments.fail_fast,
    };
    let bar = progress_bar(samples.len() as u64, "{pos}/{len} samples  {per_sec}  {eta} left");
    let mut runtimes = Runtimes { sound: &mut sound, faulty: faulty.as_mut().map(|faulty| faulty as &mut dyn Runtime) };
    let mut hooks = Hooks {
        progress: &mut |samples| bar.inc(samples as u64),
        faulty: &mut |specimen| match &mut specimens {
            Some(specimens) => specimens.keep(specimen).map_err(|error| error.to_string()),
            None => Ok(()),
        },
        stop: &|| stop.load(Ordering::Relaxed),
    };
    let verdict = check::check(&request, &mut runtimes, &mut hooks)?;
    bar.finish_and_clear();

    let sample_index = |sample: usize| recordings.sample_index[sample];
    report.result = Some(ResultReport::new(&verdict, faults, sample_index, recordings.origin));
    print_comparison(&verdict, sample_index);
    print_faults(&verdict, faults);
    if let (Some(specimens), Some(folder)) = (&specimens, &arguments.dump_faulty) {
        say!("kept         {} faulty samples in {}", grouped(specimens.kept()), folder.display());
    }
    if verdict.stopped == Some(Stop::Interrupted) {
        bail!("interrupted after {} of {} samples: the result is partial", grouped(verdict.samples), samples.len());
    }
    let status = conclude(&verdict, faults, arguments.expect_detected, samples.len());
    say!("time         {:.1} s", started.elapsed().as_secs_f64());
    Ok(status)
}

/// One sample is enough to see where the nodes run.
fn load(
    engine: &Engine,
    source: Source<'_>,
    path: &Path,
    part: &Part,
    options: &Options,
    recordings: &Recordings,
) -> Result<OnnxRuntime> {
    let first = recordings.inputs.iter().map(|input| input.window(0..1)).collect::<Result<Vec<_>, _>>()?;
    let first: Vec<&[f32]> = first.iter().map(|window| &**window).collect();
    Ok(engine.load(source, path, part, options, &first)?)
}

/// Set by the first SIGINT or SIGTERM; the second one ends the process.
fn stop_flag() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 2, Arc::clone(&stop)).context("signals")?;
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("signals")?;
    }
    Ok(stop)
}

fn empty_report(arguments: &CheckArgs, faults: &[Fault]) -> Report {
    let target = &arguments.target;
    Report {
        report_version: REPORT_VERSION,
        verifier: env!("CARGO_PKG_VERSION"),
        verdict: "error",
        exit_status: Status::NoResult.code(),
        error: None,
        options: OptionsReport {
            bundle: arguments.bundle.clone(),
            part: arguments.part.clone(),
            device: target.device.clone(),
            device_id: target.device_id,
            device_options: target.device_options.iter().map(|(key, value)| format!("{key}={value}")).collect(),
            allow_reduced_precision: target.allow_reduced_precision,
            tolerance: Tolerance { atol: arguments.atol, rtol: arguments.rtol },
            batch_size: arguments.batch_size,
            repeat: arguments.repeat,
            samples: arguments.range.as_deref().and_then(|range| range.try_into().ok()),
            threads: target.threads,
            faults: faults.iter().map(Fault::to_string).collect(),
            expect_detected: arguments.expect_detected,
        },
        started_unix_seconds: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs()),
        host: Host::this(),
        bundle: None,
        runtime: None,
        result: None,
    }
}

fn print_setting(
    bundle: &Bundle,
    engine: &Engine,
    runtime: &OnnxRuntime,
    options: &Options,
    arguments: &CheckArgs,
    origin: &str,
) {
    let manifest = bundle.manifest();
    let placed: Vec<String> =
        runtime.placement().iter().map(|(provider, nodes)| format!("{nodes} nodes on {provider}")).collect();
    let library = engine.library();
    say!("bundle       {} ({}, {})", bundle.root().display(), manifest.model.preset, manifest.module);
    say!("hashes       {} files as in the manifest", manifest.files.len());
    if arguments.part != part::SUBMODEL {
        say!("part         {}, recorded in {origin}", arguments.part);
    }
    say!("runtime      ONNX Runtime {} ({})", library.version, library.path.display());
    say!("             SHA-256 {}", library.sha256);
    let precision = options.device.precision(options.allow_reduced_precision);
    say!("device       {} ({}), {precision}", options.device, placed.join(", "));
}

fn print_comparison(verdict: &Verdict, sample_index: impl Fn(usize) -> i64) {
    let total = verdict.total();
    say!(
        "compared     {} samples, {} elements, {:.0} samples/s",
        grouped(verdict.samples),
        grouped(total.elements),
        verdict.samples as f64 / (verdict.seconds.running + verdict.seconds.comparing + verdict.seconds.reading)
    );
    say!(
        "differing    {} elements in {} samples are not equal to the golden",
        grouped(total.differing_elements),
        grouped(verdict.differing_samples)
    );
    if let [output] = verdict.outputs.as_slice() {
        print_largest(output);
    } else {
        for output in &verdict.outputs {
            say!("output       {}", output.name);
            print_largest(output);
        }
    }
    if let Some(repeats) = &verdict.repeats {
        match repeats.differing_elements {
            0 => say!("repeated     {} runs of each batch gave the same bits", grouped(repeats.runs)),
            count => say!(
                "repeated     {} runs of each batch: {} elements in {} samples of later runs have other bits, by up to {:.3e}",
                grouped(repeats.runs),
                grouped(count),
                grouped(repeats.differing_samples),
                repeats.largest_difference
            ),
        }
    }
    say!(
        "outside      {} elements, and {} that are not finite, in {} samples",
        grouped(total.mismatches),
        grouped(total.non_finite),
        grouped(verdict.faulty_samples())
    );
    for faulty in verdict.faulty.iter().take(SHOWN) {
        print_faulty(faulty, sample_index(faulty.sample), &verdict.outputs);
    }
    if verdict.faulty.len() > SHOWN {
        say!("  … and {} more samples (--report lists them all)", grouped(verdict.faulty.len() - SHOWN));
    }
}

fn print_largest(output: &OutputVerdict) {
    say!("largest      finite absolute error {}", extreme(&output.max_abs_error, |value| format!("{value:.3e}")));
    say!(
        "             finite ULP distance   {} (large near zero)",
        extreme(&output.max_ulp, |value| grouped(value as usize))
    );
}

fn print_faulty(faulty: &FaultySample, sample_index: i64, outputs: &[OutputVerdict]) {
    for output in &faulty.outputs {
        let worst = &output.worst;
        let run = if faulty.run > 0 { format!(", run {}", faulty.run) } else { String::new() };
        let name = if outputs.len() > 1 { format!(", {}", outputs[output.output].name) } else { String::new() };
        say!(
            "  sample {} (image {sample_index}{run}{name}): {} outside, {} not finite, {}; worst {:?}: golden {:e}, found {:e}, xor {:08x}",
            faulty.sample,
            output.mismatches,
            output.non_finite,
            output.geometry,
            &worst.index[1..],
            worst.golden,
            worst.actual,
            worst.xor()
        );
    }
}

fn print_faults(verdict: &Verdict, faults: &[Fault]) {
    if faults.is_empty() {
        return;
    }
    let count = |fate| verdict.faults.iter().filter(|result| result.fate() == fate).count();
    say!(
        "injected     {} faults: {} found, {} missed, {} masked; {} samples without one were flagged",
        faults.len(),
        count(Fate::Detected),
        count(Fate::Missed),
        count(Fate::Masked),
        grouped(clean_flagged(verdict, faults))
    );
    for (fault, result) in faults.iter().zip(&verdict.faults) {
        let change = match result.non_finite {
            true => "to or from a value that is not finite".to_owned(),
            false => format!("by up to {:.3e}", result.largest_change),
        };
        let fate = match result.fate() {
            Fate::Detected => "found",
            Fate::Missed => "MISSED",
            Fate::Masked => "masked",
        };
        say!(
            "  {fate:<7} {fault}: changed {change}; beyond the tolerance in {} samples, flagged in {}",
            grouped(result.samples_beyond),
            grouped(result.samples_flagged)
        );
    }
}

/// Faulty samples that no fault is in; with a weight fault, there is a fault in every sample.
fn clean_flagged(verdict: &Verdict, faults: &[Fault]) -> usize {
    let touched = |sample: usize| faults.iter().any(|fault| fault.sample().is_none_or(|own| own == sample));
    verdict.faulty.iter().filter(|faulty| !touched(faulty.sample)).count()
}

fn conclude(verdict: &Verdict, faults: &[Fault], expect_detected: bool, samples: usize) -> Status {
    let faulty = verdict.faulty_samples();
    let stopped = match verdict.stopped {
        Some(_) => format!(" (stopped after {} of {})", grouped(verdict.samples), grouped(samples)),
        None => String::new(),
    };
    if expect_detected {
        let missed = verdict.faults.iter().filter(|result| result.fate() == Fate::Missed).count();
        let clean = clean_flagged(verdict, faults);
        let all = verdict.stopped.is_none();
        if missed == 0 && clean == 0 && all {
            let masked = verdict.faults.iter().filter(|result| result.fate() == Fate::Masked).count();
            say!(
                "verdict      PASS: every fault beyond the tolerance was flagged, and no other sample; {masked} masked"
            );
            return Status::Pass;
        }
        say!("verdict      FAIL: {missed} faults were missed, {clean} samples without a fault were flagged{stopped}");
        return Status::Fail;
    }
    if verdict.is_pass() {
        say!("verdict      PASS: every element is within the tolerance");
        return Status::Pass;
    }
    say!("verdict      FAIL: {} of {} samples are faulty{stopped}", grouped(faulty), grouped(verdict.samples));
    Status::Fail
}

fn extreme<T: Copy>(extreme: &Extreme<T>, value: impl Fn(T) -> String) -> String {
    match &extreme.index {
        None => "0: every element is equal to the golden".to_owned(),
        Some(index) => format!("{} at {index:?}", value(extreme.value)),
    }
}

/// A bar on a terminal, nothing elsewhere.
fn progress_bar(length: u64, counts: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(&format!("{{bar:40}} {counts}")).expect("a valid template");
    ProgressBar::new(length).with_style(style)
}
