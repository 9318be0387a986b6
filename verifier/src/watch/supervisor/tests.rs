//! A supervisor with workers that are scripts.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::watch::journal;
use crate::watch::log::event::{Sdc, SdcClass, Start};
use crate::watch::log::{LogReader, Settings};

/// What a script says to be a worker.
const READY: &str = concat!(
    r#"{"ready":{"seconds":0.1,"bundle_blake3":"","runtime":"","device":"","batch_size":1,"#,
    r#""samples":1,"elements":1,"resident_bytes":0,"compared_with":""}}"#
);
/// A sign of life, as a word of a script inside of a script.
const ALIVE: &str = r#""{\"alive\":\"passes\"}""#;
const PASSES: &str = r#"{"alive":"passes"}"#;
const WORK: &str = concat!(
    r#"{"work":{"exposed":0.5,"comparing":0.4,"slowest":0.001,"#,
    r#""passes":0,"batches":1,"samples":1,"elements":1}}"#
);
const PASS: &str = concat!(
    r#"{"work":{"exposed":0.0,"comparing":0.0,"slowest":0.0,"#,
    r#""passes":1,"batches":0,"samples":0,"elements":0}}"#
);

fn sdc(number: u64) -> Sdc {
    Sdc {
        number,
        worker: 1,
        pass: 1,
        batch: [0, 1],
        faulty_samples: 1,
        faulty_elements: 1,
        non_finite_elements: 0,
        differing_samples: 0,
        signature: format!("{number}"),
        seconds: 0.1,
        noted: None,
    }
}

fn message(message: &Message) -> String {
    serde_json::to_string(message).expect("JSON")
}

/// A shell script that says these lines into the pipe, which is its standard input, and then does
/// something.
fn script(lines: &[&str], then: &str) -> String {
    let said = lines.iter().map(|line| format!("echo '{line}' >&0\n"));
    said.collect::<String>() + then
}

/// Runs a supervisor whose n-th worker is the n-th script, the last one again and again, until it
/// has started as many as there are scripts, or for so many seconds.
fn supervise(folder: &Path, scripts: &[String], seconds: f64, ladder: Ladder) -> Tally {
    let stop = AtomicBool::new(false);
    let worker = |number: u64, _: u64| {
        let script = &scripts[(number as usize - 1).min(scripts.len() - 1)];
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    };
    let plan = Plan {
        folder: folder.to_owned(),
        settings: Settings {
            rotate: 1 << 20,
            reserve: 1 << 20,
        },
        start: start(),
        worker: &worker,
        duration: Some(Duration::from_secs_f64(seconds)),
        beat: Duration::from_millis(200),
        hang_after: Some(Duration::from_millis(700)),
        load_limit: Duration::from_secs(60),
        ladder,
        rehearsal: None,
        telemetry: None,
        stop: &stop,
    };
    let starts = scripts.len() as u64;
    let mut show = |seen: Seen<'_>| {
        let (Seen::Entry(_, tally) | Seen::Tick(tally, _)) = seen;
        if tally.workers >= starts && tally.events.dues() + tally.events.due_while_loading >= starts
        {
            stop.store(true, Ordering::Relaxed);
        }
    };
    let supervisor = Supervisor::begin(plan, &mut show).expect("begin");
    supervisor.run().expect("run")
}

fn events(folder: &Path) -> Vec<Event> {
    let mut reader = LogReader::open(folder).expect("open");
    let mut events = Vec::new();
    while let Some(entry) = reader.next_entry().expect("read") {
        events.push(entry.event);
    }
    assert_eq!(reader.integrity().damaged_bytes, 0);
    events
}

fn dues(folder: &Path) -> Vec<(DueKind, u64)> {
    let events = events(folder).into_iter();
    let dues = events.filter_map(|event| match event {
        Event::Due(due) => Some((due.kind, due.in_a_row)),
        _ => None,
    });
    dues.collect()
}

#[test]
fn each_way_to_lose_a_worker_is_a_due_of_its_kind_and_another_one_is_started() {
    let folder = tempfile::tempdir().expect("folder");
    let began = [READY, PASSES, WORK, PASS];
    let failed = message(&Message::Failed {
        what: "CUDA".to_owned(),
        is_device_lost: true,
    });
    let scripts = [
        script(&began, "kill -SEGV $$"),
        script(&began, "exit 0"),
        script(&began, "kill -KILL $$"),
        script(&began, "sleep 60"),
        script(&[READY, PASSES, WORK, &failed], "exit 2"),
    ];
    let tally = supervise(folder.path(), &scripts, 60.0, Ladder::default());
    let expected = [
        (DueKind::Crash, 1),
        (DueKind::Exit, 1),
        (DueKind::Killed, 1),
        (DueKind::Hang, 1),
        (DueKind::DeviceLost, 2),
    ];
    assert_eq!(dues(folder.path()), expected);
    assert_eq!((tally.workers, tally.events.dues()), (5, 5));
    // Half a second of each worker's own, whatever the time that went by.
    assert!((tally.computed.exposed - 2.5).abs() < 1e-9);
    let Some(Event::End(end)) = events(folder.path()).pop() else {
        panic!("no end");
    };
    assert_eq!(end.reason, "told to stop");
}

#[test]
fn commands_of_the_user_are_in_the_log_before_they_run() {
    let folder = tempfile::tempdir().expect("folder");
    let seen = folder.path().join("seen");
    let files = folder.path().join("events-000001.jsonl");
    let copy = format!("cp {} {}; exit 4", files.display(), seen.display());
    let ladder = Ladder {
        on_hang: None,
        on_dead: vec![copy],
        dead_after: 2,
    };
    let lost = script(&[READY, PASSES, WORK], "exit 7");
    supervise(
        folder.path(),
        &[lost.clone(), lost.clone(), lost],
        60.0,
        ladder,
    );
    let copied = std::fs::read_to_string(seen).expect("the command ran");
    assert!(copied.contains(r#""step":"on-dead""#), "{copied}");
    let ended = events(folder.path())
        .into_iter()
        .filter_map(|event| match event {
            Event::Command(command) => Some(command.ended),
            _ => None,
        });
    assert_eq!(
        ended.collect::<Vec<_>>(),
        [None, Some("exit status 4".to_owned())]
    );
}

#[test]
fn a_worker_that_never_began_is_an_error_and_one_that_is_told_to_stop_is_none() {
    let folder = tempfile::tempdir().expect("folder");
    let failed = message(&Message::Failed {
        what: "no such library".to_owned(),
        is_device_lost: false,
    });
    let stop = AtomicBool::new(false);
    let script = script(&[&failed], "exit 2");
    let worker = |_: u64, _: u64| {
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        command
    };
    let plan = Plan {
        folder: folder.path().to_owned(),
        settings: Settings::default(),
        start: start(),
        worker: &worker,
        duration: None,
        beat: Duration::from_secs(1),
        hang_after: None,
        load_limit: Duration::from_secs(60),
        ladder: Ladder::default(),
        rehearsal: None,
        telemetry: None,
        stop: &stop,
    };
    let mut show = |_: Seen<'_>| {};
    let supervisor = Supervisor::begin(plan, &mut show).expect("begin");
    let error = supervisor
        .run()
        .expect_err("nothing can be run")
        .to_string();
    assert!(error.contains("no such library"), "{error}");
    let polite = r#"trap 'echo \"bye\" >&0; exit 0' TERM; while true; do sleep 0.05; done"#;
    let again = script_of(polite);
    let tally = supervise(folder.path(), &[again], 0.4, Ladder::default());
    assert_eq!(
        (tally.events.dues(), tally.events.due_while_loading),
        (0, 0)
    );
}

fn start() -> Start {
    Start {
        verifier: "0".to_owned(),
        host: "here".to_owned(),
        boot_id: "one".to_owned(),
        process: 1,
        arguments: vec![],
        bundle: String::new(),
        bundle_blake3: String::new(),
        part: String::new(),
        device: String::new(),
    }
}

fn script_of(then: &str) -> String {
    script(&[READY, PASSES, WORK], then)
}

/// A wrong batch that is in the worker's list alone, since its supervisor was killed.
#[test]
fn what_a_lost_supervisor_did_not_record_is_taken_from_the_list_once() {
    let folder = tempfile::tempdir().expect("folder");
    let told = [1, 2].map(|number| message(&Message::Sdc(sdc(number))));
    let scripts = [script(&[READY, PASSES, &told[0], &told[1]], "exit 1")];
    supervise(folder.path(), &scripts, 60.0, Ladder::default());
    let (_, last) = crate::watch::log::reader::files_of(folder.path())
        .expect("list")
        .pop()
        .expect("a file");
    // As a kill at that moment leaves it: without its end.
    let log = std::fs::read_to_string(&last).expect("read");
    let without_end: Vec<&str> = log
        .lines()
        .filter(|line| !line.contains(r#"{"end""#))
        .collect();
    std::fs::write(&last, without_end.join("\n") + "\n").expect("write");
    let mut list = journal::Journal::open(folder.path()).expect("open");
    for number in [2, 3] {
        list.note(&sdc(number)).expect("note");
    }
    let tally = supervise(
        folder.path(),
        &[script_of("exit 1")],
        60.0,
        Ladder::default(),
    );
    assert_eq!(tally.events.sdc.get(&None), Some(&1));
    let mut whole = Tally::default();
    let mut reader = LogReader::open(folder.path()).expect("open");
    while let Some(entry) = reader.next_entry().expect("read") {
        whole.add(&entry);
    }
    assert_eq!(
        (whole.events.sdcs(), whole.last_sdc, whole.last_worker),
        (3, 3, 2)
    );
    assert_eq!(whole.events.due.get(&DueKind::Supervisor), Some(&1));
    assert_eq!(whole.events.sdc.get(&Some(SdcClass::Transient)), None);
}

#[test]
fn what_is_left_of_a_log_that_was_removed_is_no_event_of_a_new_one() {
    let folder = tempfile::tempdir().expect("folder");
    let mut list = journal::Journal::open(folder.path()).expect("open");
    list.note(&sdc(1)).expect("note");
    let dump = folder.path().join("dumps/sdc-000001");
    std::fs::create_dir_all(dump).expect("made");
    let scripts = [script_of("exit 1")];
    let tally = supervise(folder.path(), &scripts, 60.0, Ladder::default());
    assert_eq!((tally.events.sdcs(), tally.events.dues()), (0, 1));
    assert!(folder.path().join("worker.journal.old-1").exists());
    assert!(folder.path().join("dumps.old-1/sdc-000001").exists());
}

#[test]
fn somebody_elses_sigterm_to_a_worker_is_a_due() {
    let folder = tempfile::tempdir().expect("folder");
    let bye = message(&Message::Bye);
    let scripts = [script(&[READY, PASSES, WORK, PASS, &bye], "exit 0")];
    supervise(folder.path(), &scripts, 60.0, Ladder::default());
    assert_eq!(dues(folder.path()), [(DueKind::Killed, 1)]);
}

/// A process that a worker leaves behind holds its pipe and goes on talking.
#[test]
fn a_process_that_holds_the_pipe_of_a_lost_worker_holds_up_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let talks =
        format!("setsid sh -c 'for i in $(seq 100); do echo {ALIVE} >&0; sleep 0.2; done' <&0 &");
    let scripts = [script_of(&format!("{talks}\nsleep 0.3\nkill -SEGV $$"))];
    let begun = Instant::now();
    supervise(folder.path(), &scripts, 60.0, Ladder::default());
    assert_eq!(dues(folder.path()), [(DueKind::Crash, 1)]);
    assert!(begun.elapsed() < Duration::from_secs(15));
}

/// Whoever starts the same command again, a service after a reboot, sees no error message.
#[test]
fn a_worker_that_cannot_load_ends_the_first_start_and_is_a_due_of_a_later_one() {
    let folder = tempfile::tempdir().expect("folder");
    let failed = message(&Message::Failed {
        what: "no such device".to_owned(),
        is_device_lost: true,
    });
    let scripts = [script_of("exit 1")];
    supervise(folder.path(), &scripts, 60.0, Ladder::default());
    let again = [script_of(""), script(&[&failed], "exit 2")];
    let tally = supervise(folder.path(), &again[..], 1.5, Ladder::default());
    assert!(tally.events.due_while_loading >= 1, "{tally:?}");
}
