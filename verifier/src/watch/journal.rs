//! The worker's own list of wrong batches, beside the log: what it has seen is on the disk before
//! it is told, and is taken into the log by whoever comes after, if the supervisor could not.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Write as _};
use std::path::Path;

use super::consequences::TABLE;
use super::log::Entry;
use super::log::event::{Event, Sdc};
use super::log::reader::Lines;
use super::log::writer::unix_now;

const FILE: &str = "worker.journal";

/// The list, open for more.
#[derive(Debug)]
pub struct Journal(File);

impl Journal {
    /// Goes on with the list in the folder of a log.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join(FILE);
        let opened = OpenOptions::new().append(true).create(true).open(&path);
        let named = |error| io::Error::other(format!("{}: {error}", path.display()));
        Ok(Self(opened.map_err(named)?))
    }

    /// Puts a wrong batch onto the disk.
    pub fn note(&mut self, sdc: &Sdc) -> io::Result<()> {
        let entry = Entry {
            sequence: sdc.number,
            monotonic: 0.0,
            unix: unix_now(),
            event: Event::Sdc(sdc.clone()),
        };
        self.0.write_all(entry.to_line().as_bytes())?;
        self.0.sync_data()
    }
}

/// The wrong batches in the list that come after the last one in the log.
pub fn left(folder: &Path, last: u64) -> io::Result<Vec<Sdc>> {
    let file = match File::open(folder.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        file => file?,
    };
    let (entries, _) = Lines::new(BufReader::new(file), FILE).read_all()?;
    let sdcs = entries.into_iter().filter_map(|entry| match entry.event {
        Event::Sdc(sdc) if sdc.number > last => Some(Sdc {
            noted: Some(entry.unix),
            ..sdc
        }),
        _ => None,
    });
    Ok(sdcs.collect())
}

/// What belongs to the wrong batches of a log.
const OF_A_LOG: [&str; 3] = [FILE, super::DUMPS, TABLE];

/// Gives what is left of a log that somebody removed other names, `dumps.old-1` say: its numbers
/// are of other wrong batches.
pub fn set_aside(folder: &Path) -> io::Result<()> {
    for name in OF_A_LOG {
        let path = folder.join(name);
        if !path.exists() {
            continue;
        }
        let names = (1..).map(|number| folder.join(format!("{name}.old-{number}")));
        let mut free = names.skip_while(|other| other.exists());
        fs::rename(&path, free.next().expect("some number is free"))?;
    }
    Ok(())
}

/// Empties the list, all of which is in the log.
pub fn clear(folder: &Path) -> io::Result<()> {
    match fs::remove_file(folder.join(FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
