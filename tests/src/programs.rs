//! The three programs as processes: started with nothing of the user's settings in a folder of
//! the test's own, and what they said when they ended.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::fixtures::{onnxruntime, root, scratch};

thread_local! {
    // Every test has a thread of its own: the folder goes when the test ends.
    static CURRENT_FOLDER: TempDir = scratch();
}

/// The empty folder that the commands of a test run in unless they say otherwise.
pub(crate) fn current_folder() -> PathBuf {
    CURRENT_FOLDER.with(|folder| folder.path().to_owned())
}

/// Which of the machine's GPUs CUDA shows to a process.
const VISIBLE_GPUS: &str = "CUDA_VISIBLE_DEVICES";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Trainer,
    Exporter,
    Verifier,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Exit status, or -1 after a signal.
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
    command: String,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::Trainer => "trainer",
            Self::Exporter => "exporter",
            Self::Verifier => "verifier",
        }
    }

    /// The program's file, built if need be, in the profile of the tests.
    pub fn path(self) -> PathBuf {
        static FOLDER: OnceLock<PathBuf> = OnceLock::new();
        FOLDER.get_or_init(built_programs).join(self.name())
    }

    /// A command that runs it with none of the user's settings and no GPU, in an empty folder that
    /// lives as long as the test. Paths given to it must be absolute.
    pub fn command(self) -> Command {
        let mut command = Command::new(self.path());
        command
            .current_dir(current_folder())
            .env("ORT_DYLIB_PATH", onnxruntime())
            .env_remove("RUST_BACKTRACE");
        // Tests run side by side: several processes that each wait for every core in a busy loop
        // starve one another.
        command.env("OMP_NUM_THREADS", "1");
        // A test says the same on every machine; those that are about GPUs ask for them.
        command.env(VISIBLE_GPUS, "");
        command
    }

    pub fn run<S: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = S>) -> Ended {
        run(self.command().args(arguments))
    }
}

/// The same command with the GPUs that the user's settings show.
pub fn with_gpus(mut command: Command) -> Command {
    match std::env::var_os(VISIBLE_GPUS) {
        Some(shown) => command.env(VISIBLE_GPUS, shown),
        None => command.env_remove(VISIBLE_GPUS),
    };
    command
}

/// Builds all programs and gives their folder.
fn built_programs() -> PathBuf {
    // All at once and for the whole workspace: any other choice could mean other features and a
    // rebuild.
    let mut build = escargot::CargoBuild::new()
        .manifest_path(root().join("Cargo.toml"))
        .arg("--workspace")
        .bins();
    if !cfg!(debug_assertions) {
        build = build.release();
    }
    let messages = build.exec().expect("the binaries build");
    messages
        .filter_map(|message| folder_of_executable(message.expect("cargo speaks JSON")))
        .last()
        .expect("at least one binary")
}

fn folder_of_executable(message: escargot::Message) -> Option<PathBuf> {
    match message.decode() {
        Ok(escargot::format::Message::CompilerArtifact(artifact)) => {
            let executable = artifact.executable?;
            Some(executable.parent().expect("a folder").to_owned())
        }
        _ => None,
    }
}

/// The same command, started by another program that is given the command's words as arguments.
pub fn wrapped(mut by: Command, command: &Command) -> Command {
    by.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => by.env(name, value),
            None => by.env_remove(name),
        };
    }
    by.current_dir(command.get_current_dir().unwrap_or_else(|| Path::new(".")));
    by
}

/// The same command with the default reaction to every signal: a shell without job control lets
/// what it starts in the background ignore SIGINT, and the tests would hand that on.
pub fn with_default_signals(command: &Command) -> Command {
    let mut env = Command::new("env");
    env.arg("--default-signal");
    wrapped(env, command)
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Ended {
    let text = format!("{command:?}");
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    Ended {
        status: status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
        command: text,
    }
}

/// Starts a program, sends SIGINT once it prints a line that begins with a text, and gives its
/// exit status and what it wrote to standard error.
pub fn interrupt(command: &mut Command, line_begins: &str) -> (Option<i32>, String) {
    let command = with_default_signals(command)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = command.expect("start");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    while !line.starts_with(line_begins) {
        line.clear();
        assert!(
            stdout.read_line(&mut line).expect("read") > 0,
            "ended before it began"
        );
    }
    run(Command::new("kill").args(["-INT", &child.id().to_string()])).expect_status(0);
    let ended = child.wait_with_output().expect("wait");
    (
        ended.status.code(),
        String::from_utf8_lossy(&ended.stderr).into_owned(),
    )
}

impl Ended {
    /// Panics with all that was said unless the exit status is this one.
    #[track_caller]
    pub fn expect_status(self, status: i32) -> Self {
        assert_eq!(self.status, status, "\n{self}");
        self
    }

    /// Panics unless a text is on standard output.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(
            self.stdout.contains(text),
            "expected on stdout: {text}\n{self}"
        );
        self
    }

    /// Panics unless the program failed the way bad input must: exit status 2, one message with
    /// these texts on standard error, no panic, and nothing that reads like success.
    #[track_caller]
    pub fn refuses(self, texts: &[&str]) -> Self {
        assert_eq!(self.status, 2, "\n{self}");
        for text in texts {
            assert!(
                self.stderr.contains(text),
                "expected on stderr: {text}\n{self}"
            );
        }
        assert!(!self.stderr.contains("panicked"), "\n{self}");
        for success in ["PASS", "verdict"] {
            assert!(
                !self.stdout.contains(success),
                "must not read like success\n{self}"
            );
        }
        self
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "command: {}", self.command)?;
        writeln!(f, "exit status: {}", self.status)?;
        writeln!(f, "--- stdout\n{}", self.stdout)?;
        write!(f, "--- stderr\n{}", self.stderr)
    }
}
