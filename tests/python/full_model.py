"""The full model computes the golden logits from the images.

full_model.py BUNDLE IMAGES
"""

import json
import pathlib
import sys

import numpy
import onnxruntime

import cifar10

bundle, test_batch = map(pathlib.Path, sys.argv[1:])
golden = numpy.load(bundle / "npy/logits.npy")
manifest = json.loads((bundle / "manifest.json").read_text())
images = cifar10.images(test_batch, len(golden), manifest["model"]["config"]["image_size"])
model = bundle / "onnx/full/model.onnx"
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
error = abs(session.run(["logits"], {"image": images})[0] - golden).max()
assert error < 1e-5, error
print("same logits")
