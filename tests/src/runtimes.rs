//! An ONNX Runtime that does what a test wants.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fixtures::root;
use crate::programs::run;

/// Compiles an ONNX Runtime that misbehaves as its environment says, `fixtures/runtime_shim.c`;
/// `SHIM_RUNTIME` must name the real one.
pub fn runtime_shim(folder: &Path) -> PathBuf {
    let library = folder.join("libonnxruntime.so");
    let mut compile = Command::new("cc");
    compile
        .current_dir(folder)
        .args(["-Wall", "-Werror", "-shared", "-fPIC", "-o"])
        .arg(&library);
    run(compile
        .arg(root().join("tests/tests/fixtures/runtime_shim.c"))
        .args(["-ldl", "-lm", "-lpthread"]))
    .expect_status(0);
    library
}
