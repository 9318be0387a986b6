"""Writes models that compute what a bundle's submodel computes, in other ways.

other_models.py BUNDLE FOLDER
"""

import pathlib
import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper


def main():
    bundle, folder = map(pathlib.Path, sys.argv[1:])
    own = bundle / "onnx/submodel/model.onnx"
    onnx.save(fixed_batch(onnx.load(own), 3), folder / "batch_3.onnx")
    onnx.save(halves(onnx.load(own)), folder / "float16.onnx")
    external = folder / "external"
    external.mkdir()
    onnx.save(onnx.load(own), external / "model.onnx", save_as_external_data=True,
              all_tensors_to_one_file=True, location="weights.bin", size_threshold=64)
    onnx.save(renamed(onnx.load(own)), folder / "renamed.onnx")
    onnx.save(doubled(onnx.load(own)), folder / "doubled.onnx")


def fixed_batch(model, batch):
    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        first = value.type.tensor_type.shape.dim[0]
        if first.dim_param:
            first.dim_value = batch
    return model


def halves(model):
    """Everything float16, inputs and outputs too."""
    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = TensorProto.FLOAT16
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            half = numpy_helper.to_array(tensor).astype(numpy.float16)
            tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
    return model


def renamed(model):
    """Its output has a name that the part does not have."""
    name = model.graph.output[0].name
    for node in model.graph.node:
        node.output[:] = ["other" if output == name else output for output in node.output]
    model.graph.output[0].name = "other"
    return model


def doubled(model):
    """Its output is twice as large."""
    name = model.graph.output[0].name
    for node in model.graph.node:
        node.output[:] = ["half" if output == name else output for output in node.output]
    model.graph.node.append(helper.make_node("Add", ["half", "half"], [name]))
    return model


if __name__ == "__main__":
    main()
