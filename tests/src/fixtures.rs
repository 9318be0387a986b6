//! What the tests share and only read, and the temporary folder that each test has of its own.

use std::path::{Path, PathBuf};

/// The project's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .to_owned()
}

/// The folder with CIFAR-10.
pub fn data() -> PathBuf {
    let data = std::env::var_os("CIFAR10").map_or_else(|| root().join("data"), PathBuf::from);
    assert!(
        data.is_dir(),
        "{}: no CIFAR-10; `make test` fetches it",
        data.display()
    );
    data
}

/// The folder with CIFAR-10's files.
pub fn images() -> PathBuf {
    let data = data();
    if data.join("test_batch.bin").is_file() {
        data
    } else {
        data.join("cifar-10-batches-bin")
    }
}

/// The ONNX Runtime that the Python tools use, so that both sides compare the same library.
pub fn onnxruntime() -> PathBuf {
    installed("python-tools/onnxruntime/capi/libonnxruntime.so.1.31.1")
}

/// A build of ONNX Runtime with a second real provider.
pub fn openvino() -> PathBuf {
    installed("openvino/onnxruntime/capi/libonnxruntime.so.1.24.1")
}

/// A file or folder below `.deps`.
pub(crate) fn installed(name: &str) -> PathBuf {
    let path = root().join(".deps").join(name);
    assert!(
        path.exists(),
        "{}: missing; `make test` installs it",
        path.display()
    );
    path
}

/// A temporary folder of its own for a test.
pub fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("temporary folder")
}

/// A path as an argument among others.
pub fn utf8(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A JSON file that a program has written.
pub fn read_json(path: &Path) -> serde_json::Value {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
