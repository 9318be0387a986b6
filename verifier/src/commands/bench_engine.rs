//! `verifier bench --engine`: the same process several times for each batch size, timed and
//! compared.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use console::say;
use verifier::bench::process::{ProcessRun, ProcessTiming};
use verifier::check::{self, Engines, Stop};
use verifier::engine::command::GivenModel;
use verifier::report::Record;
use verifier::report::bench::Bench;

use super::command_engine::{Control, Given, Launch};
use super::opened::window;

/// Runs before those that are timed, and timed ones, unless the user names others: a process for
/// all samples takes its time.
pub(super) const WARMUP: usize = 1;
pub(super) const RUNS: usize = 3;

/// Times every batch size that the record has.
pub(super) fn run(launch: &Launch, record: &mut Record<Bench>, stop: &AtomicBool) -> Result<()> {
    say!("bundle       {}", launch.opened.bundle.root().display());
    for batch_size in record.body.options.batch_sizes.clone() {
        let timing = time(launch, batch_size, record, stop)?;
        record.body.processes.push(timing);
    }
    Ok(launch.opened.bundle.check_unchanged()?)
}

fn time(
    launch: &Launch,
    batch_size: usize,
    record: &mut Record<Bench>,
    stop: &AtomicBool,
) -> Result<ProcessTiming> {
    let model = launch.given(&format!("model_{batch_size}"), batch_size)?;
    let options = &record.body.options;
    let limit = Duration::from_secs_f64(options.limit_seconds);
    let (warmup, runs) = (options.warmup, options.runs);
    let mut done: Vec<ProcessRun> = Vec::new();
    let mut begun = Instant::now();
    for run in 0..warmup + runs {
        if run == warmup {
            begun = Instant::now();
        } else if run > warmup && begun.elapsed() > limit {
            break;
        }
        done.push(one_run(launch, (&model, batch_size), record, stop)?);
    }
    Ok(ProcessTiming::new(batch_size, &done, warmup))
}

/// One process, compared; the first one with its controls.
fn one_run(
    launch: &Launch,
    (model, batch_size): (&GivenModel, usize),
    record: &mut Record<Bench>,
    stop: &AtomicBool,
) -> Result<ProcessRun> {
    let runs = launch.runs(batch_size, stop);
    let (mut recorded, finished) = runs.run(&Given::all("timed", model))?;
    if record.body.engine.is_none() {
        let control = Control::of(&runs, model, &mut recorded)?;
        let engine = launch.record(finished.clone(), control);
        for (name, value) in engine.rows() {
            say!("{name:<13}{value}");
        }
        record.body.engine = Some(engine);
    }
    let request = check::Request {
        recordings: &launch.opened.recordings,
        samples: launch.opened.samples.clone(),
        batch_size: window(&launch.opened),
        tolerance: record.body.options.tolerance,
        faults: &[],
        repeat: 1,
        fail_fast: false,
        histogram: false,
        verdict_only: false,
        stop,
    };
    let mut engines = Engines {
        fault_free: &mut recorded,
        corrupted: None,
    };
    let result = check::check(&request, &mut engines, &mut |_| {})?;
    if result.stopped == Some(Stop::Interrupted) {
        bail!("interrupted: the result is partial");
    }
    runs.remove("timed")?;
    Ok(ProcessRun { finished, result })
}
