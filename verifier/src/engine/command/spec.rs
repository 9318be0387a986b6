//! How an engine's command is written: on the command line, or in a file of engines.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proto::regular_file;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::expect::Expect;

/// A command that computes a part's outputs for all samples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EngineSpec {
    pub name: String,
    /// Program and arguments, with placeholders such as `{model}`.
    pub words: Vec<String>,
    /// Where it runs: the folder of the file that names it, else the current one.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "optional_path_as_text"
    )]
    pub folder: Option<PathBuf>,
    /// Variables of its environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// What is expected of it.
    #[serde(default)]
    pub expect: Expect,
}

/// An engine that is not written as it should be.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    #[error(
        "{text:?}: expected NAME=COMMAND, such as 'mine=./run {{model}} {{inputs}} {{outputs}}'"
    )]
    Form { text: String },
    #[error("the command of `{name}` has an open quote, or is empty: {command}")]
    Words { name: String, command: String },
    #[error("the command of `{name}` has the placeholder {placeholder}, expected one of {known}")]
    Placeholder {
        name: String,
        placeholder: String,
        known: &'static str,
    },
    #[error("{path}: {reason}")]
    File { path: PathBuf, reason: String },
    #[error("{path} has no engine `{name}`, it has {found}")]
    Unknown {
        path: PathBuf,
        name: String,
        found: String,
    },
}

/// What a command's words may hold.
const PLACEHOLDERS: &str = "{model}, {model:fixed}, {inputs}, {outputs}, {input:NAME}, \
                            {output:NAME}, {batch}, {threads}";

/// One table of a file of engines.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    command: String,
    #[serde(default)]
    expect: Expect,
    /// How people install it.
    #[serde(default, rename = "install")]
    _install: Option<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
}

impl EngineSpec {
    /// Reads `NAME=COMMAND`; the command is split as a shell splits it, and no shell runs.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        match text.split_once('=') {
            Some((name, command)) if is_name(name) => {
                Self::new(name, command, None, BTreeMap::new(), Expect::default())
            }
            _ => Err(SpecError::Form {
                text: text.to_owned(),
            }),
        }
    }

    /// Reads all engines of a TOML file, in the order of their names; they run in its folder.
    pub fn read_all(path: &Path) -> Result<Vec<Self>, SpecError> {
        let refused = |reason: String| SpecError::File {
            path: path.to_owned(),
            reason,
        };
        let bytes = regular_file::read(path).map_err(|error| refused(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|error| refused(error.to_string()))?;
        let tables: BTreeMap<String, Table> =
            toml::from_str(&text).map_err(|error| refused(error.to_string()))?;
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        let folder = folder.unwrap_or(Path::new(".")).to_owned();
        let read = tables.into_iter().map(|(name, table)| {
            let Table {
                command,
                expect,
                environment,
                ..
            } = table;
            if !is_name(&name) {
                let allowed = "1 to 60 letters, digits and - _ . +";
                return Err(refused(format!("the name {name:?}: expected {allowed}")));
            }
            if let Some(reason) = expect.contradiction() {
                return Err(refused(format!("`{name}`: {reason}")));
            }
            Self::new(&name, &command, Some(folder.clone()), environment, expect)
        });
        read.collect()
    }

    fn new(
        name: &str,
        command: &str,
        folder: Option<PathBuf>,
        environment: BTreeMap<String, String>,
        expect: Expect,
    ) -> Result<Self, SpecError> {
        let words = shlex::split(command).filter(|words| !words.is_empty());
        let words = words.ok_or_else(|| SpecError::Words {
            name: name.to_owned(),
            command: command.to_owned(),
        })?;
        for placeholder in words.iter().flat_map(|word| placeholders(word)) {
            if !is_known(placeholder) {
                return Err(SpecError::Placeholder {
                    name: name.to_owned(),
                    placeholder: format!("{{{placeholder}}}"),
                    known: PLACEHOLDERS,
                });
            }
        }
        Ok(Self {
            name: name.to_owned(),
            words,
            folder,
            environment,
            expect,
        })
    }

    /// Whether a word asks for a model with a fixed batch.
    pub fn needs_fixed_model(&self) -> bool {
        let mut placeholders = self.words.iter().flat_map(|word| placeholders(word));
        placeholders.any(|placeholder| placeholder == "model:fixed")
    }
}

/// A name that stands in a table and in a file's name.
fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte);
    (1..=60).contains(&name.len()) && name.bytes().all(is_plain)
}

/// What stands in braces, such as `model`: words of lower case, with a name behind a colon.
pub(super) fn placeholders(word: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut left = word;
    while let Some((_, rest)) = left.split_once('{') {
        let Some((inside, after)) = rest.split_once('}') else {
            break;
        };
        let is_placeholder = inside
            .split_once(':')
            .map_or(inside, |(kind, _)| kind)
            .bytes()
            .all(|byte| byte.is_ascii_lowercase());
        if is_placeholder && !inside.is_empty() {
            found.push(inside);
        }
        left = after;
    }
    found
}

fn is_known(placeholder: &str) -> bool {
    let alone = [
        "model",
        "model:fixed",
        "inputs",
        "outputs",
        "batch",
        "threads",
    ];
    let with_name = ["input:", "output:"];
    alone.contains(&placeholder)
        || with_name.iter().any(|kind| {
            placeholder
                .strip_prefix(kind)
                .is_some_and(|name| !name.is_empty())
        })
}

fn optional_path_as_text<S: serde::Serializer>(
    path: &Option<PathBuf>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match path {
        Some(path) => regular_file::path_as_text(path, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::command::{Ends, Expected};

    #[test]
    fn words_are_split_as_a_shell_splits_them_and_none_runs() {
        let engine = EngineSpec::parse("a=run 'two words' {model} --out={output:y} $HOME;ls")
            .expect("a command");
        assert_eq!(
            engine.words,
            [
                "run",
                "two words",
                "{model}",
                "--out={output:y}",
                "$HOME;ls"
            ]
        );
        for refused in [
            "run {model}",
            "=run",
            "a b=run",
            "a=",
            "a=run 'open",
            "a=run {modle}",
        ] {
            EngineSpec::parse(refused).expect_err(refused);
        }
        // Braces of something else stay as they are.
        let engine = EngineSpec::parse("a=awk '{ print $1 }' {inputs}").expect("a command");
        assert_eq!(engine.words[1], "{ print $1 }");
    }

    #[test]
    fn a_file_of_engines_says_what_is_expected_of_each() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("engines.toml");
        let text = r#"
            [mnn]
            command = "python3 mnn_run.py {model} {inputs} {outputs} {batch} {threads}"
            expect = { submodel = "pass", full = "fail" }
            install = "MNN==3.6.1"
            [bf16]
            command = "run {model:fixed}"
            expect = ["fail", "cannot"]
            environment = { PRECISION = "bf16" }
        "#;
        std::fs::write(&path, text).expect("write");
        let engines = EngineSpec::read_all(&path).expect("two engines");
        assert_eq!(engines[0].name, "bf16");
        assert_eq!(engines[0].environment["PRECISION"], "bf16");
        assert!(engines[0].needs_fixed_model() && !engines[1].needs_fixed_model());
        assert_eq!(engines[1].folder.as_deref(), Some(folder.path()));
        let full = engines[1].expect.of("full");
        assert!(full.include(Expected::Fail) && !full.include(Expected::Pass));
        let others = ["submodel", "head"].map(|part| engines[1].expect.of(part));
        assert_eq!(others, [Ends::default(), Ends::default()]);
        let either = engines[0].expect.of("tail");
        assert!(either.include(Expected::Fail) && either.include(Expected::Cannot));
        assert_eq!(either.to_string(), "fail or cannot");
    }

    #[test]
    fn a_file_of_engines_is_refused_for_one_thing_that_is_wrong() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("engines.toml");
        for (text, reason) in [
            ("[a]\ncommand = 'run'\nexpct = 'fail'", "expct"),
            (
                "[a]\ncommand = 'run'\nexpect = 'fial'",
                "expected pass, fail or cannot",
            ),
            ("[a]\ncommand = 'run'\nexpect = []", "an empty list"),
            (
                "[a]\ncommand = 'run'\nexpect = { ful = 'fail' }",
                "the part `ful`",
            ),
            ("['a b']\ncommand = 'run'", "the name \"a b\""),
            ("[a]\ncommand = 'run {modle}'", "{modle}"),
        ] {
            std::fs::write(&path, text).expect("write");
            let refused = EngineSpec::read_all(&path).expect_err(text).to_string();
            assert!(refused.contains(reason), "{refused}");
        }
    }
}
