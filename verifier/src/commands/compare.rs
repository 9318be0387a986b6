//! `verifier compare`: every runtime on every device, one child process after the other.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use proto::bundle::Bundle;
use proto::npy::Npy;
use proto::staging;
use serde_json::Value;
use verifier::compare::Tolerance;
use verifier::contest::child::{self, Child, Ended};
use verifier::contest::pair::{Difference, difference};
use verifier::contest::report::{
    CONTEST_VERSION, ContestReport, Contestant, OptionsReport, Outcome, Pair, Ran,
};
use verifier::locate::locate;
use verifier::recording::{Recording, Recordings};
use verifier::report::{BundleReport, Heading};

use super::steps::{ATOL, Document, RTOL, progress_bar, reported, samples, stop_flag};
use super::{Status, grouped};
use crate::cli::CompareArgs;

pub(crate) fn compare(arguments: &CompareArgs) -> Result<Status> {
    reported(&arguments.reports, empty_report(arguments), |report| {
        run(arguments, report)
    })
}

impl Document for ContestReport {
    fn heading(&mut self) -> &mut Heading {
        &mut self.heading
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        ContestReport::write(self, path)
    }
}

fn run(arguments: &CompareArgs, report: &mut ContestReport) -> Result<Status> {
    let started = Instant::now();
    let stop = stop_flag()?;
    let bundle = Bundle::open(&arguments.bundle)?;
    report.heading.bundle = Some(BundleReport::new(&bundle));
    let recordings = Recordings::of(&bundle, &arguments.part)?;
    let samples = samples(&recordings, arguments.range.as_deref())?;
    let runtimes = match arguments.runtimes.as_slice() {
        [] => vec![locate(None)?],
        given => given
            .iter()
            .map(|path| locate(Some(path)))
            .collect::<Result<_, _>>()?,
    };
    let mut contestants: Vec<(&PathBuf, String, _)> = Vec::new();
    for runtime in &runtimes {
        for device in &arguments.devices {
            for &optimization in &arguments.optimizations {
                let contestant = (runtime, device.to_string(), optimization);
                ensure!(
                    !contestants.contains(&contestant),
                    "{} on {device} is there twice",
                    runtime.display()
                );
                contestants.push(contestant);
            }
        }
    }
    let scratch = match &arguments.scratch {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    };
    let scratch = scratch
        .context("no folder for the outputs: --scratch DIR names one that can be written to")?;
    let sample_bytes: usize = recordings
        .goldens
        .iter()
        .map(|golden| 4 * golden.sample_elements())
        .sum();
    let needed = (contestants.len() * samples.len() * sample_bytes) as u64;
    if let Some(free) = staging::free_bytes(scratch.path()).filter(|&free| free < needed) {
        bail!(
            "{}: the outputs of {} runs need {:.1} MB, {:.1} MB are free\nhint: --range for fewer samples, or --scratch DIR on another file system",
            scratch.path().display(),
            contestants.len(),
            needed as f64 / 1e6,
            free as f64 / 1e6
        );
    }

    say!(
        "bundle       {} ({}, {})",
        bundle.root().display(),
        bundle.manifest().model.preset,
        bundle.manifest().module
    );
    say!(
        "compared     {} of {} samples, {} runs",
        arguments.part,
        grouped(samples.len()),
        contestants.len()
    );
    let bar = progress_bar(
        contestants.len() as u64,
        "{pos}/{len} runs  {elapsed}  {wide_msg}",
    );
    let mut outputs: Vec<Option<Vec<Recording>>> = Vec::new();
    for (index, (runtime, device, optimization)) in contestants.iter().enumerate() {
        bar.set_message(format!("{device}, {}", runtime.display()));
        let folder = scratch.path().join(format!("{index}"));
        let json = scratch.path().join(format!("{index}.json"));
        let mut command = check_command(arguments, runtime, &folder, &json)?;
        let level = serde_json::to_value(optimization)?;
        command
            .arg("--device")
            .arg(device)
            .arg("--optimization")
            .arg(level.as_str().unwrap_or_default());
        let limit = Duration::from_secs_f64(arguments.timeout);
        let child = child::run(&mut command, limit, &|| stop.load(Ordering::Relaxed))?;
        if child.ended == Ended::Stopped {
            bail!("interrupted after {index} of {} runs", contestants.len());
        }
        let described = read_report(&json);
        let (outcome, kept) = match &described {
            Ok(described) => outcome(
                &child,
                described,
                &folder,
                &recordings,
                samples.clone(),
                arguments.timeout,
            ),
            Err(_) => (
                Outcome::Failed {
                    reason: failure(&child, None, arguments.timeout),
                },
                None,
            ),
        };
        let library = |name: &str| {
            Some(
                described.as_ref().ok()?["runtime"][name]
                    .as_str()?
                    .to_owned(),
            )
        };
        report.contestants.push(Contestant {
            number: index + 1,
            runtime: (*runtime).clone(),
            device: device.clone(),
            optimization: *optimization,
            version: library("version"),
            sha256: library("sha256"),
            outcome,
            seconds: child.seconds,
        });
        outputs.push(kept);
        bar.inc(1);
    }
    bar.finish_and_clear();
    report.pairs = pairs(&outputs)?;
    say!("\n{}", report.tables());
    let status = conclude(report);
    say!("time         {:.1} s", started.elapsed().as_secs_f64());
    Ok(status)
}

/// This program's own `check`.
fn check_command(
    arguments: &CompareArgs,
    runtime: &Path,
    outputs: &Path,
    report: &Path,
) -> Result<Command> {
    let program = std::env::current_exe().context("this program's own file")?;
    let Tolerance { atol, rtol } = tolerance(arguments);
    let mut command = Command::new(program);
    command
        .arg("check")
        .arg(&arguments.bundle)
        .args(["--part", &arguments.part])
        .arg("--runtime")
        .arg(runtime);
    command
        .arg(format!("--atol={atol}"))
        .arg(format!("--rtol={rtol}"));
    command
        .arg("--batch-size")
        .arg(arguments.batch_size.to_string());
    command
        .arg("--save-outputs")
        .arg(outputs)
        .arg("--report")
        .arg(report);
    if let Some([start, end]) = arguments.range.as_deref() {
        command.args(["--range", &start.to_string(), &end.to_string()]);
    }
    if let Some(threads) = arguments.threads {
        command.arg("--threads").arg(threads.to_string());
    }
    Ok(command)
}

fn read_report(path: &Path) -> Result<Value> {
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

/// What a child came to, with its outputs if it ran to its end.
fn outcome(
    child: &Child,
    described: &Value,
    folder: &Path,
    recordings: &Recordings,
    samples: std::ops::Range<usize>,
    timeout: f64,
) -> (Outcome, Option<Vec<Recording>>) {
    let ran = || -> Result<(Ran, Vec<Recording>)> {
        let result = &described["result"];
        let count = |name: &str| {
            result[name]
                .as_u64()
                .with_context(|| format!("no `{name}` in the child's report"))
        };
        let mut golden: Option<Difference> = None;
        let mut kept = Vec::new();
        for recorded in &recordings.goldens {
            let npy = Npy::open(&folder.join(format!("{}.npy", recorded.name())))?;
            let output = Recording::mapped(recorded.name(), npy);
            let found = difference(&output, 0..samples.len(), recorded, samples.clone())?;
            golden = Some(golden.map_or(found, |all| all.and_output(found)));
            kept.push(output);
        }
        let ran = Ran {
            within_tolerance: child.ended == Ended::Status(0),
            nodes: described["runtime"]["nodes"].clone(),
            faulty_samples: count("faulty_samples")?,
            outside_elements: count("mismatched_elements")? + count("non_finite_elements")?,
            golden: golden.context("no output")?,
            running_seconds: result["seconds"]["running"]
                .as_f64()
                .context("no `seconds` in the child's report")?,
        };
        Ok((ran, kept))
    };
    if matches!(child.ended, Ended::Status(0 | 1)) {
        return match ran() {
            Ok((ran, kept)) => (Outcome::Ran(Box::new(ran)), Some(kept)),
            Err(error) => (
                Outcome::Failed {
                    reason: format!("{error:#}"),
                },
                None,
            ),
        };
    }
    let reason = described["error"]
        .as_str()
        .filter(|_| child.ended == Ended::Status(2));
    (
        Outcome::Failed {
            reason: failure(child, reason, timeout),
        },
        None,
    )
}

/// Why a child has no result.
fn failure(child: &Child, reason: Option<&str>, timeout: f64) -> String {
    let said = if child.stderr.is_empty() {
        String::new()
    } else {
        format!(": {}", child.stderr)
    };
    match (&child.ended, reason) {
        (Ended::Status(_), Some(reason)) => reason.to_owned(),
        (Ended::Status(status), None) => format!("ended with exit status {status}{said}"),
        (Ended::Signal(signal), _) => format!("crashed: ended by {signal}{said}"),
        (Ended::TimedOut | Ended::Stopped, _) => {
            format!("killed after the time limit of {timeout} s{said}")
        }
    }
}

fn pairs(outputs: &[Option<Vec<Recording>>]) -> Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    for (b, of_b) in outputs.iter().enumerate() {
        for (a, of_a) in outputs.iter().enumerate().take(b) {
            let (Some(of_a), Some(of_b)) = (of_a, of_b) else {
                continue;
            };
            let mut all: Option<Difference> = None;
            for (a, b) in of_a.iter().zip(of_b) {
                let found = difference(a, 0..a.samples(), b, 0..b.samples())?;
                all = Some(all.map_or(found, |all| all.and_output(found)));
            }
            let Some(difference) = all else { continue };
            pairs.push(Pair {
                contestants: [a + 1, b + 1],
                difference,
            });
        }
    }
    pairs.sort_by_key(|pair| pair.contestants);
    Ok(pairs)
}

fn conclude(report: &ContestReport) -> Status {
    let all = report.contestants.len();
    let failed = report
        .contestants
        .iter()
        .filter(|one| matches!(one.outcome, Outcome::Failed { .. }))
        .count();
    let outside =
        |one: &&Contestant| matches!(&one.outcome, Outcome::Ran(ran) if !ran.within_tolerance);
    let outside = report.contestants.iter().filter(outside).count();
    if failed > 0 {
        say!("verdict      NO RESULT: {failed} of {all} runs did not come to an end");
        return Status::NoResult;
    }
    if outside > 0 {
        say!("verdict      FAIL: {outside} of {all} runs have elements outside the tolerance");
        return Status::Fail;
    }
    say!("verdict      PASS: all {all} runs are within the tolerance");
    Status::Pass
}

fn tolerance(arguments: &CompareArgs) -> Tolerance {
    Tolerance {
        atol: arguments.atol.unwrap_or(ATOL),
        rtol: arguments.rtol.unwrap_or(RTOL),
    }
}

fn empty_report(arguments: &CompareArgs) -> ContestReport {
    ContestReport {
        contest_version: CONTEST_VERSION,
        heading: Heading::begun(),
        options: OptionsReport {
            bundle: arguments.bundle.clone(),
            part: arguments.part.clone(),
            tolerance: tolerance(arguments),
            batch_size: arguments.batch_size,
            samples: arguments
                .range
                .as_deref()
                .and_then(|range| range.try_into().ok()),
            threads: arguments.threads,
            timeout_seconds: arguments.timeout,
        },
        contestants: vec![],
        pairs: vec![],
    }
}
