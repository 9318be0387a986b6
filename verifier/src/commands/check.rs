//! `verifier check`: load the engines, run the check, keep and say what it finds.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use console::{Progress, grouped, note, say};
use proto::bundle::PartModel;
use verifier::calibrate::file::{self, LookUp, Setting};
use verifier::check::dump::Dump;
use verifier::check::worst::WorstSamples;
use verifier::check::{self, CheckResult, Engines, Event, FaultOutcome, Request, Stop};
use verifier::compare::Tolerance;
use verifier::engine::batch_size;
use verifier::inject::Fault;
use verifier::inject::weights::with_weight_faults;
use verifier::report::check::{CalibrationRecord, Check, CheckOptions, ToleranceOrigin};
use verifier::report::{Record, Verdict, text};
use verifier::samples::outputs::OutputsFolder;

use super::prepare::{Loaded, Opened, Prepared};
use super::recorded::{recorded, refuse_inside};
use crate::cli::CheckArgs;

/// The last sample that `--inject` changes.
const LAST_INJECTED: usize = 300;

/// The model, and the model with weight faults if there are any.
struct LoadedEngines {
    fault_free: Loaded,
    corrupted: Option<Loaded>,
}

/// Where a check keeps what it meets.
struct Keepers {
    worst: WorstSamples,
    outputs: Option<OutputsFolder>,
    dump: Option<Dump>,
    /// What could not be kept, and why: the check goes on without it.
    failures: Vec<String>,
    progress: Progress,
    /// Samples that are to be run.
    asked: usize,
}

pub(crate) fn check(arguments: &CheckArgs) -> Result<Verdict> {
    let mut faults = if arguments.inject {
        Fault::python_repository_faults()
    } else {
        vec![]
    };
    faults.extend(arguments.faults.iter().cloned());
    recorded(
        &arguments.reports,
        body(arguments, faults),
        |record, stop| run(arguments, record, stop),
    )
}

fn run(
    arguments: &CheckArgs,
    record: &mut Record<Check>,
    stop: Arc<AtomicBool>,
) -> Result<Verdict> {
    let started = Instant::now();
    ensure!(
        !arguments.expect_detected || !record.body.options.faults.is_empty(),
        "--expect-detected without a fault: nothing would be proven\n\
         hint: add --inject or --fault SPEC"
    );
    let opened = Opened::new(&arguments.input, Some(record))?;
    let available = opened.recordings.samples();
    ensure!(
        !arguments.inject || available > LAST_INJECTED,
        "--inject changes samples 150 to {LAST_INJECTED} of the golden, but there are \
         {available}\n\
         hint: export at least {} samples, or choose your own with --fault",
        LAST_INJECTED + 1
    );
    let (prepared, model) = Prepared::new(opened, &arguments.target, arguments.batch_size, stop)?;
    record.body.options.batch_size = Some(prepared.batch_size);
    let calibration = apply_calibration(arguments, &prepared, record)?;
    let mut keepers = Keepers::new(arguments, &prepared, record.body.options.tolerance)?;
    let faults = record.body.options.faults.clone();
    let mut loaded = LoadedEngines::load(&prepared, model, &faults)?;
    record.body.runtime = Some(loaded.fault_free.runtime.clone());
    say_text(&text::setting(record, prepared.opened.recordings.origin));
    say_about_calibration(calibration.as_ref(), &prepared);

    let opened = &prepared.opened;
    let request = Request {
        recordings: &opened.recordings,
        samples: opened.samples.clone(),
        batch_size: prepared.batch_size,
        tolerance: record.body.options.tolerance,
        faults: &faults,
        repeat: arguments.repeat,
        fail_fast: arguments.fail_fast,
        histogram: !arguments.reports.is_empty(),
        stop: &prepared.stop,
    };
    let result = check::check(&request, &mut loaded.engines(), &mut |event| {
        keepers.take(event)
    })?;
    prepared.check_unchanged()?;
    say_text(&text::comparison(&result));
    say_text(&text::faults(&result));
    conclude(arguments, record, result, keepers)?;
    let verdict = record.verdict;
    say!("time         {:.1} s", started.elapsed().as_secs_f64());
    Ok(verdict)
}

impl LoadedEngines {
    fn load(prepared: &Prepared, model: PartModel, faults: &[Fault]) -> Result<Self> {
        let changed = with_weight_faults(model.graph, faults)?;
        let fault_free = prepared.load(&model.files, prepared.batch_size)?;
        let corrupted = match &changed {
            Some(bytes) => Some(prepared.load_changed(bytes)?),
            None => None,
        };
        Ok(Self {
            fault_free,
            corrupted,
        })
    }

    fn engines(&mut self) -> Engines<'_> {
        Engines {
            fault_free: &mut *self.fault_free.engine,
            corrupted: match &mut self.corrupted {
                Some(loaded) => Some(&mut *loaded.engine),
                None => None,
            },
        }
    }
}

impl Keepers {
    fn new(arguments: &CheckArgs, prepared: &Prepared, tolerance: Tolerance) -> Result<Self> {
        let opened = &prepared.opened;
        let mut keepers = Self {
            worst: WorstSamples::new(tolerance),
            outputs: None,
            dump: None,
            failures: vec![],
            progress: Progress::count("samples", opened.samples.len() as u64),
            asked: opened.samples.len(),
        };
        if let Some(folder) = &arguments.dump_faulty {
            refuse_inside("--dump-faulty", folder)?;
            keepers.dump = Some(Dump::new(folder, tolerance).context("--dump-faulty")?);
        }
        if let Some(folder) = &arguments.save_outputs {
            refuse_inside("--save-outputs", folder)?;
            let (goldens, samples) = (&opened.recordings.goldens, opened.samples.len());
            let outputs = OutputsFolder::create(folder, goldens, samples);
            keepers.outputs = Some(outputs.context("--save-outputs")?);
        }
        Ok(keepers)
    }

    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Done(samples) => self.progress.advance(samples as u64),
            Event::Outputs(outputs) => {
                let written = self.outputs.as_mut().map(|folder| folder.write(&outputs));
                if let Some(Err(error)) = written {
                    self.outputs = None;
                    self.failures.push(format!("--save-outputs: {error}"));
                }
            }
            Event::Faulty(faulty, tensors) => {
                self.worst.add(faulty, &tensors);
                let kept = self.dump.as_mut().map(|dump| dump.keep(faulty, &tensors));
                if let Some(Err(error)) = kept {
                    self.dump = None;
                    self.failures.push(format!("--dump-faulty: {error}"));
                }
            }
        }
    }
}

/// Says what the check came to, and puts it into the record.
fn conclude(
    arguments: &CheckArgs,
    record: &mut Record<Check>,
    result: CheckResult,
    keepers: Keepers,
) -> Result<()> {
    let Keepers {
        worst,
        outputs,
        dump,
        mut failures,
        progress,
        asked,
    } = keepers;
    progress.finish();
    record.body.worst = worst.into_samples();
    if let (Some(dump), Some(folder)) = (dump, &arguments.dump_faulty) {
        match dump.finish() {
            Ok(0) => {}
            Ok(samples) => {
                let samples = grouped(samples);
                say!(
                    "kept         {samples} faulty samples in {}",
                    folder.display()
                );
            }
            Err(error) => failures.push(format!("--dump-faulty: {error}")),
        }
    }
    let interrupted = result.stopped == Some(Stop::Interrupted);
    let samples = result.samples;
    let verdict = verdict(&result, arguments.expect_detected);
    record.verdict = verdict;
    let text = text::verdict(record, &result, asked);
    record.body.result = Some(result);
    if interrupted {
        let samples = grouped(samples);
        bail!(
            "interrupted after {samples} of {} samples: the result is partial",
            grouped(asked)
        );
    }
    say_text(&text);
    if let (Some(outputs), Some(folder)) = (outputs, &arguments.save_outputs) {
        match outputs.finish() {
            Ok(()) => say!("outputs      {}", folder.display()),
            Err(error) => failures.push(format!("--save-outputs: {error}")),
        }
    }
    for failure in failures {
        note!("error: {failure}: not all was kept; the verdict stands");
    }
    Ok(())
}

/// Pass or fail. Faults that were asked for and not reached prove nothing.
fn verdict(result: &CheckResult, expect_detected: bool) -> Verdict {
    let is_proven =
        |outcome: FaultOutcome| !matches!(outcome, FaultOutcome::Missed | FaultOutcome::NotReached);
    let passes = if expect_detected {
        let mut outcomes = result.faults.iter().map(|fault| fault.outcome);
        let all_proven = outcomes.all(is_proven);
        all_proven && result.flagged_without_fault == 0 && result.stopped.is_none()
    } else {
        result.is_pass()
    };
    if passes { Verdict::Pass } else { Verdict::Fail }
}

/// Prints lines that end with a line break.
fn say_text(text: &str) {
    if !text.is_empty() {
        say!("{}", text.trim_end_matches('\n'));
    }
}

/// Takes the tolerance of a calibration of this setting, unless the user has another wish.
fn apply_calibration(
    arguments: &CheckArgs,
    prepared: &Prepared,
    record: &mut Record<Check>,
) -> Result<Option<(PathBuf, LookUp)>> {
    let calibration = find_calibration(arguments, prepared)?;
    if let Some((path, LookUp::Same(entry))) = &calibration {
        let options = &mut record.body.options;
        options.tolerance = entry.tolerance;
        options.tolerance_origin = ToleranceOrigin::Calibration;
        options.calibration = Some(CalibrationRecord::new(path, entry));
    }
    Ok(calibration)
}

/// What there is of calibrations, and in which file.
fn find_calibration(
    arguments: &CheckArgs,
    prepared: &Prepared,
) -> Result<Option<(PathBuf, LookUp)>> {
    if let Some(path) = arguments.calibration.as_ref().filter(|path| !path.exists()) {
        bail!("--calibration {}: no such file", path.display());
    }
    if arguments.no_calibration || arguments.has_tolerance() {
        return Ok(None);
    }
    let path = match &arguments.calibration {
        Some(path) => Some(path.clone()),
        None => file::beside(&arguments.input.bundle),
    };
    let Some(path) = path else {
        return Ok(None);
    };
    let setting = Setting::new(
        prepared.opened.model_blake3(),
        &arguments.input.part,
        prepared.library.info(),
        &prepared.options,
        prepared.batch_size,
    );
    let found = file::look_up(&path, &setting)?;
    // One that is there by chance may be of another setting; one that was asked for may not.
    match (&found, arguments.calibration.is_some()) {
        (LookUp::Others(differences), true) => bail!(
            "--calibration {}: none is of this setting; the nearest is for {}\n\
             hint: `verifier calibrate` with the same flags, or --no-calibration",
            path.display(),
            differences.join(", ")
        ),
        (LookUp::Nothing, true) => {
            bail!("--calibration {}: holds no calibration", path.display())
        }
        _ => Ok(Some((path, found))),
    }
}

fn say_about_calibration(calibration: Option<&(PathBuf, LookUp)>, prepared: &Prepared) {
    let Opened {
        bundle, samples, ..
    } = &prepared.opened;
    match calibration {
        Some((path, LookUp::Others(differences))) => {
            let differences = differences.join(", ");
            say!(
                "             not that of {}, which is for {differences}",
                path.display()
            );
        }
        Some((_, LookUp::Same(entry))) => {
            let [first, end] = entry.samples;
            let is_of_bundle = entry.bundle_blake3 == bundle.blake3();
            if !is_of_bundle || first > samples.start || end < samples.end {
                let of = if is_of_bundle { "this" } else { "another" };
                say!(
                    "             it was found on {} samples of {of} bundle, others than the {} \
                     checked here: one that it did not see may need more",
                    grouped(end - first),
                    grouped(samples.len())
                );
            }
        }
        _ => {}
    }
}

fn body(arguments: &CheckArgs, faults: Vec<Fault>) -> Check {
    let default = Tolerance::DEFAULT;
    Check {
        options: CheckOptions {
            bundle: arguments.input.bundle.clone(),
            part: arguments.input.part.clone(),
            target: arguments.target.record(),
            tolerance: Tolerance {
                atol: arguments.atol.unwrap_or(default.atol),
                rtol: arguments.rtol.unwrap_or(default.rtol),
            },
            tolerance_origin: if arguments.has_tolerance() {
                ToleranceOrigin::Flags
            } else {
                ToleranceOrigin::Default
            },
            calibration: None,
            batch_size: arguments.batch_size,
            batch_size_origin: if arguments.batch_size.is_some() {
                batch_size::Origin::Given
            } else {
                batch_size::Origin::Chosen
            },
            repeat: arguments.repeat,
            samples: arguments.input.samples(),
            faults,
            expect_detected: arguments.expect_detected,
        },
        runtime: None,
        result: None,
        worst: vec![],
    }
}
