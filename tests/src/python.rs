//! The scripts of `tests/python`, which look at what the programs made with other people's tools.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fixtures::{installed, root};
use crate::programs::{Ended, current_folder, run};

/// The parts of a bundle.
pub const PARTS: [&str; 5] = ["preprocess", "full", "head", "submodel", "tail"];

/// Runs a script of `tests/python` with the tools that `make test` installs.
pub fn python(script: &str, arguments: &[&Path]) -> Ended {
    run(python_command().arg(tests_script(script)).args(arguments))
}

/// Runs a script on a bundle, and expects it to say a line of this kind for each part.
pub fn python_of_all_parts(script: &str, bundle: &Path, line: &str) {
    let mut ended = python(script, &[bundle]).expect_status(0);
    for part in PARTS {
        ended = ended.says(&format!("{line}{part}"));
    }
}

/// The file of a script of `tests/python`.
pub fn tests_script(name: &str) -> PathBuf {
    let file = root().join("tests/python").join(name).with_extension("py");
    assert!(file.is_file(), "{}: no such script", file.display());
    file
}

/// A Python that finds the tools that `make test` installs, and leaves no compiled files behind.
pub fn python_command() -> Command {
    let interpreter = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut command = Command::new(interpreter);
    command
        .current_dir(current_folder())
        .env("PYTHONPATH", installed("python-tools"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// The same with an older ONNX Runtime, 1.20.1.
pub fn python_with_older_runtime() -> Command {
    let folders = ["onnxruntime-1.20", "python-tools"].map(installed);
    let path = std::env::join_paths(folders).expect("folders without a colon");
    let mut command = python_command();
    command.env("PYTHONPATH", path);
    command
}

/// A Python with PyTorch, if `make bench` has installed it.
pub fn python_with_pytorch() -> Option<Command> {
    let folder = root().join(".deps/bench");
    let mut command = python_command();
    command.env("PYTHONPATH", &folder);
    folder.is_dir().then_some(command)
}

/// Runs Polygraphy in a folder.
pub fn polygraphy(folder: &Path, arguments: &[&str]) -> Ended {
    let program = installed("python-tools/bin/polygraphy");
    run(python_command()
        .current_dir(folder)
        .arg(program)
        .args(arguments))
}
