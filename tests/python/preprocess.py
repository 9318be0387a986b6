"""The part `preprocess` gives torchvision's bits for all images of CIFAR-10's test split.

preprocess.py BUNDLE IMAGES DIGESTS

DIGESTS has the SHA-256 of what torchvision makes of them, by image size.
"""

import hashlib
import json
import pathlib
import sys

import numpy
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

import cifar10

BATCH = 100

bundle, test_batch, digests = map(pathlib.Path, sys.argv[1:])
manifest = json.loads((bundle / "manifest.json").read_text())
size = manifest["model"]["config"]["image_size"]
expected = json.loads(digests.read_text())
pixels = cifar10.pixels(test_batch)
assert len(pixels) == expected["images"]

model = bundle / "onnx/preprocess/model.onnx"
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def preprocessed(pixels):
    (image,) = session.run(["image"], {"pixels": pixels})
    assert image.dtype == "float32" and image.shape == (len(pixels), 3, size, size)
    return image


digest = hashlib.sha256()
for start in range(0, len(pixels), BATCH):
    digest.update(preprocessed(pixels[start:start + BATCH]))
assert digest.hexdigest() == expected["sha256"][str(size)], "other bits than torchvision's"
print("all bits", size)

few = numpy.ascontiguousarray(pixels[[0, 1234, 9999]])
(image,) = ReferenceEvaluator(onnx.load(model)).run(None, {"pixels": few})
assert image.tobytes() == preprocessed(few).tobytes()
print("reference", size)
