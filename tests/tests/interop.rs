//! Other people's tools open a bundle unchanged and get the golden outputs.

use std::path::{Path, PathBuf};
use std::process::Command;

use tests::{Program, bundle, data, fresh_weights, python, root, run, scratch};

/// A program of the Python tools, run in a folder.
fn tool(folder: &Path, arguments: &[&str]) -> tests::Ended {
    let tools = root().join(".deps/python-tools");
    let interpreter = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut command = Command::new(interpreter);
    command
        .current_dir(folder)
        .env("PYTHONPATH", &tools)
        .arg(tools.join("bin").join(arguments[0]));
    run(command.args(&arguments[1..]))
}

#[test]
fn the_checker_and_the_reference_evaluator_accept_all_parts() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    let script = r#"
import pathlib, re, sys, numpy, onnx
from onnx.reference import ReferenceEvaluator
for part in ("full", "head", "submodel", "tail"):
    folder = pathlib.Path(sys.argv[1]) / "onnx" / part
    onnx.checker.check_model(folder / "model.onnx", full_check=True)
    model = onnx.load(folder / "model.onnx")
    assert {"preset", "cut", "weights_sha256", "preprocessing", "golden"} <= {p.key for p in model.metadata_props}
    def tensors(kind):
        files = sorted((folder / "test_data_set_0").glob(kind + "_*.pb"))
        return {t.name: onnx.numpy_helper.to_array(t) for t in map(onnx.load_tensor, files)}
    inputs, expected = tensors("input"), tensors("output")
    assert list(inputs) == [x.name for x in model.graph.input] and list(expected) == [y.name for y in model.graph.output]
    outputs = ReferenceEvaluator(model).run(None, inputs)
    for (name, golden), found in zip(expected.items(), outputs):
        assert abs(found - golden).max() < 2e-5, (part, name, abs(found - golden).max())
    print("accepted", part)
"#;
    let ended = python(script, &[&bundle]).expect_status(0);
    ["full", "head", "submodel", "tail"]
        .iter()
        .fold(ended, |ended, part| ended.says(&format!("accepted {part}")));
}

#[test]
fn onnx_runtime_and_openvino_run_all_parts() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    let script = r#"
import pathlib, sys, numpy, onnx, onnxruntime, openvino
core = openvino.Core()
for part in ("full", "head", "submodel", "tail"):
    folder = pathlib.Path(sys.argv[1]) / "onnx" / part
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    compiled = core.compile_model(folder / "model.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for data_set in range(3):
        def tensors(kind):
            files = sorted((folder / f"test_data_set_{data_set}").glob(kind + "_*.pb"))
            return {t.name: onnx.numpy_helper.to_array(t) for t in map(onnx.load_tensor, files)}
        inputs, expected = tensors("input"), tensors("output")
        by_runtime = dict(zip([y.name for y in session.get_outputs()], session.run(None, inputs)))
        by_openvino = {y.get_any_name(): value for y, value in compiled(inputs).items()}
        for name, golden in expected.items():
            for found in (by_runtime, by_openvino):
                assert numpy.isclose(found[name], golden, rtol=1e-4, atol=2e-5).all(), (part, name, abs(found[name] - golden).max())
    print("ran", part)
"#;
    let ended = python(script, &[&bundle]).expect_status(0);
    ["full", "head", "submodel", "tail"]
        .iter()
        .fold(ended, |ended, part| ended.says(&format!("ran {part}")));
}

#[test]
fn onnxs_own_test_loader_runs_the_data_sets() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    let script = r#"
import json, pathlib, shutil, sys, tempfile, numpy, onnx, onnxruntime
from onnx.backend.test.loader import load_model_tests
with tempfile.TemporaryDirectory() as data:
    for part in ("full", "head", "submodel", "tail"):
        shutil.copytree(pathlib.Path(sys.argv[1]) / "onnx" / part, pathlib.Path(data) / "simple" / f"test_{part}")
    cases = load_model_tests(data_dir=data, kind="simple")
    assert sorted(case.name for case in cases) == ["test_full", "test_head", "test_submodel", "test_tail"]
    for case in cases:
        assert (case.atol, case.rtol) == ((5e-6, 1e-5) if case.name == "test_submodel" else (1e-4, 1e-4)), case
        folder = pathlib.Path(case.model_dir)
        session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
        # As onnx.backend.test.runner does it.
        sets = sorted(path for path in folder.iterdir() if path.is_dir())
        assert len(sets) == 3
        for data_set in sets:
            assert all(file.suffix == ".pb" for file in data_set.iterdir())
            load = lambda kind: [onnx.numpy_helper.to_array(onnx.load_tensor(data_set / f"{kind}_{i}.pb"))
                                 for i in range(len(list(data_set.glob(f"{kind}_*.pb"))))]
            feed = dict(zip([x.name for x in session.get_inputs()], load("input")))
            for golden, found in zip(load("output"), session.run(None, feed), strict=True):
                numpy.testing.assert_allclose(golden, found, rtol=case.rtol, atol=case.atol)
        config = dict(line.split(":") for line in (folder / "config.txt").read_text().split())
        assert (float(config["per_sample_tolerance"]), float(config["relative_per_sample_tolerance"])) == (case.atol, case.rtol)
        print("passed", case.name)
"#;
    let ended = python(script, &[&bundle]).expect_status(0);
    ["full", "head", "submodel", "tail"]
        .iter()
        .fold(ended, |ended, part| {
            ended.says(&format!("passed test_{part}"))
        });
}

#[test]
fn the_submodel_can_be_cut_from_the_full_model_again() {
    let folder = scratch();
    let weights = fresh_weights(folder.path(), "nano");
    for module in [
        "transformer.layers.0.0.fn",
        "transformer.layers.2",
        "transformer.layers.3.1",
    ] {
        let bundle = folder.path().join(module);
        let mut command = Program::Exporter.command();
        command
            .arg("bundle")
            .arg("--weights")
            .arg(&weights)
            .arg("--data")
            .arg(data())
            .arg("--out")
            .arg(&bundle);
        run(command.args(["--samples", "16", "--module", module])).expect_status(0);
        let script = r#"
import sys, numpy, onnx, onnx.utils, onnxruntime
bundle, cut = sys.argv[1], sys.argv[1] + ".onnx"
onnx.utils.extract_model(f"{bundle}/onnx/full/model.onnx", cut, ["submodel_input"], ["submodel_output"])
x = numpy.load(f"{bundle}/npy/submodel_input.npy", mmap_mode="r")
run = lambda file: onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, {"submodel_input": x})[0]
assert (run(cut) == run(f"{bundle}/onnx/submodel/model.onnx")).all()
print("same outputs")
"#;
        python(script, &[&bundle])
            .expect_status(0)
            .says("same outputs");
    }
}

/// The blocks of a language in a Markdown text.
fn code_blocks(text: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    text.split(&opening)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn the_readmes_commands_work() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 12);
    let text = std::fs::read_to_string(bundle.join("README.md")).expect("read");
    // The test's own place for what the README puts into /tmp.
    let own = |code: &str| code.replace("/tmp/", &format!("{}/", folder.path().display()));
    let blocks = code_blocks(&text, "python");
    assert_eq!(blocks.len(), 3);
    let enter = format!(
        "import os; os.chdir({:?})\n",
        bundle.to_str().expect("text")
    );
    for block in &blocks {
        let ended = python(&format!("{enter}{}", own(block)), &[]).expect_status(0);
        assert!(
            block.contains("polygraphy") || ended.stdout.contains("within tolerance True"),
            "{ended}"
        );
    }
    let shell = code_blocks(&text, "sh");
    let polygraphy = shell
        .iter()
        .find(|block| block.starts_with("polygraphy"))
        .expect("a command");
    let words = own(polygraphy.trim());
    let words: Vec<&str> = words.split_whitespace().collect();
    let ended = tool(&bundle, &words).expect_status(0);
    assert!(ended.stdout.contains("PASSED"), "{ended}");
    assert!(
        shell
            .iter()
            .any(|block| block.contains("sha256sum --check"))
    );
}

#[test]
fn polygraphy_runs_all_parts_and_finds_a_changed_golden() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    let script = r#"
import pathlib, sys, onnx
from polygraphy.comparator import IterationResult, RunResults
from polygraphy.json import save_json
for part in ("full", "head", "submodel", "tail"):
    data_set = pathlib.Path(sys.argv[1]) / "onnx" / part / "test_data_set_0"
    load = lambda kind: {t.name: onnx.numpy_helper.to_array(t) for t in map(onnx.load_tensor, sorted(data_set.glob(kind + "_*.pb")))}
    save_json([load("input")], f"{sys.argv[2]}/{part}_inputs.json")
    for name, change in (("golden", 0), ("changed", 1e-3)):
        outputs = load("output")
        last = list(outputs)[-1]
        outputs[last] = outputs[last].copy()
        outputs[last].flat[7] += change
        results = RunResults()
        results.add([IterationResult(outputs)], runner_name=name)
        results.save(f"{sys.argv[2]}/{part}_{name}.json")
"#;
    python(script, &[&bundle, folder.path()]).expect_status(0);
    for part in ["full", "head", "submodel", "tail"] {
        let file = |name: &str| {
            folder
                .path()
                .join(format!("{part}_{name}.json"))
                .display()
                .to_string()
        };
        let model = format!("onnx/{part}/model.onnx");
        for (golden, passes) in [("golden", true), ("changed", false)] {
            let (inputs, outputs) = (file("inputs"), file(golden));
            let arguments = [
                "polygraphy",
                "run",
                &model,
                "--onnxrt",
                "--load-inputs",
                &inputs,
                "--load-outputs",
                &outputs,
            ];
            let ended = tool(
                &bundle,
                &[&arguments[..], &["--atol", "2e-5", "--rtol", "1e-5"]].concat(),
            );
            assert_eq!(ended.status == 0, passes, "{part} {golden}\n{ended}");
        }
    }
}

#[test]
fn a_model_too_large_for_one_file_keeps_its_weights_beside_it() {
    let folder = scratch();
    let weights = fresh_weights(folder.path(), "nano");
    let bundle = folder.path().join("bundle");
    let mut command = Program::Exporter.command();
    command
        .arg("bundle")
        .arg("--weights")
        .arg(&weights)
        .arg("--data")
        .arg(data())
        .arg("--out")
        .arg(&bundle);
    run(command.args(["--samples", "4", "--largest-model", "200000"])).expect_status(0);
    assert!(bundle.join("onnx/full/model.onnx.data").is_file());
    let script = r#"
import json, sys, numpy, onnx, onnxruntime
bundle = sys.argv[1]
onnx.checker.check_model(f"{bundle}/onnx/full/model.onnx", full_check=True)
assert json.load(open(f"{bundle}/manifest.json"))["parts"]["full"]["external_data"] == "onnx/full/model.onnx.data"
image = onnx.numpy_helper.to_array(onnx.load_tensor(f"{bundle}/onnx/full/test_data_set_1/input_0.pb"))
session = onnxruntime.InferenceSession(f"{bundle}/onnx/full/model.onnx", providers=["CPUExecutionProvider"])
error = abs(session.run(None, {"image": image})[0] - numpy.load(f"{bundle}/npy/logits.npy")[1:2]).max()
assert error < 1e-5, error
print("same logits")
"#;
    python(script, &[&bundle])
        .expect_status(0)
        .says("same logits");
}

#[test]
fn raw_arrays_and_the_float64_golden_agree_with_numpy() {
    let folder = scratch();
    let weights = fresh_weights(folder.path(), "nano");
    let indices = folder.path().join("indices.txt");
    std::fs::write(&indices, "49999 0\n7 # a frog\n7\n").expect("write");
    let bundle: PathBuf = folder.path().join("bundle");
    let mut command = Program::Exporter.command();
    command
        .arg("bundle")
        .arg("--weights")
        .arg(&weights)
        .arg("--data")
        .arg(data())
        .arg("--out")
        .arg(&bundle);
    command.args([
        "--split", "train", "--golden", "f64", "--raw", "--parts", "submodel",
    ]);
    run(command.arg("--indices").arg(&indices)).expect_status(0);
    let script = r#"
import json, pathlib, sys, numpy
from safetensors.numpy import load_file
bundle = pathlib.Path(sys.argv[1])
manifest = json.load(open(bundle / "manifest.json"))
assert list(manifest["parts"]) == ["submodel"] and manifest["selection"]["split"] == "train"
assert numpy.load(bundle / "npy/sample_index.npy").tolist() == [49999, 0, 7, 7]
for file in (bundle / "npy").iterdir():
    array = numpy.load(file, mmap_mode="r")
    raw = numpy.fromfile(bundle / f"raw/{file.stem}.bin", array.dtype).reshape(array.shape)
    assert array.dtype.byteorder in "<=" and (raw == array).all(), file
w = {name: value.astype("float64") for name, value in load_file(bundle / "weights/submodel.safetensors").items()}
x = numpy.load(bundle / "npy/submodel_input.npy").astype("float64")
q, k, v = (part.reshape(4, 65, 3, 32).transpose(0, 2, 1, 3) for part in numpy.split(x @ w["to_qkv.weight"].T, 3, -1))
s = q @ k.transpose(0, 1, 3, 2) * 32 ** -.5
s = numpy.exp(s - s.max(-1, keepdims=True)); s /= s.sum(-1, keepdims=True)
y = (s @ v).transpose(0, 2, 1, 3).reshape(4, 65, 96) @ w["to_out.0.weight"].T + w["to_out.0.bias"]
exact, golden = (numpy.load(bundle / f"npy/{name}.npy") for name in ("submodel_output_f64", "submodel_output"))
assert exact.dtype == "float64" and abs(exact - y).max() < 1e-13, abs(exact - y).max()
assert manifest["golden"]["float64"]["largest_error"] == abs(exact - golden).max()
assert abs(exact[2] - exact[3]).max() < 1e-13 and 0 < abs(exact - golden).max() < 1e-5
print("same")
"#;
    python(script, &[&bundle]).expect_status(0).says("same");
}
