use std::path::Path;

use super::*;
use crate::watch::consequences::Table;
use crate::watch::fluence::{Conversion, Counts};
use crate::watch::log::event::{Beat, Due, DueKind, Event, Phase, Rehearsed, Xid};
use crate::watch::log::{Entry, Integrity};
use crate::watch::log_helper::Row;
use crate::watch::message::Work;
use crate::watch::sums::Sums;
use crate::watch::supervisor::Now;
use crate::watch::tally::Tally;

fn tally(counts: Option<Counts>) -> Tally {
    let mut tally = Tally::new(counts, None);
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
    let expected = [
        "SDC",
        "critical SDC",
        "SDC, logits not finite",
        "DUE",
        "DUE, hang",
    ];
    assert_eq!(names, expected);
    assert_eq!(summary.rates[0][2..], ["0.000e0", "0.00e0 to 3.69e0"]);
    assert_eq!(summary.rates[4][1..3], ["1", "1.000e0"]);
    assert!(
        summary
            .text()
            .contains("01:00:00 of 02:00:00, 50.0 %; comparing 2.5 %")
    );

    let counts = Counts::new(vec![(0.0, 0.0), (7200.0, 2e9)], 1.0);
    let summary = Summary::new(&tally(counts.ok()), None, false);
    let due = &summary.rates[1];
    assert_eq!(due.len(), summary.header.len());
    // One event in 10⁹ particles per cm².
    assert_eq!((due[2].as_str(), due[5].as_str()), ("1", "1.000e-9"));
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
    let row = Row {
        known_lines: 1,
        ..row
    };
    let report = OthersReport::new(vec![row, Row::default()]);
    let text = report.text();
    assert_eq!((report.runs.len(), report.rates.len()), (1, 2));
    assert!(text.contains("no log of libLogHelper"), "{text}");
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

fn with(mut tally: Tally, events: Vec<Event>) -> Tally {
    for (sequence, event) in (3..).zip(events) {
        tally.add(&Entry {
            sequence,
            monotonic: 7200.0,
            unix: 7200.0,
            event,
        });
    }
    tally
}

fn sdc(number: u64) -> Event {
    serde_json::from_value(serde_json::json!({"sdc": {
        "number": number, "worker": 1, "pass": 1, "batch": [0, 8], "faulty_samples": 1,
        "faulty_elements": 1, "non_finite_elements": 0, "differing_samples": 0,
        "signature": number.to_string(), "seconds": 0.1,
    }}))
    .expect("an SDC")
}

#[test]
fn a_rehearsal_says_so_first_and_has_no_rates() {
    let caused = Event::Rehearsed(Rehearsed {
        kind: "crash".to_owned(),
        number: 1,
    });
    let summary = Summary::new(&with(tally(None), vec![caused]), None, false);
    assert_eq!(summary.rows[0].0, "REHEARSAL");
    assert_eq!(summary.rates[2][1..], ["1", "–", "–"]);
}

/// Of three SDCs one changed the class and one did not: the limits are those of one event in two
/// thirds of the exposure.
#[test]
fn critical_sdcs_are_those_of_the_sdcs_that_are_known() {
    let folder = tempfile::tempdir().expect("folder");
    let table = "sdc,sample,tier,outcome,bundle\n1,0,0,critical,a\n2,0,0,tolerable,a\n";
    std::fs::write(folder.path().join("consequences.csv"), table).expect("write");
    let table = Table::read(folder.path()).expect("read");
    let mut of_hour = Tally::new(None, table);
    of_hour.computed = tally(None).computed;
    let tally = with(of_hour, [1, 2, 3].map(sdc).to_vec());
    let summary = Summary::new(&tally, None, tally.has_table());
    assert_eq!(summary.rates[1][..3], ["critical SDC", "1 of 2", "1.500e0"]);
    let notes = summary.notes.join("\n");
    assert!(notes.contains("of 1 SDCs it is not known"), "{notes}");
}

#[test]
fn what_is_not_in_the_beam_is_named_with_its_exposure() {
    let counts = vec![(0.0, 0.0), (3600.0, 1e9), (7100.0, 1e9)];
    let counts = Counts::new(counts, 1.0).expect("readings");
    let tally = with(tally(Some(counts)), vec![sdc(1)]);
    let summary = Summary::new(&tally, None, false);
    let notes = summary.notes.join("\n");
    for note in [
        "00:29:10 of exposure and 0 events (SDC 0, DUE 0) are while the counter stood still",
        "00:00:50 of exposure and 2 events (SDC 1, DUE 1) are not covered by the counts",
    ] {
        assert!(notes.contains(note), "{notes}");
    }
    assert_eq!(summary.rates[0][2], "0");
}

#[test]
fn exposure_that_would_be_none_is_no_factor() {
    let summary = Summary::new(&with(tally(None), vec![sdc(1)]), None, false);
    assert!(
        !summary
            .notes
            .iter()
            .any(|note| note.contains("there would be no exposure"))
    );
    let mut late = with(Tally::new(None, None), vec![sdc(1)]);
    late.computed.exposed = 10.0;
    let notes = Summary::new(&late, None, false).notes.join("\n");
    assert!(notes.contains("there would be no exposure"), "{notes}");
}

#[test]
fn the_document_has_what_is_printed() {
    let counts = Counts::new(vec![(0.0, 5.0), (10.0, 9.0), (7200.0, 1.0)], 1.0);
    let counts = counts.expect("readings");
    let conversion = Conversion {
        factor: 3200.0,
        attenuation: 0.98,
        hours_ahead: 0.0,
    };
    let of_file = CountsReport::new(Path::new("counts.csv"), &counts, conversion);
    let mut sums = Sums::new(Some(counts), None);
    sums.add(&Entry {
        sequence: 1,
        monotonic: 0.0,
        unix: 7200.0,
        event: sdc(1),
    });
    let integrity = Integrity::default();
    let report = WatchReport::new(Path::new("runs"), &sums, &integrity, Some(of_file));
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).expect("JSON");
    assert_eq!(json["counts"]["factor"], 3200.0);
    assert_eq!(json["counts"]["resets"][0]["from"], 9.0);
    assert_eq!(json["settings"][0]["rates"][0]["count"], 1);
    for text in [report.text(), report.to_markdown()] {
        assert!(text.contains("factor 3200, attenuation 0.98"), "{text}");
        assert!(
            text.contains("the counter began anew before 1970-01-01T02:00:00Z"),
            "{text}"
        );
    }
}
