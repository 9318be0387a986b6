//! Campaigns: the same report however the work was cut, nothing lost, nothing altered unnoticed.

mod ends;
mod outcomes;
mod refused;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tests::{
    Ended, Program, check, forge_manifest, python_command, python_with_pytorch, read_json, run,
    scratch, tests_script, tiny_bundle, utf8, with_default_signals, wrapped,
};

const FAULTS: &str = "20000";

fn campaign(bundle: &Path, out: &Path, arguments: &[&str]) -> Command {
    let mut command = Program::Verifier.command();
    command.args(["campaign", "run"]).arg(bundle);
    command
        .args(["--device", "cpu", "--out"])
        .arg(out)
        .args(arguments);
    command
}

/// The bytes of every report of a folder.
fn reports(out: &Path) -> Vec<Vec<u8>> {
    let files = ["r.json", "r.md", "r.csv"].map(|name| out.join(name));
    let mut command = Program::Verifier.command();
    command.args(["campaign", "report"]).arg(out);
    for file in &files {
        command.arg("--report").arg(file);
    }
    run(&mut command).expect_status(0);
    files
        .iter()
        .map(|file| fs::read(file).expect("a report"))
        .collect()
}

fn replay(out: &Path, number: u64) -> Ended {
    let mut command = Program::Verifier.command();
    let command = command.args(["campaign", "replay"]).arg(out);
    run(command.arg(number.to_string()))
}

fn files_of_results(out: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(out.join("results")).expect("list");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("entry").path()).collect();
    files.sort();
    files
}

fn files_of_results_or_none(out: &Path) -> usize {
    match out.join("results").is_dir() {
        true => files_of_results(out).len(),
        false => 0,
    }
}
