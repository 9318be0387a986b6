"""ONNX's checker and shape inference agree with the models, whose names are C identifiers.

onnx_checker.py BUNDLE
"""

import json
import pathlib
import re
import sys

import onnx

# IR versions that belong to the opsets.
IR_VERSIONS = {13: 7, 17: 8}
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


def check_first_axes(graph, first):
    for value in [*graph.input, *graph.value_info, *graph.output]:
        axis = value.type.tensor_type.shape.dim[0]
        assert (axis.dim_value or axis.dim_param) == first, (value.name, axis)


bundle = pathlib.Path(sys.argv[1])
manifest = json.loads((bundle / "manifest.json").read_text())
deployment = manifest.get("deployment", {"opset": 17})
opset, first = deployment["opset"], deployment.get("fixed_batch", "batch")
for file in sorted(bundle.glob("onnx/*/model.onnx")):
    onnx.checker.check_model(file, full_check=True)
    model = onnx.load(file)
    assert model.ir_version == IR_VERSIONS[opset]
    assert [(used.domain, used.version) for used in model.opset_import] == [("", opset)]
    for side, tensors in (("inputs", model.graph.input), ("outputs", model.graph.output)):
        listed = [(t["name"], t["shape"][0]) for t in manifest["parts"][file.parent.name][side]]
        assert listed == [(tensor.name, first) for tensor in tensors]
    check_first_axes(model.graph, first)
    operators = {node.op_type for node in model.graph.node}
    assert not operators & REFUSED, operators
    assert opset >= 17 or "LayerNormalization" not in operators
    check_names(model.graph)
    check_shapes(model)
    print("accepted", file.parent.name)
