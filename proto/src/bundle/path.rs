//! Paths into a bundle: only regular files inside it, through no link.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use super::error::BundleError;
use crate::manifest::{MANIFEST_FILE, SHA256SUMS_FILE};

/// A manifest of all presets' parts is some 20 KB; a larger file than this is not one.
const LARGEST_MANIFEST: u64 = 16 << 20;

/// The bundle that a path would lie in, if any: what is put there would be no part of it, and
/// unknown to its hashes.
pub fn around(path: &Path) -> Option<PathBuf> {
    // What is put at a link goes to where it leads.
    let path = path
        .canonicalize()
        .or_else(|_| std::path::absolute(path))
        .ok()?;
    let parent = path.parent()?;
    let nearest = parent
        .ancestors()
        .find_map(|folder| folder.canonicalize().ok())?;
    let is_bundle = |folder: &&Path| {
        folder.join(MANIFEST_FILE).is_file() && folder.join(SHA256SUMS_FILE).is_file()
    };
    nearest.ancestors().find(is_bundle).map(Path::to_owned)
}

/// Resolves a path of the manifest to a regular file inside the folder; also gives its size in
/// bytes.
pub(super) fn file_inside(root: &Path, file: &str) -> Result<(PathBuf, u64), BundleError> {
    let refused = |reason| BundleError::UnsafePath {
        file: file.to_owned(),
        reason,
    };
    if file.is_empty() || file.contains('\\') {
        return Err(refused("empty, or with a backslash"));
    }
    let mut path = root.to_owned();
    for component in Path::new(file).components() {
        let Component::Normal(name) = component else {
            return Err(refused("absolute, or with `.` or `..`"));
        };
        path.push(name);
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_symlink() => return Err(refused("a symbolic link")),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BundleError::Missing(path));
            }
            Err(error) => return Err(BundleError::Io { path, error }),
        }
    }
    match path.metadata() {
        Ok(metadata) if metadata.is_file() => Ok((path, metadata.len())),
        Ok(_) => Err(refused("not a file")),
        Err(error) => Err(BundleError::Io { path, error }),
    }
}

/// Reads `manifest.json` or `SHA256SUMS`.
pub(super) fn read_text(path: &Path) -> Result<String, BundleError> {
    read_bounded(path).map_err(|error| BundleError::Io {
        path: path.to_owned(),
        error,
    })
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?
        .take(LARGEST_MANIFEST + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST_MANIFEST {
        return Err(io::Error::other(format!(
            "longer than {LARGEST_MANIFEST} bytes"
        )));
    }
    Ok(text)
}
