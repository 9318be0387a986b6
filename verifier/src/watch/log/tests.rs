//! A log against truncation, flipped bytes, a full disk, and ten times as many records.

use std::io::{self, BufReader, Read};

use super::disk::Disk;
use super::event::{Beat, Event, Sdc};
use super::reader::Lines;
use super::*;

/// A disk of so many bytes.
#[derive(Default)]
struct Small {
    bytes: Vec<u8>,
    space: usize,
    reserve: u64,
    /// What it takes at a time.
    at_a_time: usize,
}

impl Small {
    fn new(space: usize, reserve: u64) -> Self {
        Self {
            space,
            reserve,
            at_a_time: 10,
            bytes: vec![],
        }
    }
}

impl Disk for Small {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.space).min(self.at_a_time);
        if taken == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.space -= taken;
        self.bytes.extend(&bytes[..taken]);
        Ok(taken)
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn release(&mut self, keep: u64) -> bool {
        let is_left = self.reserve > keep;
        if is_left {
            self.reserve -= 1;
            self.space += 1;
        }
        is_left
    }

    fn reserve(&self) -> u64 {
        self.reserve
    }

    fn take_reserve(&mut self) -> bool {
        false
    }
}

fn sdc(number: u64) -> Event {
    Event::Sdc(Sdc {
        number,
        worker: 1,
        pass: 3,
        batch: [64, 128],
        faulty_samples: 1,
        faulty_elements: 2,
        non_finite_elements: 0,
        differing_samples: 1,
        // A text that looks like the end and the beginning of records.
        signature: "\",\"crc32\":\"00000000\"}\n{\"sequence\":9".to_owned(),
        seconds: 0.25,
        noted: None,
    })
}

fn beat() -> Event {
    Event::Beat(Beat {
        seconds: 5.0,
        exposed: 4.9,
        ..Beat::default()
    })
}

/// Five records.
fn log() -> Vec<u8> {
    let mut writer = LogWriter::on(Small::new(1 << 20, 0), 0);
    for number in 1..=5 {
        match number % 2 {
            0 => _ = writer.record_if_possible(beat()),
            _ => _ = writer.record(sdc(number)),
        }
    }
    std::mem::take(&mut writer.disk().bytes)
}

fn read(bytes: &[u8]) -> (Vec<u64>, Integrity) {
    let (entries, integrity) = Lines::new(bytes, "log").read_all().expect("in memory");
    let sequences = entries.iter().map(|entry| entry.sequence);
    (sequences.collect(), integrity)
}

/// Where each record ends, with its line break.
fn ends(log: &[u8]) -> Vec<usize> {
    let breaks = log.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    breaks.map(|(at, _)| at + 1).collect()
}

#[test]
fn what_is_written_is_read_back() {
    let (entries, integrity) = Lines::new(&log()[..], "log").read_all().expect("read");
    assert_eq!((entries[0].event.clone(), entries.len()), (sdc(1), 5));
    assert_eq!(entries[1].event, beat());
    assert_eq!((integrity.records, integrity.damaged_bytes), (5, 0));
}

#[test]
fn a_log_cut_off_at_any_byte_has_every_complete_record() {
    let log = log();
    let ends = ends(&log);
    for length in 0..=log.len() {
        let (found, integrity) = read(&log[..length]);
        // The last byte of a record is its line break, which tells nothing.
        let complete = ends.iter().filter(|end| **end <= length + 1).count() as u64;
        assert_eq!(found, (1..=complete).collect::<Vec<_>>(), "{length} bytes");
        let begun = complete
            .checked_sub(1)
            .map_or(0, |last| ends[last as usize]);
        let torn = length.saturating_sub(begun) as u64;
        assert_eq!(integrity.damaged_bytes, torn, "{length} bytes");
    }
}

#[test]
fn whatever_becomes_of_a_byte_every_other_record_is_read_and_the_damage_is_told() {
    let log = log();
    let ends = ends(&log);
    for at in 0..log.len() {
        for change in [0x01, 0x20, 0x80, log[at] ^ b'\n', log[at] ^ b'"'] {
            let mut changed = log.clone();
            changed[at] ^= change;
            if change == 0 {
                continue;
            }
            let (found, integrity) = read(&changed);
            let hit = ends.iter().filter(|end| **end <= at).count() as u64 + 1;
            let is_break = log[at] == b'\n';
            let expected = (1..=5).filter(|&number| is_break || number != hit);
            assert_eq!(found, expected.collect::<Vec<_>>(), "byte {at} ^ {change}");
            assert!(integrity.damaged_bytes > 0, "byte {at} ^ {change}");
            let missing = u64::from(!is_break && hit < 5);
            assert_eq!(integrity.missing, missing, "byte {at} ^ {change}");
        }
    }
}

#[test]
fn what_comes_again_is_taken_once() {
    let log = log();
    let (found, integrity) = read(&[log.as_slice(), &log].concat());
    assert_eq!((found.len(), integrity.repeated), (5, 5));
}

/// With its checksum, but of an event that is not known here.
#[test]
fn a_record_of_a_newer_version_is_no_damage_and_its_number_is_not_missing() {
    let log = log();
    let (first, rest) = log.split_at(ends(&log)[0]);
    let body = r#"{"sequence":2,"monotonic":1.0,"unix":1.0,"event":{"latchup":{"x":1}}"#;
    let checksum = crc32fast::hash(body.as_bytes());
    let newer = format!("{body},\"crc32\":\"{checksum:08x}\"}}\n");
    let second = ends(rest)[0];
    let (found, integrity) = read(&[first, newer.as_bytes(), &rest[second..]].concat());
    assert_eq!(found, [1, 3, 4, 5]);
    assert_eq!((integrity.unknown, integrity.records), (1, 4));
    assert_eq!((integrity.missing, integrity.damaged_bytes), (0, 0));
}

/// Events take the last of the reserve, and what then still waits is written, whole, when there is
/// space again.
#[test]
fn a_full_disk_keeps_events_and_drops_what_comes_again() {
    let mut writer = LogWriter::on(Small::new(100, 600), 0);
    assert!(
        writer.record_if_possible(beat()).is_some(),
        "half of the reserve"
    );
    while writer.record_if_possible(beat()).is_some() {}
    assert!(writer.disk().reserve >= 290);
    writer.record(sdc(1));
    writer.record(sdc(2));
    writer.record(sdc(3));
    assert!(writer.is_full() && writer.disk().reserve == 0);
    assert!(writer.record_if_possible(beat()).is_none());
    writer.disk().space = 10_000;
    writer.record(sdc(4));
    assert!(!writer.is_full() && writer.lost() == 0);
    let (entries, integrity) = Lines::new(&writer.disk().bytes[..], "log")
        .read_all()
        .expect("read");
    let events = entries
        .iter()
        .filter(|entry| matches!(entry.event, Event::Sdc(_)));
    assert_eq!((events.count(), integrity.damaged_bytes), (4, 0));
    assert_eq!(
        integrity.missing, 0,
        "no number was given twice or left out"
    );
}

#[test]
fn what_still_waits_in_the_end_is_lost_and_told() {
    let mut writer = LogWriter::on(Small::new(100, 0), 0);
    writer.record(sdc(1));
    writer.record(sdc(2));
    assert_eq!(writer.finish(std::time::Duration::ZERO), 2);
    writer.disk().space = 10_000;
    assert_eq!(writer.finish(std::time::Duration::from_secs(60)), 0);
}

#[test]
fn files_are_rotated_and_a_new_supervisor_begins_a_new_one() {
    let folder = tempfile::tempdir().expect("folder");
    let settings = Settings {
        rotate: 1000,
        reserve: 1 << 20,
    };
    let mut writer = LogWriter::begin(folder.path(), settings, 0).expect("begin");
    (0..20).for_each(|number| _ = writer.record(sdc(number)));
    assert_eq!(writer.disk().reserve(), 1 << 20);
    drop(writer);
    // A torn tail stays where it is.
    let files = reader::files_of(folder.path()).expect("list");
    let (_, last) = files.last().expect("several");
    let bytes = std::fs::read(last).expect("read");
    std::fs::write(last, [&bytes[..], b"{\"sequence\":21,\"mono"].concat()).expect("write");
    let mut writer = LogWriter::begin(folder.path(), settings, 20).expect("begin");
    writer.record(sdc(21));
    let mut reader = LogReader::open(folder.path()).expect("open");
    let mut found = 0;
    while let Some(entry) = reader.next_entry().expect("read") {
        found += 1;
        assert_eq!(entry.sequence, found);
    }
    let integrity = reader.integrity();
    assert_eq!((found, integrity.missing), (21, 0));
    assert!(integrity.files > files.len() && integrity.damaged_bytes == 20);
}

/// So many records, made as they are read.
struct Endless {
    left: u64,
    line: Vec<u8>,
    at: usize,
}

impl Endless {
    fn new(records: u64) -> Self {
        Self {
            left: records,
            line: vec![],
            at: 0,
        }
    }
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.line.len() && self.left > 0 {
            let sequence = u64::MAX / 2 - self.left;
            let entry = Entry {
                sequence,
                monotonic: 1.0,
                unix: sequence as f64,
                event: beat(),
            };
            self.left -= 1;
            self.line = entry.to_line().into_bytes();
            self.at = 0;
        }
        let taken = buffer.len().min(self.line.len() - self.at);
        buffer[..taken].copy_from_slice(&self.line[self.at..self.at + taken]);
        self.at += taken;
        Ok(taken)
    }
}

#[test]
fn a_hundred_times_as_many_records_take_no_more_memory() {
    let held = |records| {
        let mut lines = Lines::new(BufReader::new(Endless::new(records)), "log");
        let (mut order, mut found) = (reader::Order::default(), 0);
        while lines.next_in(&mut order).expect("in memory").is_some() {
            found += 1;
        }
        assert_eq!(found, records);
        lines.capacity()
    };
    assert_eq!(held(2_000), held(200_000));
}
