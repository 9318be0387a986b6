"""Cuts that proto made of a model are those of onnx.utils.extract_model, and compute the same.

extract_model.py MODEL CUTS

CUTS is a folder of pairs, before_N.onnx and after_N.onnx: a model cut at an edge.
"""

import sys
from pathlib import Path

import numpy
import onnx
import onnx.checker
import onnx.utils
import onnxruntime

model, cuts = sys.argv[1:]
whole = onnx.load(model)
random = numpy.random.default_rng(5)
x = {"image": random.standard_normal((2, 3, 32, 32), dtype=numpy.float32)}


def names(values):
    return [value.name for value in values]


def of_name(values):
    return {value.name: value.SerializeToString() for value in values}


def check_same(ours):
    """The nodes in their order, the inputs and outputs with types, the initializers with data."""
    onnx.checker.check_model(ours, full_check=True)
    graph = ours.graph
    theirs = onnx.utils.Extractor(whole).extract_model(names(graph.input), names(graph.output))
    assert list(graph.node) == list(theirs.graph.node)
    assert list(graph.input) == list(theirs.graph.input)
    assert list(graph.output) == list(theirs.graph.output)
    assert of_name(graph.initializer) == of_name(theirs.graph.initializer)
    # extract_model also lists inputs and outputs among the inner tensors.
    edges = names(graph.input) + names(graph.output)
    inner = {name: value for name, value in of_name(theirs.graph.value_info).items() if name not in edges}
    assert of_name(graph.value_info) == inner


def run(model, inputs):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    given = {value.name: inputs[value.name] for value in session.get_inputs()}
    return dict(zip(names(session.get_outputs()), session.run(None, given)))


expected = run(whole, x)
pairs = sorted(Path(cuts).glob("before_*.onnx"))
for path in pairs:
    before, after = onnx.load(path), onnx.load(path.with_name(path.name.replace("before", "after")))
    check_same(before)
    check_same(after)
    joined = run(after, x | run(before, x))
    assert (joined["logits"] == expected["logits"]).all(), path
print(f"{len(pairs)} edges")
