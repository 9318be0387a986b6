"""The tensors of a test data set, in the layout of ONNX's own test runners."""

import onnx

PARTS = ("preprocess", "full", "head", "submodel", "tail")


def tensors(data_set, kind):
    """`input` or `output` tensors of a folder, by name, in order."""
    files = sorted(data_set.glob(kind + "_*.pb"))
    return {t.name: onnx.numpy_helper.to_array(t) for t in map(onnx.load_tensor, files)}
