//! `verifier compare`: every runtime on every device, one child process after the other.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use console::{Progress, grouped, say};
use proto::npy::Npy;
use proto::staging::{self, ScratchFolder};
use verifier::compare::{Tolerance, difference_of_outputs};
use verifier::engine::Device;
use verifier::engine::onnxruntime::Optimization;
use verifier::engine::onnxruntime::locate::locate;
use verifier::matrix::child::{self, Child, Ended};
use verifier::matrix::{Configuration, Outcome, Ran, pairs};
use verifier::report::check::Check;
use verifier::report::matrix::{Matrix, MatrixOptions};
use verifier::report::{Record, Verdict};
use verifier::samples::Recording;
use verifier::samples::outputs::file_name;

use super::prepare::Opened;
use super::recorded::{recorded, refuse_inside};
use crate::cli::CompareArgs;

/// What one run is to be.
#[derive(PartialEq)]
struct Run {
    runtime: PathBuf,
    device: Device,
    optimization: Optimization,
}

/// What a run left: its row, and its outputs if it came to its end.
struct Finished {
    configuration: Configuration,
    outputs: Option<Vec<Recording>>,
}

pub(crate) fn compare(arguments: &CompareArgs) -> Result<Verdict> {
    recorded(&arguments.reports, body(arguments), |record, stop| {
        run(arguments, record, stop)
    })
}

fn run(
    arguments: &CompareArgs,
    record: &mut Record<Matrix>,
    stop: Arc<AtomicBool>,
) -> Result<Verdict> {
    let started = Instant::now();
    let opened = Opened::new(&arguments.input, Some(record))?;
    let runs = runs(arguments)?;
    if let Some(folder) = &arguments.scratch {
        refuse_inside("--scratch", &folder.join("outputs"))?;
    }
    let scratch = ScratchFolder::create(arguments.scratch.as_deref())
        .context("no folder for the outputs: --scratch DIR names one that can be written to")?;
    ensure_room(scratch.path(), &opened, runs.len())?;

    let manifest = opened.bundle.manifest();
    let (root, preset) = (opened.bundle.root().display(), &manifest.model.preset);
    say!("bundle       {root} ({preset}, {})", manifest.module);
    let samples = grouped(opened.samples.len());
    say!(
        "compared     {} of {samples} samples, {} runs",
        arguments.input.part,
        runs.len()
    );
    say!("arithmetic   {}", record.body.options.arithmetic());
    let progress = Progress::count("runs", runs.len() as u64);
    let mut outputs: Vec<Option<Vec<Recording>>> = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        progress.set_message(format!("{}, {}", run.device, run.runtime.display()));
        let folder = scratch.path().join(index.to_string());
        let finished = run_one(arguments, run, index + 1, &folder, &opened, &stop)?;
        let Some(finished) = finished else {
            bail!("interrupted after {index} of {} runs", runs.len());
        };
        record.body.configurations.push(finished.configuration);
        outputs.push(finished.outputs);
        progress.advance(1);
    }
    progress.finish();
    record.body.pairs = pairs(&outputs)?;
    opened.bundle.check_unchanged()?;
    say!("\n{}", record.body.tables());
    let verdict = conclude(&record.body.configurations);
    say!("time         {:.1} s", started.elapsed().as_secs_f64());
    Ok(verdict)
}

/// Every runtime on every device, then the pairs, each at every level and each once.
fn runs(arguments: &CompareArgs) -> Result<Vec<Run>> {
    let runtimes = match arguments.runtimes.as_slice() {
        [] if arguments.devices.is_empty() => vec![],
        [] => vec![locate(None)?],
        given => all_located(given.iter())?,
    };
    let mut targets: Vec<(PathBuf, Device)> = Vec::new();
    for runtime in runtimes {
        let devices = arguments.devices.iter();
        targets.extend(devices.map(|device| (runtime.clone(), device.clone())));
    }
    let libraries = all_located(arguments.runs.iter().map(|(library, _)| library))?;
    let devices = arguments.runs.iter().map(|(_, device)| device.clone());
    targets.extend(libraries.into_iter().zip(devices));
    let mut runs = Vec::new();
    for (runtime, device) in targets {
        for &optimization in &arguments.optimizations {
            let run = Run {
                runtime: runtime.clone(),
                device: device.clone(),
                optimization,
            };
            let is_repeated = runs.contains(&run);
            ensure!(
                !is_repeated,
                "{} on {device} is there twice",
                runtime.display()
            );
            runs.push(run);
        }
    }
    Ok(runs)
}

fn all_located<'a>(libraries: impl Iterator<Item = &'a PathBuf>) -> Result<Vec<PathBuf>> {
    let located = libraries.map(|path| locate(Some(path)));
    Ok(located.collect::<Result<_, _>>()?)
}

fn ensure_room(folder: &Path, opened: &Opened, runs: usize) -> Result<()> {
    let goldens = opened.recordings.goldens.iter();
    let sample_bytes: usize = goldens.map(|golden| 4 * golden.sample_elements()).sum();
    let needed = (runs * opened.samples.len() * sample_bytes) as u64;
    if let Some(free) = staging::free_bytes(folder).filter(|&free| free < needed) {
        bail!(
            "{}: the outputs of {runs} runs need {:.1} MB, {:.1} MB are free\n\
             hint: --range for fewer samples, or --scratch DIR on another file system",
            folder.display(),
            needed as f64 / 1e6,
            free as f64 / 1e6
        );
    }
    Ok(())
}

/// Runs one configuration to its end; `None` if the user stopped it.
fn run_one(
    arguments: &CompareArgs,
    run: &Run,
    number: usize,
    folder: &Path,
    opened: &Opened,
    stop: &AtomicBool,
) -> Result<Option<Finished>> {
    let json = folder.with_extension("json");
    let mut command = check_command(arguments, run, &opened.bundle.blake3(), folder, &json)?;
    // What a child that is killed leaves lies where this process removes it; ONNX Runtime gives the
    // name of a profile there as text.
    let scratch = folder.parent().filter(|folder| folder.to_str().is_some());
    if let Some(scratch) = scratch {
        command.env("TMPDIR", scratch);
    }
    let limit = Duration::from_secs_f64(arguments.timeout);
    let child = child::run(&mut command, limit, stop)?;
    if child.ended == Ended::Stopped {
        return Ok(None);
    }
    let record = Record::<Check>::read(&json).ok();
    let (outcome, outputs) = match result(&child, record.as_ref(), folder, opened) {
        Some(Ok((ran, outputs))) => (Outcome::Ran(Box::new(ran)), Some(outputs)),
        Some(Err(error)) => (failed(format!("{error:#}")), None),
        None => {
            let reason = failure(&child, record.as_ref(), arguments.timeout);
            (failed(reason), None)
        }
    };
    let runtime = record.and_then(|record| record.body.runtime);
    let configuration = Configuration {
        number,
        runtime: run.runtime.clone(),
        device: run.device.clone(),
        optimization: run.optimization,
        version: runtime
            .as_ref()
            .map(|runtime| runtime.library.version.clone()),
        sha256: runtime.map(|runtime| runtime.library.sha256),
        outcome,
        seconds: child.seconds,
    };
    Ok(Some(Finished {
        configuration,
        outputs,
    }))
}

/// This program's own `check`.
fn check_command(
    arguments: &CompareArgs,
    run: &Run,
    bundle: &str,
    outputs: &Path,
    report: &Path,
) -> Result<Command> {
    let program = std::env::current_exe().context("this program's own file")?;
    let Tolerance { atol, rtol } = tolerance(arguments);
    let mut command = Command::new(program);
    command.arg("check").arg(&arguments.input.bundle);
    command.args(["--part", &arguments.input.part]);
    command.args(["--expect-bundle", bundle]);
    command.arg("--runtime").arg(&run.runtime);
    command.args(["--device", &run.device.to_string()]);
    command.args(["--optimization", run.optimization.name()]);
    command
        .arg(format!("--atol={atol}"))
        .arg(format!("--rtol={rtol}"));
    command
        .arg("--save-outputs")
        .arg(outputs)
        .arg("--report")
        .arg(report);
    if arguments.allow_reduced_precision {
        command.arg("--allow-reduced-precision");
    }
    if let Some(batch_size) = arguments.batch_size {
        command.args(["--batch-size", &batch_size.to_string()]);
    }
    if let Some([start, end]) = arguments.input.range.as_deref() {
        command.args(["--range", &start.to_string(), &end.to_string()]);
    }
    if let Some(threads) = arguments.threads {
        command.args(["--threads", &threads.to_string()]);
    }
    Ok(command)
}

/// What a child that came to its end found, with its outputs; `None` for one that did not.
fn result(
    child: &Child,
    record: Option<&Record<Check>>,
    folder: &Path,
    opened: &Opened,
) -> Option<Result<(Ran, Vec<Recording>)>> {
    let record = record?;
    // Its record says how it ended: a library may end a process with any status.
    let ended = Ended::Status(i32::from(record.exit_status));
    if record.verdict == Verdict::Error || child.ended != ended {
        return None;
    }
    let (runtime, result) = (record.body.runtime.as_ref()?, record.body.result.as_ref()?);
    let outputs = match read_outputs(folder, opened) {
        Ok(outputs) => outputs,
        Err(error) => return Some(Err(error)),
    };
    let goldens = opened.recordings.goldens.iter();
    let goldens: Vec<Recording> = goldens
        .map(|golden| golden.restricted(opened.samples.clone()))
        .collect();
    let golden = difference_of_outputs(&outputs, &goldens).map_err(Into::into);
    Some(golden.map(|golden| {
        let ran = Ran {
            within_tolerance: record.verdict == Verdict::Pass,
            nodes: runtime.nodes.clone(),
            faulty_samples: result.faulty_samples,
            outside_elements: result.total.outside(),
            golden,
            running_seconds: result.seconds.running,
        };
        (ran, outputs)
    }))
}

fn read_outputs(folder: &Path, opened: &Opened) -> Result<Vec<Recording>> {
    let mut outputs = Vec::new();
    for golden in &opened.recordings.goldens {
        let npy = Npy::open(&folder.join(file_name(golden.name())))?;
        let output = Recording::in_file(golden.name(), npy);
        let expected = [&[opened.samples.len()], golden.sample_shape()].concat();
        ensure!(
            output.shape() == expected,
            "saved output `{}` has shape {:?}, expected {expected:?}",
            output.name(),
            output.shape()
        );
        outputs.push(output);
    }
    Ok(outputs)
}

fn failed(reason: String) -> Outcome {
    Outcome::Failed { reason }
}

/// Why a child has no result.
fn failure(child: &Child, record: Option<&Record<Check>>, timeout: f64) -> String {
    let said = if child.stderr.is_empty() {
        String::new()
    } else {
        format!(": {}", child.stderr)
    };
    let reason = record.and_then(|record| record.error.clone());
    match (&child.ended, reason) {
        (Ended::Status(2), Some(reason)) => reason,
        (Ended::Status(status), _) => format!("ended with exit status {status}{said}"),
        (Ended::Signal(signal), _) => format!("crashed: ended by {signal}{said}"),
        (Ended::TimedOut | Ended::Stopped, _) => {
            format!("killed after the time limit of {timeout} s{said}")
        }
    }
}

fn conclude(configurations: &[Configuration]) -> Verdict {
    let all = configurations.len();
    let (mut failed, mut outside) = (0, 0);
    for configuration in configurations {
        match &configuration.outcome {
            Outcome::Failed { .. } => failed += 1,
            Outcome::Ran(ran) => outside += usize::from(!ran.within_tolerance),
        }
    }
    if failed > 0 {
        say!("verdict      NO RESULT: {failed} of {all} runs did not come to an end");
        return Verdict::Error;
    }
    if outside > 0 {
        say!("verdict      FAIL: {outside} of {all} runs have elements outside the tolerance");
        return Verdict::Fail;
    }
    say!("verdict      PASS: all {all} runs are within the tolerance");
    Verdict::Pass
}

fn tolerance(arguments: &CompareArgs) -> Tolerance {
    let default = Tolerance::DEFAULT;
    Tolerance {
        atol: arguments.atol.unwrap_or(default.atol),
        rtol: arguments.rtol.unwrap_or(default.rtol),
    }
}

fn body(arguments: &CompareArgs) -> Matrix {
    Matrix {
        options: MatrixOptions {
            bundle: arguments.input.bundle.clone(),
            part: arguments.input.part.clone(),
            tolerance: tolerance(arguments),
            batch_size: arguments.batch_size,
            samples: arguments.input.samples(),
            threads: arguments.threads,
            allow_reduced_precision: arguments.allow_reduced_precision,
            timeout_seconds: arguments.timeout,
        },
        configurations: vec![],
        pairs: vec![],
    }
}
