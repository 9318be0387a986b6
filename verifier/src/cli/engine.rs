//! Flags of commands that run other engines as processes.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use verifier::engine::command::{EngineSpec, SpecError};

use super::values::seconds;

/// Another engine, as a process.
#[derive(Debug, Args)]
#[command(next_help_heading = "Another engine, as a process")]
pub(crate) struct EngineArgs {
    /// Run this engine: its name in the file of --engines, or NAME=COMMAND, in which {model},
    /// {inputs}, {outputs}, {batch} and {threads} are filled in; see docs/engines.md
    #[arg(long, value_name = "ENGINE", conflicts_with_all = [
        "device", "device_id", "device_options", "allow_reduced_precision", "optimization",
        "runtime",
    ])]
    pub(crate) engine: Option<String>,
    /// File of engines [default: engines/engines.toml, if it is there]
    #[arg(long, value_name = "FILE.toml", requires = "engine")]
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
    #[arg(long, value_name = "DIR", requires = "engine")]
    pub(crate) scratch: Option<PathBuf>,
}

/// Where engines are looked for by name.
const ENGINES: &str = "engines/engines.toml";

impl EngineArgs {
    /// The engine that is asked for, if one is.
    pub(crate) fn spec(&self) -> Result<Option<EngineSpec>> {
        let Some(engine) = &self.engine else {
            return Ok(None);
        };
        if engine.contains('=') {
            return Ok(Some(EngineSpec::parse(engine)?));
        }
        let file = self
            .engines
            .clone()
            .unwrap_or_else(|| PathBuf::from(ENGINES));
        if self.engines.is_none() && !file.is_file() {
            bail!(
                "--engine {engine}: there is no {ENGINES} here\n\
                 hint: --engines FILE.toml names another one, --engine NAME=COMMAND needs none"
            );
        }
        let engines = EngineSpec::read_all(&file)?;
        let names: Vec<&str> = engines.iter().map(|spec| spec.name.as_str()).collect();
        let found = names.join(", ");
        let mut engines = engines.into_iter();
        let spec = engines.find(|spec| spec.name == *engine);
        Ok(Some(spec.ok_or_else(|| SpecError::Unknown {
            path: file,
            name: engine.clone(),
            found,
        })?))
    }
}
