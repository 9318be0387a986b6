//! `verifier check`: load the engines, run the check, keep and say what it finds.

mod calibrated;
mod classes;
mod keepers;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use console::{grouped, note, say};
use verifier::calibrate::device_golden::DeviceGolden;
use verifier::calibrate::file;
use verifier::check::{self, CheckResult, DeviceGoldenResult, Event, FaultOutcome, Request, Stop};
use verifier::compare::Tolerance;
use verifier::engine::batch_size;
use verifier::engine::command::CommandError;
use verifier::engine::recorded::OutputsRecord;
use verifier::inject::Fault;
use verifier::report::check::{Check, CheckOptions, ToleranceOrigin};
use verifier::report::{Record, Verdict, injected, text};
use verifier::samples::Recording;

use self::calibrated::{apply_calibration, say_about_calibration};
use self::classes::Classes;
use self::keepers::Keepers;
use super::command_engine::EngineError;
use super::opened::Opened;
use super::recorded::recorded;
use super::source::{Asked, Source};
use crate::cli::CheckArgs;

/// The last sample that `--inject` changes.
const LAST_INJECTED: usize = 300;

pub(crate) fn check(arguments: &CheckArgs) -> Result<Verdict> {
    let mut faults = if arguments.inject {
        Fault::python_repository_faults()
    } else {
        vec![]
    };
    faults.extend(arguments.faults.iter().cloned());
    let calibration = file::beside(&arguments.input.bundle);
    let mut inputs = arguments.inputs();
    inputs.push(calibration.as_deref());
    recorded(
        &arguments.reports,
        &inputs,
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
    let opened = Opened::new(&arguments.input, Some(record))?;
    check_possible(arguments, &opened)?;
    let asked = Asked {
        target: &arguments.target,
        outputs: &arguments.outputs,
        engine: &arguments.engine,
        batch_size: arguments.batch_size,
    };
    let source = Source::open(opened, &asked, &record.body.options.faults, stop.clone());
    if let Err(error) = &source
        && let Some(CommandError::CannotRun { reason }) =
            error.downcast_ref().map(|error: &EngineError| &error.error)
    {
        record.body.cannot_run = Some(reason.clone());
    }
    let mut source = source?;
    record.body.engine = source.command().cloned();
    record.body.runtime = source.runtime().cloned();
    record.body.from_pixels = source.computed_input().cloned();
    record.body.outputs = source.outputs();
    if let Some(batch_size) = source.run_size() {
        record.body.options.batch_size = Some(batch_size);
    }
    let calibration = apply_calibration(arguments, &source, record)?;
    let mut keepers = Keepers::new(arguments, source.opened(), record.body.options.tolerance)?;
    let faults = record.body.options.faults.clone();
    let opened = source.opened();
    say_text(&text::setting(record, opened.recordings.origin));
    say_about_calibration(calibration.as_ref(), opened);

    let device_golden = device_golden(arguments, &source)?;
    let mut device = device_golden
        .as_ref()
        .map(|_| DeviceGoldenResult::default());
    let batch_size = source.batch_size();
    let (opened, library, mut engines) = source.split();
    let mut classes = Classes::new(arguments, opened);
    let request = Request {
        recordings: &opened.recordings,
        samples: opened.samples.clone(),
        batch_size,
        tolerance: record.body.options.tolerance,
        faults: &faults,
        repeat: arguments.repeat,
        fail_fast: arguments.fail_fast,
        histogram: !arguments.reports.is_empty(),
        verdict_only: false,
        stop: &stop,
    };
    let mut result = check::check(&request, &mut engines, &mut |event| {
        if let (Event::Outputs(samples, outputs), Some(device), Some(goldens)) =
            (&event, &mut device, &device_golden)
        {
            let taken = device.take(samples, outputs, goldens);
            taken.expect("the golden of the device is in memory");
        }
        classes.take(&event, library);
        keepers.take(event);
    })?;
    classes.finish(&mut result);
    result.device_golden = device;
    if arguments.target.model.is_none() {
        result.name_weights(&opened.parameters());
    }
    source.finish()?;
    record.body.outputs = source.outputs();
    let is_decimal = |outputs: &OutputsRecord| outputs.decimal_text;
    if record.body.outputs.as_ref().is_some_and(is_decimal) {
        result.without_bits();
    }
    say_text(&text::comparison(&result));
    say_text(&injected::text(&result));
    conclude(arguments, record, result, keepers)?;
    let verdict = record.verdict;
    say!("time         {:.1} s", started.elapsed().as_secs_f64());
    Ok(verdict)
}

/// What this device gave without a fault, in memory, if it is to be compared with.
fn device_golden(arguments: &CheckArgs, source: &Source) -> Result<Option<Vec<Recording>>> {
    let Some(folder) = &arguments.golden else {
        return Ok(None);
    };
    let setting = source.setting().context("--golden is of a device")?;
    let Opened {
        recordings,
        samples,
        ..
    } = source.opened();
    let read = DeviceGolden::read(folder, &setting, &recordings.goldens, samples);
    read.map(Some).context("--golden")
}

/// Refuses what proves nothing, and what cannot be.
fn check_possible(arguments: &CheckArgs, opened: &Opened) -> Result<()> {
    let has_fault = arguments.inject || !arguments.faults.is_empty();
    ensure!(
        !arguments.expect_detected || has_fault,
        "--expect-detected without a fault: nothing would be proven\n\
         hint: add --inject or --fault SPEC"
    );
    let available = opened.recordings.samples();
    ensure!(
        !arguments.inject || available > LAST_INJECTED,
        "--inject changes samples 150 to {LAST_INJECTED} of the golden, but there are \
         {available}\n\
         hint: export at least {} samples, or choose your own with --fault",
        LAST_INJECTED + 1
    );
    ensure!(
        arguments.repeat == 1
            || !(arguments.outputs.outputs.is_some() || arguments.engine.engine.is_some()),
        "--repeat {}: outputs from files, and those of another engine, are there once",
        arguments.repeat
    );
    Ok(())
}

/// Says what the check came to, and puts it into the record.
fn conclude(
    arguments: &CheckArgs,
    record: &mut Record<Check>,
    result: CheckResult,
    keepers: Keepers,
) -> Result<()> {
    let Keepers {
        mut worst,
        images,
        outputs,
        dump,
        mut failures,
        progress,
        asked,
    } = keepers;
    progress.finish();
    if let Some(images) = &images {
        worst.add_images(images)?;
    }
    record.body.worst = worst.into_samples();
    for worst in &mut record.body.worst {
        worst.output.class = result.class_of(&worst.output);
    }
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

fn body(arguments: &CheckArgs, faults: Vec<Fault>) -> Check {
    let default = Tolerance::DEFAULT;
    let outputs = arguments.outputs.record();
    Check {
        options: CheckOptions {
            bundle: arguments.input.bundle.clone(),
            part: arguments.input.part.clone(),
            // Files have no device, and another engine's is its own.
            target: match (&outputs, &arguments.engine.engine) {
                (None, None) => Some(arguments.target.record()),
                _ => None,
            },
            engine: arguments.engine.engine.clone(),
            outputs,
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
        from_pixels: None,
        cannot_run: None,
        engine: None,
        outputs: None,
        result: None,
        worst: vec![],
    }
}
