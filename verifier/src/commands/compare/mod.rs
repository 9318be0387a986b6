//! `verifier compare`: every engine in every setting, one child process after the other.

mod child;
mod runs;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use console::{Progress, grouped, say};
use proto::staging::{self, ScratchFolder};
use verifier::matrix::{Configuration, Tally, clusters, pairs};
use verifier::report::matrix::{Matrix, MatrixOptions};
use verifier::report::{Record, Verdict};
use verifier::samples::{Recording, Recordings};

use self::child::run_one;
use self::runs::runs;
use super::opened::Opened;
use super::recorded::{recorded, refuse_inside};
use crate::cli::CompareArgs;

pub(crate) fn compare(arguments: &CompareArgs) -> Result<Verdict> {
    recorded(
        &arguments.reports,
        &arguments.inputs(),
        body(arguments),
        |record, stop| run(arguments, record, stop),
    )
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
        progress.set_message(run.engine.to_string());
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
    record.body.pairs = pairs(&record.body.configurations, &outputs)?;
    record.body.same_bits = clusters(&record.body.pairs);
    opened.bundle.check_unchanged()?;
    say!("\n{}", record.body.tables());
    let verdict = conclude(&record.body.configurations);
    say!("time         {:.1} s", started.elapsed().as_secs_f64());
    Ok(verdict)
}

fn ensure_room(folder: &Path, opened: &Opened, runs: usize) -> Result<()> {
    let Recordings {
        inputs, goldens, ..
    } = &opened.recordings;
    let bytes = |tensors: &[Recording]| -> usize {
        tensors.iter().map(|one| 4 * one.sample_elements()).sum()
    };
    // Another engine gets the inputs as files, and leaves outputs that are copied.
    let sample_bytes = (runs + 1) * bytes(goldens) + bytes(inputs);
    let needed = (opened.samples.len() * sample_bytes) as u64;
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

fn conclude(configurations: &[Configuration]) -> Verdict {
    let tally = Tally::of(configurations);
    let Tally { all, ran, .. } = tally;
    let cannot = tally.cannot_text();
    if tally.without_result() > 0 {
        let failed = tally.without_result();
        say!("verdict      NO RESULT: {failed} of {all} runs did not come to an end");
        return Verdict::Error;
    }
    if ran == 0 {
        say!("verdict      NO RESULT: nothing was compared{cannot}");
        return Verdict::Error;
    }
    if tally.unexpected > 0 {
        let unexpected = tally.unexpected;
        say!("verdict      FAIL: {unexpected} of {ran} runs did not end as expected{cannot}");
        return Verdict::Fail;
    }
    match tally.outside {
        0 => say!("verdict      PASS: all {ran} runs are within the tolerance{cannot}"),
        controls => say!(
            "verdict      PASS: all {ran} runs ended as expected, {controls} controls outside the \
             tolerance{cannot}"
        ),
    }
    Verdict::Pass
}

fn body(arguments: &CompareArgs) -> Matrix {
    Matrix {
        options: MatrixOptions {
            bundle: arguments.input.bundle.clone(),
            part: arguments.input.part.clone(),
            tolerance: arguments.tolerance(),
            samples: arguments.input.samples(),
            allow_reduced_precision: arguments.allow_reduced_precision,
            timeout_seconds: arguments.timeout,
        },
        configurations: vec![],
        pairs: vec![],
        same_bits: vec![],
    }
}
