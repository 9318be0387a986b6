"""Raw arrays hold what the NPY files hold, and the float64 golden is the attention in float64.

raw_and_float64.py BUNDLE IMAGES

IMAGES is the folder of CIFAR-10's files.
"""

import json
import pathlib
import sys

import numpy

import cifar10
from attention import attention

IMAGES_PER_FILE = 10_000

bundle, images = map(pathlib.Path, sys.argv[1:])
manifest = json.loads((bundle / "manifest.json").read_text())
assert list(manifest["parts"]) == ["submodel"] and manifest["selection"]["split"] == "train"
sample_index = numpy.load(bundle / "npy/sample_index.npy").tolist()
assert sample_index == [49999, 0, 7, 7]
for pixels, position in zip(numpy.load(bundle / "npy/pixels.npy"), sample_index, strict=True):
    file = images / f"data_batch_{position // IMAGES_PER_FILE + 1}.bin"
    assert (pixels == cifar10.pixels(file)[position % IMAGES_PER_FILE]).all(), position
for file in (bundle / "npy").iterdir():
    array = numpy.load(file, mmap_mode="r")
    raw = numpy.fromfile(bundle / f"raw/{file.stem}.bin", array.dtype).reshape(array.shape)
    assert array.dtype.byteorder in "<=|" and (raw == array).all(), file
exact = numpy.load(bundle / "npy/submodel_output_f64.npy")
golden = numpy.load(bundle / "npy/submodel_output.npy")
error = abs(exact - attention(bundle, numpy.load(bundle / "npy/submodel_input.npy"))).max()
assert exact.dtype == "float64" and error < 1e-13, error
largest = abs(exact - golden).max()
assert manifest["golden"]["float64"]["largest_error"] == largest and 0 < largest < 1e-5
assert abs(exact[2] - exact[3]).max() < 1e-13, "the same image twice"
print("same")
