"""ONNX Runtime in Python computes, bit for bit, what the verifier reported of its own run.

verifier_outputs.py BUNDLE REPORT
"""

import json
import pathlib
import sys

import numpy
import onnxruntime

BATCH = 32

bundle, report = map(pathlib.Path, sys.argv[1:])
report = json.loads(report.read_text())
result, largest = report["result"], report["result"]["max_abs_error"]
assert report["runtime"]["version"] == onnxruntime.__version__

model = bundle / "onnx/submodel/model.onnx"
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
x, golden = (numpy.load(bundle / f"npy/submodel_{name}.npy") for name in ("input", "output"))
batches = [x[start:start + BATCH] for start in range(0, len(x), BATCH)]
y = numpy.concatenate([session.run(None, {"submodel_input": batch})[0] for batch in batches])

# The same bits: as many elements differ, and the error at the reported place is the reported one.
differing = int((y != golden).sum())
assert differing == result["differing_elements"], (differing, result)
error = abs(y.astype("float64") - golden)
there = error[tuple(largest["index"])]
assert there == largest["value"], (there, largest)
# The verifier ranks float32 differences: another element may be larger by their rounding.
assert largest["value"] >= error.max() * (1 - 2 ** -23), (error.max(), largest)
assert numpy.isclose(y, golden, rtol=1e-5, atol=5e-6).all()
print("same outputs")
