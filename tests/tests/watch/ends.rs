//! How a watch ends: in its time, when it is told to, when it is killed.

use std::thread::sleep;
use std::time::Duration;

use tests::{onnxruntime, run, runtime_shim, scratch, tiny_bundle};

use super::started::{Watch, is_gone};
use super::{HOURS, events, of_kind, report, watch, watch_that_hangs, workers};

#[test]
fn a_watch_without_an_event_ends_in_its_time_and_is_summed_up() {
    let folder = scratch();
    let (bundle, log) = (tiny_bundle(folder.path()), folder.path().join("log"));
    let page = folder.path().join("page.html");
    let mut command = watch(&bundle, &log, 12.0);
    let ended = run(command
        .arg("--html")
        .arg(&page)
        .arg("--log-helper")
        .arg(folder.path()));
    ended.expect_status(0).says("PASS: no event");
    let again = Watch::at_work(&mut watch(&bundle, &log, HOURS), &log).stop();
    assert_eq!(again.status, Some(0), "{}", again.stderr);
    assert!(!again.stderr.contains("gap"), "{}", again.stderr);
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
        let watch = Watch::at_work(&mut watch(&bundle, &log, HOURS), &log);
        for _ in 1..times {
            watch.signal("-TERM");
        }
        let over = watch.stop();
        assert_eq!(over.status, Some(0), "{name}\n{}", over.stderr);
        assert!(over.stdout.contains("PASS: no event"), "{}", over.stdout);
        let events = events(&log);
        let reason = events.last().map(|end| &end["end"]["reason"]);
        assert_eq!(reason, Some(&"told to stop".into()));
        assert!(workers(&log).into_iter().all(is_gone), "{name}");
    }
}

#[test]
fn a_worker_that_hangs_when_the_time_is_over_is_a_due_all_the_same() {
    let folder = scratch();
    let (bundle, log) = (tiny_bundle(folder.path()), folder.path().join("log"));
    let shim = runtime_shim(folder.path());
    let mut command = watch_that_hangs(&bundle, &log, HOURS, 6.0);
    command.arg("--runtime").arg(&shim);
    command
        .env("SHIM_RUNTIME", onnxruntime())
        .env("SHIM_SLEEP", "5");
    let started = Watch::at_work(&mut command, &log);
    // It is told to stop at the same moment, so that nobody has seen the worker hang yet.
    started.signal_worker("-STOP");
    let over = started.stop();
    assert_eq!(over.status, Some(1), "{}", over.stderr);
    let dues = of_kind(&log, "due");
    assert_eq!(dues.len(), 1, "{}", over.stderr);
    assert_eq!(dues[0]["kind"], "hang");

    // One for which somebody would have to wait too long leaves an end that is said to be open.
    let log = folder.path().join("open");
    let started = Watch::at_work(&mut watch(&bundle, &log, HOURS), &log);
    started.signal_worker("-STOP");
    let over = started.stop();
    assert_eq!(over.status, Some(1), "{}", over.stderr);
    assert_eq!(of_kind(&log, "due").len(), 0, "{}", over.stderr);
    let end = of_kind(&log, "end").pop().expect("an end");
    let reason = end["reason"].as_str().expect("text");
    assert!(reason.contains("killed before"), "{reason}");
    assert!(over.stdout.contains("may have hung"), "{}", over.stdout);
}

#[test]
fn a_killed_supervisor_leaves_no_worker_and_a_gap_in_the_log() {
    let folder = scratch();
    let (bundle, log) = (tiny_bundle(folder.path()), folder.path().join("log"));
    for _ in 0..3 {
        Watch::at_work(&mut watch(&bundle, &log, HOURS), &log).kill();
        assert!(workers(&log).into_iter().all(is_gone));
    }
    let over = Watch::at_work(&mut watch(&bundle, &log, HOURS), &log).stop();
    assert_eq!(over.status, Some(1), "{}", over.stderr);
    assert!(over.stderr.contains("supervisor lost"), "{}", over.stderr);
    assert_eq!(of_kind(&log, "gap").len(), 3);
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
        let before = of_kind(&log, "sdc").len();
        let mut command = watch_that_hangs(&bundle, &log, HOURS, 6.0);
        command.args(["--rehearse", "--rehearse-every", "0.1"]);
        command.args(["--seed", &round.to_string()]);
        let mut started = Watch::start(&mut command, &log);
        let has_another = |_: &Watch| of_kind(&log, "sdc").len() > before;
        assert!(started.wait_for(has_another), "{}", started.said());
        // Whatever it does at that moment.
        sleep(Duration::from_millis(137 * (round + 1) % 700));
        if round % 2 == 1 {
            started.signal("-STOP");
            sleep(Duration::from_millis(200));
            started.signal("-CONT");
            sleep(Duration::from_millis(100));
        }
        started.kill();
    }
    let over = Watch::at_work(&mut watch(&bundle, &log, HOURS), &log).stop();
    assert_eq!(over.status, Some(1), "{}", over.stderr);
    let sdcs = of_kind(&log, "sdc").into_iter();
    let numbers: Vec<u64> = sdcs.filter_map(|sdc| sdc["number"].as_u64()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert!(numbers.len() >= 8, "{numbers:?}");
    assert_eq!(of_kind(&log, "gap").len(), 8);
}
