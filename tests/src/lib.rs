//! Runs the three programs as a user would, and links none of them: what the tests know, a user
//! could know. Beside that, what the rules about the sources themselves are checked with.
//!
//! The tests need what `make test` sets up: CIFAR-10 (`CIFAR10`, else `data/`), ONNX Runtime and
//! the Python tools. A test reads these, the committed fixtures and its own temporary folder, and
//! writes into that folder alone.

pub mod architecture;
mod bundles;
mod fixtures;
mod gpu;
mod programs;
mod python;
mod runtimes;

pub use bundles::{
    bundle, check, export, export_command, forge, forge_manifest, fresh_weights, tiny_bundle,
    verify,
};
pub use fixtures::{data, images, onnxruntime, openvino, read_json, root, scratch, utf8};
pub use gpu::{Gpu, gpu, show};
pub use programs::{Ended, Program, interrupt, run, with_default_signals, with_gpus, wrapped};
pub use python::{
    PARTS, polygraphy, python, python_command, python_of_all_parts, python_with_older_runtime,
    python_with_pytorch, tests_script,
};
pub use runtimes::runtime_shim;
