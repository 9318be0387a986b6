//! Exposure and wrong batches against what the runtime itself noted.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use tests::{onnxruntime, runtime_shim, scratch, tiny_bundle};

use super::started::Watch;
use super::{HOURS, records, watch};

/// A run of the stand-in runtime, which notes what it does: an account beside the log's own.
struct Run {
    process: u64,
    begun: f64,
    ended: f64,
    is_wrong: bool,
}

fn noted(notes: &Path) -> Vec<Run> {
    let text = std::fs::read_to_string(notes).expect("read");
    let run = |line: &str| {
        let fields: Vec<&str> = line.split(' ').collect();
        let seconds = |field: usize| fields[field].parse().expect("seconds");
        Run {
            process: fields[0].parse().expect("a process"),
            begun: seconds(1),
            ended: seconds(2),
            is_wrong: fields[3] == "1",
        }
    };
    text.lines().map(run).collect()
}

/// What a log says of exposure, and of wrong batches by the process of their worker.
#[derive(Default)]
struct Account {
    exposed: f64,
    /// When each process was ready; the last one is that of the last worker.
    ready: Vec<(u64, f64)>,
    wrong: BTreeMap<u64, usize>,
}

impl Account {
    fn of(log: &Path) -> Self {
        let mut account = Self::default();
        let (mut processes, mut process) = (BTreeMap::new(), 0);
        for record in records(log) {
            let event = &record["event"];
            if let Some(worker) = event.get("worker") {
                process = worker["process"].as_u64().expect("a process");
                processes.insert(worker["number"].as_u64(), process);
            } else if event.get("ready").is_some() {
                let at = record["monotonic"].as_f64().expect("a time");
                account.ready.push((process, at));
            } else if let Some(beat) = event.get("beat") {
                account.exposed += beat["exposed"].as_f64().expect("seconds");
            } else if let Some(sdc) = event.get("sdc") {
                let process = processes[&sdc["worker"].as_u64()];
                *account.wrong.entry(process).or_default() += 1;
            }
        }
        account
    }
}

/// Seconds inside the runtime in passes; the run after a wrong one is the same batch again, which
/// is no exposure.
fn seconds_in_passes(runs: &[&Run]) -> f64 {
    let mut seconds = 0.0;
    let mut is_again = false;
    for run in runs {
        if !is_again {
            seconds += run.ended - run.begun;
        }
        is_again = run.is_wrong;
    }
    seconds
}

#[test]
fn exposure_and_wrong_batches_are_those_that_the_runtime_noted() {
    let folder = scratch();
    let (bundle, log) = (tiny_bundle(folder.path()), folder.path().join("log"));
    let (shim, notes) = (runtime_shim(folder.path()), folder.path().join("notes"));
    let mut command = watch(&bundle, &log, HOURS);
    command.arg("--runtime").arg(&shim);
    command
        .env("SHIM_RUNTIME", onnxruntime())
        .env("SHIM_RUN", "rarely 12")
        .env("SHIM_SLEEP", "100")
        .env("SHIM_NOTES", &notes);
    let mut started = Watch::at_work(&mut command, &log);
    for worker in 2..5 {
        let before = noted(&notes).len();
        assert!(started.wait_for(|_| noted(&notes).len() > before + 40));
        // A supervisor that stands still for a moment loses nothing of what its worker does.
        started.signal("-STOP");
        sleep(Duration::from_millis(400));
        started.signal("-CONT");
        sleep(Duration::from_millis(500));
        started.signal_worker("-KILL");
        started.wait_for_worker(worker);
    }
    let over = started.stop();
    assert_eq!(over.status, Some(1), "{}", over.stderr);

    let (account, runs) = (Account::of(&log), noted(&notes));
    let (mut truth, mut wrong_batches) = (0.0, 0);
    for &(process, ready) in &account.ready {
        // Runs before it was ready are of its loading.
        let is_of_pass = |run: &&Run| run.process == process && run.ended > ready;
        let runs: Vec<&Run> = runs.iter().filter(is_of_pass).collect();
        truth += seconds_in_passes(&runs);
        let wrong = runs.iter().filter(|run| run.is_wrong).count();
        let in_log = account.wrong.get(&process).copied().unwrap_or(0);
        // The last one of a worker that was killed may not have been compared.
        let is_last = account.ready.last().is_some_and(|last| last.0 == process);
        let is_known = in_log == wrong || (in_log + 1 == wrong && !is_last);
        assert!(is_known, "{in_log} of {wrong} wrong batches of {process}");
        wrong_batches += wrong;
    }
    assert!(wrong_batches > 3, "{wrong_batches}");
    let share = account.exposed / truth;
    assert!((0.99..=1.01).contains(&share), "{share} of {truth} s");
}
