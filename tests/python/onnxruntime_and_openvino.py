"""ONNX Runtime and OpenVINO compute the recorded outputs of all parts.

onnxruntime_and_openvino.py BUNDLE
"""

import pathlib
import sys

import numpy
import onnxruntime
import openvino

from test_data import PARTS, tensors

bundle = pathlib.Path(sys.argv[1])
core = openvino.Core()
for part in PARTS:
    model = bundle / "onnx" / part / "model.onnx"
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    names = [y.name for y in session.get_outputs()]
    data_sets = sorted(model.parent.glob("test_data_set_*"))
    assert data_sets
    for data_set in data_sets:
        inputs = tensors(data_set, "input")
        by_runtime = dict(zip(names, session.run(None, inputs)))
        by_openvino = {y.get_any_name(): value for y, value in compiled(inputs).items()}
        for name, golden in tensors(data_set, "output").items():
            if part == "preprocess":
                assert (by_runtime[name] == golden).all(), "not the same bits"
            for actual in (by_runtime[name], by_openvino[name]):
                close = numpy.isclose(actual, golden, rtol=1e-4, atol=2e-5)
                assert close.all(), (part, name, abs(actual - golden).max())
    print("ran", part)
