//! Where the log's bytes go: files of a folder, and a reserve of the disk for when it is full.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate, fstat, statvfs};

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
            reserve: kept_in(&folder.join(RESERVE)),
            reserve_file: folder.join(RESERVE),
            wanted: reserve,
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

    /// Whether somebody removed the file, so that what is written is on no disk.
    fn is_removed(&self) -> bool {
        fstat(&self.file).is_ok_and(|status| status.st_nlink == 0)
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
        if self.is_removed() {
            fs::create_dir_all(&self.folder)?;
            self.rotate()?;
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
        let free = statvfs(&self.folder).map_or(0, |disk| disk.f_bavail * disk.f_frsize);
        let goal = goal(self.wanted, self.reserve, free);
        if goal <= self.reserve {
            return self.reserve >= self.wanted;
        }
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.reserve_file);
        let taken = file.and_then(|file| {
            let taken = fallocate(&file, FallocateFlags::empty(), 0, goal);
            if taken.is_err() {
                // Some file systems keep what they could get.
                file.set_len(self.reserve)?;
            }
            Ok(taken?)
        });
        match taken.map_err(|error| error.kind()) {
            Ok(()) => self.reserve = goal,
            Err(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => return false,
            // Some file systems know no such thing: then nothing is kept.
            Err(_) => self.wanted = 0,
        }
        self.reserve >= self.wanted
    }
}

/// Bytes that the reserve should have: never more than half of what the disk has for it and for the
/// log together.
fn goal(wanted: u64, reserve: u64, free: u64) -> u64 {
    wanted.min((reserve + free) / 2)
}

/// Bytes that an earlier watch left in the reserve.
fn kept_in(reserve_file: &Path) -> u64 {
    let metadata = fs::metadata(reserve_file);
    metadata.map_or(0, |metadata| {
        use std::os::unix::fs::MetadataExt as _;
        metadata.len().min(512 * metadata.blocks())
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_leaves_the_log_as_much_as_it_takes_and_does_not_take_back_what_it_gave() {
        let mega = |number: u64| number << 20;
        assert_eq!(goal(mega(64), 0, mega(1000)), mega(64));
        assert_eq!(goal(mega(64), 0, mega(50)), mega(25));
        // A disk that others filled: what was given back is the log's.
        assert!(goal(mega(64), mega(63), mega(1)) <= mega(63));
        assert!(goal(mega(64), mega(1), mega(1)) <= mega(1));
    }

    #[test]
    fn a_reserve_is_given_back_step_by_step_and_a_later_watch_finds_what_is_left() {
        let folder = tempfile::tempdir().expect("folder");
        let begin = || Files::begin(folder.path(), 1 << 20, 3 * STEP).expect("begin");
        let mut files = begin();
        assert_eq!(files.reserve(), 3 * STEP);
        assert!(files.release(0));
        drop(files);
        assert_eq!(kept_in(&folder.path().join(RESERVE)), 2 * STEP);
        assert_eq!(begin().reserve(), 3 * STEP);
    }

    #[test]
    fn a_log_whose_folder_was_removed_goes_on_in_a_new_one() {
        let parent = tempfile::tempdir().expect("folder");
        let folder = parent.path().join("log");
        fs::create_dir(&folder).expect("made");
        let mut files = Files::begin(&folder, 1 << 20, STEP).expect("begin");
        files.append(b"one\n").expect("written");
        fs::remove_dir_all(&folder).expect("removed");
        files.append(b"two\n").expect("written");
        assert_eq!(fs::read(path_of(&folder, 2)).expect("read"), b"two\n");
    }
}
