//! What is written is read back, by a file and by datagrams, and so are logs of others.

use std::net::UdpSocket;
use std::time::Duration;

use super::*;
use crate::compare::{ElementPair, Pattern};
use crate::watch::log::Entry;
use crate::watch::log::event::{
    Beat, Classified, Due, DueKind, End, Event, Faulty, Phase, Sdc, SdcClass, Start, Worker,
};

fn entry(event: Event) -> Entry {
    Entry {
        sequence: 1,
        monotonic: 0.0,
        unix: 0.0,
        event,
    }
}

fn start() -> Event {
    Event::Start(Start {
        verifier: String::new(),
        host: String::new(),
        boot_id: String::new(),
        process: 0,
        arguments: vec!["bundles/nano;x".to_owned()],
        bundle: String::new(),
        bundle_blake3: "0123456789abcdef0123".to_owned(),
        part: "submodel".to_owned(),
        device: "cuda".to_owned(),
    })
}

fn worker(number: u64) -> Event {
    Event::Worker(Worker {
        number,
        process: 0,
        waited: 0.0,
    })
}

fn beat() -> Event {
    Event::Beat(Beat {
        seconds: 5.0,
        exposed: 4.5,
        batches: 10,
        ..Beat::default()
    })
}

fn sdc(number: u64, class: SdcClass) -> [Event; 4] {
    let pair = ElementPair::new(vec![3, 4, 5], 1.0, -1.5);
    [
        Event::Sdc(Sdc {
            number,
            worker: 1,
            pass: 1,
            batch: [0, 4],
            faulty_samples: 1,
            faulty_elements: 7,
            non_finite_elements: 0,
            differing_samples: 0,
            signature: String::new(),
            seconds: 0.125,
            noted: None,
        }),
        Event::Faulty(Box::new(Faulty {
            sdc: number,
            sample: 3,
            sample_index: 3,
            tier: None,
            confidence: None,
            output: "y".to_owned(),
            elements: 7,
            pattern: Some(Pattern::Scattered),
            listed: vec![pair],
        })),
        // Within the tolerance, and with other bits.
        Event::Faulty(Box::new(Faulty {
            sdc: number,
            sample: 4,
            sample_index: 3,
            tier: None,
            confidence: None,
            output: "y".to_owned(),
            elements: 7,
            pattern: None,
            listed: vec![ElementPair::new(vec![4, 4, 5], 1.0, -1.5)],
        })),
        Event::Classified(Classified {
            sdc: number,
            class,
            damaged: vec![],
            seconds: 0.1,
        }),
    ]
}

/// A worker that is lost with a wrong batch that nobody could classify, and one that ends.
fn events() -> Vec<Event> {
    let mut events = vec![start(), worker(1), beat()];
    events.extend(sdc(1, SdcClass::Transient));
    events.extend(sdc(2, SdcClass::OwnDamage));
    events.extend([beat(), beat()]);
    events.extend(sdc(3, SdcClass::Transient).into_iter().take(2));
    events.push(Event::Due(Due {
        kind: DueKind::Hang,
        worker: 1,
        phase: Phase::AfterSdc,
        what: "no sign of life".to_owned(),
        said: String::new(),
        silent: 9.0,
        in_a_row: 1,
    }));
    events.extend([worker(2), beat()]);
    events.push(Event::End(End {
        reason: String::new(),
        lost: 0,
        has_open_end: false,
    }));
    events
}

#[test]
fn a_server_that_only_hears_datagrams_has_the_same_table_as_the_files() {
    let server = UdpSocket::bind("127.0.0.1:0").expect("bind");
    let wait = Some(Duration::from_secs(10));
    server.set_read_timeout(wait).expect("timeout");
    let address = server.local_addr().expect("address").to_string();
    let folder = tempfile::tempdir().expect("folder");
    let (sender, found) = Sender::new(&address, true);
    assert!(found.is_ok());
    let mut log = TextLog::new(Some(folder.path()), Some(sender), "nano", "my_host", true);
    let heard = folder.path().join("heard");
    std::fs::create_dir(&heard).expect("make");
    let mut files = Vec::new();
    for event in events() {
        log.take(&entry(event));
    }
    let mut bytes = [0; 2048];
    let mut text = String::new();
    while !text.contains("#END") {
        let length = server.recv(&mut bytes).expect("a datagram");
        assert_eq!(bytes[0], 0x0e);
        assert!(length <= 1024 && bytes[1..length].is_ascii());
        let line = std::str::from_utf8(&bytes[1..length]).expect("ASCII");
        match line.strip_prefix("#LOGFILE ") {
            Some(path) => files.push((path.to_owned(), String::new())),
            None => files.last_mut().expect("its file first").1.push_str(line),
        }
        text.push_str(line);
    }
    assert_eq!(files.len(), 2);
    let mut rows = Vec::new();
    for (number, (_, text)) in files.iter().enumerate() {
        let name = format!("2026_11_26_12_30_0{number}_nano_ECC_ON_my-host.log");
        std::fs::write(heard.join(&name), text).expect("write");
        rows.push(read_file(&heard.join(name)).expect("read"));
    }
    let of = |row: &Row| {
        (
            row.sdc,
            row.errors,
            row.seconds,
            row.end,
            row.application_due,
        )
    };
    assert_eq!(of(&rows[0]), (2, 14, 13.5, 0, 1));
    assert_eq!(of(&rows[1]), (0, 0, 4.5, 1, 0));
    assert_eq!(rows[0].seconds_at_last_sdc, 13.5);
    assert!(
        rows[0].header.contains("arguments:bundles/nano-x"),
        "{:?}",
        rows[0]
    );
    let (host, benchmark) = (rows[0].host.as_str(), rows[0].benchmark.as_str());
    assert_eq!(
        (host, benchmark, rows[0].has_ecc),
        ("my-host", "nano", Some(true))
    );
    let first = &files[0].1;
    let error = first
        .find("#ERR p: [3, 4, 5] r: -1.5e0 e: 1e0")
        .expect("an error");
    assert!(!first.contains("[4, 4, 5]"), "{first}");
    assert!(
        error < first.find("#SDC").expect("an SDC"),
        "errors come first"
    );
    let on_disk = read_folder(folder.path()).expect("read");
    // Two workers that begin within one second have a file each.
    assert_eq!(
        on_disk.iter().map(of).collect::<Vec<_>>(),
        rows.iter().map(of).collect::<Vec<_>>()
    );
}

fn row(text: &str) -> Row {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder
        .path()
        .join("2023_01_02_03_04_05_mat_mul_ECC_OFF_carol1.log");
    std::fs::write(&path, text).expect("write");
    read_file(&path).expect("read")
}

#[test]
fn logs_of_others_are_read_old_and_new_with_and_without_their_end() {
    let old = row("noise before\n#HEADER size:8192 type:float\n\
        #BEGIN Y:2023 M:01 D:02 Time:03:04:05\n\
        #IT Ite:1 KerTime:0.500000 AccTime:0.500000\n#IT Ite:2 KerTime:0.500000 AccTime:1.000000\n\
        #ERR p: [1, 2], r: 1.0, e: 2.0\n\
        #SDC Ite:3 KerTime:0.500000 AccTime:1.500000 KerErr:1 AccErr:1\n\
        #IT Ite:4 KerTime:0.500000 AccTime:2.000000\n#END\n");
    let of = |row: &Row| (row.sdc, row.errors, row.end, row.application_due);
    assert_eq!(of(&old), (1, 1, 1, 0));
    assert_eq!((old.seconds, old.seconds_at_last_sdc), (2.0, 1.5));
    assert_eq!(
        (old.benchmark.as_str(), old.host.as_str()),
        ("mat_mul", "carol1")
    );
    assert_eq!(old.begun, "2023-01-02 03:04:05");
    let cut_off = row("#HEADER x\n#IT 7 KerTime:0.1000000 AccTime:0.7000000\n#IT 8 KerTi");
    assert_eq!((of(&cut_off), cut_off.seconds), ((0, 0, 0, 1), 0.7));
    let server = row(
        "#SERVER_HEADER run\n#SERVER_BEGIN Y:2026 M:1 D:2 TIME:3:4:5-6\n\
        2026-01-02 03:04:05.678 #IT 7 KerTime:0.1000000 AccTime:0.7000000\n\
        2026-01-02 03:04:06.678 #ABORT too many errors per iteration\n\
        #SERVER_DUE:soft OS reboot TIME:2026-1-2-3-4-9\n",
    );
    assert_eq!(
        (server.abort, server.system_due, server.application_due),
        (1, 1, 0)
    );
    assert_eq!((server.header.as_str(), server.unknown_lines), ("run", 0));
}

#[test]
fn bytes_that_are_no_text_are_no_panic() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("x.log");
    std::fs::write(
        &path,
        b"#IT \xff\xfe AccTime:\xff\n#SDC AccTime:NaN AccErr:-1\n\0\0#END\n",
    )
    .expect("write");
    let row = read_file(&path).expect("read");
    assert_eq!((row.sdc, row.end, row.seconds), (1, 1, 0.0));
    assert_eq!((row.has_ecc, row.begun.as_str()), (None, ""));
}

#[test]
fn a_server_that_stops_a_program_in_its_time_has_seen_no_due() {
    let stopped = row(
        "#SERVER_HEADER run\n#SERVER_BEGIN Y:2026 M:1 D:2 TIME:3:4:5-6\n#HEADER x\n\
        #IT 7 KerTime:0.1 AccTime:0.7\n#SERVER_END TIME:2026-1-2-4-4-5\n",
    );
    assert_eq!((stopped.end, stopped.application_due), (1, 0));
    let both = row("#HEADER x\n#END\n#SERVER_END TIME:2026-1-2-4-4-5\n");
    assert_eq!((both.end, both.application_due), (1, 0));
}

#[test]
fn a_sum_that_its_iterations_cannot_have_taken_is_not_believed() {
    let damaged = row(
        "#HEADER x\n#IT Ite:100 KerTime:1.0 AccTime:100.0\n#IT Ite:101 KerTime:1 AccTime:9e17\n\
        #IT Ite:102 KerTime:1.0 AccTime:102.0\n#END\n",
    );
    assert_eq!((damaged.seconds, damaged.absurd_sums), (102.0, 1));
    // Lines that were lost have iterations too.
    let lost = row("#HEADER x\n#IT 1 KerTime:1.0 AccTime:1.0\n#IT 5001 KerTime:1.0 AccTime:5001\n");
    assert_eq!((lost.seconds, lost.absurd_sums), (5001.0, 0));
}

#[test]
fn a_file_of_another_kind_has_no_line_of_a_log() {
    for text in [
        "",
        "# A title\n\n## Another\n",
        "{\"a\": \"#1\"}\n",
        "#!/bin/sh\n",
    ] {
        assert!(!row(text).is_log(), "{text}");
    }
    assert!(row("#HEADER x\n").is_log());
    assert_eq!(
        row("#HEADER x\nSegmentation fault\n#SD? Ite:3\n").unknown_lines,
        2
    );
}

#[test]
fn a_server_without_a_way_to_it_is_no_error() {
    let (sender, found) = Sender::new("no.such.host.invalid:1024", false);
    assert!(found.is_err());
    let mut log = TextLog::new(None, Some(sender), "nano", "host", false);
    events()
        .into_iter()
        .for_each(|event| log.take(&entry(event)));
}
