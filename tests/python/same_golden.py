"""A bundle with other models than another one has the same golden, and the models compute it.

same_golden.py OTHER BUNDLE

For each tool it says by how much the outputs of the two bundles differ at most, part by part.
"""

import json
import pathlib
import sys

import numpy
import onnx
import onnxruntime
import openvino
from onnx.reference import ReferenceEvaluator

from test_data import PARTS, tensors

LARGEST = 1e-6
OPENVINO = {"INFERENCE_PRECISION_HINT": "f32"}


def by_onnxruntime(model, inputs):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def by_openvino(model, inputs):
    compiled = openvino.Core().compile_model(model, "CPU", OPENVINO)
    outputs = {y.get_any_name(): value for y, value in compiled(inputs).items()}
    return [outputs[y.name] for y in onnx.load(model).graph.output]


def by_reference(model, inputs):
    return ReferenceEvaluator(onnx.load(model)).run(None, inputs)


other, bundle = map(pathlib.Path, sys.argv[1:])
for file in sorted((other / "npy").iterdir()):
    assert file.read_bytes() == (bundle / "npy" / file.name).read_bytes(), file
manifest = json.loads((bundle / "manifest.json").read_text())
assert "deployment" not in json.loads((other / "manifest.json").read_text())
fixed_batch = manifest["deployment"].get("fixed_batch")
samples = fixed_batch or 1
for part in PARTS:
    files = [folder / "onnx" / part / "model.onnx" for folder in (other, bundle)]
    data_set = files[1].with_name("test_data_set_0")
    inputs = tensors(data_set, "input")
    assert {len(value) for value in inputs.values()} == {samples}
    listed = manifest["parts"][part]["test_data_sets"]
    assert listed[:samples] == numpy.load(bundle / "npy/sample_index.npy")[:samples].tolist()
    for run in (by_onnxruntime, by_openvino, by_reference):
        pairs = zip(*(run(file, inputs) for file in files), strict=True)
        errors = [abs(numpy.asarray(a) - b).max() for a, b in pairs]
        print(run.__name__, part, errors)
        assert all(error <= LARGEST for error in errors), (run.__name__, part, errors)
x, golden = (numpy.load(bundle / f"npy/submodel_{name}.npy") for name in ("input", "output"))
x, golden = x[:fixed_batch], golden[:fixed_batch]
model = bundle / "onnx/submodel/model.onnx"
for run in (by_onnxruntime, by_openvino, by_reference):
    (y,) = run(model, {"submodel_input": x})
    assert abs(y - golden).max() <= LARGEST, (run.__name__, abs(y - golden).max())
print("same golden")
