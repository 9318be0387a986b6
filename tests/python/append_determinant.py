"""Makes a model compute y + 0·det(yᵀy): the same numbers, by an operator that OpenVINO lacks.

append_determinant.py MODEL
"""

import sys

import numpy
import onnx
from onnx import helper, numpy_helper

(path,) = sys.argv[1:]
model = onnx.load(path)
graph = model.graph
for node in graph.node:
    node.output[:] = ["y" if name == "submodel_output" else name for name in node.output]
zero = numpy.zeros([], "float32")
column = numpy.array([-1, 1, 1], "int64")
graph.initializer.append(numpy_helper.from_array(zero, "zero"))
graph.initializer.append(numpy_helper.from_array(column, "column"))
graph.node.extend([
    helper.make_node("Transpose", ["y"], ["yt"], perm=[0, 2, 1]),
    helper.make_node("MatMul", ["yt", "y"], ["square"]),
    helper.make_node("Det", ["square"], ["det"]),
    helper.make_node("Mul", ["det", "zero"], ["none"]),
    helper.make_node("Reshape", ["none", "column"], ["nothing"]),
    helper.make_node("Add", ["y", "nothing"], ["submodel_output"]),
])
onnx.checker.check_model(model)
onnx.save(model, path)
