//! `verifier check`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use proto::bundle::Bundle;
use verifier::calibration::file::{self, LookUp, Setting};
use verifier::check::{self, Hooks, Request, Runtimes};
use verifier::compare::Tolerance;
use verifier::fault::Fault;
use verifier::gallery::Gallery;
use verifier::locate::locate;
use verifier::model::Model;
use verifier::onnxruntime::{Engine, Source};
use verifier::outputs::Outputs;
use verifier::recording::{Recording, Recordings};
use verifier::report::{
    BundleReport, CalibrationReport, Heading, OptionsReport, REPORT_VERSION, Report, ResultReport,
    RuntimeReport, ToleranceOrigin,
};
use verifier::runtime::Runtime;
use verifier::specimens::Specimens;
use verifier::verdict::{Fate, Stop, Verdict};

use super::steps::{
    ATOL, Document, RTOL, load, progress_bar, refuse_inside, reported, samples, stop_flag, verify,
};
use super::{Status, grouped, show};
use crate::cli::CheckArgs;

/// The last sample that `--inject` changes.
const LAST_INJECTED: usize = 300;

pub(crate) fn check(arguments: &CheckArgs) -> Result<Status> {
    let mut faults = if arguments.inject {
        Fault::seed()
    } else {
        vec![]
    };
    faults.extend(arguments.faults.iter().cloned());
    ensure!(
        !arguments.expect_detected || !faults.is_empty(),
        "--expect-detected without a fault: nothing would be proven\nhint: add --inject or --fault SPEC"
    );
    reported(
        &arguments.reports,
        empty_report(arguments, &faults),
        |report| run(arguments, &faults, report),
    )
}

impl Document for Report {
    fn heading(&mut self) -> &mut Heading {
        &mut self.heading
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        Report::write(self, path)
    }
}

fn run(arguments: &CheckArgs, faults: &[Fault], report: &mut Report) -> Result<Status> {
    let started = Instant::now();
    let bundle = Bundle::open(&arguments.bundle)?;
    let (path, part) = bundle.part(&arguments.part)?;
    let options = arguments.target.settle(part, arguments.batch_size);
    let stop = stop_flag()?;
    let library = locate(arguments.target.runtime.as_deref())?;
    report.heading.bundle = Some(BundleReport::new(&bundle));
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
    let engine = Engine::start(&library)?;
    let setting = Setting::new(
        bundle.blake3(),
        &arguments.part,
        engine.library(),
        &options,
        arguments.batch_size,
    );
    let calibration = calibration(arguments, &setting)?;
    if let Some((path, LookUp::Same(entry))) = &calibration {
        (report.options.tolerance, report.options.tolerance_origin) =
            (entry.tolerance, ToleranceOrigin::Calibration);
        report.options.calibration = Some(CalibrationReport::new(path, entry));
    }
    let mut specimens = match &arguments.dump_faulty {
        None => None,
        Some(folder) => {
            refuse_inside("--dump-faulty", folder)?;
            Some(Specimens::create(folder, report.options.tolerance).context("--dump-faulty")?)
        }
    };

    let changed = Model::open(&path, part)?.with_weight_faults(faults)?;
    let mut sound = load(
        &engine,
        Source::File(&path),
        &path,
        part,
        &options,
        &recordings,
    )?;
    let mut faulty = match &changed {
        Some(bytes) => Some(load(
            &engine,
            Source::Memory(bytes),
            &path,
            part,
            &options,
            &recordings,
        )?),
        None => None,
    };
    drop(changed);
    report.runtime = Some(RuntimeReport::new(engine.library(), &sound, &options));
    show::setting(
        &bundle,
        &engine,
        &sound,
        &options,
        &arguments.part,
        recordings.origin,
    );
    show::tolerance(&report.options, calibration.as_ref(), &samples);

    let mut saved = match &arguments.save_outputs {
        None => None,
        Some(folder) => {
            refuse_inside("--save-outputs", folder)?;
            let saved = Outputs::create(folder, &recordings.goldens, samples.len())
                .context("--save-outputs")?;
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
        histogram: !arguments.reports.is_empty(),
    };
    let mut gallery = Gallery::new(request.tolerance);
    let bar = progress_bar(
        samples.len() as u64,
        "{pos}/{len} samples  {per_sec}  {eta} left",
    );
    let mut runtimes = Runtimes {
        sound: &mut sound,
        faulty: faulty.as_mut().map(|faulty| faulty as &mut dyn Runtime),
    };
    let mut hooks = Hooks {
        progress: &mut |samples| bar.inc(samples as u64),
        outputs: &mut |outputs| match &mut saved {
            Some(saved) => saved.write(outputs).map_err(|error| error.to_string()),
            None => Ok(()),
        },
        faulty: &mut |specimen| {
            gallery.show(specimen);
            match &mut specimens {
                Some(specimens) => specimens.keep(specimen).map_err(|error| error.to_string()),
                None => Ok(()),
            }
        },
        stop: &|| stop.load(Ordering::Relaxed),
    };
    let verdict = check::check(&request, &mut runtimes, &mut hooks)?;
    bar.finish_and_clear();

    let sample_index = |sample: usize| recordings.sample_index[sample];
    report.result = Some(ResultReport::new(
        &verdict,
        faults,
        sample_index,
        recordings.origin,
    ));
    report.pictures = gallery.into_pictures();
    show::comparison(&verdict, sample_index);
    show::faults(&verdict, faults);
    if let (Some(specimens), Some(folder)) = (&specimens, &arguments.dump_faulty) {
        say!(
            "kept         {} faulty samples in {}",
            grouped(specimens.kept()),
            folder.display()
        );
    }
    if verdict.stopped == Some(Stop::Interrupted) {
        bail!(
            "interrupted after {} of {} samples: the result is partial",
            grouped(verdict.samples),
            samples.len()
        );
    }
    if let (Some(saved), Some(folder)) = (saved, &arguments.save_outputs) {
        saved.finish().context("--save-outputs")?;
        say!("outputs      {}", folder.display());
    }
    let status = conclude(&verdict, faults, arguments.expect_detected, samples.len());
    say!("time         {:.1} s", started.elapsed().as_secs_f64());
    Ok(status)
}

/// What there is of calibrations, unless the user has another wish, and in which file.
fn calibration(arguments: &CheckArgs, setting: &Setting) -> Result<Option<(PathBuf, LookUp)>> {
    if arguments.no_calibration || arguments.has_tolerance() {
        return Ok(None);
    }
    let path = match &arguments.calibration {
        Some(path) if !path.exists() => bail!("--calibration {}: no such file", path.display()),
        Some(path) => Some(path.clone()),
        None => file::beside(&arguments.bundle),
    };
    let Some(path) = path else { return Ok(None) };
    let found = file::look_up(&path, setting)?;
    // One that is there by chance may be of another setting; one that was asked for may not.
    match (&found, arguments.calibration.is_some()) {
        (LookUp::Others(differences), true) => bail!(
            "--calibration {}: none is of this setting; the nearest is for {}\nhint: `verifier calibrate` with the same flags, or --no-calibration",
            path.display(),
            differences.join(", ")
        ),
        (LookUp::Nothing, true) => bail!("--calibration {}: holds no calibration", path.display()),
        _ => Ok(Some((path, found))),
    }
}

fn empty_report(arguments: &CheckArgs, faults: &[Fault]) -> Report {
    Report {
        report_version: REPORT_VERSION,
        heading: Heading::begun(),
        options: OptionsReport {
            bundle: arguments.bundle.clone(),
            part: arguments.part.clone(),
            target: arguments.target.report(),
            tolerance: Tolerance {
                atol: arguments.atol.unwrap_or(ATOL),
                rtol: arguments.rtol.unwrap_or(RTOL),
            },
            tolerance_origin: match arguments.has_tolerance() {
                true => ToleranceOrigin::Flags,
                false => ToleranceOrigin::Default,
            },
            calibration: None,
            batch_size: arguments.batch_size,
            repeat: arguments.repeat,
            samples: arguments
                .range
                .as_deref()
                .and_then(|range| range.try_into().ok()),
            faults: faults.iter().map(Fault::to_string).collect(),
            expect_detected: arguments.expect_detected,
        },
        runtime: None,
        result: None,
        pictures: vec![],
    }
}

fn conclude(verdict: &Verdict, faults: &[Fault], expect_detected: bool, samples: usize) -> Status {
    let faulty = verdict.faulty_samples();
    let stopped = match verdict.stopped {
        Some(_) => format!(
            " (stopped after {} of {})",
            grouped(verdict.samples),
            grouped(samples)
        ),
        None => String::new(),
    };
    if expect_detected {
        let missed = verdict
            .faults
            .iter()
            .filter(|result| result.fate() == Fate::Missed)
            .count();
        let clean = verdict.flagged_without_fault(faults);
        let all = verdict.stopped.is_none();
        if missed == 0 && clean == 0 && all {
            let masked = verdict
                .faults
                .iter()
                .filter(|result| result.fate() == Fate::Masked)
                .count();
            say!(
                "verdict      PASS: every fault beyond the tolerance was flagged, and no other sample; {masked} masked"
            );
            return Status::Pass;
        }
        say!(
            "verdict      FAIL: {missed} faults were missed, {clean} samples without a fault were flagged{stopped}"
        );
        return Status::Fail;
    }
    if verdict.is_pass() {
        say!("verdict      PASS: every element is within the tolerance");
        return Status::Pass;
    }
    say!(
        "verdict      FAIL: {} of {} samples are faulty{stopped}",
        grouped(faulty),
        grouped(verdict.samples)
    );
    Status::Fail
}
