//! `verifier bench`.

use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use proto::bundle::Bundle;
use verifier::bench::report::{BENCH_VERSION, BenchReport, LEGEND, OptionsReport};
use verifier::bench::{self, BenchError, Request};
use verifier::check;
use verifier::compare::Tolerance;
use verifier::locate::locate;
use verifier::model::Model;
use verifier::onnxruntime::{Engine, Memory, Options, Source};
use verifier::recording::Recordings;
use verifier::report::{BundleReport, Heading, RuntimeReport};

use super::steps::{
    ATOL, Document, RTOL, load, progress_bar, reported, samples, stop_flag, verify,
};
use super::{Status, grouped, show};
use crate::cli::BenchArgs;

/// Timed unless the user names others: one sample, a few, and what `check` takes.
const BATCH_SIZES: [usize; 3] = [1, 8, 64];

pub(crate) fn bench(arguments: &BenchArgs) -> Result<Status> {
    reported(&arguments.reports, empty_report(arguments), |report| {
        run(arguments, report)
    })
}

impl Document for BenchReport {
    fn heading(&mut self) -> &mut Heading {
        &mut self.heading
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        BenchReport::write(self, path)
    }
}

fn run(arguments: &BenchArgs, report: &mut BenchReport) -> Result<Status> {
    let started = Instant::now();
    let bundle = Bundle::open(&arguments.bundle)?;
    let (path, part) = bundle.part(&arguments.part)?;
    let wanted = if arguments.batch_sizes.is_empty() {
        &BATCH_SIZES[..]
    } else {
        &arguments.batch_sizes
    };
    let largest = wanted.iter().max().copied().unwrap_or(1);
    let options = arguments.target.settle(part, largest);
    let stop = stop_flag()?;
    let library = locate(arguments.target.runtime.as_deref())?;
    report.heading.bundle = Some(BundleReport::new(&bundle));
    let recordings = Recordings::of(&bundle, &arguments.part)?;
    let samples = samples(&recordings, arguments.range.as_deref())?;
    let batch_sizes = batch_sizes(arguments, samples.len())?;
    report.options.batch_sizes.clone_from(&batch_sizes);
    verify(&bundle)?;
    let engine = Engine::start(&library)?;
    Model::open(&path, part)?;

    let steps = batch_sizes.len() * (arguments.warmup + arguments.runs);
    let bar = progress_bar(steps as u64, "{pos}/{len} runs  {per_sec}  {msg}");
    for (index, &batch_size) in batch_sizes.iter().enumerate() {
        // A session of its own, with the memory that `check` gives this batch size. The C library's
        // settings are those of the largest, since a process has them once.
        let options = Options {
            memory: Memory::of_runs(part, batch_size),
            ..options.clone()
        };
        let mut runtime = load(
            &engine,
            Source::File(&path),
            &path,
            part,
            &options,
            &recordings,
        )?;
        if index == 0 {
            report.runtime = Some(RuntimeReport::new(engine.library(), &runtime, &options));
            show::setting(
                &bundle,
                &engine,
                &runtime,
                &options,
                &arguments.part,
                recordings.origin,
            );
        }
        let load_seconds = runtime.load_seconds();
        let request = Request {
            check: check::Request {
                inputs: &recordings.inputs,
                goldens: &recordings.goldens,
                samples: samples.clone(),
                batch_size,
                tolerance: report.options.tolerance,
                faults: &[],
                repeat: 1,
                fail_fast: false,
                histogram: false,
            },
            warmup: arguments.warmup,
            runs: arguments.runs,
            limit: Duration::from_secs_f64(arguments.seconds),
        };
        bar.set_message(format!("batch size {batch_size}"));
        let stopped = || stop.load(Ordering::Relaxed);
        match bench::bench(
            &request,
            &mut runtime,
            load_seconds,
            &mut || bar.inc(1),
            &stopped,
        ) {
            Ok(timing) => report.timings.push(timing),
            Err(BenchError::Interrupted) => {
                bar.finish_and_clear();
                say!("\n{}", report.table());
                bail!(
                    "interrupted after {index} of {} batch sizes: the result is partial",
                    batch_sizes.len()
                );
            }
            Err(error) => return Err(error.into()),
        }
        bar.set_position(((index + 1) * (arguments.warmup + arguments.runs)) as u64);
    }
    bar.finish_and_clear();

    say!("\n{}", report.table());
    say!("{LEGEND}\n");
    let faulty: usize = report
        .timings
        .iter()
        .map(|timing| timing.faulty_samples)
        .sum();
    let compared: usize = report.timings.iter().map(|timing| timing.samples).sum();
    let status = match faulty {
        0 => {
            say!("verdict      PASS: all that was timed is within the tolerance");
            Status::Pass
        }
        faulty => {
            say!(
                "verdict      FAIL: {} of {} samples timed are faulty",
                grouped(faulty),
                grouped(compared)
            );
            Status::Fail
        }
    };
    say!("time         {:.1} s", started.elapsed().as_secs_f64());
    Ok(status)
}

/// Those asked for, each once; none that is larger than the samples there are.
fn batch_sizes(arguments: &BenchArgs, there: usize) -> Result<Vec<usize>> {
    let mut batch_sizes = arguments.batch_sizes.clone();
    if batch_sizes.is_empty() {
        batch_sizes.extend(
            BATCH_SIZES
                .iter()
                .filter(|&&batch_size| batch_size <= there),
        );
    }
    for (index, batch_size) in batch_sizes.iter().enumerate() {
        ensure!(
            *batch_size <= there,
            BenchError::BatchSize {
                batch_size: *batch_size,
                there
            }
        );
        ensure!(
            !batch_sizes[..index].contains(batch_size),
            "--batch-size {batch_size} is there twice"
        );
    }
    Ok(batch_sizes)
}

fn empty_report(arguments: &BenchArgs) -> BenchReport {
    BenchReport {
        bench_version: BENCH_VERSION,
        heading: Heading::begun(),
        options: OptionsReport {
            bundle: arguments.bundle.clone(),
            part: arguments.part.clone(),
            target: arguments.target.report(),
            tolerance: Tolerance {
                atol: arguments.atol.unwrap_or(ATOL),
                rtol: arguments.rtol.unwrap_or(RTOL),
            },
            batch_sizes: arguments.batch_sizes.clone(),
            warmup: arguments.warmup,
            runs: arguments.runs,
            limit_seconds: arguments.seconds,
            samples: arguments
                .range
                .as_deref()
                .and_then(|range| range.try_into().ok()),
        },
        runtime: None,
        timings: vec![],
    }
}
