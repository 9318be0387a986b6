//! `verifier check`.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use proto::bundle::{self, Bundle};
use proto::manifest::Part;
use verifier::calibration::file::{self, Entry, Setting};
use verifier::check::{self, Hooks, Request, Runtimes};
use verifier::compare::Tolerance;
use verifier::fault::Fault;
use verifier::locate::locate;
use verifier::model::Model;
use verifier::onnxruntime::{Engine, OnnxRuntime, Options, Source};
use verifier::outputs::Outputs;
use verifier::recording::{Recording, Recordings};
use verifier::report::{
    BundleReport, Host, OptionsReport, REPORT_VERSION, Report, ResultReport, RuntimeReport, ToleranceOrigin,
};
use verifier::runtime::Runtime;
use verifier::specimens::Specimens;
use verifier::verdict::{Fate, Stop, Verdict};

use super::{Status, grouped, show};
use crate::cli::CheckArgs;

/// The Python repository's tolerance.
pub(super) const ATOL: f32 = 5e-6;
pub(super) const RTOL: f32 = 1e-5;

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
        refuse_inside("--report", path)?;
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

/// Nothing is written into a bundle, which a check leaves as it is.
pub(super) fn refuse_inside(flag: &str, path: &Path) -> Result<()> {
    match bundle::around(path) {
        None => Ok(()),
        Some(bundle) => bail!("{flag} {}: inside the bundle {}", path.display(), bundle.display()),
    }
}

fn run(arguments: &CheckArgs, faults: &[Fault], report: &mut Report) -> Result<Status> {
    let started = Instant::now();
    let stop = stop_flag()?;
    let bundle = Bundle::open(&arguments.bundle)?;
    let library = locate(arguments.target.runtime.as_deref())?;
    let (path, part) = bundle.part(&arguments.part)?;
    report.bundle = Some(BundleReport::new(&bundle));
    verify(&bundle)?;
    let recordings = Recordings::of(&bundle, &arguments.part)?;
    let there = recordings.goldens.first().map_or(0, Recording::samples);
    ensure!(
        !arguments.inject || there > LAST_INJECTED,
        "--inject changes samples 150 to {LAST_INJECTED} of the golden, but there are {there}\n\
         hint: export at least {} samples, or choose your own with --fault",
        LAST_INJECTED + 1
    );
    let samples = samples(&recordings, arguments.range.as_deref())?;
    let options = arguments.target.options();
    let engine = Engine::start(&library)?;
    let setting = Setting::new(bundle.blake3(), &arguments.part, engine.library(), &options, arguments.batch_size);
    let calibration = Calibrated::look_up(arguments, &setting)?;
    if let Calibrated::Found { entry, .. } = &calibration {
        (report.options.tolerance, report.options.tolerance_origin) = (entry.tolerance, ToleranceOrigin::Calibration);
    }
    let mut specimens = match &arguments.dump_faulty {
        None => None,
        Some(folder) => {
            refuse_inside("--dump-faulty", folder)?;
            Some(Specimens::create(folder, report.options.tolerance).context("--dump-faulty")?)
        }
    };

    let changed = Model::open(&path, part)?.with_weight_faults(faults)?;
    let mut sound = load(&engine, Source::File(&path), &path, part, &options, &recordings)?;
    let mut faulty = match &changed {
        Some(bytes) => Some(load(&engine, Source::Memory(bytes), &path, part, &options, &recordings)?),
        None => None,
    };
    drop(changed);
    report.runtime = Some(RuntimeReport::new(engine.library(), &sound, &options));
    show::setting(&bundle, &engine, &sound, &options, &arguments.part, recordings.origin);
    show::tolerance(&report.options, &calibration);

    let mut saved = match &arguments.save_outputs {
        None => None,
        Some(folder) => {
            refuse_inside("--save-outputs", folder)?;
            let saved = Outputs::create(folder, &recordings.goldens, samples.len()).context("--save-outputs")?;
            Some(saved)
        }
    };
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
        outputs: &mut |outputs| match &mut saved {
            Some(saved) => saved.write(outputs).map_err(|error| error.to_string()),
            None => Ok(()),
        },
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
    show::comparison(&verdict, sample_index);
    show::faults(&verdict, faults);
    if let (Some(specimens), Some(folder)) = (&specimens, &arguments.dump_faulty) {
        say!("kept         {} faulty samples in {}", grouped(specimens.kept()), folder.display());
    }
    if verdict.stopped == Some(Stop::Interrupted) {
        bail!("interrupted after {} of {} samples: the result is partial", grouped(verdict.samples), samples.len());
    }
    if let (Some(saved), Some(folder)) = (saved, &arguments.save_outputs) {
        saved.finish().context("--save-outputs")?;
        say!("outputs      {}", folder.display());
    }
    let status = conclude(&verdict, faults, arguments.expect_detected, samples.len());
    say!("time         {:.1} s", started.elapsed().as_secs_f64());
    Ok(status)
}

/// Compares every file of the bundle with its hash.
pub(super) fn verify(bundle: &Bundle) -> Result<()> {
    let bar = progress_bar(bundle.total_bytes(), "{bytes}/{total_bytes} hashed  {binary_bytes_per_sec}  {eta} left");
    bundle.verify_files(|bytes| bar.inc(bytes))?;
    bar.finish_and_clear();
    Ok(())
}

/// The samples asked for, all of them unless a range is given; at least one.
pub(super) fn samples(recordings: &Recordings, range: Option<&[usize]>) -> Result<Range<usize>> {
    let there = recordings.goldens.first().map_or(0, Recording::samples);
    ensure!(there > 0, check::CheckError::NoSamples);
    let samples = match range {
        Some(&[start, end]) => start..end,
        _ => 0..there,
    };
    if samples.is_empty() || samples.end > there {
        bail!(check::CheckError::Samples { samples, there });
    }
    Ok(samples)
}

/// What there is of calibrations.
pub(super) enum Calibrated {
    /// None was looked for, or there is none.
    Not,
    /// One for this very setting.
    Found { path: PathBuf, entry: Box<Entry> },
    /// Some, but for other settings; what the nearest has otherwise.
    Otherwise { path: PathBuf, differences: Vec<String> },
}

impl Calibrated {
    fn look_up(arguments: &CheckArgs, setting: &Setting) -> Result<Self> {
        if arguments.no_calibration || arguments.has_tolerance() {
            return Ok(Self::Not);
        }
        if let Some(path) = &arguments.calibration {
            ensure!(path.exists(), "--calibration {}: no such file", path.display());
        }
        let Some(path) = arguments.calibration.clone().or_else(|| file::beside(&arguments.bundle)) else {
            return Ok(Self::Not);
        };
        let entries = file::read(&path)?;
        let mut others: Vec<_> =
            entries.into_iter().map(|entry| (setting.differences(&entry.setting), entry)).collect();
        others.sort_by_key(|(differences, _)| differences.len());
        Ok(match others.into_iter().next() {
            None => Self::Not,
            Some((differences, entry)) if differences.is_empty() => Self::Found { path, entry: Box::new(entry) },
            Some((differences, _)) => Self::Otherwise { path, differences },
        })
    }
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
    let first = recordings.inputs.iter().map(|input| input.window(0..1)).collect::<Result<Vec<_>, _>>()?;
    let first: Vec<&[f32]> = first.iter().map(|window| &**window).collect();
    Ok(engine.load(source, path, part, options, &first)?)
}

/// Set by the first SIGINT or SIGTERM; the second one ends the process.
pub(super) fn stop_flag() -> Result<Arc<AtomicBool>> {
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
            tolerance: Tolerance { atol: arguments.atol.unwrap_or(ATOL), rtol: arguments.rtol.unwrap_or(RTOL) },
            tolerance_origin: match arguments.has_tolerance() {
                true => ToleranceOrigin::Flags,
                false => ToleranceOrigin::Default,
            },
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

fn conclude(verdict: &Verdict, faults: &[Fault], expect_detected: bool, samples: usize) -> Status {
    let faulty = verdict.faulty_samples();
    let stopped = match verdict.stopped {
        Some(_) => format!(" (stopped after {} of {})", grouped(verdict.samples), grouped(samples)),
        None => String::new(),
    };
    if expect_detected {
        let missed = verdict.faults.iter().filter(|result| result.fate() == Fate::Missed).count();
        let clean = verdict.flagged_without_fault(faults);
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

/// A bar on a terminal, nothing elsewhere.
pub(super) fn progress_bar(length: u64, counts: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(&format!("{{bar:40}} {counts}")).expect("a valid template");
    ProgressBar::new(length).with_style(style)
}
