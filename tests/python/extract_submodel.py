"""onnx.utils.extract_model cuts a submodel from the full model that computes the same bits.

extract_submodel.py BUNDLE
"""

import sys
import tempfile

import numpy
import onnx
import onnx.utils
import onnxruntime

(bundle,) = sys.argv[1:]
x = numpy.load(f"{bundle}/npy/submodel_input.npy", mmap_mode="r")


def run(model):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {"submodel_input": x})[0]


with tempfile.TemporaryDirectory() as folder:
    cut = f"{folder}/cut.onnx"
    full = f"{bundle}/onnx/full/model.onnx"
    onnx.utils.extract_model(full, cut, ["submodel_input"], ["submodel_output"])
    assert (run(cut) == run(f"{bundle}/onnx/submodel/model.onnx")).all()
print("same outputs")
