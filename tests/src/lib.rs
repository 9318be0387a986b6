//! Runs the three binaries as a user would. Links none of them: what the tests know, a user could
//! know.
//!
//! The tests need what `make test` sets up: CIFAR-10 (`CIFAR10`, else `data/`), ONNX Runtime and
//! the Python tools.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use proto::digest::digest_file;
use proto::manifest::{MANIFEST_FILE, Manifest, SHA256SUMS_FILE};

/// The three programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Trains.
    Trainer,
    /// Exports.
    Exporter,
    /// Verifies.
    Verifier,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Exit status.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
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
        let folder = FOLDER.get_or_init(|| {
            // All at once and for the whole workspace: any other choice could mean other features
            // and a rebuild.
            let build = escargot::CargoBuild::new()
                .manifest_path(root().join("Cargo.toml"))
                .arg("--workspace")
                .bins();
            let build = if cfg!(debug_assertions) {
                build
            } else {
                build.release()
            };
            let messages = build.exec().expect("the binaries build");
            let executables = messages.filter_map(|message| {
                let message = message.expect("cargo speaks JSON");
                match message.decode() {
                    Ok(escargot::format::Message::CompilerArtifact(artifact)) => artifact
                        .executable
                        .map(|path| path.parent().expect("a folder").to_owned()),
                    _ => None,
                }
            });
            executables.last().expect("at least one binary")
        });
        folder.join(self.name())
    }

    /// A command that runs it in the project's folder, with none of the user's settings.
    pub fn command(self) -> Command {
        let mut command = Command::new(self.path());
        command
            .current_dir(root())
            .env("ORT_DYLIB_PATH", onnxruntime())
            .env_remove("RUST_BACKTRACE");
        // Tests run side by side: several processes that each wait for every core in a busy loop
        // starve one another.
        command.env("OMP_NUM_THREADS", "1");
        command
    }

    /// Runs it.
    pub fn run<S: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = S>) -> Ended {
        run(self.command().args(arguments))
    }
}

/// The same command, hearing every signal: a shell without job control starts what it runs in the
/// background deaf to SIGINT, and the tests would hand that on.
pub fn with_default_signals(command: &Command) -> Command {
    let mut wrapped = Command::new("env");
    wrapped
        .arg("--default-signal")
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    wrapped.current_dir(command.get_current_dir().unwrap_or_else(|| Path::new(".")));
    wrapped
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

impl Ended {
    /// Panics with everything there is to know unless the exit status is this one.
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
        let Self {
            status,
            stdout,
            stderr,
            command,
        } = self;
        write!(
            f,
            "command: {command}\nexit status: {status}\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        )
    }
}

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

/// The ONNX Runtime that the Python tools hold, so that both sides compare the same library.
pub fn onnxruntime() -> PathBuf {
    let library = root().join(".deps/python-tools/onnxruntime/capi/libonnxruntime.so.1.31.1");
    assert!(
        library.is_file(),
        "{}: missing; `make test` installs it",
        library.display()
    );
    library
}

/// A build of ONNX Runtime with a second real provider.
pub fn openvino() -> PathBuf {
    let library = root().join(".deps/openvino/onnxruntime/capi/libonnxruntime.so.1.24.1");
    assert!(
        library.is_file(),
        "{}: missing; `make test` installs it",
        library.display()
    );
    library
}

/// Starts a program, sends SIGINT once it prints a line that begins so, and gives its exit status
/// and what it said.
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

/// Runs a Python script with the tools that `make test` installs.
pub fn python(script: &str, arguments: &[&Path]) -> Ended {
    let tools = root().join(".deps/python-tools");
    assert!(
        tools.is_dir(),
        "{}: missing; `make test` installs it",
        tools.display()
    );
    let interpreter = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    run(Command::new(interpreter)
        .env("PYTHONPATH", tools)
        .args(["-c", script])
        .args(arguments))
}

/// Freshly initialised weights of a preset, in a folder.
pub fn fresh_weights(folder: &Path, preset: &str) -> PathBuf {
    let arguments = [
        "train", "--model", preset, "--epochs", "0", "--seed", "3", "--data",
    ];
    let mut command = Program::Trainer.command();
    run(command.args(arguments).arg(data()).arg("--out").arg(folder)).expect_status(0);
    folder.join(format!("vit_{preset}_cifar10.safetensors"))
}

/// A bundle of some test images, made from freshly initialised weights.
pub fn bundle(folder: &Path, preset: &str, samples: usize) -> PathBuf {
    let weights = fresh_weights(folder, preset);
    let bundle = folder.join("bundle");
    export(&weights, &bundle, samples).expect_status(0);
    bundle
}

/// Runs `exporter bundle`.
pub fn export(weights: &Path, bundle: &Path, samples: usize) -> Ended {
    let mut command = Program::Exporter.command();
    command
        .arg("bundle")
        .arg("--weights")
        .arg(weights)
        .arg("--out")
        .arg(bundle)
        .arg("--data")
        .arg(data());
    run(command.args(["--samples", &samples.to_string()]))
}

/// Runs `verifier check` on the CPU with further arguments.
pub fn check(bundle: &Path, arguments: &[&str]) -> Ended {
    run(Program::Verifier
        .command()
        .arg("check")
        .arg(bundle)
        .args(["--device", "cpu"])
        .args(arguments))
}

/// Changes a file of a bundle, and the manifest so that all hashes are right again.
pub fn forge(bundle: &Path, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let path = bundle.join(file);
    let mut bytes = std::fs::read(&path).expect("read");
    change(&mut bytes);
    std::fs::write(&path, bytes).expect("write");
    forge_manifest(bundle, |manifest| {
        manifest
            .files
            .insert(file.to_owned(), digest_file(&path).expect("digest"));
    });
}

/// Changes the manifest of a bundle, and SHA256SUMS with it.
pub fn forge_manifest(bundle: &Path, change: impl FnOnce(&mut Manifest)) {
    let path = bundle.join(MANIFEST_FILE);
    let mut manifest: Manifest =
        serde_json::from_str(&std::fs::read_to_string(&path).expect("read")).expect("manifest");
    change(&mut manifest);
    let text = manifest.to_json();
    std::fs::write(bundle.join(SHA256SUMS_FILE), manifest.sha256sums(&text)).expect("write");
    std::fs::write(path, text).expect("write");
}

/// A folder of its own for a test.
pub fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("temporary folder")
}
