//! What replacing a bundle may remove.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::error::WriteError;
use crate::manifest::{MANIFEST_FILE, SHA256SUMS_FILE};
use crate::regular_file;

/// Of a bundle of any version.
#[derive(serde::Deserialize)]
struct Listing {
    #[serde(rename = "format_version")]
    _format_version: String,
    files: BTreeMap<String, serde_json::Value>,
}

/// A path that replacing may remove is free, an empty folder, or a bundle with nothing in it but
/// its own files.
pub(super) fn check_replaceable(path: &Path) -> Result<(), WriteError> {
    match obstacle(path) {
        None => Ok(()),
        Some(reason) => Err(WriteError::NotABundle {
            path: path.to_owned(),
            reason,
        }),
    }
}

/// Why it may not.
pub(super) fn obstacle(path: &Path) -> Option<String> {
    let metadata = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => return Some(error.to_string()),
        Ok(metadata) => metadata,
    };
    if !metadata.is_dir() {
        return Some("it is no folder".to_owned());
    }
    let mut files = Vec::new();
    if let Err(error) = list_files(path, "", &mut files) {
        return Some(error.to_string());
    }
    if files.is_empty() {
        return None;
    }
    let manifest = regular_file::read(&path.join(MANIFEST_FILE)).ok();
    let listing = manifest.and_then(|json| serde_json::from_slice::<Listing>(&json).ok());
    let Some(listing) = listing else {
        return Some("it has no manifest.json of a bundle".to_owned());
    };
    let is_own = |file: &String| {
        listing.files.contains_key(file) || file == MANIFEST_FILE || file == SHA256SUMS_FILE
    };
    let other = files.iter().find(|file| !is_own(file))?;
    Some(format!("{other:?} in it is none of the bundle's files"))
}

/// Everything below a folder that is no folder itself, by path with forward slashes.
fn list_files(folder: &Path, prefix: &str, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            list_files(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.push(name);
        }
    }
    Ok(())
}
