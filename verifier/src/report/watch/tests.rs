use std::collections::BTreeSet;

use super::*;
use crate::watch::fluence::Counts;
use crate::watch::log::Entry;
use crate::watch::log::event::{Beat, Due, DueKind, Event, Phase, Xid};
use crate::watch::log_helper::Row;
use crate::watch::message::Work;
use crate::watch::supervisor::Now;
use crate::watch::tally::Tally;

fn tally(counts: Option<Counts>) -> Tally {
    let mut tally = Tally::new(counts, BTreeSet::new());
    let beat = Beat {
        seconds: 7200.0,
        exposed: 3600.0,
        comparing: 180.0,
        passes: 1234,
        ..Beat::default()
    };
    let due = Due {
        kind: DueKind::Hang,
        worker: 1,
        phase: Phase::Passes,
        what: String::new(),
        said: String::new(),
        silent: 9.0,
        in_a_row: 1,
    };
    for (sequence, event) in (1..).zip([Event::Beat(beat), Event::Due(due)]) {
        tally.add(&Entry {
            sequence,
            monotonic: 7200.0,
            unix: 7200.0,
            event,
        });
    }
    tally
}

#[test]
fn a_line_says_how_things_stand() {
    let now = Now {
        seconds: 7261.0,
        phase: Phase::Loading,
        work: Work::default(),
        is_disk_full: true,
    };
    let expected = "02:01:01  passes 1,234  SDC 0  DUE 1  exposed 49.6 %, loading, DISK FULL  \
                    last event: none";
    assert_eq!(line(&tally(None), now, ""), expected);
}

#[test]
fn rates_are_per_hour_of_exposure_and_cross_sections_per_fluence() {
    let summary = Summary::new(&tally(None), None, true);
    let names: Vec<&str> = summary.rates.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(names, ["SDC", "critical SDC", "DUE", "DUE, hang"]);
    assert_eq!(summary.rates[0][2..], ["0.000e0", "0.00e0 to 3.69e0"]);
    assert_eq!(summary.rates[3][1..3], ["1", "1.000e0"]);
    assert!(
        summary
            .text()
            .contains("01:00:00 of 02:00:00, 50.0 %; comparing 2.5 %")
    );

    let counts = Counts::new(vec![(0.0, 0.0), (7200.0, 2e9)], 1.0);
    let summary = Summary::new(&tally(counts), None, false);
    let due = &summary.rates[1];
    assert_eq!(due.len(), summary.header.len());
    // One event in 10⁹ particles per cm².
    assert_eq!((due[4].as_str(), due[5].as_str()), ("1", "1.000e-9"));
    assert_eq!(due[7], "1.300e1");
}

#[test]
fn logs_of_others_have_limits_too() {
    let row = Row {
        sdc: 2,
        seconds: 7200.0,
        seconds_at_last_sdc: 10.0,
        ..Row::default()
    };
    let text = rows_of_others(&[row]);
    assert!(
        text.contains("1.000e0") && text.contains("would be 10.0 s"),
        "{text}"
    );
}

#[test]
fn what_a_machine_does_not_tell_is_named() {
    let mut tally = tally(None);
    let values = [("load", Some(0.5)), ("GPU, by NVML", None)];
    let values = values.map(|(name, value)| (name.to_owned(), value));
    let xid = Xid {
        number: 79,
        gpu: Some(0),
        unix: 7200.0,
    };
    let events = [Event::Telemetry(values.into()), Event::Xid(xid)];
    for (sequence, event) in (3..).zip(events) {
        tally.add(&Entry {
            sequence,
            monotonic: 7200.0,
            unix: 7200.0,
            event,
        });
    }
    let text = Summary::new(&tally, None, false).text();
    for line in [
        "load: 0.5 to 0.5, last 0.5",
        "GPU, by NVML: n/a",
        "79 of GPU 0: 1 times",
    ] {
        assert!(text.contains(line), "{text}");
    }
}
