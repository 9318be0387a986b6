//! How what is not finished is called: `.NAME.vit-part-partial` for a folder,
//! `.NAME.XXXXXX.vit-part-partial` for a file, `vit-part-scratch-XXXXXX` for a folder that only
//! lives as long as its process.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Ends the name of what is being written; long enough not to be anybody else's.
pub(super) const PARTIAL_SUFFIX: &str = ".vit-part-partial";

/// Begins the name of a folder for work in passing.
pub(super) const SCRATCH_PREFIX: &str = "vit-part-scratch-";

/// Ends the name of a folder that has given way to another, where two names cannot be swapped.
pub(super) const REPLACED_EXTENSION: &str = "vit-part-replaced";

/// Random characters in a name.
pub(super) const RANDOM: usize = 6;

/// Bytes kept of a target's name; 255 are the most that a name may have.
const KEPT: usize = 255 - "..".len() - RANDOM - PARTIAL_SUFFIX.len();

/// The folder around a path.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| *parent != Path::new(""))
        .unwrap_or(Path::new("."))
}

/// Where a folder lies as long as it is being written.
pub(super) fn partial_folder(target: &Path, name: &OsStr) -> PathBuf {
    let mut partial = hidden(name);
    partial.push(PARTIAL_SUFFIX);
    target.with_file_name(partial)
}

/// `.NAME` of a target, cut where it would be too long with what follows.
fn hidden(name: &OsStr) -> OsString {
    let mut hidden = OsString::from(".");
    match name.to_str() {
        Some(text) => hidden.push(&text[..text.floor_char_boundary(KEPT)]),
        None => {
            let bytes = name.as_bytes();
            hidden.push(OsStr::from_bytes(&bytes[..bytes.len().min(KEPT)]));
        }
    }
    hidden
}

/// What the names of a file begin with as long as it is being written.
pub(super) fn file_prefix(name: &OsStr) -> OsString {
    let mut prefix = hidden(name);
    prefix.push(".");
    prefix
}

/// Whether a name is that of something being written.
pub(super) fn is_partial(name: &OsStr) -> bool {
    name.as_bytes()
        .strip_suffix(PARTIAL_SUFFIX.as_bytes())
        .is_some_and(|rest| rest.len() > 1 && rest[0] == b'.')
}

/// Whether a name is that of a file being written, of the one with this prefix.
pub(super) fn is_partial_of(name: &OsStr, prefix: &OsStr) -> bool {
    let rest = name.as_bytes().strip_prefix(prefix.as_bytes());
    let rest = rest.and_then(|rest| rest.strip_suffix(PARTIAL_SUFFIX.as_bytes()));
    rest.is_some_and(is_random)
}

/// Whether a name is that of a folder for work in passing.
pub(super) fn is_scratch(name: &OsStr) -> bool {
    let rest = name.as_bytes().strip_prefix(SCRATCH_PREFIX.as_bytes());
    rest.is_some_and(is_random)
}

/// Whether a name is one that a folder gets while it is removed.
pub(super) fn is_being_removed(name: &OsStr) -> bool {
    let rest = name.as_bytes().strip_prefix(b".");
    let rest = rest.and_then(|rest| rest.strip_suffix(PARTIAL_SUFFIX.as_bytes()));
    rest.is_some_and(is_random)
}

fn is_random(bytes: &[u8]) -> bool {
    bytes.len() == RANDOM && bytes.iter().all(u8::is_ascii_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_from_those_of_others() {
        let is_of = |name: &str, target: &str| {
            is_partial_of(OsStr::new(name), &file_prefix(OsStr::new(target)))
        };
        assert!(is_of(".w.Ab12z9.vit-part-partial", "w"));
        assert!(!is_of(".w.x.Ab12z9.vit-part-partial", "w"));
        assert!(!is_of(".w.Ab12z9.vit-part-partial", "w.Ab12z9"));
        assert!(!is_of(".w.vit-part-partial", "w"));
        assert!(is_partial(OsStr::new(".w.vit-part-partial")));
        assert!(!is_partial(OsStr::new("w.vit-part-partial")));
        assert!(!is_partial(OsStr::new(".vit-part-partial")));
        assert!(is_scratch(OsStr::new("vit-part-scratch-Ab12z9")));
        assert!(!is_scratch(OsStr::new("vit-part-scratch-of-mine")));
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let cut = hidden(OsStr::new(&"ä".repeat(127)));
        assert!(cut.to_str().is_some_and(|text| text.len() > KEPT - 2));
        assert!(cut.len() + 1 + RANDOM + PARTIAL_SUFFIX.len() <= 255);
    }
}
