//! Reads a log in flat memory: every record that is whole, whatever lies around it.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use proto::regular_file;

use super::entry::{BEGINNING, CHECKSUM, END_BYTES, Entry, LONGEST, sequence_of};

/// Beginning and end of the names of a log's files; between them stands a number.
const PREFIX: &str = "events-";
const SUFFIX: &str = ".jsonl";
/// Places of damage that are named.
const NAMED: usize = 20;

/// What of a log could be read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Integrity {
    pub files: usize,
    pub records: u64,
    /// Bytes that are no whole record.
    pub damaged_bytes: u64,
    /// The first places of them: file and byte.
    pub damaged_at: Vec<(String, u64)>,
    /// Numbers of records that are not there.
    pub missing: u64,
    /// Records that came again, or out of their order, and were not taken.
    pub repeated: u64,
    /// Whole records of which it is not known what they tell: of a newer version.
    pub unknown: u64,
}

/// Gives the whole records of a log, one after the other.
#[derive(Debug)]
pub struct LogReader {
    /// Those that are still to be read, the next one last.
    files: Vec<PathBuf>,
    lines: Option<Lines<BufReader<File>>>,
    order: Order,
}

/// Records of one file.
#[derive(Debug)]
pub struct Lines<R> {
    source: R,
    name: String,
    /// Bytes that are read, and how many came before them.
    bytes: Vec<u8>,
    at: u64,
    /// Where in them the next record is looked for.
    next: usize,
    is_at_end: bool,
}

/// A whole record, one that is whole but not understood, or bytes that are none.
#[derive(Debug, PartialEq)]
enum Piece {
    Entry(Box<Entry>),
    Unknown { sequence: u64 },
    Damage { at: u64, bytes: u64 },
}

/// Sees to it that every record is taken once.
#[derive(Debug, Default)]
pub(super) struct Order {
    last: u64,
    integrity: Integrity,
}

/// The files of a log in order, with their numbers.
pub fn files_of(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
        if let Some(Ok(number)) = number.map(str::parse) {
            files.push((number, path));
        }
    }
    files.sort();
    Ok(files)
}

/// The path of a file of a log.
pub(super) fn path_of(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{PREFIX}{number:06}{SUFFIX}"))
}

impl LogReader {
    /// Of all files of a log.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let files = files_of(folder)?.into_iter().rev();
        Ok(Self {
            files: files.map(|(_, path)| path).collect(),
            lines: None,
            order: Order::default(),
        })
    }

    /// What could be read so far.
    pub fn integrity(&self) -> &Integrity {
        &self.order.integrity
    }

    /// The next whole record.
    pub fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        loop {
            let Some(lines) = &mut self.lines else {
                let Some(path) = self.files.pop() else {
                    return Ok(None);
                };
                let at = |error| io::Error::other(format!("{}: {error}", path.display()));
                let file = regular_file::open(&path).map_err(at)?;
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                self.lines = Some(Lines::new(BufReader::new(file), &name));
                self.order.integrity.files += 1;
                continue;
            };
            if let Some(entry) = lines.next_in(&mut self.order)? {
                return Ok(Some(entry));
            }
            self.lines = None;
        }
    }
}

impl<R: BufRead> Lines<R> {
    /// Of a file of this name.
    pub fn new(source: R, name: &str) -> Self {
        Self {
            source,
            name: name.to_owned(),
            bytes: Vec::new(),
            at: 0,
            next: 0,
            is_at_end: false,
        }
    }

    /// All whole records, and what lies between them.
    pub fn read_all(mut self) -> io::Result<(Vec<Entry>, Integrity)> {
        let (mut order, mut entries) = (Order::default(), Vec::new());
        order.integrity.files = 1;
        while let Some(entry) = self.next_in(&mut order)? {
            entries.push(entry);
        }
        Ok((entries, order.integrity))
    }

    pub(super) fn next_in(&mut self, order: &mut Order) -> io::Result<Option<Entry>> {
        loop {
            match self.piece()? {
                None => return Ok(None),
                Some(Piece::Damage { at, bytes }) => order.damage(&self.name, at, bytes),
                Some(Piece::Unknown { sequence }) => order.unknown(sequence),
                Some(Piece::Entry(entry)) => {
                    if order.takes(entry.sequence) {
                        return Ok(Some(*entry));
                    }
                }
            }
        }
    }

    /// Bytes that it holds, whatever it has read.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    fn piece(&mut self) -> io::Result<Option<Piece>> {
        loop {
            let left = &self.bytes[self.next..];
            if left.is_empty() {
                if self.is_at_end {
                    return Ok(None);
                }
                self.read_line()?;
                continue;
            }
            let (piece, used) = first_piece(left);
            let at = self.at + self.next as u64;
            // A record may go on behind a line break that is damage, or behind the most that is
            // read at a time.
            self.next += used;
            match piece {
                Some(piece) => return Ok(Some(piece)),
                None if self.bytes[self.next - used..self.next] == *b"\n" => {}
                None => {
                    let bytes = used as u64;
                    return Ok(Some(Piece::Damage { at, bytes }));
                }
            }
        }
    }

    /// Reads to the next line break, but no more than a record can have.
    fn read_line(&mut self) -> io::Result<()> {
        self.at += self.bytes.len() as u64;
        self.bytes.clear();
        self.next = 0;
        let most = 2 * LONGEST as u64;
        let read = (&mut self.source)
            .take(most)
            .read_until(b'\n', &mut self.bytes)?;
        self.is_at_end = read == 0;
        Ok(())
    }
}

/// What a line, or what is left of it, begins with: a whole record, or bytes up to the next place
/// where one might begin. And how many bytes that is.
fn first_piece(bytes: &[u8]) -> (Option<Piece>, usize) {
    if bytes.starts_with(BEGINNING)
        && let Some(checksum) = find(bytes, CHECKSUM)
        && let end = checksum + END_BYTES
        && let Some(record) = bytes.get(..end).and_then(whole_record)
    {
        // Its line break belongs to it.
        let breaks = usize::from(bytes.get(end) == Some(&b'\n'));
        return (Some(record), end + breaks);
    }
    let next = find(&bytes[1..], BEGINNING).map(|next| next + 1);
    (None, next.unwrap_or(bytes.len()))
}

fn whole_record(line: &[u8]) -> Option<Piece> {
    let entry = Entry::from_line(line).map(|entry| Piece::Entry(Box::new(entry)));
    entry.or_else(|| sequence_of(line).map(|sequence| Piece::Unknown { sequence }))
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

impl Order {
    /// Whether a record of this number is to be taken: it comes after those before.
    fn takes(&mut self, sequence: u64) -> bool {
        let is_next = self.comes_next(sequence);
        self.integrity.records += u64::from(is_next);
        is_next
    }

    /// Notes a record that is not understood, in its place.
    fn unknown(&mut self, sequence: u64) {
        let is_next = self.comes_next(sequence);
        self.integrity.unknown += u64::from(is_next);
    }

    fn comes_next(&mut self, sequence: u64) -> bool {
        if sequence <= self.last {
            self.integrity.repeated += 1;
            return false;
        }
        self.integrity.missing += sequence - self.last - 1;
        self.last = sequence;
        true
    }

    fn damage(&mut self, name: &str, at: u64, bytes: u64) {
        self.integrity.damaged_bytes += bytes;
        if self.integrity.damaged_at.len() < NAMED {
            self.integrity.damaged_at.push((name.to_owned(), at));
        }
    }
}
