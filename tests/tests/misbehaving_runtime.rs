//! A runtime that gives wrong outputs or none, ends the process or changes its arithmetic: in every
//! command that runs a model there is no pass and no panic.

use std::path::PathBuf;
use std::process::Command;

use tests::{Ended, Program, onnxruntime, run, runtime_shim, scratch, tiny_bundle};

struct Target {
    _folder: tempfile::TempDir,
    bundle: PathBuf,
    shim: PathBuf,
}

impl Target {
    fn new() -> Self {
        let folder = scratch();
        Self {
            bundle: tiny_bundle(folder.path()),
            shim: runtime_shim(folder.path()),
            _folder: folder,
        }
    }

    /// A command of the verifier on a runtime that misbehaves in this way.
    fn command(&self, name: &str, how: &str) -> Command {
        let mut command = Program::Verifier.command();
        command
            .arg(name)
            .arg(&self.bundle)
            .args(["--device", "cpu", "--runtime"])
            .arg(&self.shim)
            .env("SHIM_RUNTIME", onnxruntime())
            .env("SHIM_RUN", how);
        if name == "bench" {
            command.args(["--batch-size", "2", "--runs", "3"]);
        }
        command
    }

    fn calibration(&self) -> PathBuf {
        self.bundle.with_file_name("tiny.calibration.json")
    }
}

const COMMANDS: [&str; 4] = ["check", "calibrate", "bench", "compare"];

fn expect_no_panic(ended: &Ended, what: &str) {
    let said = [ended.stdout.as_str(), &ended.stderr].concat();
    assert!(!said.contains("panicked"), "{what}: {said}");
}

#[test]
fn no_output_or_an_early_end_is_no_result() {
    let target = Target::new();
    for how in ["nothing", "exit", "quick_exit"] {
        for name in COMMANDS {
            let ended = run(&mut target.command(name, how));
            expect_no_panic(&ended, name);
            ended.expect_status(2);
        }
    }
    run(&mut target.command("check", "nothing")).refuses(&["broke a rule"]);
    run(&mut target.command("check", "exit")).refuses(&["called `exit`"]);
    assert!(!target.calibration().exists());
}

/// A library's own function at the end of the process cannot make a success of a failure.
#[test]
fn the_exit_status_is_that_of_the_verdict() {
    let target = Target::new();
    for name in ["check", "bench"] {
        let mut command = target.command(name, "end well");
        run(command.args(["--atol", "0", "--rtol", "0"])).expect_status(1);
    }
}

#[test]
fn a_runtime_that_aborts_is_a_row_of_a_comparison() {
    let target = Target::new();
    run(&mut target.command("compare", "abort"))
        .expect_status(2)
        .says("SIGABRT");
    let ended = run(&mut target.command("check", "abort"));
    assert_eq!(ended.status, -1, "ended by a signal\n{ended}");
}

#[test]
fn wrong_outputs_are_found_in_every_command() {
    let target = Target::new();
    for how in ["zeros", "double", "negate", "huge"] {
        for name in COMMANDS {
            let ended = run(&mut target.command(name, how));
            expect_no_panic(&ended, name);
            ended.expect_status(1);
        }
        assert!(
            !target.calibration().exists(),
            "{how}: such a device needs a look, no tolerance"
        );
    }
    let reason = "the flips of the sign or of a bit of the exponent, expected 95 %";
    run(&mut target.command("calibrate", "double"))
        .expect_status(1)
        .says(reason);
    run(&mut target.command("check", "nan")).expect_status(1);
    run(&mut target.command("calibrate", "nan")).refuses(&["finite numbers"]);
    let forced = ["--least-caught", "0"];
    run(target.command("calibrate", "double").args(forced)).expect_status(0);
}

/// 1e-40 is not 0, also after a library has told the processor to take it for 0.
#[test]
#[cfg(target_arch = "x86_64")]
fn small_numbers_are_compared_as_numbers() {
    let target = Target::new();
    let faults = ["golden[1,2,3]=1e-40", "output[1,2,3]=0"];
    for how in ["none of them", "flush"] {
        let mut command = target.command("check", "flush");
        if how != "flush" {
            command.env_remove("SHIM_RUN");
        }
        command.args(["--fault", faults[0], "--fault", faults[1]]);
        let ended = run(command.args(["--atol", "0", "--rtol", "0.99"]));
        ended.expect_status(1).says("1 elements");
    }
}
