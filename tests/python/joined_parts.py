"""Head, submodel and tail of every bundle in a folder, joined, compute what the full model does.

joined_parts.py FOLDER IMAGES
"""

import json
import pathlib
import sys

import numpy
import onnxruntime

import cifar10

BATCH = 50
PARTS = ("full", "head", "submodel", "tail")
GOLDEN = ("submodel_input", "submodel_output", "logits")


def session(bundle, part, optimised):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if not optimised:
        level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.graph_optimization_level = level
    model = bundle / f"onnx/{part}/model.onnx"
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(session, values):
    """Feeds a part from what is known, and adds its outputs to that."""
    feed = {x.name: values[x.name] for x in session.get_inputs()}
    values.update(zip([y.name for y in session.get_outputs()], session.run(None, feed)))


def compare(bundle, images, golden, optimised):
    full, *parts = (session(bundle, part, optimised) for part in PARTS)
    for start in range(0, len(images), BATCH):
        image = images[start:start + BATCH]
        whole = full.run(["logits"], {"image": image})[0]
        values = {"image": image}
        for part in parts:
            run(part, values)
        assert (values["logits"].argmax(1) == whole.argmax(1)).all(), bundle.name
        error = abs(values["logits"] - whole).max()
        assert error <= 1e-5, (bundle.name, error)
        same_bits = (values["logits"] == whole).all()
        assert optimised or same_bits, (bundle.name, "not the same bits")
        for name, expected in golden.items():
            error = abs(values[name] - expected[start:start + BATCH]).max()
            assert error <= 2e-5, (bundle.name, name, error)


folder, test_batch = map(pathlib.Path, sys.argv[1:])
bundles = sorted(folder.iterdir())
for bundle in bundles:
    manifest = json.loads((bundle / "manifest.json").read_text())
    head_outputs = [y["name"] for y in manifest["parts"]["head"]["outputs"]]
    is_inside_a_layer = len(bundle.name.split(".")) > 3
    assert ("residual" in head_outputs) == is_inside_a_layer, bundle.name
    golden = {name: numpy.load(bundle / f"npy/{name}.npy", mmap_mode="r") for name in GOLDEN}
    size = manifest["model"]["config"]["image_size"]
    images = cifar10.images(test_batch, len(golden["logits"]), size)
    for optimised in (True, False):
        compare(bundle, images, golden, optimised)
print(len(bundles), "cuts")
