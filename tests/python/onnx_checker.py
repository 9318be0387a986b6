"""ONNX's checker and shape inference agree with the models, whose names are C identifiers.

onnx_checker.py BUNDLE
"""

import pathlib
import re
import sys

import onnx

REFUSED = {"Shape", "Gather", "ConstantOfShape", "Expand"}


def check_names(graph):
    made = {name for node in graph.node for name in node.output}
    given = {value.name for value in [*graph.initializer, *graph.input, *graph.node]}
    for name in made | given:
        assert re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name), name
    described = {value.name for value in [*graph.value_info, *graph.output]}
    assert made == described, made ^ described


def check_shapes(model):
    """ONNX's own inference, from the inputs alone, must agree with what the file says."""
    graph = model.graph
    said = {value.name: value.type for value in [*graph.value_info, *graph.output]}
    del graph.value_info[:]
    options = {"strict_mode": True, "data_prop": True}
    inferred = onnx.shape_inference.infer_shapes(model, **options).graph
    for value in [*inferred.value_info, *inferred.output]:
        assert value.type == said[value.name], (value.name, value.type, said[value.name])


for file in sorted(pathlib.Path(sys.argv[1]).glob("onnx/*/model.onnx")):
    onnx.checker.check_model(file, full_check=True)
    model = onnx.load(file)
    assert model.ir_version == 8
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
    operators = {node.op_type for node in model.graph.node}
    assert not operators & REFUSED, operators
    check_names(model.graph)
    check_shapes(model)
    print("accepted", file.parent.name)
