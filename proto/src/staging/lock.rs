//! Locks on files and folders that are being written; they go when the process ends, however it
//! ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// What came of locking.
pub(super) enum Lock {
    /// Held as long as this lives.
    Held(File),
    /// Another process holds it.
    Busy,
    /// Something else stands there by now, or nothing.
    Moved,
}

/// Locks the file or folder at a path, which may not be a link.
pub(super) fn take(path: &Path) -> io::Result<Lock> {
    // A pipe that stands there must not make this wait.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    match opened {
        Ok(file) => of_open(file, path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Lock::Moved),
        Err(error) => Err(error),
    }
}

fn of_open(file: File, path: &Path) -> io::Result<Lock> {
    match file.try_lock() {
        // Between opening and locking, another process may have removed or renamed it.
        Ok(()) if is_still_at(&file, path) => Ok(Lock::Held(file)),
        Ok(()) => Ok(Lock::Moved),
        Err(TryLockError::WouldBlock) => Ok(Lock::Busy),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Locks a file that was just made; false if another process has taken it for a leftover. Where
/// the file system knows no locks, nobody can do that.
pub(super) fn keep(file: &File, path: &Path) -> bool {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => false,
        Ok(()) | Err(TryLockError::Error(_)) => is_still_at(file, path),
    }
}

/// Whether an open file or folder is still the one of this name.
fn is_still_at(file: &File, path: &Path) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    file.metadata().map(identity).ok() == path.symlink_metadata().map(identity).ok()
}
