//! One run of an engine's command: inputs in a fresh folder, outputs in another one.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::{EngineSpec, placeholders};
use crate::engine::child::{self, Child, Ended};

/// Exit status of an engine that cannot run here.
const CANNOT_RUN: i32 = 77;

/// What a command is given.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    /// The ONNX file.
    pub model: &'a Path,
    /// The same with its batch fixed, if a word asks for it.
    pub fixed_model: Option<&'a Path>,
    /// A folder with `NAME.npy` for each input, and nothing else.
    pub inputs: &'a Path,
    /// An empty folder.
    pub outputs: &'a Path,
    pub batch_size: usize,
    pub threads: usize,
    pub time_limit: Duration,
}

/// What an engine says of itself, in a line of JSON on standard error; what it leaves out is
/// absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EngineSays {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u64>,
    /// Seconds to load the model.
    #[serde(default, rename = "load_s", skip_serializing_if = "Option::is_none")]
    pub load_seconds: Option<f64>,
    /// Seconds to compute all samples.
    #[serde(default, rename = "run_s", skip_serializing_if = "Option::is_none")]
    pub run_seconds: Option<f64>,
}

/// A run that came to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    pub says: EngineSays,
    /// Seconds of the whole process.
    pub seconds: f64,
}

/// Why a command gave no outputs.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error("`{program}` cannot be started: {error}")]
    Start { program: String, error: io::Error },
    #[error("it cannot run here: {reason}")]
    CannotRun { reason: String },
    #[error("it ended with exit status {status}{said}")]
    Status { status: i32, said: String },
    #[error("it crashed: ended by {signal}{said}")]
    Signal { signal: String, said: String },
    #[error("it was killed after the time limit of {} s{said}", .limit.as_secs_f64())]
    TimedOut { limit: Duration, said: String },
    #[error("interrupted")]
    Stopped,
}

/// Runs a command to its end.
pub fn run(
    engine: &EngineSpec,
    job: &Job<'_>,
    stop: &AtomicBool,
) -> Result<Finished, CommandError> {
    let words: Vec<String> = engine.words.iter().map(|word| filled(word, job)).collect();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    if let Some(folder) = &engine.folder {
        command.current_dir(folder);
    }
    command.envs(variables(job)).envs(&engine.environment);
    let child = child::run(&mut command, job.time_limit, stop);
    let child = child.map_err(|error| CommandError::Start {
        program: words[0].clone(),
        error,
    })?;
    finished(child, job.time_limit)
}

fn finished(child: Child, limit: Duration) -> Result<Finished, CommandError> {
    let said = match child.stderr.is_empty() {
        true => String::new(),
        false => format!(": {}", child.stderr),
    };
    match child.ended {
        Ended::Status(0) => Ok(Finished {
            says: says(&child.stderr),
            seconds: child.seconds,
        }),
        Ended::Status(CANNOT_RUN) => {
            let last = child.stderr.lines().last().unwrap_or("it does not say why");
            Err(CommandError::CannotRun {
                reason: last.to_owned(),
            })
        }
        Ended::Status(status) => Err(CommandError::Status { status, said }),
        Ended::Signal(signal) => Err(CommandError::Signal { signal, said }),
        Ended::TimedOut => Err(CommandError::TimedOut { limit, said }),
        Ended::Stopped => Err(CommandError::Stopped),
    }
}

/// The last line that is an object of JSON.
fn says(stderr: &str) -> EngineSays {
    let mut lines = stderr.lines().rev().map(str::trim);
    let line = lines.find(|line| line.starts_with('{'));
    line.and_then(|line| serde_json::from_str(line).ok())
        .unwrap_or_default()
}

/// A word with what its placeholders stand for.
fn filled(word: &str, job: &Job<'_>) -> String {
    let mut filled = word.to_owned();
    for placeholder in placeholders(word) {
        let value = match placeholder.split_once(':') {
            Some(("input", name)) => text(&job.inputs.join(format!("{name}.npy"))),
            Some(("output", name)) => text(&job.outputs.join(format!("{name}.npy"))),
            Some(_) => text(job.fixed_model.unwrap_or(job.model)),
            None => variable(placeholder, job),
        };
        filled = filled.replace(&format!("{{{placeholder}}}"), &value);
    }
    filled
}

fn variable(name: &str, job: &Job<'_>) -> String {
    match name {
        "model" => text(job.model),
        "inputs" => text(job.inputs),
        "outputs" => text(job.outputs),
        "batch" => job.batch_size.to_string(),
        _ => job.threads.to_string(),
    }
}

/// The placeholders as variables of the environment.
fn variables(job: &Job<'_>) -> BTreeMap<String, String> {
    let names = ["model", "inputs", "outputs", "batch", "threads"];
    let named = names.map(|name| {
        (
            format!("VIT_PART_{}", name.to_uppercase()),
            variable(name, job),
        )
    });
    named.into_iter().collect()
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The folders of a run, made afresh: inputs, and outputs.
pub fn folders(inside: &Path, name: &str) -> io::Result<(PathBuf, PathBuf)> {
    let (inputs, outputs) = (
        inside.join(format!("{name}_inputs")),
        inside.join(format!("{name}_outputs")),
    );
    fs::create_dir(&inputs)?;
    fs::create_dir(&outputs)?;
    Ok((inputs, outputs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_one(command: &str, limit: f64) -> Result<Finished, CommandError> {
        let folder = tempfile::tempdir().expect("folder");
        let (inputs, outputs) = folders(folder.path(), "run").expect("folders");
        let job = Job {
            model: "m.onnx".as_ref(),
            fixed_model: None,
            inputs: &inputs,
            outputs: &outputs,
            batch_size: 4,
            threads: 2,
            time_limit: Duration::from_secs_f64(limit),
        };
        let engine = EngineSpec::parse(&format!("fake={command}")).expect("a command");
        run(&engine, &job, &AtomicBool::new(false))
    }

    #[test]
    fn words_and_environment_say_the_same() {
        let script = r#"sh -c 'test "$1 $2" = "$VIT_PART_BATCH $VIT_PART_MODEL" &&
            test "$3" = "$VIT_PART_OUTPUTS/y.npy"' - {batch} {model} {output:y}"#;
        run_one(script, 60.0).expect("the same");
    }

    #[test]
    fn the_line_of_json_is_read_and_all_else_is_talk() {
        let script = r#"sh -c 'echo talk >&2; echo "{\"engine\": \"Fake\", \"version\": \"1\",
            \"extra\": 3}" | tr -d "\n" >&2; echo >&2; echo more talk >&2'"#;
        let says = run_one(script, 60.0).expect("ran").says;
        assert_eq!(says.engine.as_deref(), Some("Fake"));
        assert_eq!(
            (says.version.as_deref(), says.run_seconds),
            (Some("1"), None)
        );
    }

    #[test]
    fn each_end_without_outputs_has_its_reason() {
        let reason = |command, limit| run_one(command, limit).expect_err("no result").to_string();
        let cannot = reason(
            "sh -c 'echo first >&2; echo no such card >&2; exit 77'",
            60.0,
        );
        assert_eq!(cannot, "it cannot run here: no such card");
        assert!(reason("sh -c 'exit 3'", 60.0).contains("exit status 3"));
        assert!(reason("sh -c 'kill -SEGV $$'", 60.0).contains("SIGSEGV"));
        assert!(reason("sleep 60", 0.1).contains("time limit of 0.1 s"));
        assert!(reason("/none/such", 60.0).contains("`/none/such` cannot be started"));
    }
}
