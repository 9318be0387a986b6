//! Train, export, verify: the whole way on real CIFAR-10 images, and what other tools make of the
//! bundle.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tests::{Program, bundle, check, data, export, python, run, scratch};

const SAMPLES: usize = 320;

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).expect("read")).expect("JSON")
}

fn train(folder: &Path, seed: &str) -> (PathBuf, String) {
    let arguments = [
        "train",
        "--model",
        "nano",
        "--epochs",
        "1",
        "--train-samples",
        "2560",
        "--seed",
        seed,
    ];
    let ended = run(Program::Trainer
        .command()
        .args(arguments)
        .arg("--data")
        .arg(data())
        .arg("--out")
        .arg(folder))
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
fn a_trained_network_becomes_a_bundle_that_passes_and_whose_injected_errors_are_found() {
    let folder = scratch();
    let (weights, _) = train(folder.path(), "0");
    let bundle = folder.path().join("bundle");
    export(&weights, &bundle, SAMPLES)
        .expect_status(0)
        .says("320");

    let (clean, faults) = (
        folder.path().join("clean.json"),
        folder.path().join("faults.json"),
    );
    check(&bundle, &["--report", clean.to_str().expect("text")])
        .expect_status(0)
        .says("PASS");
    let clean = json(&clean);
    assert_eq!(
        (&clean["verdict"], &clean["exit_status"]),
        (&"pass".into(), &0.into())
    );
    assert_eq!(clean["result"]["samples"], SAMPLES);
    assert_eq!(clean["result"]["elements"], SAMPLES * 65 * 96);
    assert_eq!(clean["result"]["faulty_samples"], 0);
    assert_eq!(
        clean["runtime"]["nodes"].as_object().expect("nodes").len(),
        1
    );
    assert!(
        clean["runtime"]["nodes"]["CPUExecutionProvider"]
            .as_u64()
            .expect("a count")
            > 5
    );

    let arguments = ["--inject", "--report", faults.to_str().expect("text")];
    let ended = check(&bundle, &arguments)
        .expect_status(1)
        .says("FAIL: 4 of 320 samples are faulty");
    for sample in [150, 200, 201, 300] {
        assert!(
            ended.stdout.contains(&format!("sample {sample} ")),
            "{ended}"
        );
    }
    let faults = json(&faults);
    let flagged: Vec<_> = faults["result"]["faulty"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|f| &f["sample"])
        .collect();
    assert_eq!(flagged, [150, 200, 201, 300]);
    assert_eq!(
        (&faults["verdict"], &faults["exit_status"]),
        (&"fail".into(), &1.into())
    );
    assert!(
        faults["result"]["faults"]
            .as_array()
            .expect("a list")
            .iter()
            .all(|fault| fault["found"] == true)
    );
    assert_eq!(faults["result"]["mismatched_elements"], 3);
    assert_eq!(faults["result"]["non_finite_elements"], 2);
}

#[test]
fn the_same_command_gives_the_same_bytes() {
    let (first, second, other) = (scratch(), scratch(), scratch());
    let (weights, _) = train(first.path(), "7");
    let read = |path: &Path| std::fs::read(path).expect("read");
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

#[test]
fn killed_at_twenty_moments_a_bundle_is_whole_or_absent() {
    let folder = scratch();
    let weights = tests::fresh_weights(folder.path(), "nano");
    let bundle = folder.path().join("bundle");
    let command = || {
        let mut command = Program::Exporter.command();
        command
            .arg("bundle")
            .arg("--weights")
            .arg(&weights)
            .arg("--data")
            .arg(data())
            .arg("--out")
            .arg(&bundle);
        command
            .args(["--samples", "400"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        command
    };
    let started = std::time::Instant::now();
    assert!(command().status().expect("run").success());
    let whole = started.elapsed();
    let sums = || {
        let mut command = std::process::Command::new("sha256sum");
        run(command
            .current_dir(&bundle)
            .args(["--check", "--quiet", "--strict", "SHA256SUMS"]))
    };
    let (mut absent, mut complete) = (0, 0);
    for moment in 0..20u32 {
        let _ = std::fs::remove_dir_all(&bundle);
        let mut child = command().spawn().expect("run");
        // Spread over the run, and a little beyond its end, by steps that no phase of it divides.
        std::thread::sleep(whole * (moment * 7 % 20 + 1) / 19);
        child.kill().expect("kill -9");
        child.wait().expect("wait");
        if bundle.exists() {
            sums().expect_status(0);
            complete += 1;
        } else {
            absent += 1;
        }
    }
    assert!(
        absent > 5,
        "killed too late: {absent} absent, {complete} complete"
    );
    let _ = std::fs::remove_dir_all(&bundle);
    assert!(
        command().status().expect("run").success(),
        "what kills left behind is in the way"
    );
    sums().expect_status(0);
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .expect("list")
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
    let evaluated = run(command
        .arg("eval")
        .arg("--weights")
        .arg(&weights)
        .arg("--data")
        .arg(data()))
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
fn the_full_model_with_cls_pooling_computes_the_golden_logits() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "tiny", 2);
    let script = r#"
import sys, numpy, onnxruntime
bundle = sys.argv[1]
session = onnxruntime.InferenceSession(f"{bundle}/onnx/full/model.onnx", providers=["CPUExecutionProvider"])
records = numpy.fromfile(sys.argv[2], "uint8").reshape(-1, 3073)[:2, 1:].reshape(2, 3, 32, 32).astype("int64")
# 32 to 224 is sevenfold: between neighbours a and b at phase k, ((7 - k)·a + k·b + 3) / 7, rows first.
at = (numpy.arange(224) - 3).clip(0, 7 * 31)
low, k = at // 7, at % 7
high = (low + 1).clip(max=31)
wide = ((7 - k) * records[..., low] + k * records[..., high] + 3) // 7
k = k[:, None]
pixels = ((7 - k) * wide[:, :, low] + k * wide[:, :, high] + 3) // 7
mean, std = (numpy.array(v, "float32").reshape(3, 1, 1) for v in ((.4914, .4822, .4465), (.2023, .1994, .2010)))
images = (pixels.astype("float32") / numpy.float32(255) - mean) / std
error = abs(session.run(["logits"], {"image": images})[0] - numpy.load(f"{bundle}/npy/logits.npy")).max()
assert error < 1e-5, error
print("same logits")
"#;
    python(script, &[&bundle, &tests::images().join("test_batch.bin")])
        .expect_status(0)
        .says("same logits");
}

#[test]
fn any_attention_can_be_cut_out() {
    let folder = scratch();
    let weights = tests::fresh_weights(folder.path(), "nano");
    let bundle = folder.path().join("last");
    let mut command = Program::Exporter.command();
    command
        .arg("bundle")
        .arg("--weights")
        .arg(&weights)
        .arg("--out")
        .arg(&bundle)
        .arg("--data")
        .arg(data());
    run(command.args(["--samples", "20", "--module", "transformer.layers.3.0.fn"]))
        .expect_status(0);
    check(&bundle, &[])
        .expect_status(0)
        .says("transformer.layers.3.0.fn")
        .says("PASS");
}

#[test]
fn inspect_shows_bundles_models_and_arrays() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 10);
    let inspect = |path: PathBuf| {
        Program::Verifier
            .run(["inspect".as_ref(), path.as_os_str()])
            .expect_status(0)
    };
    inspect(bundle.clone())
        .says("310,186 parameters")
        .says("submodel_input [batch, 65, 96]")
        .says("Float32".to_lowercase().as_str());
    inspect(bundle.join("onnx/submodel/model.onnx"))
        .says("ai.onnx 17")
        .says("to_qkv_weight")
        .says("[96, 288]");
    inspect(bundle.join("onnx/full/model.onnx"))
        .says("image")
        .says("logits")
        .says("weights_sha256");
    inspect(bundle.join("npy/submodel_output.npy"))
        .says("[10, 65, 96]")
        .says("<f4");
}

#[test]
fn numpy_reads_every_array_and_would_write_the_same_bytes() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 30);
    let script = r#"
import io, pathlib, sys, numpy
files = sorted(pathlib.Path(sys.argv[1]).glob("npy/*.npy"))
for file in files:
    array = numpy.load(file)
    mapped = numpy.load(file, mmap_mode="r")
    assert array.shape[0] == 30 and (array == mapped).all(), file
    again = io.BytesIO()
    numpy.save(again, array)
    assert again.getvalue() == file.read_bytes(), file
print(len(files), "arrays")
labels = numpy.load(sys.argv[1] + "/npy/labels.npy")
assert labels[:10].tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1], labels[:10]
logits = numpy.load(sys.argv[1] + "/npy/logits.npy").astype("float64")
p = numpy.exp(logits - logits.max(1, keepdims=True)); p /= p.sum(1, keepdims=True); p.sort(1)
confidence = numpy.load(sys.argv[1] + "/npy/confidence.npy")
assert abs(confidence - (p[:, -1] - p[:, -2])).max() < 1e-6
assert (numpy.load(sys.argv[1] + "/npy/predictions.npy") == logits.argmax(1)).all()
assert (numpy.load(sys.argv[1] + "/npy/sample_index.npy") == numpy.arange(30)).all()
"#;
    python(script, &[&bundle]).expect_status(0).says("7 arrays");
}

#[test]
fn numpys_header_is_ours_whatever_the_shape() {
    let folder = scratch();
    let shapes = [
        vec![],
        vec![0],
        vec![7],
        vec![10_000],
        vec![1, 1],
        vec![10_000, 197, 768],
        vec![1_000_000_007],
        vec![3, 0, 2],
        vec![123_456, 123_456, 12_345, 1],
        vec![1; 12],
        vec![10_000, 65, 96, 123_456, 7, 7],
    ];
    let mut text = String::new();
    for (number, shape) in shapes.iter().enumerate() {
        let header = proto::npy::Header {
            dtype: proto::npy::Dtype::Float32,
            shape: shape.clone(),
        };
        std::fs::write(folder.path().join(number.to_string()), header.to_bytes()).expect("write");
        text.push_str(&format!("{shape:?}\n"));
    }
    std::fs::write(folder.path().join("shapes"), text).expect("write");
    let script = r#"
import ast, io, pathlib, sys
from numpy.lib import format
folder = pathlib.Path(sys.argv[1])
for number, line in enumerate((folder / "shapes").read_text().splitlines()):
    header = io.BytesIO()
    shape = tuple(ast.literal_eval(line))
    format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    assert (folder / str(number)).read_bytes() == header.getvalue(), shape
print("same")
"#;
    python(script, &[folder.path()])
        .expect_status(0)
        .says("same");
}

#[test]
fn the_onnx_checker_accepts_both_models_and_names_are_identifiers() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    let script = r#"
import pathlib, re, sys, onnx
for file in sorted(pathlib.Path(sys.argv[1]).glob("onnx/*/model.onnx")):
    onnx.checker.check_model(file, full_check=True)
    model = onnx.load(file)
    graph = model.graph
    assert model.ir_version == 8 and [(o.domain, o.version) for o in model.opset_import] == [("", 17)]
    made = {name for node in graph.node for name in node.output}
    named = made | {t.name for t in graph.initializer} | {v.name for v in graph.input} | {n.name for n in graph.node}
    assert all(re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name) for name in named), named
    described = {v.name for v in list(graph.value_info) + list(graph.output)}
    assert made == described, made ^ described
    operators = {node.op_type for node in graph.node}
    assert not operators & {"Shape", "Gather", "ConstantOfShape", "Expand"}, operators
    # ONNX's own shape inference, from the inputs alone, must agree with what the file says.
    said = {v.name: v.type for v in list(graph.value_info) + list(graph.output)}
    del graph.value_info[:]
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    for value in list(inferred.value_info) + list(inferred.output):
        assert value.type == said[value.name], (value.name, value.type, said[value.name])
    print("accepted", file.parent.name)
"#;
    python(script, &[&bundle])
        .expect_status(0)
        .says("accepted full")
        .says("accepted submodel");
}

#[test]
fn onnx_runtime_in_python_gives_the_verifiers_outputs() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 100);
    let report = folder.path().join("report.json");
    check(
        &bundle,
        &[
            "--batch-size",
            "32",
            "--report",
            report.to_str().expect("text"),
        ],
    )
    .expect_status(0);
    let script = r#"
import json, sys, numpy, onnxruntime
bundle, report = sys.argv[1], json.load(open(sys.argv[2]))
def session(part):
    return onnxruntime.InferenceSession(f"{bundle}/onnx/{part}/model.onnx", providers=["CPUExecutionProvider"])
x, golden = (numpy.load(f"{bundle}/npy/{name}.npy") for name in ("submodel_input", "submodel_output"))
submodel = session("submodel")
y = numpy.concatenate([submodel.run(None, {"submodel_input": x[i:i + 32]})[0] for i in range(0, 100, 32)])
error = abs(y.astype("float64") - golden)
result = report["result"]
assert report["runtime"]["version"] == onnxruntime.__version__
# Bit for bit the same outputs: as many elements differ, and the error at the reported place is the reported one.
assert int((y != golden).sum()) == result["differing_elements"], ((y != golden).sum(), result)
largest = result["max_abs_error"]
assert error[tuple(largest["index"])] == largest["value"], (error[tuple(largest["index"])], largest)
# The verifier ranks float32 differences, so another element may be larger by their rounding.
assert largest["value"] >= error.max() * (1 - 2 ** -23), (error.max(), largest)
assert numpy.isclose(y, golden, rtol=1e-5, atol=5e-6).all()
print("same outputs")
"#;
    python(script, &[&bundle, &report])
        .expect_status(0)
        .says("same outputs");
}

#[test]
fn the_full_model_computes_the_golden_logits_from_the_images() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 100);
    let script = r#"
import sys, numpy, onnxruntime
bundle, data = sys.argv[1], sys.argv[2]
records = numpy.fromfile(data, "uint8").reshape(-1, 3073)[:100]
mean, std = (numpy.array(v, "float32").reshape(3, 1, 1) for v in ((.4914, .4822, .4465), (.2023, .1994, .2010)))
images = (records[:, 1:].reshape(-1, 3, 32, 32).astype("float32") / numpy.float32(255) - mean) / std
session = onnxruntime.InferenceSession(f"{bundle}/onnx/full/model.onnx", providers=["CPUExecutionProvider"])
logits = session.run(["logits"], {"image": images})[0]
error = abs(logits - numpy.load(f"{bundle}/npy/logits.npy")).max()
assert error < 1e-5, error
print("same logits")
"#;
    let images = tests::images().join("test_batch.bin");
    python(script, &[&bundle, &images])
        .expect_status(0)
        .says("same logits");
}

#[test]
fn the_submodels_weights_bear_the_python_repositorys_names() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 20);
    let script = r#"
import sys, numpy
from safetensors.numpy import load_file
w = load_file(sys.argv[1] + "/weights/submodel.safetensors")
assert {k: v.shape for k, v in w.items()} == {"to_qkv.weight": (288, 96), "to_out.0.weight": (96, 96), "to_out.0.bias": (96,)}
x, golden = (numpy.load(f"{sys.argv[1]}/npy/{name}.npy").astype("float64") for name in ("submodel_input", "submodel_output"))
q, k, v = ((x @ w["to_qkv.weight"].T.astype("float64")).reshape(20, 65, 3, 3, 32).transpose(2, 0, 3, 1, 4))
scores = q @ k.swapaxes(-1, -2) * 32 ** -0.5
p = numpy.exp(scores - scores.max(-1, keepdims=True)); p /= p.sum(-1, keepdims=True)
y = (p @ v).transpose(0, 2, 1, 3).reshape(20, 65, 96) @ w["to_out.0.weight"].T + w["to_out.0.bias"]
assert abs(y - golden).max() < 1e-5, abs(y - golden).max()
print("same outputs")
"#;
    python(script, &[&bundle])
        .expect_status(0)
        .says("same outputs");
}

#[test]
fn sha256sum_accepts_the_bundle() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    let mut command = std::process::Command::new("sha256sum");
    run(command
        .current_dir(&bundle)
        .args(["--check", "--strict", "SHA256SUMS"]))
    .expect_status(0)
    .says("manifest.json: OK")
    .says("npy/submodel_output.npy: OK");
}

#[test]
fn memory_does_not_grow_with_the_samples() {
    let folder = scratch();
    let weights = tests::fresh_weights(folder.path(), "nano");
    // The kernel's own account of the largest resident size of a finished child, in KiB.
    let script = "import resource, subprocess, sys\n\
                  subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n\
                  print('peak', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    let peak = |arguments: &[&Path]| -> f64 {
        let ended = python(script, arguments).expect_status(0);
        ended
            .stdout
            .trim()
            .rsplit(' ')
            .next()
            .expect("a number")
            .parse()
            .expect("a number")
    };
    let peaks = |samples: &str| {
        let bundle = folder.path().join(samples);
        let exporter = Program::Exporter.path();
        let export: [&Path; 10] = [
            &exporter,
            "bundle".as_ref(),
            "--weights".as_ref(),
            &weights,
            "--out".as_ref(),
            &bundle,
            "--data".as_ref(),
            &data(),
            "--samples".as_ref(),
            samples.as_ref(),
        ];
        let exported = peak(&export);
        let runtime = tests::onnxruntime();
        let verifier = Program::Verifier.path();
        let verified = peak(&[
            &verifier,
            "check".as_ref(),
            &bundle,
            "--device".as_ref(),
            "cpu".as_ref(),
            "--runtime".as_ref(),
            &runtime,
        ]);
        (exported, verified)
    };
    // Both tensors of 4,000 samples are 200 MB: a tenth of them kept would show.
    let (few, many) = (peaks("400"), peaks("4000"));
    assert!(
        many.0 < few.0 * 1.05,
        "exporter: {} KiB for 400 samples, {} KiB for 4,000",
        few.0,
        many.0
    );
    assert!(
        many.1 < few.1 * 1.05,
        "verifier: {} KiB for 400 samples, {} KiB for 4,000",
        few.1,
        many.1
    );
}
