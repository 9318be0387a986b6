//! `verifier bench`: each batch size on a session of its own, timed and compared; another engine's
//! process is `bench_engine`'s.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use console::{Progress, grouped, say};
use verifier::bench::{self, BenchError, Request, Timing};
use verifier::check::{self, Event};
use verifier::compare::Tolerance;
use verifier::report::bench::{Bench, BenchOptions};
use verifier::report::{Record, Verdict, text};

use super::bench_engine;
use super::command_engine::Launch;
use super::model::Model;
use super::opened::Opened;
use super::prepare::{Loaded, Prepared};
use super::recorded::recorded;
use crate::cli::{BenchArgs, inputs};

/// Timed unless the user names others: one sample, a few, and many.
const BATCH_SIZES: [usize; 3] = [1, 8, 64];
/// Runs before those that are timed, and timed ones, unless the user names others.
const WARMUP: usize = 3;
const RUNS: usize = 100;

pub(crate) fn bench(arguments: &BenchArgs) -> Result<Verdict> {
    recorded(
        &arguments.reports,
        &inputs(&arguments.target, None, &arguments.engine),
        body(arguments),
        |record, stop| run(arguments, record, stop),
    )
}

fn run(
    arguments: &BenchArgs,
    record: &mut Record<Bench>,
    stop: Arc<AtomicBool>,
) -> Result<Verdict> {
    let started = Instant::now();
    let opened = Opened::new(&arguments.input, Some(record))?;
    let available = opened.samples.len();
    check_batch_sizes(&arguments.batch_sizes, available)?;
    if let Some(spec) = arguments.engine.spec()? {
        let flags = (&arguments.engine, &arguments.target);
        let launch = Launch::new(opened, spec, flags, &stop)?;
        let batch_sizes = batch_sizes(arguments, available, &launch.model)?;
        record.body.options.batch_sizes = batch_sizes;
        bench_engine::run(&launch, record, &stop)?;
        return Ok(conclude(record, started));
    }
    let opened = opened.verified(&stop)?;
    let prepared = Prepared::new(opened, &arguments.target, None, stop)?;
    let batch_sizes = batch_sizes(arguments, available, &prepared.model)?;
    record.body.options.batch_sizes.clone_from(&batch_sizes);
    time_all(arguments, &prepared, &batch_sizes, record)?;
    prepared.check_unchanged()?;
    Ok(conclude(record, started))
}

/// Times one batch size after the other on the runtime.
fn time_all(
    arguments: &BenchArgs,
    prepared: &Prepared,
    batch_sizes: &[usize],
    record: &mut Record<Bench>,
) -> Result<()> {
    let runs = record.body.options.warmup + record.body.options.runs;
    let all: usize = batch_sizes.iter().map(|batch_size| batch_size * runs).sum();
    let progress = Progress::count("samples", all as u64);
    let mut done = 0;
    for (index, &batch_size) in batch_sizes.iter().enumerate() {
        progress.set_message(format!("batch size {batch_size}"));
        match time(arguments, prepared, batch_size, record, &progress) {
            Ok(timing) => record.body.timings.push(timing),
            Err(error) if matches!(error.downcast_ref(), Some(BenchError::Interrupted)) => {
                progress.finish();
                say!("\n{}", record.body.table());
                let all = batch_sizes.len();
                bail!("interrupted after {index} of {all} batch sizes: the result is partial");
            }
            Err(error) => return Err(error),
        }
        done += batch_size * runs;
        progress.set_position(done as u64);
    }
    progress.finish();
    Ok(())
}

/// Times one batch size with a session of its own.
fn time(
    arguments: &BenchArgs,
    prepared: &Prepared,
    batch_size: usize,
    record: &mut Record<Bench>,
    progress: &Progress,
) -> Result<Timing> {
    let Loaded {
        mut engine,
        runtime,
    } = prepared.load(batch_size)?;
    let load_seconds = runtime.load_seconds;
    if record.body.runtime.is_none() {
        let library = &runtime.library;
        let (device, nodes) = (&prepared.options.device, text::nodes(&runtime.nodes));
        let path = library.path.display();
        say!("bundle       {}", prepared.opened.bundle.root().display());
        say!("runtime      ONNX Runtime {} ({path})", library.version);
        say!("device       {device} ({nodes}), {}", runtime.precision);
        for (name, value) in runtime.model_rows() {
            say!("{name:<13}{value}");
        }
        record.body.runtime = Some(runtime);
    }
    let request = Request {
        check: check::Request {
            recordings: &prepared.opened.recordings,
            samples: prepared.opened.samples.clone(),
            batch_size,
            tolerance: record.body.options.tolerance,
            faults: &[],
            repeat: 1,
            fail_fast: false,
            histogram: false,
            verdict_only: false,
            stop: &prepared.stop,
        },
        warmup: record.body.options.warmup,
        runs: record.body.options.runs,
        limit: Duration::from_secs_f64(arguments.seconds),
    };
    let timing = bench::bench(&request, &mut *engine, load_seconds, &mut |event| {
        if let Event::Done(samples) = event {
            progress.advance(samples as u64);
        }
    })?;
    Ok(timing)
}

fn conclude(record: &Record<Bench>, started: Instant) -> Verdict {
    say!("\n{}", record.body.table());
    say!("{}\n", record.body.legend());
    let (compared, faulty) = record.body.compared();
    let verdict = if faulty == 0 {
        say!("verdict      PASS: all that was timed is within the tolerance");
        Verdict::Pass
    } else {
        let (faulty, compared) = (grouped(faulty), grouped(compared));
        say!("verdict      FAIL: {faulty} of {compared} samples timed are faulty");
        Verdict::Fail
    };
    say!("time         {:.1} s", started.elapsed().as_secs_f64());
    verdict
}

/// Refuses what is larger than the samples there are, and what is there twice.
fn check_batch_sizes(asked: &[usize], available: usize) -> Result<()> {
    for (index, &batch_size) in asked.iter().enumerate() {
        ensure!(
            batch_size <= available,
            BenchError::BatchSize {
                batch_size,
                available
            }
        );
        let is_repeated = asked[..index].contains(&batch_size);
        ensure!(!is_repeated, "--batch-size {batch_size} is there twice");
    }
    Ok(())
}

/// Those asked for, which may not be others than the model's own, or else that one.
fn batch_sizes(arguments: &BenchArgs, available: usize, model: &Model) -> Result<Vec<usize>> {
    if let Some(fixed) = model.fixed_batch() {
        for &asked in &arguments.batch_sizes {
            model.batch_size(Some(asked), &arguments.target.device)?;
        }
        check_batch_sizes(&[fixed], available)?;
        return Ok(vec![fixed]);
    }
    let mut batch_sizes = arguments.batch_sizes.clone();
    if batch_sizes.is_empty() {
        batch_sizes.extend(BATCH_SIZES.into_iter().filter(|&size| size <= available));
    }
    Ok(batch_sizes)
}

fn body(arguments: &BenchArgs) -> Bench {
    let default = Tolerance::DEFAULT;
    let (warmup, runs) = match &arguments.engine.engine {
        None => (WARMUP, RUNS),
        Some(_) => (bench_engine::WARMUP, bench_engine::RUNS),
    };
    Bench {
        options: BenchOptions {
            bundle: arguments.input.bundle.clone(),
            part: arguments.input.part.clone(),
            target: match &arguments.engine.engine {
                None => Some(arguments.target.record()),
                Some(_) => None,
            },
            engine: arguments.engine.engine.clone(),
            tolerance: Tolerance {
                atol: arguments.atol.unwrap_or(default.atol),
                rtol: arguments.rtol.unwrap_or(default.rtol),
            },
            batch_sizes: arguments.batch_sizes.clone(),
            warmup: arguments.warmup.unwrap_or(warmup),
            runs: arguments.runs.unwrap_or(runs),
            limit_seconds: arguments.seconds,
            samples: arguments.input.samples(),
        },
        runtime: None,
        engine: None,
        timings: vec![],
        processes: vec![],
    }
}
