//! Folders for work in passing.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;

use super::leftovers::remove_by_name;
use super::lock::{self, Lock};
use super::name::{RANDOM, SCRATCH_PREFIX, is_being_removed, is_scratch};

/// A private folder that goes when this is dropped, or when the next one is made beside it if the
/// process was killed.
#[derive(Debug)]
pub struct ScratchFolder {
    folder: TempDir,
    // Declared later, so that it is dropped later.
    _lock: Option<std::fs::File>,
}

impl ScratchFolder {
    /// Makes one inside a folder, or in the system's temporary one; removes those that killed
    /// processes of this user have left there.
    pub fn create(inside: Option<&Path>) -> io::Result<Self> {
        let inside = inside.map_or_else(std::env::temp_dir, Path::to_owned);
        remove_by_name(&inside, |name| is_scratch(name) || is_being_removed(name));
        loop {
            let folder = tempfile::Builder::new()
                .prefix(SCRATCH_PREFIX)
                .rand_bytes(RANDOM)
                .permissions(Permissions::from_mode(0o700))
                .tempdir_in(&inside)?;
            let _lock = match lock::take(folder.path()) {
                Ok(Lock::Held(lock)) => Some(lock),
                Ok(Lock::Busy | Lock::Moved) => continue, // taken for a leftover
                Err(_) => None, // no locks here: nobody can take it for one
            };
            return Ok(Self { folder, _lock });
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_scratch_folder_is_private_and_goes_with_what_was_left_before_it() {
        let folder = tempfile::tempdir().expect("folder");
        let inside = Some(folder.path());
        let left = folder.path().join("vit-part-scratch-Ab12z9");
        fs::create_dir(&left).expect("make");
        fs::write(left.join("stale"), "").expect("write");
        // One whose removal was killed.
        fs::create_dir_all(folder.path().join(".Xy34zz.vit-part-partial/more")).expect("make");
        let first = ScratchFolder::create(inside).expect("make");
        assert!(!left.exists());
        let mode = first
            .path()
            .metadata()
            .expect("metadata")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700);
        fs::write(first.path().join("file"), "").expect("write");
        let second = ScratchFolder::create(inside).expect("make");
        assert!(first.path().join("file").exists(), "somebody works in it");
        drop((first, second));
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 0);
    }

    #[test]
    fn a_link_of_that_name_is_not_followed() {
        let folder = tempfile::tempdir().expect("folder");
        let mine = folder.path().join("mine");
        fs::create_dir(&mine).expect("make");
        fs::write(mine.join("precious"), "").expect("write");
        let link = folder.path().join("vit-part-scratch-Ab12z9");
        std::os::unix::fs::symlink(&mine, &link).expect("link");
        let scratch = ScratchFolder::create(Some(folder.path())).expect("make");
        assert!(link.is_symlink() && mine.join("precious").exists());
        drop(scratch);
        assert!(ScratchFolder::create(Some(&folder.path().join("none"))).is_err());
    }
}
