//! One run of the matrix: this program's own `check`, as a child.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use proto::npy::Npy;
use verifier::compare::{Tolerance, difference_of_outputs};
use verifier::engine::child::{self, Child, Ended};
use verifier::engine::command::{EngineSays, EngineSpec};
use verifier::matrix::{Computer, Configuration, Outcome, Ran};
use verifier::report::check::Check;
use verifier::report::{Record, Verdict};
use verifier::samples::Recording;
use verifier::samples::outputs::file_name;

use super::super::opened::Opened;
use super::runs::{Asked, Run};
use crate::cli::CompareArgs;

/// An engine runs on all samples, and twice for its controls; the child that sees to it has some
/// time more.
const ENGINE_RUNS: f64 = 3.0;
const MORE_SECONDS: f64 = 120.0;

/// What a run left: its row, and its outputs if it came to its end.
pub(super) struct Finished {
    pub(super) configuration: Configuration,
    pub(super) outputs: Option<Vec<Recording>>,
}

/// Runs one configuration to its end; `None` if the user stopped it.
pub(super) fn run_one(
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
    let limit = match run.engine {
        Asked::Command { .. } => ENGINE_RUNS * arguments.timeout + MORE_SECONDS,
        Asked::OnnxRuntime { .. } | Asked::Outputs { .. } => arguments.timeout,
    };
    let child = child::run(&mut command, Duration::from_secs_f64(limit), stop)?;
    if child.ended == Ended::Stopped {
        return Ok(None);
    }
    let record = Record::<Check>::read(&json).ok();
    let (outcome, outputs) = match result(&child, record.as_ref(), folder, opened) {
        Some(Ok((ran, outputs))) => (Outcome::Ran(Box::new(ran)), Some(outputs)),
        Some(Err(error)) => (failed(format!("{error:#}")), None),
        None => (without_result(&child, record.as_ref(), limit), None),
    };
    let configuration = Configuration {
        number,
        engine: computer(&run.engine, record.as_ref(), &opened.part_name),
        batch_size: run.batch_size,
        threads: run.threads,
        outcome,
        seconds: child.seconds,
    };
    Ok(Some(Finished {
        configuration,
        outputs,
    }))
}

/// What ran, with what it said of itself.
fn computer(asked: &Asked, record: Option<&Record<Check>>, part: &str) -> Computer {
    match asked.clone() {
        Asked::OnnxRuntime {
            runtime,
            device,
            optimization,
        } => {
            let loaded = record.and_then(|record| record.body.runtime.as_ref());
            Computer::OnnxRuntime {
                runtime,
                device,
                optimization,
                version: loaded.map(|loaded| loaded.library.version.clone()),
                sha256: loaded.map(|loaded| loaded.library.sha256.clone()),
            }
        }
        Asked::Command {
            engine: EngineSpec { name, expect, .. },
            ..
        } => {
            let engine = record.and_then(|record| record.body.engine.as_ref());
            Computer::Command {
                name,
                says: engine.map_or_else(EngineSays::default, |engine| engine.says.clone()),
                expected: expect.of(part),
            }
        }
        Asked::Outputs { name, path } => Computer::Outputs {
            name,
            path,
            found: record.and_then(|record| record.body.outputs.clone()),
        },
    }
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
    let Tolerance { atol, rtol } = arguments.tolerance();
    let mut command = Command::new(program);
    command.arg("check").arg(&arguments.input.bundle);
    command.args(["--part", &arguments.input.part]);
    command.args(["--expect-bundle", bundle]);
    command.arg(format!("--atol={atol}"));
    command.arg(format!("--rtol={rtol}"));
    command.arg("--save-outputs").arg(outputs);
    command.arg("--report").arg(report);
    command.arg(match arguments.no_tail {
        true => "--no-tail",
        false => "--classify-all",
    });
    if arguments.input.test_data {
        command.arg("--test-data");
    }
    if let Some([start, end]) = arguments.input.range.as_deref() {
        command.args(["--range", &start.to_string(), &end.to_string()]);
    }
    if let Some(batch_size) = run.batch_size {
        command.args(["--batch-size", &batch_size.to_string()]);
    }
    if let Some(threads) = run.threads {
        command.args(["--threads", &threads.to_string()]);
    }
    add_engine(&mut command, &run.engine, arguments);
    Ok(command)
}

fn add_engine(command: &mut Command, engine: &Asked, arguments: &CompareArgs) {
    match engine {
        Asked::OnnxRuntime {
            runtime,
            device,
            optimization,
        } => {
            command.arg("--runtime").arg(runtime);
            command.args(["--device", &device.to_string()]);
            command.args(["--optimization", optimization.name()]);
            if arguments.allow_reduced_precision {
                command.arg("--allow-reduced-precision");
            }
        }
        Asked::Command { argument, .. } => {
            command.arg("--engine").arg(argument);
            let file = arguments.engines_file.as_ref();
            if let Some(file) = file.filter(|_| !argument.contains('=')) {
                command.arg("--engines").arg(file);
            }
            command.args(["--engine-timeout", &arguments.timeout.to_string()]);
        }
        Asked::Outputs { name, path } => {
            command.arg("--outputs").arg(path);
            command.args(["--engine-name", name]);
        }
    }
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
    record.body.result.as_ref()?;
    Some(ran(record, folder, opened))
}

fn ran(record: &Record<Check>, folder: &Path, opened: &Opened) -> Result<(Ran, Vec<Recording>)> {
    let Check {
        runtime,
        engine,
        result,
        ..
    } = &record.body;
    let result = result.as_ref().context("a result")?;
    let outputs = read_outputs(folder, opened)?;
    let goldens = opened.recordings.goldens.iter();
    let goldens: Vec<Recording> = goldens
        .map(|golden| golden.restricted(opened.samples.clone()))
        .collect();
    let mut golden = difference_of_outputs(&outputs, &goldens)?;
    let found = record.body.outputs.as_ref();
    if found.is_some_and(|found| found.decimal_text) {
        golden.without_bits();
    }
    let ran = Ran {
        within_tolerance: record.verdict == Verdict::Pass,
        nodes: runtime
            .as_ref()
            .map(|runtime| runtime.nodes.clone())
            .unwrap_or_default(),
        faulty_samples: result.faulty_samples,
        outside_elements: result.total.outside(),
        golden,
        top1: result.top1,
        running_seconds: match (runtime, engine) {
            (Some(_), _) => Some(result.seconds.running),
            (None, Some(engine)) => engine.says.run_seconds,
            (None, None) => None,
        },
    };
    Ok((ran, outputs))
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
fn without_result(child: &Child, record: Option<&Record<Check>>, limit: f64) -> Outcome {
    let said = if child.said().is_empty() {
        String::new()
    } else {
        format!(": {}", child.said())
    };
    if let Some(reason) = record.and_then(|record| record.body.cannot_run.clone()) {
        return Outcome::Cannot { reason };
    }
    let reason = record.and_then(|record| record.error.clone());
    failed(match (&child.ended, reason) {
        (Ended::Status(2), Some(reason)) => reason,
        (Ended::Status(status), _) => format!("ended with exit status {status}{said}"),
        (Ended::Signal(signal), _) => format!("crashed: ended by {signal}{said}"),
        (Ended::TimedOut | Ended::Stopped, _) => {
            format!("killed after the time limit of {limit} s{said}")
        }
    })
}
