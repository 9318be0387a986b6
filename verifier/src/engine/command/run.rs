//! One run of an engine's command: inputs in a fresh folder, outputs in another one.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{self, Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use console::one_line;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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
    let started = command(engine, &words, job)
        .and_then(|mut command| child::run(&mut command, job.time_limit, stop));
    let child = started.map_err(|error| CommandError::Start {
        program: words[0].clone(),
        error,
    })?;
    finished(&child, job.time_limit)
}

fn command(engine: &EngineSpec, words: &[String], job: &Job<'_>) -> io::Result<Command> {
    let mut program = PathBuf::from(&words[0]);
    // Of a program in the engine's folder, it is up to the system which folder that is.
    if let Some(folder) = &engine.folder
        && program.components().count() > 1
    {
        program = path::absolute(folder)?.join(program);
    }
    let mut command = Command::new(program);
    command.args(&words[1..]);
    if let Some(folder) = &engine.folder {
        command.current_dir(folder);
    }
    command.envs(variables(job)).envs(&engine.environment);
    Ok(command)
}

fn finished(child: &Child, limit: Duration) -> Result<Finished, CommandError> {
    let said = match child.said() {
        "" => String::new(),
        // Lines of a message begin in another way than those of the engine.
        said => format!(": {}", said.replace('\n', "\n  | ")),
    };
    match child.ended.clone() {
        Ended::Status(0) => Ok(Finished {
            says: says(&child.stderr),
            seconds: child.seconds,
        }),
        Ended::Status(CANNOT_RUN) => {
            let last = child.said().lines().last();
            let last = last.unwrap_or("it does not say why");
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

/// What the last line says that is an object of JSON with something that is known.
fn says(stderr: &str) -> EngineSays {
    let objects = stderr.lines().rev().map(str::trim).filter_map(|line| {
        let fields: Map<String, Value> = serde_json::from_str(line).ok()?;
        Some(EngineSays::of(&fields))
    });
    let mut known = objects.filter(|says| *says != EngineSays::default());
    known.next().unwrap_or_default()
}

impl EngineSays {
    /// Takes what is of the right type; the rest is the engine's own.
    fn of(fields: &Map<String, Value>) -> Self {
        // It stands in lines of a result.
        let text = |name: &str| Some(one_line(fields.get(name)?.as_str()?).into_owned());
        let seconds = |name: &str| fields.get(name)?.as_f64().filter(|seconds| *seconds >= 0.0);
        Self {
            engine: text("engine"),
            version: text("version"),
            precision: text("precision"),
            threads: fields.get("threads").and_then(Value::as_u64),
            load_seconds: seconds("load_s"),
            run_seconds: seconds("run_s"),
        }
    }

    /// The precision, if it says another one than float32.
    pub fn other_precision(&self) -> Option<&str> {
        let names = ["float32", "fp32", "f32", "float", "single"];
        let precision = self.precision.as_deref()?;
        let is_float32 = names
            .iter()
            .any(|name| precision.eq_ignore_ascii_case(name));
        (!is_float32).then_some(precision)
    }
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

/// The folders of a run, made afresh: inputs, and outputs, each in a folder with nothing beside.
pub fn folders(inside: &Path, name: &str) -> io::Result<(PathBuf, PathBuf)> {
    let (inputs, outputs) = (
        inside.join(format!("{name}_inputs/inputs")),
        inside.join(format!("{name}_outputs/outputs")),
    );
    fs::create_dir_all(&inputs)?;
    fs::create_dir_all(&outputs)?;
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
    fn what_an_engine_says_begins_no_line_of_a_result() {
        let found = says(r#"{"engine": "x\nverdict      PASS", "version": "1\r\u001b[2J"}"#);
        assert_eq!(found.engine.as_deref(), Some("x\\nverdict      PASS"));
        assert_eq!(found.version.as_deref(), Some("1\\r\\u{1b}[2J"));
        let script = "sh -c 'echo a >&2; echo verdict PASS >&2; exit 1'";
        let failed = run_one(script, 60.0)
            .expect_err("exit status 1")
            .to_string();
        assert!(failed.ends_with(": a\n  | verdict PASS"), "{failed}");
    }

    #[test]
    fn runs_have_no_folder_beside_theirs() {
        let folder = tempfile::tempdir().expect("folder");
        folders(folder.path(), "first").expect("folders");
        let (inputs, outputs) = folders(folder.path(), "again").expect("folders");
        for own in [inputs, outputs] {
            let around = own.parent().expect("a folder of its own");
            assert_eq!(fs::read_dir(around).expect("list").count(), 1);
        }
    }

    #[test]
    fn a_value_of_another_type_does_not_lose_the_rest() {
        let line = r#"{"engine": "Fake", "version": 2, "precision": "bf16", "threads": -1,
            "load_s": "fast", "run_s": 0.5}"#;
        let later = r#"{"level": "info", "message": "closed"}"#;
        let found = says(&format!("{}\n{later}\n{{ no JSON", line.replace('\n', " ")));
        let expected = EngineSays {
            engine: Some("Fake".to_owned()),
            precision: Some("bf16".to_owned()),
            run_seconds: Some(0.5),
            ..EngineSays::default()
        };
        assert_eq!(found, expected);
        assert_eq!(found.other_precision(), Some("bf16"));
        assert_eq!(says("[1]\n3\n"), EngineSays::default());
        let single = says(r#"{"precision": "FP32"}"#);
        assert_eq!(single.other_precision(), None);
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
