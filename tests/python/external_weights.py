"""A full model with its weights in a file beside it is accepted and computes the golden logits.

external_weights.py BUNDLE
"""

import json
import pathlib
import sys

import numpy
import onnx
import onnxruntime

bundle = pathlib.Path(sys.argv[1])
model = bundle / "onnx/full/model.onnx"
onnx.checker.check_model(model, full_check=True)
manifest = json.loads((bundle / "manifest.json").read_text())
assert manifest["parts"]["full"]["external_data"] == "onnx/full/model.onnx.data"
tensor = onnx.load_tensor(bundle / "onnx/full/test_data_set_1/input_0.pb")
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
logits = session.run(None, {"image": onnx.numpy_helper.to_array(tensor)})[0]
error = abs(logits - numpy.load(bundle / "npy/logits.npy")[1:2]).max()
assert error < 1e-5, error
print("same logits")
