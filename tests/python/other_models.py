"""Writes models that compute what a bundle's submodel computes, in other ways.

other_models.py BUNDLE FOLDER
"""

import pathlib
import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper, version_converter


def main():
    bundle, folder = map(pathlib.Path, sys.argv[1:])
    own = bundle / "onnx/submodel/model.onnx"
    onnx.save(fixed_batch(onnx.load(own), 3), folder / "batch_3.onnx")
    onnx.save(halves(onnx.load(own)), folder / "float16.onnx")
    external = folder / "external"
    external.mkdir()
    onnx.save(onnx.load(own), external / "model.onnx", save_as_external_data=True,
              all_tensors_to_one_file=True, location="weights.bin", size_threshold=1024)
    onnx.save(renamed(onnx.load(own)), folder / "renamed.onnx")
    onnx.save(doubled(onnx.load(own)), folder / "doubled.onnx")
    onnx.save(simplified(onnx.load(own)), folder / "simplified.onnx")
    onnx.save(with_int8_input(onnx.load(own), bundle), folder / "int8.onnx")
    opset_21 = version_converter.convert_version(onnx.load(own), 21)
    opset_21.ir_version = 10
    onnx.save(opset_21, folder / "opset_21.onnx")
    ir_9 = onnx.load(own)
    ir_9.ir_version = 9
    onnx.save(ir_9, folder / "ir_9.onnx")


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


def simplified(model):
    """Its scale is folded into the weights that give the queries."""
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    weight = numpy_helper.to_array(tensors["to_qkv_weight"]).copy()
    weight[:, :weight.shape[1] // 3] *= numpy_helper.to_array(tensors["scale"])
    tensors["to_qkv_weight"].CopyFrom(numpy_helper.from_array(weight, "to_qkv_weight"))
    [mul] = [node for node in model.graph.node if node.op_type == "Mul"]
    for node in model.graph.node:
        node.input[:] = [mul.input[0] if name == mul.output[0] else name for name in node.input]
    model.graph.node.remove(mul)
    model.graph.initializer.remove(tensors["scale"])
    return model


def with_int8_input(model, bundle):
    """Its input goes through int8: a QuantizeLinear and a DequantizeLinear."""
    name = model.graph.input[0].name
    largest = numpy.abs(numpy.load(bundle / f"npy/{name}.npy")).max()
    for node in model.graph.node:
        node.input[:] = ["dequantized" if input == name else input for input in node.input]
    step = [numpy_helper.from_array(numpy.float32(largest / 127), "step"),
            numpy_helper.from_array(numpy.int8(0), "zero")]
    model.graph.initializer.extend(step)
    names = ["step", "zero"]
    model.graph.node.insert(0, helper.make_node("QuantizeLinear", [name, *names], ["quantized"]))
    model.graph.node.insert(
        1, helper.make_node("DequantizeLinear", ["quantized", *names], ["dequantized"]))
    return model


if __name__ == "__main__":
    main()
