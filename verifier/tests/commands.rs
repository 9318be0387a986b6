//! What each command prints, on the tiny bundle; `INSTA_UPDATE=always` renews the snapshots.
//!
//! Help and refusals need nothing. What runs a model needs ONNX Runtime, and is skipped, with a
//! notice, where `make setup` has not fetched it: the test of all three programs has it always.

use std::path::{Path, PathBuf};
use std::process::Command;

use insta::{Settings, assert_snapshot};

const COMMANDS: [&str; 8] = [
    "check",
    "calibrate",
    "compare",
    "bench",
    "record",
    "watch",
    "devices",
    "inspect",
];

/// The project's folder, as messages name it.
fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let root = root.and_then(|root| root.canonicalize().ok());
    root.expect("the workspace")
}

fn tiny_bundle() -> PathBuf {
    root().join("tests/fixtures/tiny_bundle")
}

fn onnxruntime() -> Option<PathBuf> {
    let library = root().join(".deps/onnxruntime/onnxruntime/capi/libonnxruntime.so.1.31.1");
    if library.is_file() {
        return Some(library);
    }
    eprintln!(
        "SKIPPED: {}: missing; `make setup` fetches it",
        library.display()
    );
    None
}

/// Runs the verifier in an empty folder: status, stdout and stderr as one text.
fn run(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("folder");
    run_in(folder.path(), arguments)
}

fn run_in(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verifier"));
    command
        .args(arguments)
        .current_dir(folder)
        .env("COLUMNS", "100");
    command
        .env_remove("ORT_DYLIB_PATH")
        .env_remove("RUST_BACKTRACE");
    let output = command.output().expect("the verifier starts");
    format!(
        "status {}\n--- stdout\n{}--- stderr\n{}",
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// What differs from machine to machine and from run to run is replaced.
fn settings() -> Settings {
    let mut settings = Settings::clone_current();
    let mut prefix = String::new();
    for character in root().display().to_string().chars() {
        if !character.is_alphanumeric() && character.is_ascii() {
            prefix.push('\\');
        }
        prefix.push(character);
    }
    settings.add_filter(&format!("{prefix}/"), "ROOT/");
    settings.add_filter(r"SHA-256 [0-9a-f]{64}", "SHA-256 HASH");
    settings.add_filter(r"time         [0-9.]+ s", "time         SECONDS s");
    settings.add_filter(r"[0-9]+ samples/s", "RATE samples/s");
    // Kernels are chosen by the processor, and round as they do.
    settings.add_filter(r"[0-9]\.[0-9]{3}e-[78]( at \[[0-9, ]+\])?", "ERROR");
    settings.add_filter(
        r"ULP distance   [0-9,]+ at \[[0-9, ]+\]",
        "ULP distance   ULP",
    );
    settings.add_filter(
        r"differing    [0-9,]+ elements in [0-9]+ samples",
        "differing    N elements in N samples",
    );
    settings.add_filter(
        r"actual -?[0-9.]+e-?[0-9]+, xor [0-9a-f]{8}",
        "actual ACTUAL, xor XOR",
    );
    settings
}

#[test]
fn help_of_every_command() {
    let all = run(&["--help"]);
    assert_snapshot!("help", all);
    for command in COMMANDS {
        assert_snapshot!(format!("help_{command}"), run(&[command, "--help"]));
    }
}

#[test]
fn refusals_say_what_which_and_what_to_try() {
    let bundle = tiny_bundle();
    let bundle = bundle.to_str().expect("UTF-8");
    let check =
        |arguments: &[&str]| run(&[&["check", bundle, "--device", "cpu"], arguments].concat());
    settings().bind(|| {
        assert_snapshot!("no_bundle", run(&["check", "nowhere", "--device", "cpu"]));
        assert_snapshot!("range_outside", check(&["--range", "2", "9"]));
        assert_snapshot!("no_part", check(&["--part", "middle"]));
        assert_snapshot!("part_of_bytes", check(&["--part", "preprocess"]));
        assert_snapshot!("inject_in_few_samples", check(&["--inject"]));
        assert_snapshot!("no_such_runtime", check(&["--runtime", "/nonexistent.so"]));
        assert_snapshot!("fault_that_is_none", check(&["--fault", "golden[1"]));
        assert_snapshot!("report_of_no_format", check(&["--report", "table.pdf"]));
    });
}

#[test]
fn a_check_that_passes_and_one_with_faults() {
    let Some(library) = onnxruntime() else { return };
    let (bundle, library) = (tiny_bundle(), library.display().to_string());
    let bundle = bundle.to_str().expect("UTF-8");
    let target = ["--device", "cpu", "--runtime", &library];
    let check = |arguments: &[&str]| run(&[&["check", bundle], &target[..], arguments].concat());
    settings().bind(|| {
        assert_snapshot!("check", check(&[]));
        assert_snapshot!("check_full", check(&["--part", "full", "--repeat", "3"]));
        let faults = [
            "--fault",
            "golden[3,4,5]=inf",
            "--fault",
            "output[5,16,15]=2",
            "--fault",
            "golden[7,0,0]=12",
            "--fail-fast",
            "--batch-size",
            "4",
        ];
        assert_snapshot!("check_with_faults", check(&faults));
    });
}

#[test]
fn what_a_bundle_holds() {
    let bundle = tiny_bundle();
    let inspect = |file: &str| run(&["inspect", bundle.join(file).to_str().expect("UTF-8")]);
    settings().bind(|| {
        assert_snapshot!("inspect_bundle", inspect(""));
        assert_snapshot!("inspect_model", inspect("onnx/submodel/model.onnx"));
        assert_snapshot!("inspect_array", inspect("npy/logits.npy"));
    });
}
