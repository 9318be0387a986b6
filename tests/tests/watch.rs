//! Hours on the target, in seconds: a watch ends in order, loses nothing when it is killed, and
//! takes no misbehaving runtime for one that works.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tests::{
    Ended, Program, onnxruntime, run, runtime_shim, scratch, tiny_bundle, with_default_signals,
};

/// Seconds as the hours of a flag.
fn hours(seconds: f64) -> String {
    (seconds / 3600.0).to_string()
}

fn watch(bundle: &Path, log: &Path, seconds: f64) -> Command {
    let mut command = Program::Verifier.command();
    command.arg("watch").arg(bundle).args(["--device", "cpu"]);
    command.arg("--log").arg(log);
    command.args(["--hours", &hours(seconds), "--beat", "0.2"]);
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
fn records(log: &Path) -> Vec<serde_json::Value> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(log)
        .expect("list")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
        .collect();
    files.sort();
    let text: String = files
        .iter()
        .map(|file| std::fs::read_to_string(file).expect("read"))
        .collect();
    let records = text.lines();
    records
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// The events of a log.
fn events(log: &Path) -> Vec<serde_json::Value> {
    let records = records(log).into_iter();
    records.map(|record| record["event"].clone()).collect()
}

fn count(events: &[serde_json::Value], name: &str) -> usize {
    let named = |event: &&serde_json::Value| event.get(name).is_some();
    events.iter().filter(named).count()
}

/// Starts a watch, and waits until it says that its worker is ready.
fn start(command: &mut Command) -> (Child, BufReader<std::process::ChildStderr>) {
    let command = with_default_signals(command)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = command.expect("start");
    let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    while !line.contains("ready after") {
        line.clear();
        assert!(stderr.read_line(&mut line).expect("read") > 0, "it ended");
    }
    (child, stderr)
}

fn signal(name: &str, process: u64) {
    run(Command::new("kill").args([name, &process.to_string()])).expect_status(0);
}

/// The processes of the workers in the log.
fn workers(log: &Path) -> Vec<u64> {
    let events = events(log);
    let workers = events.iter().filter_map(|event| event.get("worker"));
    workers
        .map(|worker| worker["process"].as_u64().expect("a number"))
        .collect()
}

fn is_gone(process: u64) -> bool {
    let started = Instant::now();
    let stat = PathBuf::from(format!("/proc/{process}/stat"));
    // One that is dead and not waited for is gone too.
    let is_there = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
    while is_there() && started.elapsed() < Duration::from_secs(20) {
        sleep(Duration::from_millis(50));
    }
    !is_there()
}

#[test]
fn a_watch_without_an_event_ends_in_its_time_and_is_summed_up() {
    let folder = scratch();
    let (bundle, log) = (tiny_bundle(folder.path()), folder.path().join("log"));
    let page = folder.path().join("page.html");
    let mut command = watch(&bundle, &log, 3.0);
    let ended = run(command
        .arg("--html")
        .arg(&page)
        .arg("--log-helper")
        .arg(folder.path()));
    ended.expect_status(0).says("PASS: no event");
    let again = run(&mut watch(&bundle, &log, 1.0)).expect_status(0);
    assert!(!again.stderr.contains("gap"), "it ended in order\n{again}");
    report(&log)
        .says("2 workers of 2 supervisors")
        .says("0.00e0 to ");
    let html = std::fs::read_to_string(page).expect("a page");
    assert!(html.contains("Latest events") && html.contains("ready after"));
    let of_helper = report(folder.path());
    assert!(of_helper.stdout.contains("tiny_submodel"), "{of_helper}");
}

#[test]
fn it_is_told_to_stop_once_or_twice_and_ends_in_order() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    for (name, times) in [("once", 1), ("twice", 2)] {
        let log = folder.path().join(name);
        let (child, _stderr) = start(&mut watch(&bundle, &log, 3600.0));
        let told = Instant::now();
        for _ in 0..times {
            signal("-TERM", child.id().into());
        }
        let ended = child.wait_with_output().expect("wait");
        assert_eq!(ended.status.code(), Some(0), "{name}");
        assert!(told.elapsed() < Duration::from_secs(30));
        let events = events(&log);
        assert_eq!(
            events.last().map(|end| &end["end"]["reason"]),
            Some(&"told to stop".into())
        );
        assert!(workers(&log).into_iter().all(is_gone), "{name}");
    }
}

#[test]
fn a_killed_supervisor_leaves_no_worker_and_a_gap_in_the_log() {
    let folder = scratch();
    let (bundle, log) = (tiny_bundle(folder.path()), folder.path().join("log"));
    for _ in 0..3 {
        let (mut child, _stderr) = start(&mut watch(&bundle, &log, 3600.0));
        sleep(Duration::from_millis(300));
        child.kill().expect("kill");
        child.wait().expect("wait");
        assert!(workers(&log).into_iter().all(is_gone));
    }
    let ended = run(&mut watch(&bundle, &log, 1.0)).expect_status(1);
    assert!(ended.stderr.contains("supervisor lost"), "{ended}");
    assert_eq!(count(&events(&log), "gap"), 3);
    report(&log)
        .says("4 workers of 4 supervisors")
        .says("DUE, supervisor lost");
}

/// Wrong batches are numbered by the worker; the log has each number once, whatever was killed.
#[test]
fn supervisors_killed_and_stopped_at_any_moment_lose_no_event_and_record_none_twice() {
    let folder = scratch();
    let (bundle, log) = (tiny_bundle(folder.path()), folder.path().join("log"));
    for round in 0..8 {
        let mut command = watch(&bundle, &log, 3600.0);
        command.args(["--rehearse", "--rehearse-every", "0.1", "--hang-after", "4"]);
        let (mut child, _stderr) = start(command.args(["--seed", &round.to_string()]));
        // Whatever it does at that moment.
        sleep(Duration::from_millis(137 * (round + 1) % 700));
        if round % 2 == 1 {
            signal("-STOP", child.id().into());
            sleep(Duration::from_millis(200));
            signal("-CONT", child.id().into());
            sleep(Duration::from_millis(100));
        }
        child.kill().expect("kill");
        child.wait().expect("wait");
    }
    run(&mut watch(&bundle, &log, 1.0)).expect_status(1);
    let events = events(&log);
    let sdcs = events.iter().filter_map(|event| event.get("sdc"));
    let numbers: Vec<u64> = sdcs.filter_map(|sdc| sdc["number"].as_u64()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert!(numbers.len() > 3, "{numbers:?}");
    assert_eq!(count(&events, "gap"), 8);
}

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

/// Seconds of the runs in passes, without and with what is between them. The run after a wrong one
/// is the same batch again, which is no exposure.
fn seconds_in_passes(runs: &[&Run]) -> [f64; 2] {
    let mut seconds = [0.0; 2];
    let mut is_again = false;
    for (run, next) in runs.iter().zip(runs[1..].iter().map(Some).chain([None])) {
        if !is_again {
            seconds[0] += run.ended - run.begun;
            // What comes between a wrong run and the next one is no exposure either.
            let next = next.filter(|_| !run.is_wrong);
            seconds[1] += next.map_or(run.ended, |next| next.begun) - run.begun;
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
    let mut command = watch(&bundle, &log, 3600.0);
    command.arg("--runtime").arg(&shim);
    command
        .env("SHIM_RUNTIME", onnxruntime())
        .env("SHIM_RUN", "rarely 15")
        .env("SHIM_SLEEP", "40")
        .env("SHIM_NOTES", &notes);
    let (child, _stderr) = start(&mut command);
    for round in 0..4 {
        sleep(Duration::from_millis(3000 + 317 * round));
        // A supervisor that stands still for a moment loses nothing of what its worker does.
        signal("-STOP", child.id().into());
        sleep(Duration::from_millis(400));
        signal("-CONT", child.id().into());
        sleep(Duration::from_millis(500));
        signal("-KILL", *workers(&log).last().expect("a worker"));
    }
    sleep(Duration::from_secs(4));
    signal("-TERM", child.id().into());
    let ended = child.wait_with_output().expect("wait");
    assert_eq!(ended.status.code(), Some(1));

    let (account, runs) = (Account::of(&log), noted(&notes));
    let (mut truth, mut wrong_batches) = ([0.0; 2], 0);
    for &(process, ready) in &account.ready {
        // Runs before it was ready are of its loading.
        let is_of_pass = |run: &&Run| run.process == process && run.ended > ready;
        let runs: Vec<&Run> = runs.iter().filter(is_of_pass).collect();
        let seconds = seconds_in_passes(&runs);
        truth = [truth[0] + seconds[0], truth[1] + seconds[1]];
        let wrong = runs.iter().filter(|run| run.is_wrong).count();
        let in_log = account.wrong.get(&process).copied().unwrap_or(0);
        // The last one of a worker that was killed may not have been compared.
        let is_last = account.ready.last().is_some_and(|last| last.0 == process);
        let is_known = in_log == wrong || (in_log + 1 == wrong && !is_last);
        assert!(is_known, "{in_log} of {wrong} wrong batches of {process}");
        wrong_batches += wrong;
    }
    assert!(wrong_batches > 5, "{wrong_batches}");
    let [least, most] = [0.99 * truth[0], 1.01 * truth[1]];
    let exposed = account.exposed;
    assert!(
        (least..=most).contains(&exposed),
        "{exposed} s, truth {truth:?} s"
    );
}

#[test]
fn a_lost_worker_is_a_due_and_the_watch_goes_on() {
    let folder = scratch();
    let (bundle, log) = (tiny_bundle(folder.path()), folder.path().join("log"));
    let mut command = watch(&bundle, &log, 3600.0);
    let (child, mut stderr) = start(command.args(["--hang-after", "3"]));
    for (how, kind) in [("-ILL", "crash"), ("-KILL", "killed"), ("-STOP", "hang")] {
        sleep(Duration::from_millis(300));
        signal(how, *workers(&log).last().expect("a worker"));
        let mut line = String::new();
        // The line that says how things stand names the last event too.
        while !line.contains("ready after") || line.contains("last event") {
            line.clear();
            assert!(
                stderr.read_line(&mut line).expect("read") > 0,
                "{kind}: it ended"
            );
        }
    }
    signal("-TERM", child.id().into());
    let ended = child.wait_with_output().expect("wait");
    assert_eq!(ended.status.code(), Some(1));
    let events = events(&log);
    let dues = events.iter().filter_map(|event| event.get("due"));
    let kinds: Vec<&str> = dues
        .map(|due| due["kind"].as_str().expect("text"))
        .collect();
    assert_eq!(kinds, ["crash", "killed", "hang"]);
    assert!(workers(&log).into_iter().all(is_gone));
}

#[test]
fn a_runtime_that_misbehaves_is_an_sdc_or_a_due_and_never_a_pass() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let shim = runtime_shim(folder.path());
    for (how, status, expected) in [
        ("zeros", 1, "stuck"),
        ("nan", 1, "stuck"),
        ("other buffer", 1, "stuck"),
        ("abort", 2, "crash"),
        ("exit", 2, "exit"),
        ("quick_exit", 2, "exit"),
        ("nothing", 2, "broke a rule"),
        ("later exit", 1, "exit"),
        ("later hang", 1, "hang"),
        ("later beyond", 1, "crash"),
        ("later free", 1, "crash|SDC"),
    ] {
        let log = folder.path().join(how.replace(' ', "_"));
        let mut command = watch(&bundle, &log, 10.0);
        command.arg("--runtime").arg(&shim);
        command
            .env("SHIM_RUNTIME", onnxruntime())
            .env("SHIM_RUN", how);
        let ended = run(command.args(["--hang-after", "3"]));
        assert!(!ended.stderr.contains("panicked"), "{how}\n{ended}");
        let mut kinds = expected.split('|');
        assert!(
            kinds.any(|kind| ended.stderr.contains(kind)),
            "{how}\n{ended}"
        );
        let ended = ended.expect_status(status);
        assert!(!ended.stdout.contains("PASS"), "{how}\n{ended}");
    }
}

#[test]
fn a_rehearsal_is_accounted_for() {
    let folder = scratch();
    let (bundle, log) = (tiny_bundle(folder.path()), folder.path().join("log"));
    let golden = folder.path().join("golden");
    let mut record = Program::Verifier.command();
    record.arg("record").arg(&bundle).args(["--device", "cpu"]);
    run(record.arg("--golden").arg(&golden))
        .expect_status(0)
        .says("gave the same bits");
    let mut command = watch(&bundle, &log, 30.0);
    command.args(["--hang-after", "4", "--rehearse", "--rehearse-every", "0.5"]);
    let ended = run(command.arg("--golden").arg(&golden));
    let ended = ended
        .expect_status(0)
        .says("PASS: the log accounts for all");
    assert!(count(&events(&log), "rehearsed") > 5, "{ended}");
}

#[test]
fn a_golden_of_the_device_sees_what_the_tolerance_lets_pass() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let golden = folder.path().join("golden");
    let verifier = |command: &str| {
        let mut verifier = Program::Verifier.command();
        verifier.arg(command).arg(&bundle).args(["--device", "cpu"]);
        verifier.arg("--golden").arg(&golden);
        verifier
    };
    run(&mut verifier("record")).expect_status(0);
    run(&mut verifier("check"))
        .expect_status(0)
        .says("the bits that this device gave before");
    let weight = ["--fault", "weight:to_qkv_weight[10,20]^0"];
    run(verifier("check").args(weight))
        .expect_status(1)
        .says("other bits than this device gave before");
    let other_setting = ["--batch-size", "3"];
    run(verifier("check").args(other_setting)).refuses(&["another setting", "batch_size"]);
    run(&mut verifier("record")).refuses(&["already exists"]);
}
