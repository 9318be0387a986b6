"""The submodel's weights bear the Python repository's names, and give the golden outputs.

submodel_weights.py BUNDLE
"""

import sys

import numpy
from safetensors.numpy import load_file

from attention import attention

SHAPES = {"to_qkv.weight": (288, 96), "to_out.0.weight": (96, 96), "to_out.0.bias": (96,)}

(bundle,) = sys.argv[1:]
weights = load_file(f"{bundle}/weights/submodel.safetensors")
assert {name: value.shape for name, value in weights.items()} == SHAPES
x = numpy.load(f"{bundle}/npy/submodel_input.npy")
error = abs(attention(bundle, x) - numpy.load(f"{bundle}/npy/submodel_output.npy")).max()
assert error < 1e-5, error
print("same outputs")
