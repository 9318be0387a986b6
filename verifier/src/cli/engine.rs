//! Flags of commands that run other engines as processes.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use verifier::engine::command::{EngineSpec, SpecError};

use super::values::seconds;

/// What says how ONNX Runtime runs a part. Each flag of an engine refuses it too: one that requires
/// `--engine` does not where that is excluded.
const OF_ONNXRUNTIME: [&str; 5] = [
    "device",
    "device_id",
    "device_options",
    "allow_reduced_precision",
    "optimization",
];

/// Another engine, as a process.
#[derive(Debug, Args)]
#[command(next_help_heading = "Another engine, as a process")]
pub(crate) struct EngineArgs {
    /// Run this engine: its name in the file of --engines, or NAME=COMMAND, in which {model},
    /// {inputs}, {outputs}, {batch} and {threads} are filled in; see docs/engines.md
    #[arg(long, value_name = "ENGINE", conflicts_with_all = OF_ONNXRUNTIME)]
    pub(crate) engine: Option<String>,
    /// File of engines [default: engines/engines.toml, if it is there]
    #[arg(
        long,
        value_name = "FILE.toml",
        requires = "engine",
        conflicts_with_all = OF_ONNXRUNTIME
    )]
    pub(crate) engines: Option<PathBuf>,
    /// Seconds after which the engine's process is killed
    #[arg(
        long,
        default_value = "600",
        value_name = "SECONDS",
        value_parser = seconds,
        allow_negative_numbers = true
    )]
    pub(crate) engine_timeout: f64,
    /// Folder for the engine's inputs and outputs, which are removed in the end [default: the
    /// system's temporary folder]
    #[arg(long, value_name = "DIR", requires = "engine", conflicts_with_all = OF_ONNXRUNTIME)]
    pub(crate) scratch: Option<PathBuf>,
}

/// Where engines are looked for by name.
const ENGINES: &str = "engines/engines.toml";

impl EngineArgs {
    /// The engine that is asked for, if one is.
    pub(crate) fn spec(&self) -> Result<Option<EngineSpec>> {
        match &self.engine {
            None => Ok(None),
            Some(engine) => Ok(Some(find_engine(engine, self.engines.as_deref())?)),
        }
    }
}

/// An engine by its command, or by its name in a file.
pub(crate) fn find_engine(engine: &str, file: Option<&Path>) -> Result<EngineSpec> {
    if engine.contains('=') {
        return Ok(EngineSpec::parse(engine)?);
    }
    let default = Path::new(ENGINES);
    if file.is_none() && !default.is_file() {
        bail!(
            "--engine {engine}: there is no {ENGINES} here\n\
             hint: --engines FILE.toml names another one, --engine NAME=COMMAND needs none"
        );
    }
    let path = file.unwrap_or(default);
    let engines = find_engines(path)?;
    let names: Vec<&str> = engines.iter().map(|spec| spec.name.as_str()).collect();
    let found = names.join(", ");
    let mut engines = engines.into_iter();
    let spec = engines.find(|spec| spec.name == *engine);
    Ok(spec.ok_or_else(|| SpecError::Unknown {
        path: path.to_owned(),
        name: engine.to_owned(),
        found,
    })?)
}

/// All engines of a file.
pub(crate) fn find_engines(file: &Path) -> Result<Vec<EngineSpec>> {
    Ok(EngineSpec::read_all(file)?)
}
