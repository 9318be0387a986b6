//! The scripts of `tests/python`, which look at what the programs made with other people's tools.

use std::path::Path;
use std::process::Command;

use crate::fixtures::{installed, root};
use crate::programs::{Ended, current_folder, run};

/// Runs a script of `tests/python` with the tools that `make test` installs.
pub fn python(script: &str, arguments: &[&Path]) -> Ended {
    let file = root()
        .join("tests/python")
        .join(script)
        .with_extension("py");
    assert!(file.is_file(), "{}: no such script", file.display());
    run(python_command().arg(file).args(arguments))
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
