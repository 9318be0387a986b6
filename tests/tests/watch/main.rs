//! Hours on the target, in seconds: a watch ends in order, loses nothing when it is killed, and
//! takes no misbehaving runtime for one that works.
//!
//! Nothing here depends on how fast a machine is: what is waited for is a condition.

mod account;
mod ends;
mod golden;
mod lost;
mod misbehaving;
mod report;
mod started;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tests::{Ended, Program, run};

/// More than any test takes.
const HOURS: f64 = 3600.0;

/// A watch of so many seconds, whose workers have a minute to be silent on a busy machine.
fn watch(bundle: &Path, log: &Path, seconds: f64) -> Command {
    watch_that_hangs(bundle, log, seconds, 60.0)
}

/// The same, whose workers hang after so many seconds of silence.
fn watch_that_hangs(bundle: &Path, log: &Path, seconds: f64, hang_after: f64) -> Command {
    let mut command = Program::Verifier.command();
    command.arg("watch").arg(bundle).args(["--device", "cpu"]);
    command.arg("--log").arg(log).args(["--beat", "0.2"]);
    command.args(["--hours", &(seconds / 3600.0).to_string()]);
    command.args(["--hang-after", &hang_after.to_string()]);
    // Watches side by side starve one another where each waits for every core in a busy loop.
    command.args(["--threads", "1"]);
    command
}

fn report(log: &Path) -> Ended {
    run(Program::Verifier
        .command()
        .args(["watch", "report"])
        .arg(log))
    .expect_status(0)
}

/// The records of a log.
fn records(log: &Path) -> Vec<Value> {
    let entries = std::fs::read_dir(log).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
        .collect();
    files.sort();
    let texts = files
        .iter()
        .map(|file| std::fs::read_to_string(file).expect("read"));
    let text: String = texts.collect();
    let records = text.lines();
    records
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// The events of a log.
fn events(log: &Path) -> Vec<Value> {
    let records = records(log).into_iter();
    records.map(|record| record["event"].clone()).collect()
}

/// Those of a kind.
fn of_kind(log: &Path, name: &str) -> Vec<Value> {
    let events = events(log).into_iter();
    events
        .filter_map(|event| event.get(name).cloned())
        .collect()
}

/// The processes of the workers in the log.
fn workers(log: &Path) -> Vec<u64> {
    let workers = of_kind(log, "worker").into_iter();
    workers
        .map(|worker| worker["process"].as_u64().expect("a number"))
        .collect()
}

/// Whether the last worker has computed something, and said so.
fn is_at_work(log: &Path) -> bool {
    let events = events(log);
    let is_worker = |event: &Value| event.get("worker").is_some();
    let Some(begun) = events.iter().rposition(is_worker) else {
        return false;
    };
    let has_elements = |event: &Value| event["beat"]["elements"].as_u64() > Some(0);
    events[begun..].iter().any(has_elements)
}
