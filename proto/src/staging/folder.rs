//! Folders that are whole or absent.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::lock::{self, Lock};
use super::name::{REPLACED_EXTENSION, folder_of, partial_folder};
use super::sync;

/// Why a folder cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum StagingError {
    #[error("{0} already exists")]
    Exists(PathBuf),
    /// What is in the place of the new folder stays, since not all of it may go.
    #[error("{path} was not replaced: {reason}")]
    NotReplaced { path: PathBuf, reason: String },
    #[error("{0} is being written by another process")]
    Busy(PathBuf),
    /// The path has no last component, such as `/` or `..`.
    #[error("{0} does not name a folder that could be made")]
    NoName(PathBuf),
    /// All is done but the last step: what was there before now lies here.
    #[error("what was there before is replaced, but could not be removed from {path}: {error}")]
    Leftover { path: PathBuf, error: io::Error },
    #[error("{path}: {error}")]
    Io { path: PathBuf, error: io::Error },
}

/// A folder that appears under its final name when [`Self::commit`] is called, and not before.
///
/// It is written as the hidden sibling `.NAME.vit-part-partial`, which is removed when this is
/// dropped. One that a killed process left behind is recognised by its free lock and replaced.
#[derive(Debug)]
pub struct StagedFolder {
    partial: PathBuf,
    target: PathBuf,
    replace: Replace,
    committed: bool,
    /// Folders around it that were made for it, the innermost first.
    parents: Vec<PathBuf>,
    _lock: File,
}

/// Whether what is in the place of a new folder gives way to it.
#[derive(Debug, Clone, Copy)]
pub enum Replace {
    /// Nothing may be there.
    Never,
    /// A folder of which this says nothing; else why it stays.
    Unless(fn(&Path) -> Option<String>),
}

impl StagedFolder {
    /// Makes the partial folder. What is in the target's place is refused here, or gives way on
    /// commit.
    pub fn create(target: &Path, replace: Replace) -> Result<Self, StagingError> {
        let name = target
            .file_name()
            .ok_or_else(|| StagingError::NoName(target.to_owned()))?;
        if matches!(replace, Replace::Never) && target.symlink_metadata().is_ok() {
            return Err(StagingError::Exists(target.to_owned()));
        }
        let parents = make_parents(target)?;
        let partial = partial_folder(target, name);
        if partial.is_symlink() {
            return Err(StagingError::Exists(partial)); // following it would empty somebody's folder
        }
        let staged = Self {
            _lock: lock_folder(&partial, target)?,
            partial,
            target: target.to_owned(),
            replace,
            committed: false,
            parents,
        };
        empty_folder(&staged.partial).map_err(|error| io_error(&staged.partial, error))?;
        Ok(staged)
    }

    /// The folder to write into.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Gives the folder its final name, once all of it is on the disk.
    pub fn commit(mut self) -> Result<(), StagingError> {
        sync::tree(&self.partial).map_err(|error| io_error(&self.partial, error))?;
        if self.target.symlink_metadata().is_ok() {
            return match self.replace {
                Replace::Never => Err(StagingError::Exists(self.target.clone())),
                Replace::Unless(obstacle) => self.replace_target(obstacle),
            };
        }
        fs::rename(&self.partial, &self.target).map_err(|error| io_error(&self.target, error))?;
        self.committed = true;
        self.sync_names()
    }

    /// Puts the new names onto the disk.
    fn sync_names(&self) -> Result<(), StagingError> {
        for made in std::iter::once(&self.target).chain(&self.parents) {
            let folder = folder_of(made);
            sync::folder(folder).map_err(|error| io_error(folder, error))?;
        }
        Ok(())
    }

    fn replace_target(
        &mut self,
        obstacle: fn(&Path) -> Option<String>,
    ) -> Result<(), StagingError> {
        let at_target = |error| io_error(&self.target, error);
        let kept = |reason| StagingError::NotReplaced {
            path: self.target.clone(),
            reason,
        };
        if let Some(reason) = obstacle(&self.target) {
            return Err(kept(reason));
        }
        let mut old = self.partial.clone();
        // Locked, so that nobody else removes it as a leftover at the same time.
        let _lock = lock::take(&self.target);
        if !exchange(&self.partial, &self.target) {
            old = self.partial.with_extension(REPLACED_EXTENSION);
            remove_folder(&old).map_err(at_target)?;
            fs::rename(&self.target, &old).map_err(at_target)?;
            if let Err(error) = fs::rename(&self.partial, &self.target) {
                // the old folder back in its place, if that can be done
                let _ = fs::rename(&old, &self.target);
                return Err(at_target(error));
            }
        }
        // Out of everybody's way it is looked at once more: what somebody has put into it since is
        // not removed.
        if let Some(reason) = obstacle(&old) {
            return match exchange(&old, &self.target) {
                true => Err(kept(reason)),
                false => {
                    self.committed = true;
                    Err(StagingError::Leftover {
                        path: old,
                        error: io::Error::other(reason),
                    })
                }
            };
        }
        self.committed = true;
        self.sync_names()?;
        remove_folder(&old).map_err(|error| StagingError::Leftover { path: old, error })
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

/// Makes the folders around a path; gives those that were not there, the innermost first.
fn make_parents(target: &Path) -> Result<Vec<PathBuf>, StagingError> {
    let Some(parent) = target.parent().filter(|parent| *parent != Path::new("")) else {
        return Ok(vec![]);
    };
    let missing = parent
        .ancestors()
        .take_while(|folder| *folder != Path::new("") && !folder.exists());
    let missing = missing.map(Path::to_owned).collect();
    fs::create_dir_all(parent).map_err(|error| io_error(parent, error))?;
    Ok(missing)
}

/// Makes the partial folder and locks it against other processes.
fn lock_folder(partial: &Path, target: &Path) -> Result<File, StagingError> {
    let at_partial = |error| io_error(partial, error);
    loop {
        fs::create_dir_all(partial).map_err(at_partial)?;
        match lock::take(partial).map_err(at_partial)? {
            Lock::Held(lock) => return Ok(lock),
            Lock::Busy => return Err(StagingError::Busy(target.to_owned())),
            Lock::Moved => {}
        }
    }
}

fn io_error(path: &Path, error: io::Error) -> StagingError {
    StagingError::Io {
        path: path.to_owned(),
        error,
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
    fn a_folder_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("folder");
        let target = folder.path().join("made/here");
        let staged = StagedFolder::create(&target, Replace::Never).expect("stage");
        fs::write(staged.path().join("file"), "text").expect("write");
        assert!(!target.exists());
        drop(staged);
        assert!(
            !folder.path().join("made").exists(),
            "no folder stays that was made for it"
        );

        let staged = StagedFolder::create(&target, Replace::Never).expect("stage");
        fs::write(staged.path().join("file"), "text").expect("write");
        staged.commit().expect("commit");
        assert_eq!(
            fs::read_to_string(target.join("file")).expect("read"),
            "text"
        );
        assert!(matches!(
            StagedFolder::create(&target, Replace::Never),
            Err(StagingError::Exists(_))
        ));
    }

    #[test]
    fn replacing_swaps_the_whole_folder() {
        let folder = tempfile::tempdir().expect("folder");
        let target = folder.path().join("bundle");
        fs::create_dir(&target).expect("make");
        fs::write(target.join("old"), "").expect("write");
        let staged = StagedFolder::create(&target, Replace::Unless(|_| None)).expect("stage");
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
        let staged = StagedFolder::create(&target, Replace::Never).expect("stage");
        assert!(matches!(
            StagedFolder::create(&target, Replace::Never),
            Err(StagingError::Busy(_))
        ));
        staged.commit().expect("commit");
        assert_eq!(fs::read_dir(&target).expect("list").count(), 0);
    }

    #[test]
    fn what_is_put_into_the_old_folder_at_the_last_moment_stays() {
        let folder = tempfile::tempdir().expect("folder");
        let target = folder.path().join("bundle");
        fs::create_dir(&target).expect("make");
        fs::write(target.join("old"), "").expect("write");
        // Puts a file there when it is first asked, and from then on sees it.
        fn obstacle(path: &Path) -> Option<String> {
            let precious = path.join("precious");
            if precious.exists() {
                return Some("precious is in it".to_owned());
            }
            fs::write(precious, "text").expect("write");
            None
        }
        let staged = StagedFolder::create(&target, Replace::Unless(obstacle)).expect("stage");
        fs::write(staged.path().join("new"), "").expect("write");
        let refused = staged.commit().expect_err("precious").to_string();
        assert!(refused.contains("precious is in it"), "{refused}");
        assert!(target.join("old").exists() && target.join("precious").exists());
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 1);
    }
}
