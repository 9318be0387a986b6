//! Where the log's bytes go: files of a folder, and a reserve of the disk for when it is full.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate};

use super::reader::{files_of, path_of};

/// The file that keeps space, and how much of it is given back at a time.
const RESERVE: &str = "reserve";
const STEP: u64 = 1 << 20;

/// What a log needs of a disk.
pub trait Disk {
    /// Appends bytes, at least one of them; says how many.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Puts all that was appended onto the disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Gives some of the reserve back to the disk; false if nothing is left of it, or only what has
    /// to be kept.
    fn release(&mut self, keep: u64) -> bool;
    /// Bytes of the reserve that are left.
    fn reserve(&self) -> u64;
    /// Takes the reserve again; false if there is no space for it.
    fn take_reserve(&mut self) -> bool;
}

/// Files of a folder, a new one for each supervisor and whenever one is large.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
    number: u64,
    file: File,
    bytes: u64,
    /// How large a file may become.
    rotate: u64,
    reserve_file: PathBuf,
    wanted: u64,
    reserve: u64,
    /// Until then it is as if the disk were full.
    full_until: Option<Instant>,
}

impl Files {
    /// Begins a new file in a folder, which must exist.
    pub fn begin(folder: &Path, rotate: u64, reserve: u64) -> io::Result<Self> {
        let last = files_of(folder)?.last().map_or(0, |(number, _)| *number);
        let file = create(folder, last + 1)?;
        let mut files = Self {
            folder: folder.to_owned(),
            number: last + 1,
            file,
            bytes: 0,
            rotate,
            reserve_file: folder.join(RESERVE),
            wanted: reserve,
            reserve: 0,
            full_until: None,
        };
        files.take_reserve();
        Ok(files)
    }

    /// For a rehearsal: takes nothing for so long.
    pub fn pretend_full(&mut self, how_long: Duration) {
        self.full_until = Some(Instant::now() + how_long);
    }

    fn is_pretended_full(&self) -> bool {
        self.full_until.is_some_and(|until| Instant::now() < until)
    }

    fn rotate(&mut self) -> io::Result<()> {
        let file = create(&self.folder, self.number + 1)?;
        self.file.sync_data()?;
        self.file = file;
        self.number += 1;
        self.bytes = 0;
        Ok(())
    }
}

impl Disk for Files {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_pretended_full() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let written = self.file.write(bytes)?;
        if written == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes += written as u64;
        // Records are whole in one file: a new one begins behind a line break alone.
        if self.bytes >= self.rotate && bytes[..written].ends_with(b"\n") {
            // The old file goes on where no new one can be made.
            let _ = self.rotate();
        }
        Ok(written)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn release(&mut self, keep: u64) -> bool {
        if self.reserve <= keep || self.is_pretended_full() {
            return false;
        }
        let left = self.reserve.saturating_sub(STEP);
        let file = OpenOptions::new().write(true).open(&self.reserve_file);
        let released = file.and_then(|file| file.set_len(left));
        // A reserve that is not there any more keeps nothing.
        self.reserve = if released.is_ok() { left } else { 0 };
        released.is_ok()
    }

    fn reserve(&self) -> u64 {
        self.reserve
    }

    fn take_reserve(&mut self) -> bool {
        if self.is_pretended_full() {
            return false;
        }
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.reserve_file);
        let taken = file.and_then(|file| {
            fallocate(&file, FallocateFlags::empty(), 0, self.wanted.max(1))?;
            Ok(())
        });
        match taken.map_err(|error| error.kind()) {
            Ok(()) => self.reserve = self.wanted,
            Err(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => return false,
            // Some file systems know no such thing: then nothing is kept.
            Err(_) => self.wanted = 0,
        }
        true
    }
}

/// A file that was not there before, and its name on the disk.
fn create(folder: &Path, number: u64) -> io::Result<File> {
    let path = path_of(folder, number);
    let file = OpenOptions::new()
        .append(true)
        .create_new(true)
        .open(&path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    // Some file systems cannot be asked to put a folder onto the disk.
    let _ = fs::File::open(folder).and_then(|folder| folder.sync_all());
    Ok(file)
}
