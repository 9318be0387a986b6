//! The bundle that unit tests share; `exporter/examples/tiny_bundle.rs` made it.

use std::fs;
use std::path::{Path, PathBuf};

/// The bundle itself, which stays as it is.
pub(crate) fn tiny_bundle() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/tiny_bundle")
}

/// One like it of format 1.0, without pixels and preprocessing.
pub(crate) fn tiny_bundle_1_0() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/tiny_bundle_1_0")
}

/// A copy to be damaged.
pub(crate) fn copy_of_tiny_bundle() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    copy(&tiny_bundle(), folder.path());
    folder
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("list") {
        let entry = entry.expect("entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("type").is_dir() {
            fs::create_dir(&target).expect("make");
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copy");
        }
    }
}
