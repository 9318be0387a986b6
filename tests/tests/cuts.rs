//! Every module that can be cut out: head, submodel and tail joined compute what the full model
//! computes.

use std::path::Path;

use tests::{Program, data, fresh_weights, python, run, scratch};

const KINDS: [&str; 5] = [".0.fn", ".0", ".1.fn", ".1", ""];

/// Writes a bundle of every kind of module at some layers, then compares the joined parts with the
/// whole in ONNX Runtime.
fn joined_parts_are_the_full_model(preset: &str, layers: [usize; 3], samples: usize) {
    let folder = scratch();
    let weights = fresh_weights(folder.path(), preset);
    for layer in layers {
        for kind in KINDS {
            let module = format!("transformer.layers.{layer}{kind}");
            let mut command = Program::Exporter.command();
            command
                .arg("bundle")
                .arg("--weights")
                .arg(&weights)
                .arg("--data")
                .arg(data());
            command.args(["--samples", &samples.to_string(), "--module", &module]);
            run(command
                .arg("--out")
                .arg(folder.path().join("bundles").join(&module)))
            .expect_status(0);
        }
    }
    let script = r#"
import json, pathlib, sys, numpy, onnxruntime
records = numpy.fromfile(sys.argv[2], "uint8").reshape(-1, 3073)
def pixels(count, size):
    images = records[:count, 1:].reshape(-1, 3, 32, 32).astype("int64")
    if size == 32:
        return images
    # 32 to 224 is sevenfold: between neighbours a and b at phase k, ((7 - k)·a + k·b + 3) / 7, rows first.
    at = (numpy.arange(224) - 3).clip(0, 7 * 31)
    low, k = at // 7, at % 7
    high = (low + 1).clip(max=31)
    wide = ((7 - k) * images[..., low] + k * images[..., high] + 3) // 7
    k = k[:, None]
    return ((7 - k) * wide[:, :, low] + k * wide[:, :, high] + 3) // 7
mean, std = (numpy.array(v, "float32").reshape(3, 1, 1) for v in ((.4914, .4822, .4465), (.2023, .1994, .2010)))
def session(bundle, part, optimised):
    options = onnxruntime.SessionOptions()
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(bundle / f"onnx/{part}/model.onnx", options, providers=["CPUExecutionProvider"])
def run(session, values):
    feed = {x.name: values[x.name] for x in session.get_inputs()}
    values.update(zip([y.name for y in session.get_outputs()], session.run(None, feed)))
count = 0
for bundle in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    manifest = json.load(open(bundle / "manifest.json"))
    golden = {name: numpy.load(bundle / f"npy/{name}.npy", mmap_mode="r") for name in ("submodel_input", "submodel_output", "logits")}
    samples = len(golden["logits"])
    assert ("residual" in [y["name"] for y in manifest["parts"]["head"]["outputs"]]) == (len(bundle.name.split(".")) > 3)
    all_images = (pixels(samples, manifest["model"]["config"]["image_size"]).astype("float32") / numpy.float32(255) - mean) / std
    for optimised in (True, False):
        full, *parts = (session(bundle, part, optimised) for part in ("full", "head", "submodel", "tail"))
        for start in range(0, samples, 50):
            image = all_images[start:start + 50].astype("float32")
            whole = full.run(["logits"], {"image": image})[0]
            values = {"image": image}
            for part in parts:
                run(part, values)
            assert (values["logits"].argmax(1) == whole.argmax(1)).all(), bundle.name
            error = abs(values["logits"] - whole).max()
            assert error <= 1e-5, (bundle.name, error)
            assert optimised or (values["logits"] == whole).all(), (bundle.name, "not the same bits")
            for name, expected in golden.items():
                error = abs(values[name] - expected[start:start + 50]).max()
                assert error <= 2e-5, (bundle.name, name, error)
    count += 1
print(count, "cuts")
"#;
    let images = tests::images().join("test_batch.bin");
    python(
        script,
        &[&folder.path().join("bundles"), Path::new(&images)],
    )
    .expect_status(0)
    .says("15 cuts");
}

#[test]
fn every_cut_of_nano_joins_to_the_full_model() {
    joined_parts_are_the_full_model("nano", [0, 2, 3], 200);
}

#[test]
fn every_cut_of_tiny_joins_to_the_full_model() {
    // More take minutes: TINY_SAMPLES=200 cargo test --release --workspace --test cuts
    let samples = std::env::var("TINY_SAMPLES").map_or(4, |number| {
        number.parse().expect("TINY_SAMPLES is a number")
    });
    joined_parts_are_the_full_model("tiny", [0, 6, 11], samples);
}

#[test]
fn a_wrong_module_gets_the_list_and_the_nearest() {
    let folder = scratch();
    let weights = fresh_weights(folder.path(), "nano");
    let mut command = Program::Exporter.command();
    command
        .arg("bundle")
        .arg("--weights")
        .arg(&weights)
        .args(["--module", "transformer.layer.3.1.fn"]);
    run(command.arg("--out").arg(folder.path().join("bundle"))).refuses(&[
        "unknown module",
        "K from 0 to 3",
        "transformer.layers.K.1.fn",
        "nearest is transformer.layers.3.1.fn",
    ]);
    assert!(!folder.path().join("bundle").exists());
}
