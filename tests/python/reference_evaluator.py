"""ONNX's checker accepts all parts, and its reference evaluator computes the recorded outputs.

reference_evaluator.py BUNDLE
"""

import pathlib
import sys

import onnx
from onnx.reference import ReferenceEvaluator

from test_data import PARTS, tensors

METADATA = {"preset", "cut", "weights_sha256", "preprocessing", "golden"}

bundle = pathlib.Path(sys.argv[1])
for part in PARTS:
    folder = bundle / "onnx" / part
    onnx.checker.check_model(folder / "model.onnx", full_check=True)
    model = onnx.load(folder / "model.onnx")
    assert METADATA <= {p.key for p in model.metadata_props}
    inputs = tensors(folder / "test_data_set_0", "input")
    expected = tensors(folder / "test_data_set_0", "output")
    assert list(inputs) == [x.name for x in model.graph.input]
    assert list(expected) == [y.name for y in model.graph.output]
    outputs = ReferenceEvaluator(model).run(None, inputs)
    for (name, golden), actual in zip(expected.items(), outputs):
        error = abs(actual - golden).max()
        assert error <= (0 if part == "preprocess" else 2e-5), (part, name, error)
    print("accepted", part)
