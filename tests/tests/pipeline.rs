//! Train, export, verify: the whole way on real CIFAR-10 images.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use tests::{
    Ended, Program, bundle, check, data, export, export_command, fresh_weights, python_command,
    read_json, root, run, scratch, utf8, wrapped,
};

const SAMPLES: usize = 320;

/// Weights after one short epoch, and the accuracy that the trainer printed.
fn train(folder: &Path, seed: &str) -> (PathBuf, String) {
    let mut command = Program::Trainer.command();
    command.args([
        "train",
        "--model",
        "nano",
        "--epochs",
        "1",
        "--train-samples",
        "2560",
    ]);
    command.args(["--seed", seed]).arg("--data").arg(data());
    let ended = run(command.arg("--out").arg(folder))
        .expect_status(0)
        .says("2560 training, 10000 test images");
    (
        folder.join("vit_nano_cifar10.safetensors"),
        accuracy(&ended.stdout),
    )
}

/// The percentage in the line `accuracy     12.34 % …`.
fn accuracy(stdout: &str) -> String {
    let line = stdout
        .lines()
        .find_map(|line| line.strip_prefix("accuracy"))
        .expect("a line with the accuracy");
    line.trim().split(' ').next().expect("a number").to_owned()
}

#[test]
fn a_trained_network_becomes_a_bundle_that_passes_and_whose_injected_errors_are_detected() {
    let folder = scratch();
    let (weights, _) = train(folder.path(), "0");
    let bundle = folder.path().join("bundle");
    export(&weights, &bundle, SAMPLES)
        .expect_status(0)
        .says("320");
    passes(&bundle, &folder.path().join("clean.json"));
    detects_the_injected_errors(&bundle, &folder.path().join("faults.json"));
}

fn passes(bundle: &Path, report: &Path) {
    check(bundle, &["--report", utf8(report)])
        .expect_status(0)
        .says("PASS");
    let report = read_json(report);
    assert_eq!(report["record_version"], "3.3");
    assert_eq!(report["command"], "check");
    assert_eq!(report["verdict"], "pass");
    assert_eq!(report["exit_status"], 0);
    let result = &report["result"];
    assert_eq!(result["samples"], SAMPLES);
    assert_eq!(result["elements"], SAMPLES * 65 * 96);
    assert_eq!(result["faulty_samples"], 0);
    let nodes = report["runtime"]["nodes"].as_object().expect("nodes");
    assert_eq!(nodes.len(), 1);
    assert!(
        nodes["CPUExecutionProvider"].as_u64() > Some(5),
        "{nodes:?}"
    );
}

fn detects_the_injected_errors(bundle: &Path, report: &Path) {
    let ended = check(bundle, &["--inject", "--report", utf8(report)])
        .expect_status(1)
        .says("FAIL: 4 of 320 samples are faulty");
    let expected = [150, 200, 201, 300];
    expected.iter().fold(ended, |ended, sample| {
        ended.says(&format!("sample {sample} "))
    });
    let report = read_json(report);
    assert_eq!(report["verdict"], "fail");
    assert_eq!(report["exit_status"], 1);
    let result = &report["result"];
    let flagged = result["faulty"].as_array().expect("a list");
    let flagged: Vec<_> = flagged.iter().map(|faulty| &faulty["sample"]).collect();
    assert_eq!(flagged, expected);
    let faults = result["faults"].as_array().expect("a list");
    assert_eq!(faults.len(), 5);
    assert!(faults.iter().all(|fault| fault["outcome"] == "detected"));
    assert_eq!(result["mismatched_elements"], 3);
    assert_eq!(result["non_finite_elements"], 2);
}

#[test]
fn the_same_command_gives_the_same_bytes() {
    let (first, second, other) = (scratch(), scratch(), scratch());
    let (weights, _) = train(first.path(), "7");
    let read = |path: &Path| fs::read(path).expect("read");
    assert!(
        read(&weights) == read(&train(second.path(), "7").0),
        "weights differ between two runs"
    );
    assert!(
        read(&weights) != read(&train(other.path(), "8").0),
        "the seed changes nothing"
    );

    let bundles = [first.path().join("a"), first.path().join("b")];
    for bundle in &bundles {
        export(&weights, bundle, 100).expect_status(0);
    }
    // SHA256SUMS has the hash of every other file.
    let [a, b] = bundles.map(|bundle| read(&bundle.join("SHA256SUMS")));
    assert!(a == b, "bundles differ between two runs");
}

fn sha256sum(bundle: &Path) -> Ended {
    run(Command::new("sha256sum").current_dir(bundle).args([
        "--check",
        "--quiet",
        "--strict",
        "SHA256SUMS",
    ]))
}

#[test]
fn killed_at_twenty_moments_a_bundle_is_whole_or_absent() {
    let folder = scratch();
    let weights = fresh_weights(folder.path(), "nano");
    let bundle = folder.path().join("bundle");
    let mut command = export_command(&weights, &bundle);
    command
        .args(["--samples", "400"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let started = Instant::now();
    assert!(command.status().expect("run").success());
    let whole = started.elapsed();

    let (mut absent, mut complete) = (0, 0);
    for moment in 0..20u32 {
        let _ = fs::remove_dir_all(&bundle);
        let mut child = command.spawn().expect("run");
        // Spread over the run, and a little beyond its end, by steps that no phase of it divides.
        std::thread::sleep(whole * (moment * 7 % 20 + 1) / 19);
        child.kill().expect("kill -9");
        child.wait().expect("wait");
        if bundle.exists() {
            sha256sum(&bundle).expect_status(0);
            complete += 1;
        } else {
            absent += 1;
        }
    }
    assert!(
        absent > 5,
        "killed too late: {absent} absent, {complete} complete"
    );

    let _ = fs::remove_dir_all(&bundle);
    assert!(
        command.status().expect("run").success(),
        "what kills left behind is in the way"
    );
    sha256sum(&bundle).expect_status(0);
    let entries = fs::read_dir(folder.path()).expect("list");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("entry").file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["bundle", "vit_nano_cifar10.safetensors"]);
}

#[test]
fn evaluation_and_bundle_repeat_the_accuracy_of_training() {
    let folder = scratch();
    let (weights, trained) = train(folder.path(), "0");
    assert!(
        trained.parse::<f64>().expect("a number") > 15.0,
        "a trained network beats chance: {trained} %"
    );
    let mut command = Program::Trainer.command();
    command.args(["eval", "--weights"]).arg(&weights);
    let evaluated = run(command.arg("--data").arg(data()))
        .expect_status(0)
        .says("airplane")
        .says("taken for")
        .says("confidence");
    assert_eq!(accuracy(&evaluated.stdout), trained);
    export(&weights, &folder.path().join("bundle"), 10_000)
        .expect_status(0)
        .says(&format!("({trained} %)"));
}

#[test]
fn every_preset_of_the_python_repository_exports_and_passes() {
    for (preset, samples) in [("tiny", 16), ("small", 8), ("base", 4)] {
        let folder = scratch();
        let bundle = bundle(folder.path(), preset, samples);
        check(&bundle, &["--atol", "5e-6", "--rtol", "1e-5"])
            .expect_status(0)
            .says("PASS");
    }
}

#[test]
fn any_attention_can_be_cut_out() {
    let folder = scratch();
    let weights = fresh_weights(folder.path(), "nano");
    let bundle = folder.path().join("last");
    let mut command = export_command(&weights, &bundle);
    command.args(["--samples", "20", "--module", "transformer.layers.3.0.fn"]);
    run(&mut command).expect_status(0);
    check(&bundle, &[])
        .expect_status(0)
        .says("transformer.layers.3.0.fn")
        .says("PASS");
}

fn inspect(path: &Path) -> Ended {
    Program::Verifier
        .run(["inspect".as_ref(), path.as_os_str()])
        .expect_status(0)
}

#[test]
fn a_bundle_of_format_1_0_passes_as_before() {
    let bundle = root().join("tests/fixtures/tiny_bundle_1_0");
    inspect(&bundle).says("format 1.0");
    for part in ["submodel", "full", "head", "tail"] {
        let arguments = ["--no-calibration", "--part", part];
        check(&bundle, &arguments).expect_status(0).says("PASS");
    }
    check(&bundle, &["--part", "preprocess"]).refuses(&["no part `preprocess`"]);
}

#[test]
fn inspect_shows_bundles_models_and_arrays() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 10);
    inspect(&bundle)
        .says("310,186 parameters")
        .says("submodel_input [batch, 65, 96]")
        .says("preprocess pixels uint8 [batch, 32, 32, 3] → image [batch, 3, 32, 32]")
        .says("[10, 32, 32, 3]")
        .says("in PyTorch to_qkv.weight [288, 96]")
        .says("float32");
    inspect(&bundle.join("onnx/submodel/model.onnx"))
        .says("ai.onnx 17")
        .says("to_qkv_weight")
        .says("[96, 288]");
    inspect(&bundle.join("onnx/full/model.onnx"))
        .says("image")
        .says("logits")
        .says("in PyTorch transformer.layers.1.1.fn.net.0.weight")
        .says("weights_sha256");
    inspect(&bundle.join("onnx/preprocess/model.onnx")).says("uint8 [batch, 32, 32, 3]");
    inspect(&bundle.join("npy/pixels.npy")).says("|u1");
    inspect(&bundle.join("npy/submodel_output.npy"))
        .says("[10, 65, 96]")
        .says("<f4");
}

/// The largest resident size of a command's process, in KiB.
fn peak_memory(command: &Command) -> f64 {
    let mut measured = python_command();
    measured.arg(root().join("tests/python/peak_memory.py"));
    let ended = run(&mut wrapped(measured, command)).expect_status(0);
    let number = ended.stdout.trim().strip_prefix("peak ");
    number.expect("a line").parse().expect("a number")
}

#[test]
fn memory_does_not_grow_with_the_samples() {
    let folder = scratch();
    let weights = fresh_weights(folder.path(), "nano");
    let peaks = |samples: &str, attempt: &str| {
        let bundle = folder.path().join(format!("{samples}_{attempt}"));
        let mut export = export_command(&weights, &bundle);
        let exported = peak_memory(export.args(["--samples", samples]));
        let mut check = Program::Verifier.command();
        let verified = peak_memory(check.arg("check").arg(&bundle).args(["--device", "cpu"]));
        [exported, verified]
    };
    let few = peaks("400", "first");
    // Both tensors of 4,000 samples are 200 MB: a tenth of them kept would show each time. What
    // threads and the allocator hold at once varies with the machine's load: the least counts.
    let mut many = peaks("4000", "first");
    let is_flat = |many: [f64; 2]| many[0] < few[0] * 1.05 && many[1] < few[1] * 1.05;
    if !is_flat(many) {
        let again = peaks("4000", "again");
        many = [many[0].min(again[0]), many[1].min(again[1])];
    }
    assert!(
        is_flat(many),
        "exporter and verifier: {few:?} KiB for 400 samples, {many:?} for 4,000"
    );
}
