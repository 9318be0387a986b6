//! Files and folders that are whole or absent: written under a temporary sibling name, renamed when
//! complete.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Begins the name of a file that is being written.
const PARTIAL_PREFIX: &str = ".partial-";

/// Writes a file through a temporary sibling; on any error the old file, if there was one, is left
/// as it was.
pub fn write_file<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut io::BufWriter<&mut File>) -> Result<(), E>,
) -> Result<(), E> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PARTIAL_PREFIX);
    readable_by_all(&mut builder, 0o666);
    let mut temporary = builder.tempfile_in(folder_of(path))?;
    let mut writer = io::BufWriter::with_capacity(1 << 20, temporary.as_file_mut());
    write(&mut writer)?;
    writer.flush()?;
    drop(writer);
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// As [`write_file`], for writers that want a path and may replace the file there; the file is
/// synced before it appears.
pub fn write_by_path(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PARTIAL_PREFIX);
    readable_by_all(&mut builder, 0o666);
    let (file, temporary) = builder.tempfile_in(folder_of(path))?.into_parts();
    let permissions = file.metadata()?.permissions();
    write(&temporary)?;
    let file = File::open(&temporary)?;
    file.set_permissions(permissions)?;
    file.sync_all()?;
    temporary.persist(path).map_err(|error| error.error)
}

/// Removes what writers that were killed have left in a folder. Nobody else may be writing there.
pub fn remove_leftovers(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with(PARTIAL_PREFIX)
        {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Bytes free on the file system of a path, which need not exist; `None` where that cannot be
/// known.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let existing = absolute.ancestors().find(|folder| folder.is_dir())?;
    let free = rustix::fs::statvfs(existing).ok()?;
    Some(free.f_bavail.saturating_mul(free.f_frsize))
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| *parent != Path::new(""))
        .unwrap_or(Path::new("."))
}

/// Temporary files are private by default; a finished one gets the usual permissions, less the
/// umask.
fn readable_by_all(builder: &mut tempfile::Builder<'_, '_>, mode: u32) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = (builder, mode);
}

/// Ends the name of a folder that is being written; long enough not to be anybody else's.
const PARTIAL_SUFFIX: &str = ".vit-part-partial";

/// Why a folder cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum StagingError {
    /// The final name is taken.
    #[error("{0} already exists")]
    Exists(PathBuf),
    /// Another process is writing the same folder.
    #[error("{0} is being written by another process")]
    Busy(PathBuf),
    /// The path has no last component, such as `/` or `..`.
    #[error("{0} does not name a folder that could be made")]
    NoName(PathBuf),
    /// All is done but the last step.
    #[error("what was there before is replaced, but could not be removed from {path}: {error}")]
    Leftover {
        /// Where it is now.
        path: PathBuf,
        /// What the file system said.
        error: io::Error,
    },
    /// The file system said no.
    #[error("{path}: {error}")]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
}

/// A folder that appears under its final name when [`Self::commit`] is called, and not before.
///
/// It is written as the hidden sibling `.NAME.vit-part-partial`, which is removed when this is
/// dropped. One that a killed process left behind is recognised by its free lock and replaced.
#[derive(Debug)]
pub struct StagedFolder {
    partial: PathBuf,
    target: PathBuf,
    replace: bool,
    committed: bool,
    /// Folders around it that were made for it, the innermost first.
    parents: Vec<PathBuf>,
    _lock: File,
}

impl StagedFolder {
    /// Makes the partial folder. With `replace` an existing target gives way on commit; without, it
    /// is refused here.
    pub fn create(target: &Path, replace: bool) -> Result<Self, StagingError> {
        let name = target
            .file_name()
            .ok_or_else(|| StagingError::NoName(target.to_owned()))?;
        if !replace && target.symlink_metadata().is_ok() {
            return Err(StagingError::Exists(target.to_owned()));
        }
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| StagingError::Io { path, error }
        };
        let mut parents = Vec::new();
        if let Some(parent) = target.parent().filter(|parent| *parent != Path::new("")) {
            parents.extend(
                parent
                    .ancestors()
                    .take_while(|folder| *folder != Path::new("") && !folder.exists()),
            );
            fs::create_dir_all(parent).map_err(at(parent))?;
        }
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(PARTIAL_SUFFIX);
        let partial = target.with_file_name(hidden);
        if partial.is_symlink() {
            return Err(StagingError::Exists(partial)); // following it would empty somebody's folder
        }
        let lock = loop {
            fs::create_dir_all(&partial).map_err(at(&partial))?;
            let lock = File::open(&partial).map_err(at(&partial))?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(StagingError::Busy(target.to_owned())),
                Err(TryLockError::Error(error)) => return Err(at(&partial)(error)),
            }
            // Between opening and locking, another process may have given the folder its final
            // name.
            if is_still_at(&lock, &partial) {
                break lock;
            }
        };
        let parents = parents.into_iter().map(Path::to_owned).collect();
        let staged = Self {
            partial: partial.clone(),
            target: target.to_owned(),
            replace,
            committed: false,
            parents,
            _lock: lock,
        };
        empty_folder(&partial).map_err(at(&partial))?;
        Ok(staged)
    }

    /// The folder to write into.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Gives the folder its final name.
    pub fn commit(mut self) -> Result<(), StagingError> {
        let at = |error| StagingError::Io {
            path: self.target.clone(),
            error,
        };
        if self.target.symlink_metadata().is_ok() {
            if !self.replace {
                return Err(StagingError::Exists(self.target.clone()));
            }
            if exchange(&self.partial, &self.target) {
                self.committed = true;
                let old = self.partial.clone();
                return remove_folder(&old)
                    .map_err(|error| StagingError::Leftover { path: old, error });
            }
            let old = self.partial.with_extension("vit-part-replaced");
            remove_folder(&old).map_err(at)?;
            fs::rename(&self.target, &old).map_err(at)?;
            if let Err(error) = fs::rename(&self.partial, &self.target) {
                // the old folder back in its place, if that can be done
                let _ = fs::rename(&old, &self.target);
                return Err(at(error));
            }
            self.committed = true;
            return remove_folder(&old)
                .map_err(|error| StagingError::Leftover { path: old, error });
        }
        fs::rename(&self.partial, &self.target).map_err(at)?;
        self.committed = true;
        Ok(())
    }
}

impl Drop for StagedFolder {
    fn drop(&mut self) {
        if !self.committed {
            // Nothing better can be done about a failure here than what the next run does: replace
            // the folder.
            let _ = fs::remove_dir_all(&self.partial);
            for parent in &self.parents {
                // fails, as it should, if something else is in it by now
                let _ = fs::remove_dir(parent);
            }
        }
    }
}

/// Swaps two names at once, so that no moment is without either; false where the system cannot.
fn exchange(a: &Path, b: &Path) -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).is_ok()
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (a, b);
        false
    }
}

/// Whether an open folder is still the one of this name.
fn is_still_at(folder: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        folder.metadata().map(identity).ok() == path.symlink_metadata().map(identity).ok()
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        path.is_dir()
    }
}

/// Removes a folder that need not exist.
fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn empty_folder(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("weights");
        fs::write(&path, "old").expect("write");
        let failed = write_file(&path, |writer| {
            writer.write_all(b"half")?;
            Err(io::Error::other("disk full"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(&path).expect("read"), "old");
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 1);
    }

    #[test]
    fn a_writer_that_replaces_the_path_it_is_given_still_leaves_one_file() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("weights");
        let write = |temporary: &Path| {
            fs::remove_file(temporary)?;
            fs::write(temporary, "new")
        };
        write_by_path(&path, write).expect("write");
        assert_eq!(fs::read_to_string(&path).expect("read"), "new");
        assert!(write_by_path(&path, |_| Err(io::Error::other("disk full"))).is_err());
        assert_eq!(fs::read_to_string(&path).expect("read"), "new");
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 1);
    }

    #[test]
    fn a_folder_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("folder");
        let target = folder.path().join("made/here");
        let staged = StagedFolder::create(&target, false).expect("stage");
        fs::write(staged.path().join("file"), "text").expect("write");
        assert!(!target.exists());
        drop(staged);
        assert!(
            !folder.path().join("made").exists(),
            "no folder stays that was made for it"
        );

        let staged = StagedFolder::create(&target, false).expect("stage");
        fs::write(staged.path().join("file"), "text").expect("write");
        staged.commit().expect("commit");
        assert_eq!(
            fs::read_to_string(target.join("file")).expect("read"),
            "text"
        );
        assert!(matches!(
            StagedFolder::create(&target, false),
            Err(StagingError::Exists(_))
        ));
    }

    #[test]
    fn replacing_swaps_the_whole_folder() {
        let folder = tempfile::tempdir().expect("folder");
        let target = folder.path().join("bundle");
        fs::create_dir(&target).expect("make");
        fs::write(target.join("old"), "").expect("write");
        let staged = StagedFolder::create(&target, true).expect("stage");
        fs::write(staged.path().join("new"), "").expect("write");
        staged.commit().expect("commit");
        assert!(target.join("new").exists() && !target.join("old").exists());
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 1);
    }

    #[test]
    fn what_a_killed_process_left_is_replaced_but_a_living_one_is_respected() {
        let folder = tempfile::tempdir().expect("folder");
        let target = folder.path().join("bundle");
        fs::create_dir(folder.path().join(".bundle.vit-part-partial")).expect("make");
        fs::write(folder.path().join(".bundle.vit-part-partial/stale"), "").expect("write");
        let staged = StagedFolder::create(&target, false).expect("stage");
        assert!(matches!(
            StagedFolder::create(&target, false),
            Err(StagingError::Busy(_))
        ));
        staged.commit().expect("commit");
        assert_eq!(fs::read_dir(&target).expect("list").count(), 0);
    }
}
