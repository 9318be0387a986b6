//! Bundles: made by the exporter, checked by the verifier, and changed by the tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use proto::digest::digest_file;
use proto::manifest::{MANIFEST_FILE, Manifest, SHA256SUMS_FILE};

use crate::fixtures::{data, read_json, root};
use crate::programs::{Ended, Program, run};

/// Freshly initialised weights of a preset, in a folder.
pub fn fresh_weights(folder: &Path, preset: &str) -> PathBuf {
    let arguments = ["train", "--model", preset, "--epochs", "0", "--seed", "3"];
    let mut command = Program::Trainer.command();
    command.args(arguments).arg("--data").arg(data());
    run(command.arg("--out").arg(folder)).expect_status(0);
    folder.join(format!("vit_{preset}_cifar10.safetensors"))
}

/// A bundle of some test images, made from freshly initialised weights.
pub fn bundle(folder: &Path, preset: &str, samples: usize) -> PathBuf {
    let weights = fresh_weights(folder, preset);
    let bundle = folder.join("bundle");
    export(&weights, &bundle, samples).expect_status(0);
    bundle
}

/// Runs `exporter bundle` for some test images.
pub fn export(weights: &Path, bundle: &Path, samples: usize) -> Ended {
    run(export_command(weights, bundle).args(["--samples", &samples.to_string()]))
}

/// `exporter bundle` without a choice of samples.
pub fn export_command(weights: &Path, bundle: &Path) -> Command {
    let mut command = Program::Exporter.command();
    command.arg("bundle").arg("--weights").arg(weights);
    command.arg("--data").arg(data()).arg("--out").arg(bundle);
    command
}

/// Runs `verifier check` on the CPU with further arguments.
pub fn check(bundle: &Path, arguments: &[&str]) -> Ended {
    verify("check", bundle, arguments)
}

/// Runs a command of the verifier on the CPU with further arguments.
pub fn verify(command: &str, bundle: &Path, arguments: &[&str]) -> Ended {
    run(Program::Verifier
        .command()
        .arg(command)
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
    let mut manifest: Manifest = serde_json::from_value(read_json(&path)).expect("manifest");
    change(&mut manifest);
    let text = manifest.to_json();
    std::fs::write(bundle.join(SHA256SUMS_FILE), manifest.sha256sums(&text)).expect("write");
    std::fs::write(path, text).expect("write");
}

/// A copy of the bundle of 8 samples that is committed, which a test may change.
pub fn tiny_bundle(folder: &Path) -> PathBuf {
    let (committed, bundle) = (
        root().join("tests/fixtures/tiny_bundle"),
        folder.join("tiny"),
    );
    run(Command::new("cp").arg("-r").arg(committed).arg(&bundle)).expect_status(0);
    bundle
}
