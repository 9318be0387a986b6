//! How many bytes a file system has free.

use std::path::Path;

/// Bytes free on the file system of a path, which need not exist; `None` where that cannot be
/// known.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let existing = absolute.ancestors().find(|folder| folder.is_dir())?;
    let free = rustix::fs::statvfs(existing).ok()?;
    Some(free.f_bavail.saturating_mul(free.f_frsize))
}
