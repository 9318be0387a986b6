//! `manifest.json`: a bundle of that file alone never opens, and says why.

#![no_main]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use proto::bundle::Bundle;
use proto::manifest::MANIFEST_FILE;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("folder"));

fuzz_target!(|bytes: &[u8]| {
    fs::write(FOLDER.path().join(MANIFEST_FILE), bytes).expect("write");
    let error = Bundle::open(FOLDER.path()).expect_err("SHA256SUMS is missing");
    assert!(!error.to_string().is_empty());
});
