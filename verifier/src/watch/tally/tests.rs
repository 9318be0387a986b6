use std::fs;

use serde_json::{Value, json};

use super::*;
use crate::watch::consequences::TABLE;

/// Adds events, each at its time.
fn tally(mut tally: Tally, events: Vec<(f64, Value)>) -> Tally {
    for (sequence, (unix, event)) in (1..).zip(events) {
        tally.add(&Entry {
            sequence,
            monotonic: unix,
            unix,
            event: serde_json::from_value(event).expect("an event"),
        });
    }
    tally
}

/// A period that ends now, all of which but a fifth was exposed.
fn beat(seconds: f64, passes: u64) -> Value {
    json!({"beat": {
        "seconds": seconds, "exposed": 0.8 * seconds, "comparing": 0.0, "slowest": 0.0,
        "passes": passes, "batches": 1, "samples": 1, "elements": 1, "last_sdc": 0, "worker": 1,
    }})
}

fn sdc(number: u64) -> Value {
    json!({"sdc": {
        "number": number, "worker": 1, "pass": 1, "batch": [0, 8], "faulty_samples": 1,
        "faulty_elements": 1, "non_finite_elements": 0, "differing_samples": 0,
        "signature": number.to_string(), "seconds": 0.1,
    }})
}

fn classified(number: u64, class: &str) -> Value {
    json!({"classified": {"sdc": number, "class": class, "damaged": [], "seconds": 0.1}})
}

fn due(kind: &str, silent: f64) -> Value {
    json!({"due": {
        "kind": kind, "worker": 1, "phase": "passes", "what": "", "said": "", "silent": silent,
        "in_a_row": 1,
    }})
}

/// A beam of 10 particles per cm² and second from 0 to 100 s, and none until 300 s.
fn counts() -> Counts {
    let readings = vec![(0.0, 0.0), (50.0, 500.0), (100.0, 1000.0), (300.0, 1000.0)];
    Counts::new(readings, 1.0).expect("readings")
}

#[test]
fn a_stuck_fault_that_another_batch_shows_to_the_next_worker_is_counted_once() {
    let tally = tally(
        Tally::default(),
        vec![
            (1.0, beat(1.0, 1000)),
            (1.0, sdc(1)),
            (1.1, classified(1, "stuck")),
            (2.0, beat(1.0, 0)),
            (2.0, sdc(2)),
            (2.1, classified(2, "stuck")),
            (3.0, sdc(3)),
            (3.1, classified(3, "transient")),
            (9.0, beat(6.0, 1)),
            (9.0, sdc(4)),
            (9.1, classified(4, "stuck")),
        ],
    );
    assert_eq!(tally.events.sdc[&Some(SdcClass::Stuck)], 2);
    assert_eq!((tally.events.sdcs(), tally.events.repeated), (3, 1));
}

#[test]
fn events_while_the_counter_stands_still_are_not_in_the_beam_and_none_is_left_out() {
    let tally = tally(
        Tally::new(Some(counts()), None),
        vec![
            (20.0, sdc(1)),
            (20.1, classified(1, "transient")),
            (150.0, sdc(2)),
            (150.1, classified(2, "transient")),
            (160.0, due("crash", 0.0)),
            (301.0, due("crash", 0.0)),
        ],
    );
    let of = |events: &Events| (events.sdcs(), events.dues());
    assert_eq!(of(&tally.events), (2, 2));
    assert_eq!(of(&tally.in_beam.events), (1, 0));
    assert_eq!(of(&tally.in_beam.events_off), (1, 1));
    assert_eq!(of(&tally.in_beam.events_unknown), (0, 1));
}

#[test]
fn a_hang_is_of_the_time_when_the_worker_was_last_seen() {
    let events = vec![(120.0, due("hang", 60.0)), (121.0, due("crash", 60.0))];
    let tally = tally(Tally::new(Some(counts()), None), events);
    assert_eq!(tally.in_beam.events.due, [(DueKind::Hang, 1)].into());
    assert_eq!(tally.in_beam.events_off.due, [(DueKind::Crash, 1)].into());
}

#[test]
fn a_wrong_batch_that_was_recorded_later_is_of_the_time_when_it_was_noted() {
    let mut noted = sdc(1);
    noted["sdc"]["noted"] = 90.0.into();
    let tally = tally(Tally::new(Some(counts()), None), vec![(200.0, noted)]);
    assert_eq!(tally.in_beam.events.sdcs(), 1);
}

#[test]
fn a_period_is_cut_where_events_are_cut() {
    let tally = tally(
        Tally::new(Some(counts()), None),
        vec![
            (20.0, beat(40.0, 1)),
            (120.0, beat(100.0, 1)),
            (400.0, beat(280.0, 1)),
        ],
    );
    let InBeam {
        fluence,
        exposed,
        exposed_off,
        exposed_unknown,
        ..
    } = tally.in_beam;
    // 100 s of beam, 200 s without it, 120 s that no reading covers.
    let found = [fluence, exposed, exposed_off, exposed_unknown];
    for (found, expected) in found.into_iter().zip([800.0, 80.0, 160.0, 96.0]) {
        assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
    }
}

#[test]
fn damage_of_our_own_is_not_critical_and_what_was_not_carried_on_is_not_known() {
    let folder = tempfile::tempdir().expect("folder");
    let table = "sdc,sample,tier,outcome\n1,0,0,critical\n2,0,0,critical\n3,0,0,tolerable\n";
    fs::write(folder.path().join(TABLE), table).expect("write");
    let table = Table::read(folder.path()).expect("read");
    let class = |number| {
        if number == 2 {
            "own-damage"
        } else {
            "transient"
        }
    };
    let events = (1..=5).flat_map(|number| {
        let at = 20.0 + number as f64;
        [(at, sdc(number)), (at, classified(number, class(number)))]
    });
    let tally = tally(Tally::new(Some(counts()), table), events.collect());
    for events in [&tally.events, &tally.in_beam.events] {
        assert_eq!(events.sdcs(), 4);
        assert_eq!((events.critical, events.examined), (1, 2));
    }
}

#[test]
fn what_a_log_was_run_with_is_kept_with_all_its_values() {
    let start = |device| {
        json!({"start": {
            "verifier": "1", "host": "h", "boot_id": "", "process": 1, "arguments": [],
            "bundle": "bundles/a", "bundle_blake3": "0a", "part": "full", "device": device,
        }})
    };
    let events = vec![
        (0.0, start("cpu")),
        (1.0, start("cuda")),
        (2.0, start("cpu")),
    ];
    let tally = tally(Tally::default(), events);
    assert_eq!(tally.setting["device"].len(), 2);
    assert_eq!(tally.setting["part"], ["full".to_owned()].into());
}
