//! Files of results: each attempt of a process appends to one of its own, a record for each batch.
//!
//! A file is `vit-part campaign 1\n` and then records: length of the content and a check of the
//! length, four bytes each, the content, and the first sixteen bytes of BLAKE3 over the record's
//! position and content; numbers are little-endian. The first record is the header as JSON, all
//! others are batches. A process that is killed leaves at most one record that ends too early: it
//! is ignored, and its batch is run again. Anything else that is not as it was written is an error.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::coding::{decode, encode};
use super::effect::Effects;

const MAGIC: &[u8] = b"vit-part campaign 1\n";
const CHECK_BYTES: usize = 16;
/// Of a record, before its content.
const LENGTH_BYTES: usize = 8;
/// A batch is far smaller: a longer record is none of ours.
const MOST_BYTES: u32 = 1 << 26;

/// What a file of results belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The plan's hash, which stands for bundle, engine, version and everything asked for.
    pub plan: String,
    /// Which part of the batches this is of.
    pub shard: Shard,
}

/// One of so many parts of a campaign: of each round, every so manyth batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Shard {
    /// From 1.
    pub number: u64,
    pub of: u64,
}

/// Results cannot be read, or do not fit together.
#[derive(Debug, Error)]
pub enum ResultsError {
    #[error("{path}: {error}")]
    Io { path: PathBuf, error: io::Error },
    #[error("{path}: not a file of results of a campaign")]
    NotOurs { path: PathBuf },
    #[error(
        "{path}: altered or damaged at byte {at}: {what}\n\
         hint: move the file away; its batches are then run again"
    )]
    Damaged {
        path: PathBuf,
        at: u64,
        what: &'static str,
    },
    #[error(
        "{path}: of another campaign: plan {found}, expected {expected}\n\
         hint: the bundle, the engine, the version and the options have to be the same"
    )]
    OtherPlan {
        path: PathBuf,
        found: String,
        expected: String,
    },
    #[error(
        "faults from {first}: {one} and {other} have different outcomes\n\
         hint: the machines compute differently; keep the results of one kind of machine"
    )]
    Unequal {
        first: u64,
        one: PathBuf,
        other: PathBuf,
    },
}

/// The file of one attempt.
#[derive(Debug)]
pub struct Attempt {
    path: PathBuf,
    file: File,
    /// Where the last whole record ends.
    end: u64,
}

/// The batches that files have, by the number of their first fault.
#[derive(Debug, Default)]
pub struct Found {
    batches: BTreeMap<u64, Stored>,
    /// The largest number of shards that a file is of.
    pub shards: u64,
}

/// Where a batch is.
#[derive(Debug, Clone)]
struct Stored {
    path: PathBuf,
    at: u64,
    check: [u8; CHECK_BYTES],
}

impl Attempt {
    /// Begins a new file in a folder.
    pub fn create(folder: &Path, header: &Header) -> Result<Self, ResultsError> {
        let Shard { number, of } = header.shard;
        let mut attempt = 1;
        let (path, file) = loop {
            let path = folder.join(format!("shard-{number}-of-{of}.{attempt}.results"));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => break (path, file),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => attempt += 1,
                Err(error) => return Err(ResultsError::Io { path, error }),
            }
        };
        let mut new = Self { path, file, end: 0 };
        let content = serde_json::to_vec(header).expect("a header is JSON");
        let at = MAGIC.len() as u64;
        new.append_bytes(&[MAGIC, &record(&content, at)].concat())?;
        Ok(new)
    }

    /// Appends a batch; on an error what was there before stays as it was.
    pub fn append(&mut self, first: u64, effects: &[Effects]) -> Result<(), ResultsError> {
        let bytes = record(&encode(first, effects), self.end);
        self.append_bytes(&bytes)
    }

    fn append_bytes(&mut self, bytes: &[u8]) -> Result<(), ResultsError> {
        let written = self
            .file
            .write_all(bytes)
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // What is left of the record would be ignored; without it nothing need be.
            let _ = self.file.set_len(self.end);
            let path = self.path.clone();
            return Err(ResultsError::Io { path, error });
        }
        self.end += bytes.len() as u64;
        Ok(())
    }
}

impl Found {
    /// Reads the files of a folder; they have to be of this plan, and to agree where two have the
    /// same batch.
    pub fn read(folder: &Path, plan: &str) -> Result<Self, ResultsError> {
        let in_folder = |error| ResultsError::Io {
            path: folder.to_owned(),
            error,
        };
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(in_folder)? {
            let path = entry.map_err(in_folder)?.path();
            if path.extension().is_some_and(|ending| ending == "results") {
                paths.push(path);
            }
        }
        paths.sort();
        let mut found = Self::default();
        for path in paths {
            found.add(&path, plan)?;
        }
        Ok(found)
    }

    /// How many batches there are.
    pub fn batches(&self) -> usize {
        self.batches.len()
    }

    /// The numbers of their first faults, ascending.
    pub fn firsts(&self) -> impl Iterator<Item = u64> {
        self.batches.keys().copied()
    }

    /// Whether a file has the batch.
    pub fn has(&self, first: u64) -> bool {
        self.batches.contains_key(&first)
    }

    /// What the faults of a batch did, if a file has it.
    pub fn effects(&self, first: u64) -> Result<Option<Vec<Effects>>, ResultsError> {
        let Some(stored) = self.batches.get(&first) else {
            return Ok(None);
        };
        let mut reader = Reader::open(&stored.path)?;
        reader.at = stored.at;
        let effects = reader.next()?.and_then(|content| decode(&content));
        let effects = effects.filter(|(number, _)| *number == first);
        effects.map(|(_, effects)| Some(effects)).ok_or_else(|| {
            let what = "its record was changed meanwhile";
            reader.damaged(what)
        })
    }

    fn add(&mut self, path: &Path, plan: &str) -> Result<(), ResultsError> {
        let mut reader = Reader::open(path)?;
        if !reader.begins()? {
            return Ok(());
        }
        let Some(content) = reader.next()? else {
            return Ok(());
        };
        let header: Header = serde_json::from_slice(&content)
            .map_err(|_| reader.damaged("its header cannot be understood"))?;
        if header.plan != plan {
            return Err(ResultsError::OtherPlan {
                path: path.to_owned(),
                found: header.plan,
                expected: plan.to_owned(),
            });
        }
        self.shards = self.shards.max(header.shard.of);
        loop {
            let at = reader.at;
            let Some(content) = reader.next()? else {
                return Ok(());
            };
            let Some((first, _)) = decode(&content) else {
                return Err(reader.damaged("a record cannot be understood"));
            };
            let stored = Stored {
                path: path.to_owned(),
                at,
                check: check_of(&content, 0),
            };
            let known = self.batches.entry(first).or_insert_with(|| stored.clone());
            if known.check != stored.check {
                return Err(ResultsError::Unequal {
                    first,
                    one: known.path.clone(),
                    other: stored.path,
                });
            }
        }
    }
}

/// Reads one file from record to record.
struct Reader {
    path: PathBuf,
    file: File,
    at: u64,
    end: u64,
}

impl Reader {
    fn open(path: &Path) -> Result<Self, ResultsError> {
        let failed = |error| ResultsError::Io {
            path: path.to_owned(),
            error,
        };
        let file = proto::regular_file::open(path).map_err(failed)?;
        let end = file.metadata().map_err(failed)?.len();
        Ok(Self {
            path: path.to_owned(),
            file,
            at: MAGIC.len() as u64,
            end,
        })
    }

    /// Whether the file has all of its first line; another one is an error.
    fn begins(&mut self) -> Result<bool, ResultsError> {
        let mut line = vec![0; MAGIC.len().min(self.end as usize)];
        self.read_at(0, &mut line)?;
        if !MAGIC.starts_with(&line) {
            let path = self.path.clone();
            return Err(ResultsError::NotOurs { path });
        }
        Ok(line.len() == MAGIC.len())
    }

    /// The next record's content; `None` at the end, or where it ends too early.
    fn next(&mut self) -> Result<Option<Vec<u8>>, ResultsError> {
        let left = self.end.saturating_sub(self.at);
        if left < LENGTH_BYTES as u64 {
            return Ok(None);
        }
        let mut head = [0; LENGTH_BYTES];
        self.read_at(self.at, &mut head)?;
        let [length, check] = halves(head);
        if check != check_of_length(length, self.at) || length > MOST_BYTES {
            return Err(self.damaged("the length of a record"));
        }
        let all = LENGTH_BYTES + length as usize + CHECK_BYTES;
        if left < all as u64 {
            return Ok(None);
        }
        let mut content = vec![0; length as usize + CHECK_BYTES];
        self.read_at(self.at + LENGTH_BYTES as u64, &mut content)?;
        let check = content.split_off(length as usize);
        if check != check_of(&content, self.at) {
            return Err(self.damaged("the content of a record"));
        }
        self.at += all as u64;
        Ok(Some(content))
    }

    fn read_at(&mut self, at: u64, bytes: &mut [u8]) -> Result<(), ResultsError> {
        let file = &mut self.file;
        let read = file
            .seek(SeekFrom::Start(at))
            .and_then(|_| file.read_exact(bytes));
        read.map_err(|error| ResultsError::Io {
            path: self.path.clone(),
            error,
        })
    }

    fn damaged(&self, what: &'static str) -> ResultsError {
        ResultsError::Damaged {
            path: self.path.clone(),
            at: self.at,
            what,
        }
    }
}

fn record(content: &[u8], at: u64) -> Vec<u8> {
    let length = content.len() as u32;
    let check = check_of_length(length, at).to_le_bytes();
    [
        &length.to_le_bytes(),
        &check,
        content,
        &check_of(content, at),
    ]
    .concat()
}

fn halves(head: [u8; LENGTH_BYTES]) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = head;
    [
        u32::from_le_bytes([a, b, c, d]),
        u32::from_le_bytes([e, f, g, h]),
    ]
}

fn check_of(content: &[u8], at: u64) -> [u8; CHECK_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&at.to_le_bytes()).update(content);
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&hasher.finalize().as_bytes()[..CHECK_BYTES]);
    check
}

fn check_of_length(length: u32, at: u64) -> u32 {
    let check = check_of(&length.to_le_bytes(), at);
    u32::from_le_bytes([check[0], check[1], check[2], check[3]])
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/');
        let number = |text: &str| {
            let is_unsigned = text.bytes().all(|byte| byte.is_ascii_digit());
            is_unsigned.then(|| text.parse().ok())?
        };
        let numbers = parts.and_then(|(one, of)| Some((number(one)?, number(of)?)));
        match numbers {
            Some((number, of)) if 0 < number && number <= of && of <= 1_000_000 => {
                Ok(Self { number, of })
            }
            _ => Err("expected I/N with I of 1 to N, such as 3/16".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
