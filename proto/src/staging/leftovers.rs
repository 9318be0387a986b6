//! What processes that were killed have left, and its removal.
//!
//! Only what certainly is nobody's goes: its name is one of ours, it is a regular file or a folder
//! of this user, and no process holds its lock.

use std::ffi::OsStr;
use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::lock::{self, Lock};
use super::name::{PARTIAL_SUFFIX, RANDOM, folder_of, is_partial};

/// Something that was left, and is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    pub path: PathBuf,
    /// Bytes of the file, or of all files in the folder.
    pub bytes: u64,
}

impl std::fmt::Display for Leftover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let megabytes = self.bytes as f64 / 1e6;
        write!(f, "{} ({megabytes:.1} MB)", self.path.display())
    }
}

/// Removes the half-written files and folders that killed processes have left in a folder, which
/// need not exist. What cannot be removed stays; it is in nobody's way.
pub fn remove_leftovers(folder: &Path) -> Vec<Leftover> {
    remove_by_name(folder, is_partial)
}

/// As [`remove_leftovers`], in the folder that a file or folder is about to be written into.
pub fn remove_leftovers_beside(target: &Path) -> Vec<Leftover> {
    remove_leftovers(folder_of(target))
}

/// Removes what has a name of ours and is left.
pub(super) fn remove_by_name(folder: &Path, is_ours: impl Fn(&OsStr) -> bool) -> Vec<Leftover> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let named: Vec<DirEntry> = entries
        .filter_map(Result::ok)
        .filter(|entry| is_ours(&entry.file_name()))
        .collect();
    if named.is_empty() {
        return Vec::new();
    }
    let Ok(user) = user(folder) else {
        return Vec::new(); // nothing can be removed here
    };
    let remove = |entry: DirEntry| remove_abandoned(entry.path(), user).ok().flatten();
    named.into_iter().filter_map(remove).collect()
}

/// The user that this process makes files as, on the file system of a folder.
fn user(folder: &Path) -> io::Result<u32> {
    Ok(tempfile::tempfile_in(folder)?.metadata()?.uid())
}

fn remove_abandoned(path: PathBuf, user: u32) -> io::Result<Option<Leftover>> {
    let metadata = path.symlink_metadata()?;
    let is_plain = metadata.is_file() || metadata.is_dir();
    if !is_plain || metadata.uid() != user {
        return Ok(None);
    }
    let Lock::Held(_lock) = lock::take(&path)? else {
        return Ok(None);
    };
    let bytes = size(&path).unwrap_or(0);
    if metadata.is_dir() {
        remove_folder(&path)?;
    } else {
        fs::remove_file(&path)?;
    }
    Ok(Some(Leftover { path, bytes }))
}

/// Gives the name free at once: removing what is in a large folder takes a while, in which another
/// process may want to write there.
fn remove_folder(path: &Path) -> io::Result<()> {
    let elsewhere = tempfile::Builder::new()
        .prefix(".")
        .suffix(PARTIAL_SUFFIX)
        .rand_bytes(RANDOM)
        .tempdir_in(folder_of(path))?;
    fs::rename(path, elsewhere.path())?;
    elsewhere.close()
}

fn size(path: &Path) -> io::Result<u64> {
    let metadata = path.symlink_metadata()?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    fs::read_dir(path)?.map(|entry| size(&entry?.path())).sum()
}

#[cfg(test)]
mod tests {
    use super::super::{Replace, StagedFolder};
    use super::*;

    #[test]
    fn what_is_nobodys_goes_and_all_else_stays() {
        let folder = tempfile::tempdir().expect("folder");
        let at = |name: &str| folder.path().join(name);
        let staged = StagedFolder::create(&at("held"), Replace::Never).expect("stage");
        fs::create_dir_all(at(".left.vit-part-partial/onnx")).expect("make");
        fs::write(at(".left.vit-part-partial/onnx/model"), [0; 1500]).expect("write");
        fs::write(at(".file.Ab12z9.vit-part-partial"), "half").expect("write");
        fs::create_dir(at("mine")).expect("make");
        fs::write(at("mine/precious"), "").expect("write");
        std::os::unix::fs::symlink(at("mine"), at(".link.vit-part-partial")).expect("link");
        fs::write(at("other.vit-part-partial"), "").expect("write");

        let mut removed = remove_leftovers_beside(&at("anything"));
        removed.sort_by(|a, b| a.path.cmp(&b.path));
        let expected = [
            (".file.Ab12z9.vit-part-partial", 4),
            (".left.vit-part-partial", 1500),
        ];
        let expected = expected.map(|(name, bytes)| Leftover {
            path: at(name),
            bytes,
        });
        assert_eq!(removed, expected);
        assert!(removed[1].to_string().ends_with("(0.0 MB)"));
        assert!(staged.path().exists() && at("mine/precious").exists());
        assert!(at(".link.vit-part-partial").is_symlink() && at("other.vit-part-partial").exists());
        assert_eq!(remove_leftovers(&at("none")), []);
    }

    #[test]
    fn a_pipe_of_that_name_is_left_alone() {
        let folder = tempfile::tempdir().expect("folder");
        let pipe = folder.path().join(".w.vit-part-partial");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo").success());
        assert_eq!(remove_leftovers(folder.path()), []);
        assert!(pipe.exists());
    }
}
